import assert from "node:assert/strict";
import fc from "fast-check";
import { DecodeError, PilotError } from "../../../protocol/errors.ts";
import {
  decodeHandshake,
  encodeHandshake,
  HANDSHAKE_MAX_READ_BYTES,
  HANDSHAKE_MAX_SENT_BYTES,
  handshakeChallenge,
  handshakeContent,
  handshakeHash,
  type HandshakeMessage,
  JUSTIFICATION_MAX_BYTES,
} from "../../../protocol/trust/message.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const MESSAGE: HandshakeMessage = {
  type: "handshake_request",
  nodeId: 5,
  publicKey: "a2V5",
  justification: "hello",
  signature: "c2ln",
  reason: "",
  timestamp: 1_700_000_000,
};
const JSON_TEXT = '{"type":"handshake_request","node_id":5,"public_key":"a2V5",' +
  '"justification":"hello","signature":"c2ln","reason":"","timestamp":1700000000}';

Deno.test("encodeHandshake writes the fields of the reference in their order, sig2 last", () => {
  assert.equal(text(encodeHandshake(MESSAGE)), JSON_TEXT);
  assert.equal(
    text(encodeHandshake({ ...MESSAGE, sig2: "eHg=" })),
    JSON_TEXT.replace("}", ',"sig2":"eHg="}'),
  );
});

Deno.test("encodeHandshake fits one segment with the longest justification and biggest numbers", () => {
  const bytes = encodeHandshake({
    type: "handshake_request",
    nodeId: 0xffffffff,
    publicKey: "A".repeat(44),
    justification: "é".repeat(JUSTIFICATION_MAX_BYTES / 2),
    signature: "A".repeat(88),
    reason: "",
    timestamp: 99_999_999_999,
    sig2: "A".repeat(88),
  });
  assert.ok(bytes.length <= HANDSHAKE_MAX_SENT_BYTES);
});

Deno.test("encodeHandshake throws invalid_argument when the message does not fit one segment", () => {
  assert.throws(
    () => encodeHandshake({ ...MESSAGE, justification: "x".repeat(1000) }),
    (error) => error instanceof PilotError && error.code === "invalid_argument",
  );
});

Deno.test("decodeHandshake restores any message that was encoded", () => {
  const message = fc.record<HandshakeMessage>({
    type: fc.constantFrom(
      "handshake_request",
      "handshake_accept",
      "handshake_reject",
      "handshake_revoke",
    ),
    nodeId: fc.integer({ min: 1, max: 0xffffffff }),
    publicKey: fc.string({ maxLength: 44 }),
    justification: fc.string({ maxLength: 60, unit: "grapheme" }),
    signature: fc.string({ maxLength: 88 }),
    reason: fc.string({ maxLength: 30 }),
    timestamp: fc.maxSafeInteger(),
    sig2: fc.string({ maxLength: 88 }),
    order: fc.maxSafeNat(),
    re: fc.maxSafeNat(),
  }, {
    requiredKeys: [
      "type",
      "nodeId",
      "publicKey",
      "justification",
      "signature",
      "reason",
      "timestamp",
    ],
  });
  fc.assert(fc.property(message, (message) => {
    assert.deepEqual(decodeHandshake(encodeHandshake(message)), {
      ...message,
    });
  }));
});

Deno.test("decodeHandshake takes missing and null texts as empty and ignores unknown fields", () => {
  const bytes = utf8(
    ' {"type":"handshake_accept","node_id":7,"reason":null,"caps":[1],"__proto__":{"sig2":1}} ',
  );
  assert.deepEqual(decodeHandshake(bytes), {
    type: "handshake_accept",
    nodeId: 7,
    publicKey: "",
    justification: "",
    signature: "",
    reason: "",
    timestamp: 0,
  });
});

