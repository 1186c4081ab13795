import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import fc from "fast-check";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  decodeFrame,
  encodePila,
  encodePilk,
  encodePilt,
  encodePunch,
  nonceCounter,
  noncePrefix,
  pilaChallenge,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
  pilsSender,
  writePilsHeader,
} from "../../../protocol/tunnel/frame.ts";
import {
  assertDecodeError,
  assertTotal,
  decoded,
  hex,
  record,
  throwsPilot,
  toHex,
  u32,
} from "../support.ts";

// cspell:ignore aabb

const X25519 = "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c";
const ED25519 = "4fd099ccd47d7893dfe9ec24414ecb0d9b5420232aad30d91c465be33cbe65c4";
const SIGNATURE = "25880075df7e72531481d6d5fa8d8cb4de260728634f307b9f61860107697b01" +
  "969140000e9a5dd15abfe3d3d037b7fa7a72a3d9b7a32f6c287b3c737884a205";
const PILA = "50494c4100000005" + X25519 + ED25519 + SIGNATURE;
const PILS =
  "50494c5300000005deadbeef0000000000000001804fd7d99de98f58cd574d5ef3ec45d16a29b1d104e37b3e95f5e4c6" +
  "1d5fbec7aff8746e7945828ec9ec659fe164c500b51d771175fef5";
const TUNNEL_KEY = "de7a3226508069b9812310619331b4ddfaf0aa3789605d18665b7955417e6eeb";
const PACKET = "12010005000000000005000000000007c000000700000001000000010200808cddbc68656c6c6f";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const pila = record({
  sender: u32,
  x25519: key,
  ed25519: key,
  signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
  request: fc.boolean(),
  response: fc.boolean(),
});
const vector = { sender: 5, x25519: hex(X25519), ed25519: hex(ED25519), signature: hex(SIGNATURE) };

Deno.test("encodePila writes the vector of the reference, with trailer only when asked", () => {
  assert.equal(toHex(encodePila(vector)), PILA);
  assert.equal(toHex(encodePila({ ...vector, request: true })), PILA + "0001");
  assert.equal(toHex(encodePila({ ...vector, response: true })), PILA + "0002");
});

Deno.test("decodeFrame gives back what encodePila wrote", () => {
  fc.assert(fc.property(pila, (value) => {
    assert.deepEqual(decodeFrame(encodePila(value)), { type: "pila", ...value });
  }));
});

Deno.test("decodeFrame reads PILA flags behind capabilities of any length", () => {
  const flags = (trailer: string) => {
    const frame = decoded(decodeFrame(hex(PILA + trailer)));
    assert.ok(frame.type === "pila");
    return [frame.request, frame.response];
  };
  assert.deepEqual(flags(""), [false, false]);
  assert.deepEqual(flags("00"), [false, false]);
  assert.deepEqual(flags("ff8003" + "01"), [true, false]);
  assert.deepEqual(flags("05" + "8300"), [true, true]);
  assert.deepEqual(flags("00" + "02" + "aabb"), [false, true]);
  assert.deepEqual(flags("ffff"), [false, false], "capabilities cut off");
  assert.deepEqual(flags("00" + "81"), [false, false], "flags cut off");
  assert.deepEqual(flags("ff".repeat(11) + "01"), [false, false], "not a varint");
});

Deno.test("pilaChallenge is auth, sender, key", () => {
  assert.equal(toHex(pilaChallenge(5, hex(X25519))), "6175746800000005" + X25519);
});

Deno.test("decodeFrame cuts the PILS vector where the cipher needs it", () => {
  const wire = hex(PILS);
  const frame = decoded(decodeFrame(wire));
  assert.ok(frame.type === "pils");
  assert.equal(frame.sender, 5);
  assert.equal(noncePrefix(frame.nonce), 0xdeadbeef);
  assert.equal(nonceCounter(frame.nonce), 1);
  const open = createDecipheriv("aes-256-gcm", hex(TUNNEL_KEY), frame.nonce);
  open.setAAD(wire.subarray(4, 8));
  open.setAuthTag(frame.sealed.subarray(-16));
  assert.equal(
    open.update(frame.sealed.subarray(0, -16)).toString("hex") + open.final("hex"),
    PACKET,
  );
});

