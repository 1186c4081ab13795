/** The beacon's answers, byte by byte, and its limits (docs/protocol/beacon.md §2, §9). */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Beacon } from "../../../rendezvous/beacon/beacon.ts";
import {
  RELAY_MIN_COST,
  REPLIES_BURST,
  REPLIES_PER_SECOND,
} from "../../../rendezvous/beacon/beacon_limits.ts";

const A: Endpoint = { host: "203.0.113.5", port: 4000 };
const B: Endpoint = { host: "203.0.113.6", port: 4001 };
const C: Endpoint = { host: "198.51.100.1", port: 9 };

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

/** What the beacon sends for a datagram, as [hex, destination]. */
function sent(
  beacon: Beacon,
  datagram: string,
  from: Endpoint,
  now = 0,
): [string, Endpoint][] {
  return beacon.receive(hex(datagram), from, now)
    .map(({ bytes, to }) => [Buffer.from(bytes).toString("hex"), to]);
}

Deno.test("discover is answered with the observed endpoint", () => {
  const beacon = new Beacon();
  assert.deepEqual(sent(beacon, "010000002a", A), [["0204cb0071050fa0", A]]);
  assert.deepEqual(sent(beacon, "080000002b", A), [["0204cb0071050fa0", A]]);
  assert.deepEqual(sent(beacon, "010000002cffff", A), [["0204cb0071050fa0", A]]);
  assert.equal(beacon.size, 3);
  const mapped = { ...A, host: "::ffff:203.0.113.5" };
  assert.deepEqual(sent(beacon, "010000002d", mapped), [["0204cb0071050fa0", mapped]]);
  const v6 = { ...A, host: "2001:db8::1" };
  assert.deepEqual(sent(beacon, "010000002e", v6), [
    ["021020010db80000000000000000000000010fa0", v6],
  ]);
});

Deno.test("discover of node 0 is answered and forgotten", () => {
  const beacon = new Beacon();
  assert.deepEqual(sent(beacon, "0100000000", A), [["0204cb0071050fa0", A]]);
  assert.equal(beacon.size, 0);
  assert.deepEqual(sent(beacon, "050000002a00000000ff", B), []);
});

Deno.test("punch shows both registered nodes to each other", () => {
  const beacon = new Beacon();
  sent(beacon, "010000002a", A);
  sent(beacon, "010000002b", B);
  assert.deepEqual(sent(beacon, "030000002a0000002b", A), [
    ["0404cb0071060fa1", A],
    ["0404cb0071050fa0", B],
  ]);
});

Deno.test("punch sends only to endpoints that sent a discover, and moves none", () => {
  const beacon = new Beacon();
  sent(beacon, "010000002a", A);
  assert.deepEqual(sent(beacon, "030000002a0000002b", A), []);
  assert.deepEqual(sent(beacon, "030000002b0000002a", C), []);
  sent(beacon, "010000002b", B);
  const destinations = sent(beacon, "030000002a0000002b", C).map(([, to]) => to);
  assert.deepEqual(destinations, [A, B]);
  assert.deepEqual(sent(beacon, "050000002b0000002a00", B)[0]?.[1], A);
  assert.deepEqual(sent(beacon, "030000002a0000002a", A), []);
});

Deno.test("relay delivers in the form the receiver asked for", () => {
  const beacon = new Beacon();
  sent(beacon, "010000002b", B);
  const relay = "050000002a0000002b68656c6c6f";
  assert.deepEqual(sent(beacon, relay, A), [["060000002a68656c6c6f", B]]);
  sent(beacon, "080000002b", B);
  assert.deepEqual(sent(beacon, relay, A), [["090000002a0000002b68656c6c6f", B]]);
  sent(beacon, "010000002b", B);
  assert.deepEqual(sent(beacon, relay, A), [["060000002a68656c6c6f", B]]);
  assert.deepEqual(sent(beacon, "050000002a00000063ff", A), []);
});

Deno.test("the last discover wins, and a mapping ends ten minutes after it", () => {
  const beacon = new Beacon();
  sent(beacon, "010000002b", B);
  sent(beacon, "010000002b", C, 1000);
  assert.deepEqual(sent(beacon, "050000002a0000002b00", A)[0]?.[1], C);
  beacon.sweep(601_000);
  assert.equal(beacon.size, 1);
  beacon.sweep(601_001);
  assert.equal(beacon.size, 0);
  assert.deepEqual(sent(beacon, "050000002a0000002b00", A), []);
});

Deno.test("the table is bounded in all and by source, and known nodes still refresh", () => {
  const beacon = new Beacon({ limits: { total: 3, perSource: 2 } });
  const known = (node: number, from: Endpoint) =>
    sent(beacon, `01${node.toString(16).padStart(8, "0")}`, from).length === 1;
  assert.ok(known(1, A));
  assert.ok(known(2, { ...A, port: 1 }));
  assert.ok(!known(3, A));
  assert.ok(known(1, A));
  assert.ok(known(3, B));
  assert.ok(!known(4, C));
  assert.equal(beacon.size, 3);
  assert.ok(known(2, B)); // moves, and frees a place of A
  assert.ok(!known(1, B));
  assert.ok(known(2, C));
  beacon.sweep(600_001);
  assert.ok(known(5, A) && known(6, A) && !known(7, A));
});