Deno.test("decodeHandshake answers invalid bytes with a DecodeError", () => {
  const change = (field: string, value: unknown) =>
    JSON.stringify({ ...JSON.parse(JSON_TEXT), [field]: value });
  const cases: [string, string | Uint8Array, string][] = [
    ["empty", "", "malformed"],
    ["cut off", JSON_TEXT.slice(0, -1), "malformed"],
    ["null", "null", "malformed"],
    ["array", "[]", "malformed"],
    ["text", '"handshake_request"', "malformed"],
    ["two objects", "{}{}", "malformed"],
    ["no UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), "malformed"],
    ["deep nesting", "[".repeat(60_000), "malformed"],
    ["too long", " ".repeat(HANDSHAKE_MAX_READ_BYTES + 1), "too_long"],
    ["no type", "{}", "unknown_type"],
    ["unknown type", change("type", "handshake_dance"), "unknown_type"],
    ["inherited type", change("type", "toString"), "unknown_type"],
    ["node 0", change("node_id", 0), "malformed"],
    ["node negative", change("node_id", -5), "malformed"],
    ["node too big", change("node_id", 2 ** 32), "malformed"],
    ["node fraction", change("node_id", 5.5), "malformed"],
    ["node text", change("node_id", "5"), "malformed"],
    ["time text", change("timestamp", "now"), "malformed"],
    ["time huge", JSON_TEXT.replace("1700000000", "1e300"), "malformed"],
    ["key number", change("public_key", 5), "malformed"],
    ["signature object", change("signature", {}), "malformed"],
    ["sig2 number", change("sig2", 5), "malformed"],
    ["order text", change("order", "5"), "malformed"],
    ["order negative", change("order", -1), "malformed"],
    ["re fraction", change("re", 0.5), "malformed"],
    ["reason list", change("reason", []), "malformed"],
    ["justification true", change("justification", true), "malformed"],
  ];
  for (const [what, input, kind] of cases) {
    const bytes = typeof input === "string" ? utf8(input) : input;
    const result = decodeHandshake(bytes);
    assert.ok(result instanceof DecodeError, what);
    assert.equal(result.kind, kind, what);
  }
});

Deno.test("decodeHandshake never throws on any bytes or JSON", () => {
  fc.assert(fc.property(
    fc.oneof(fc.uint8Array(), fc.json().map(utf8)),
    (bytes) => {
      decodeHandshake(bytes);
    },
  ));
});

Deno.test("handshakeChallenge and handshakeContent are the documented texts", () => {
  assert.equal(text(handshakeChallenge(5, 7)), "handshake:5:7");
  assert.equal(
    text(handshakeContent(MESSAGE, 7)),
    "pilot-handshake-v3|handshake_request|5|7|1700000000|||a2V5|" +
      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824|" +
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
  const numbered = text(handshakeContent({ ...MESSAGE, order: 12, re: 0 }, 7));
  assert.ok(numbered.includes("|1700000000|12|0|a2V5|"));
});

Deno.test("handshakeHash depends on every field but sig2", () => {
  const hash = handshakeHash(MESSAGE);
  assert.equal(handshakeHash({ ...MESSAGE, sig2: "x" }), hash);
  const changes: Partial<HandshakeMessage>[] = [
    { type: "handshake_accept" },
    { nodeId: 6 },
    { publicKey: "x" },
    { justification: "x" },
    { signature: "x" },
    { reason: "x" },
    { timestamp: 1 },
  ];
  const all = changes.map((change) => handshakeHash({ ...MESSAGE, ...change }));
  assert.equal(new Set([hash, ...all]).size, changes.length + 1);
});

Deno.test("messages are written and read up to their last byte", () => {
  const room = HANDSHAKE_MAX_SENT_BYTES - encodeHandshake({ ...MESSAGE, justification: "" }).length;
  const filled = (length: number) => ({ ...MESSAGE, justification: "x".repeat(length) });
  assert.equal(encodeHandshake(filled(room)).length, HANDSHAKE_MAX_SENT_BYTES);
  assert.throws(() => encodeHandshake(filled(room + 1)), { code: "invalid_argument" });
  assert.deepEqual(decodeHandshake(utf8(JSON_TEXT.padEnd(HANDSHAKE_MAX_READ_BYTES))), MESSAGE);
  assert.ok(
    decodeHandshake(utf8(JSON_TEXT.padEnd(HANDSHAKE_MAX_READ_BYTES + 1))) instanceof DecodeError,
  );
});