Deno.test("writePilsHeader writes the header of the vector, for a number and a bigint", () => {
  for (const counter of [1, 1n]) {
    const out = new Uint8Array(30);
    writePilsHeader(out, 5, 5, 0xdeadbeef, counter);
    assert.equal(toHex(out.subarray(5, 5 + PILS_HEADER_BYTES)), PILS.slice(0, 40));
  }
});

Deno.test("writePilsHeader and decodeFrame agree on every counter below 2^53", () => {
  const counter = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(fc.property(u32, u32, counter, (sender, prefix, value) => {
    const wire = new Uint8Array(40);
    writePilsHeader(wire, 0, sender, prefix, value);
    const frame = decoded(decodeFrame(wire));
    assert.ok(frame.type === "pils");
    assert.deepEqual([frame.sender, noncePrefix(frame.nonce), nonceCounter(frame.nonce)], [
      sender,
      prefix,
      value,
    ]);
    const same = new Uint8Array(40);
    writePilsHeader(same, 0, sender, prefix, BigInt(value));
    assert.deepEqual(same, wire);
  }));
});

Deno.test("decodeFrame reads PILK, PILP and PILT", () => {
  assert.deepEqual(decodeFrame(hex("50494c4b00000005" + X25519)), {
    type: "pilk",
    sender: 5,
    x25519: hex(X25519),
  });
  assert.equal(toHex(encodePilk(5, hex(X25519))), "50494c4b00000005" + X25519);
  assert.equal(toHex(encodePunch()), "50494c50");
  assert.deepEqual(decodeFrame(hex("50494c5000000009")), { type: "pilp" });
  assert.deepEqual(decodeFrame(encodePilt(hex(PACKET))), { type: "pilt", packet: hex(PACKET) });
});

Deno.test("decodeFrame refuses unknown magics and short frames", () => {
  assertDecodeError(decodeFrame(new Uint8Array(0)), "too_short");
  assertDecodeError(decodeFrame(hex("50494c")), "too_short");
  assertDecodeError(decodeFrame(hex("50494c46000000")), "unknown_type");
  for (
    const [wire, least] of [[PILA, 136], [PILS, 36], ["50494c4b" + "00".repeat(36), 40], [
      "50494c54" + PACKET,
      38,
    ]] as const
  ) {
    assertDecodeError(decodeFrame(hex(wire).subarray(0, least - 1)), "too_short");
    assert.equal(decodeFrame(hex(wire).subarray(0, least)) instanceof DecodeError, false);
  }
});

Deno.test("decodeFrame is total", () => {
  assertTotal(
    decodeFrame,
    hex(PILA + "0001"),
    hex(PILS),
    hex("50494c54" + PACKET),
    encodePilk(1, hex(X25519)),
  );
});

Deno.test("encodePila refuses keys and signatures of the wrong length", () => {
  throwsPilot(() => encodePila({ ...vector, x25519: new Uint8Array(31) }), "invalid_argument");
  throwsPilot(() => encodePila({ ...vector, ed25519: new Uint8Array(33) }), "invalid_argument");
  throwsPilot(() => encodePila({ ...vector, signature: new Uint8Array(0) }), "invalid_argument");
  throwsPilot(() => encodePilk(1, new Uint8Array(0)), "invalid_argument");
  throwsPilot(() => pilaChallenge(1, new Uint8Array(0)), "invalid_argument");
});

Deno.test("pilsSender agrees with decodeFrame for any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, isSealed) => {
    if (isSealed && bytes.length >= 4) bytes.set([0x50, 0x49, 0x4c, 0x53]);
    const frame = decodeFrame(bytes);
    const sender = "type" in frame && frame.type === "pils" ? frame.sender : undefined;
    assert.equal(pilsSender(bytes), sender);
  }));
});

Deno.test("the shortest frames are whole: a magic alone, and a seal around nothing", () => {
  assert.deepEqual(decodeFrame(hex("50494c50")), { type: "pilp" });
  const empty = new Uint8Array(PILS_OVERHEAD_BYTES);
  writePilsHeader(empty, 0, 5, 0, 0);
  const frame = decoded(decodeFrame(empty));
  assert.equal(frame.type, "pils");
  assert.equal(pilsSender(empty), 5);
  assertDecodeError(decodeFrame(empty.subarray(1)), "unknown_type");
  assertDecodeError(decodeFrame(empty.subarray(0, PILS_OVERHEAD_BYTES - 1)), "too_short");
  assert.equal(pilsSender(empty.subarray(0, PILS_OVERHEAD_BYTES - 1)), undefined);
});