Deno.test("hosts of one IPv6 /64 count as one source", () => {
  const beacon = new Beacon({ limits: { total: 9, perSource: 2 } });
  const from = (host: string) => ({ ...A, host });
  assert.equal(sent(beacon, "0100000001", from("2001:db8::1")).length, 1);
  assert.equal(sent(beacon, "0100000002", from("2001:db8::2")).length, 1);
  assert.equal(sent(beacon, "0100000003", from("2001:db8::3")).length, 0);
  assert.equal(sent(beacon, "0100000003", from("2001:db8:0:1::3")).length, 1);
});

Deno.test("replies to one source are limited, others are not affected", () => {
  const beacon = new Beacon();
  let replies = 0;
  for (let i = 0; i < REPLIES_BURST + 10; i++) {
    replies += sent(beacon, "0100000001", A).length;
  }
  assert.equal(replies, REPLIES_BURST);
  assert.equal(sent(beacon, "0100000002", B).length, 1);
  replies = 0;
  for (let i = 0; i < REPLIES_PER_SECOND; i++) {
    replies += sent(beacon, "0100000001", A, 100).length;
  }
  assert.equal(replies, REPLIES_PER_SECOND / 10);
});

Deno.test("relaying for one source is limited by bytes, at a configured rate, and others are not affected", () => {
  const rate = 1_000_000;
  const beacon = new Beacon({ relayBytesPerSecond: rate });
  sent(beacon, "010000002b", B);
  const relayed = (from: Endpoint, bytes: number, count: number, now: number) => {
    let passed = 0;
    for (let i = 0; i < count; i++) {
      const datagram = new Uint8Array(bytes);
      datagram.set(hex("050000002a0000002b"));
      passed += beacon.receive(datagram, from, now).length;
    }
    return passed;
  };
  assert.equal(relayed(A, 1_000, 600, 0), 500, "half a second of the rate at once");
  assert.equal(beacon.counters.limited, 100);
  assert.equal(
    relayed(A, 1_000, 200, 100),
    29,
    "the bound of the receiver, who has proven nothing",
  );
  assert.equal(beacon.counters.relay_unproven, 71);
  assert.equal(relayed({ ...A, port: 1 }, 10, 1, 100), 0, "another port is the same source");
  assert.ok(relayed(C, 10, 1, 100) === 1);
  // Small datagrams count as RELAY_MIN_COST.
  const fresh = new Beacon({ relayBytesPerSecond: rate });
  fresh.receive(hex("010000002b"), B, 0);
  let small = 0;
  for (let i = 0; i < 2_000; i++) {
    small += fresh.receive(hex("050000002a0000002b00"), A, 0).length;
  }
  assert.equal(small, Math.floor(rate / 2 / RELAY_MIN_COST));
});

Deno.test("messages that are not for a beacon are ignored", () => {
  const beacon = new Beacon();
  sent(beacon, "010000002a", A);
  sent(beacon, "010000002b", B);
  const others = [
    "",
    "01",
    "010000",
    "0204cb0071050fa0",
    "030000002a",
    "0404cb0071050fa0",
    "050000002a000000",
    "060000002a00",
    "070000000100020000002a0000002b",
    "090000002a0000002b00",
    "0a",
    "0b00",
    "0d0000002a",
    "0e00",
    "0f00",
    "50494c54",
  ];
  for (const datagram of others) assert.deepEqual(sent(beacon, datagram, C), [], datagram);
  assert.equal(beacon.size, 2);
});

Deno.test("no datagram makes the beacon send to an endpoint that never sent a discover, or much more than it got", () => {
  const endpoints = [A, B, C];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(
        fc.constantFrom(...endpoints),
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.tuple(
            fc.constantFrom(1, 3, 5, 8),
            fc.integer({ min: 0, max: 3 }),
            fc.integer({ min: 0, max: 3 }),
            fc.uint8Array({ maxLength: 9 }),
          ).map(([type, first, second, rest]) =>
            Uint8Array.of(type, 0, 0, 0, first, 0, 0, 0, second, ...rest)
          ),
        ),
      )),
      (datagrams) => {
        const beacon = new Beacon();
        const known = new Set<Endpoint>();
        for (const [from, bytes] of datagrams) {
          const isDiscover = (bytes[0] === 1 || bytes[0] === 8) && bytes.length >= 5;
          if (isDiscover) known.add(from);
          const outgoing = beacon.receive(bytes, from, 0);
          const total = outgoing.reduce((sum, out) => sum + out.bytes.length, 0);
          assert.ok(total <= bytes.length + 8);
          for (const { to } of outgoing) assert.ok(known.has(to));
        }
      },
    ),
  );
});
