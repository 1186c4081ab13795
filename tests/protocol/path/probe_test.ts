import assert from "node:assert/strict";
import fc from "fast-check";
import {
  encodePathProbe,
  isPathProbe,
  PATH_ANSWER_BYTES,
  pathProbeId,
} from "../../../protocol/path/mod.ts";

const ids = fc.uint8Array({ minLength: 6, maxLength: 6 });

Deno.test("encodePathProbe gives the size asked for, and its beginning carries the id", () => {
  fc.assert(fc.property(ids, fc.integer({ min: 0, max: 65_000 }), (id, bytes) => {
    const payload = encodePathProbe(id, bytes);
    assert.equal(payload.length, Math.max(bytes, PATH_ANSWER_BYTES));
    const answer = payload.subarray(0, PATH_ANSWER_BYTES);
    assert.ok(isPathProbe(payload) && isPathProbe(answer));
    assert.equal(pathProbeId(answer), pathProbeId(payload));
    assert.equal(pathProbeId(payload), Number(`0x${id.toHex()}`));
  }));
});

Deno.test("isPathProbe is false for anything else", () => {
  const text = new TextEncoder();
  for (
    const other of ["", "pathprobe.v1", "pilot-ping", "pathprobe.v1 mtu12345", "x".repeat(2000)]
  ) {
    assert.equal(isPathProbe(text.encode(other)), false, other);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => !isPathProbe(bytes)));
});
