import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BeaconExtensionMessage,
  decodeBeacon,
  discoverChallenge,
  encodeBeacon,
  isBeaconMessage,
  relayToDelivery,
} from "../../../protocol/beacon/beacon_message.ts";
import { assertDecodeError, assertTotal, bytes, hex, record, toHex, u32 } from "../support.ts";

const NONCE = "000102030405060708090a0b0c0d0e0f";
const COOKIE = "101112131415161718191a1b1c1d1e1f";
const SIGNATURE = "aa".repeat(64);

const VECTORS: [string, BeaconExtensionMessage][] = [
  [`0d0000002a01${NONCE}${"00".repeat(16)}`, {
    type: "discover_auth",
    node: 42,
    flags: 1,
    nonce: hex(NONCE),
    cookie: new Uint8Array(16),
    signature: undefined,
  }],
  [`0d0000002a03${NONCE}${COOKIE}${SIGNATURE}`, {
    type: "discover_auth",
    node: 42,
    flags: 3,
    nonce: hex(NONCE),
    cookie: hex(COOKIE),
    signature: hex(SIGNATURE),
  }],
  [`0e01${NONCE}${COOKIE}`, {
    type: "cookie",
    isProven: true,
    nonce: hex(NONCE),
    cookie: hex(COOKIE),
  }],
  [`0f${NONCE}00000007`, { type: "wake", token: hex(NONCE), sequence: 7 }],
];

const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
const message: fc.Arbitrary<BeaconExtensionMessage> = fc.oneof(
  record({
    type: fc.constant("discover_auth" as const),
    node: u32,
    flags: fc.integer({ min: 0, max: 255 }),
    nonce: sixteen,
    cookie: sixteen,
    signature: fc.option(fc.uint8Array({ minLength: 64, maxLength: 64 }), { nil: undefined }),
  }),
  record({
    type: fc.constant("cookie" as const),
    isProven: fc.boolean(),
    nonce: sixteen,
    cookie: sixteen,
  }),
  record({ type: fc.constant("wake" as const), token: sixteen, sequence: u32 }),
);

Deno.test("the messages of the beacon extension have the documented bytes", () => {
  for (const [wire, value] of VECTORS) {
    assert.equal(toHex(encodeBeacon(value)), wire);
    assert.deepEqual(decodeBeacon(hex(wire)), value);
    assert.ok(isBeaconMessage(hex(wire)));
  }
});

Deno.test("decodeBeacon gives back what encodeBeacon wrote of the extension", () => {
  fc.assert(fc.property(message, (value) => {
    assert.deepEqual(decodeBeacon(encodeBeacon(value)), value);
  }));
});

Deno.test("decodeBeacon is total for the extension and refuses cut messages", () => {
  assertTotal(decodeBeacon, ...VECTORS.map(([wire]) => hex(wire)));
  for (const [wire] of VECTORS) {
    const whole = hex(wire);
    const least = whole[0] === 0x0d ? 38 : whole.length;
    for (let end = 1; end < least; end++) {
      assertDecodeError(decodeBeacon(whole.subarray(0, end)), "too_short");
    }
  }
});

Deno.test("a cookie is smaller than the question for it, and a question with a cut signature is a question", () => {
  assert.ok(VECTORS[2]![0].length < VECTORS[0]![0].length);
  const cut = decodeBeacon(hex(VECTORS[1]![0]).subarray(0, 101));
  assert.ok("type" in cut && cut.type === "discover_auth" && cut.signature === undefined);
});

Deno.test("discoverChallenge is bound to every field and begins with its domain", () => {
  const fields = { node: 42, flags: 1, nonce: hex(NONCE), cookie: hex(COOKIE) };
  assert.equal(
    toHex(discoverChallenge(fields)),
    toHex(new TextEncoder().encode("pilot-beacon-discover:v1\0")) + "0000002a01" + NONCE + COOKIE,
  );
});

Deno.test("relayToDelivery turns a relay into both forms in place", () => {
  const relay = { sender: 42, dest: 43, frame: hex("68656c6c6f") };
  fc.assert(fc.property(u32, u32, bytes, (sender, dest, frame) => {
    for (const withDest of [false, true]) {
      const datagram = encodeBeacon({ type: "relay", sender, dest, frame });
      assert.deepEqual(
        decodeBeacon(relayToDelivery(datagram, withDest)),
        withDest
          ? { type: "relay_deliver_dest", sender, dest, frame }
          : { type: "relay_deliver", sender, frame },
      );
    }
  }));
  const datagram = encodeBeacon({ type: "relay", ...relay });
  assert.equal(relayToDelivery(datagram, false).buffer, datagram.buffer);
});
