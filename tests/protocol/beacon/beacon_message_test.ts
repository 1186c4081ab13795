import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type BeaconMessage,
  decodeBeacon,
  encodeBeacon,
  encodeRelayInto,
  isBeaconMessage,
  MAX_SYNC_NODES,
} from "../../../protocol/beacon/beacon_message.ts";
import { encodePunch } from "../../../protocol/tunnel/frame.ts";
import {
  assertDecodeError,
  assertTotal,
  bytes,
  hex,
  record,
  throwsPilot,
  toHex,
  u16,
  u32,
} from "../support.ts";

const VECTORS: [string, BeaconMessage][] = [
  ["010000002a", { type: "discover", node: 42, ex: false }],
  ["080000002a", { type: "discover", node: 42, ex: true }],
  ["0204cb0071050fa0", { type: "discover_reply", ip: hex("cb007105"), port: 4000 }],
  ["030000002a0000002b", { type: "punch_request", requester: 42, target: 43 }],
  ["0404cb0071060fa1", { type: "punch_command", ip: hex("cb007106"), port: 4001 }],
  ["050000002a0000002b68656c6c6f", {
    type: "relay",
    sender: 42,
    dest: 43,
    frame: hex("68656c6c6f"),
  }],
  ["060000002a68656c6c6f", { type: "relay_deliver", sender: 42, frame: hex("68656c6c6f") }],
  ["0a01", { type: "notify" }],
  ["070000000100020000002a0000002b", { type: "sync", beacon: 1, nodes: [42, 43] }],
  ["090000002a0000002b68656c6c6f", {
    type: "relay_deliver_dest",
    sender: 42,
    dest: 43,
    frame: hex("68656c6c6f"),
  }],
];

const ip = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const message: fc.Arbitrary<BeaconMessage> = fc.oneof(
  record({ type: fc.constant("discover" as const), node: u32, ex: fc.boolean() }),
  record({
    type: fc.constantFrom("discover_reply" as const, "punch_command" as const),
    ip,
    port: u16,
  }),
  record({ type: fc.constant("notify" as const) }),
  record({ type: fc.constant("punch_request" as const), requester: u32, target: u32 }),
  record({
    type: fc.constantFrom("relay" as const, "relay_deliver_dest" as const),
    sender: u32,
    dest: u32,
    frame: bytes,
  }),
  record({ type: fc.constant("relay_deliver" as const), sender: u32, frame: bytes }),
  record({
    type: fc.constant("sync" as const),
    beacon: u32,
    nodes: fc.array(u32, { maxLength: 20 }),
  }),
);

Deno.test("encodeBeacon and decodeBeacon agree with the vectors of the reference", () => {
  for (const [wire, value] of VECTORS) {
    assert.equal(toHex(encodeBeacon(value)), wire);
    assert.deepEqual(decodeBeacon(hex(wire)), value);
  }
});

Deno.test("decodeBeacon gives back what encodeBeacon wrote", () => {
  fc.assert(fc.property(message, (value) => {
    const wire = encodeBeacon(value);
    assert.ok(isBeaconMessage(wire));
    assert.deepEqual(decodeBeacon(wire), value);
  }));
});

Deno.test("decodeBeacon is total", () => {
  assertTotal(decodeBeacon, ...VECTORS.map(([wire]) => hex(wire)));
});

Deno.test("decodeBeacon refuses every cut of a vector, apart from relayed frames", () => {
  for (const [wire, value] of VECTORS) {
    const end = "frame" in value ? hex(wire).length - value.frame.length : hex(wire).length;
    for (let length = 0; length < end; length++) {
      const result = decodeBeacon(hex(wire).subarray(0, length));
      assert.ok("kind" in result, `${wire} cut to ${length}`);
    }
  }
});

Deno.test("decodeBeacon ignores extra bytes of a discover and refuses bad IP lengths and unknown types", () => {
  assert.deepEqual(decodeBeacon(hex("010000002affff")), { type: "discover", node: 42, ex: false });
  assertDecodeError(decodeBeacon(hex("0205cb007105000fa0")), "malformed");
  assertDecodeError(decodeBeacon(hex("0a02")), "unknown_type");
  assertDecodeError(decodeBeacon(hex("0b01")), "unknown_type");
  assertDecodeError(decodeBeacon(hex("0700000001ffff0000002a")), "truncated");
});

Deno.test("a sync holds no node to as many as its count can say", () => {
  const sync = (count: number): BeaconMessage => ({
    type: "sync",
    beacon: 1,
    nodes: Array.from({ length: count }, (_, i) => i),
  });
  for (const count of [0, 1, MAX_SYNC_NODES]) {
    const wire = encodeBeacon(sync(count));
    assert.equal(wire.length, 7 + 4 * count);
    assert.deepEqual(decodeBeacon(wire), sync(count));
  }
});

Deno.test("isBeaconMessage distinguishes beacon messages from tunnel frames", () => {
  assert.equal(isBeaconMessage(new Uint8Array(0)), false);
  assert.equal(isBeaconMessage(hex("0f")), true);
  assert.equal(isBeaconMessage(hex("10")), false);
  assert.equal(isBeaconMessage(encodePunch()), false);
});

Deno.test("encodeRelayInto writes the prefix of a relay message in place", () => {
  const frame = hex("68656c6c6f");
  const out = new Uint8Array(3 + 9 + frame.length);
  out.set(frame, 12);
  assert.equal(encodeRelayInto(out, 3, 42, 43), 9);
  assert.equal(toHex(out.subarray(3)), "050000002a0000002b68656c6c6f");
});

Deno.test("encodeBeacon refuses a bad IP length and a sync that its count cannot say", () => {
  throwsPilot(
    () => encodeBeacon({ type: "punch_command", ip: new Uint8Array(5), port: 1 }),
    "invalid_argument",
  );
  throwsPilot(
    () => encodeBeacon({ type: "sync", beacon: 1, nodes: new Array(65536).fill(1) }),
    "invalid_argument",
  );
});
