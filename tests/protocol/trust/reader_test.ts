import assert from "node:assert/strict";
import fc from "fast-check";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  decodeHandshake,
  encodeHandshake,
  HANDSHAKE_MAX_READ_BYTES,
  type HandshakeMessage,
} from "../../../protocol/trust/message.ts";
import { HandshakeReader } from "../../../protocol/trust/reader.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

const MESSAGE: HandshakeMessage = {
  type: "handshake_request",
  nodeId: 5,
  publicKey: "a2V5",
  justification: 'braces } { and "quotes" and \\ backslashes \\" é',
  signature: "c2ln",
  reason: "",
  timestamp: 1_700_000_000,
};

Deno.test("HandshakeReader reads a message in pieces of any size", () => {
  const bytes = encodeHandshake(MESSAGE);
  fc.assert(
    fc.property(fc.array(fc.nat(40), { minLength: 1 }), (sizes) => {
      const reader = new HandshakeReader();
      let at = 0;
      for (let i = 0; at < bytes.length; i++) {
        const end = at + 1 + sizes[i % sizes.length]!;
        const result = reader.push(bytes.subarray(at, end));
        at = end;
        if (at < bytes.length) assert.equal(result, undefined);
        else assert.deepEqual(result, MESSAGE);
      }
    }),
  );
});

Deno.test("HandshakeReader skips leading white space and ignores what follows the message", () => {
  const reader = new HandshakeReader();
  assert.equal(reader.push(utf8("\r\n\t  ")), undefined);
  const bytes = new Uint8Array([...encodeHandshake(MESSAGE), 0x7d, 0x7b]);
  assert.deepEqual(reader.push(bytes), MESSAGE);
  assert.deepEqual(reader.push(utf8("}")), MESSAGE);
});

Deno.test("HandshakeReader decides at once when the first byte is no brace", () => {
  for (const start of ["[", '"', "x", "\0", "}"]) {
    const result = new HandshakeReader().push(utf8(start));
    assert.ok(result instanceof DecodeError);
    assert.equal(result.kind, "malformed");
  }
});

Deno.test("HandshakeReader reports a closed object that is no message", () => {
  const result = new HandshakeReader().push(utf8('{"type":{}}'));
  assert.ok(result instanceof DecodeError);
  assert.equal(result.kind, "unknown_type");
});

Deno.test("HandshakeReader gives up at 64 KiB and keeps saying so", () => {
  const reader = new HandshakeReader();
  const chunk = utf8('{"a":'.repeat(200));
  let result;
  let sent = 0;
  while (result === undefined && sent < 2 * HANDSHAKE_MAX_READ_BYTES) {
    result = reader.push(chunk);
    sent += chunk.length;
  }
  assert.ok(result instanceof DecodeError);
  assert.equal(result.kind, "too_long");
  assert.equal(reader.push(utf8("}")), result);
});

Deno.test("HandshakeReader agrees with decodeHandshake on any JSON object", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const bytes = utf8(JSON.stringify(value));
    assert.deepEqual(new HandshakeReader().push(bytes), decodeHandshake(bytes));
  }));
});
