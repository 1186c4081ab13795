import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase64, encodeBase64, equalBytes } from "../../../protocol/crypto/base64.ts";

// cspell:ignore xxhelloxx

Deno.test("decodeBase64 restores what encodeBase64 made of any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (value) => {
    const text = encodeBase64(value);
    assert.equal(text, btoa(String.fromCharCode(...value)));
    assert.deepEqual(decodeBase64(text), value);
  }));
});

Deno.test("encodeBase64 encodes a view and not the buffer beneath it", () => {
  const backing = new TextEncoder().encode("xxhelloxx");
  assert.equal(encodeBase64(backing.subarray(2, 7)), "aGVsbG8=");
});

Deno.test("decodeBase64 refuses everything but the canonical text", () => {
  const cases = [
    ["no padding", "aGVsbG8"],
    ["too much padding", "aGVsbG8=="],
    ["url alphabet", "__--"],
    ["white space", "aGVs bG8="],
    ["line end", "aGVsbG8=\n"],
    ["set trailing bits", "aGVsbG9="],
    ["one character", "a"],
    ["not ASCII", "aGVsbGé="],
    ["padding inside", "aG=sbG8="],
  ];
  for (const [what, text] of cases) {
    assert.equal(decodeBase64(text!), undefined, what);
  }
});

Deno.test("decodeBase64 gives bytes in a buffer of their own", () => {
  assert.equal(decodeBase64("aGVsbG8=")?.buffer.byteLength, 5);
});

Deno.test("decodeBase64 never throws on any text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    const value = decodeBase64(text);
    assert.ok(value === undefined || encodeBase64(value) === text);
  }));
});

Deno.test("equalBytes compares length and content", () => {
  const a = Uint8Array.of(1, 2, 3);
  assert.equal(equalBytes(a, Uint8Array.of(1, 2, 3)), true);
  assert.equal(equalBytes(a, Uint8Array.of(1, 2, 4)), false);
  assert.equal(equalBytes(a, Uint8Array.of(1, 2)), false);
  assert.equal(equalBytes(new Uint8Array(0), new Uint8Array(0)), true);
});
