/** Beacons that work together (docs/protocol/beacon.md §3): Sync, forwarding, no circles; and what no bytes can do. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import { Beacon } from "../../../rendezvous/beacon/beacon.ts";
import {
  MAX_PEERS,
  MAX_SYNCED_NODES,
  SYNC_TTL_MS,
} from "../../../rendezvous/beacon/beacon_limits.ts";
import { otherBeacons } from "../../../rendezvous/beacon/listing.ts";
import {
  A,
  B,
  beaconWithKeys,
  C,
  discover,
  messages,
  nonceOf,
  prove,
  question,
  relay,
} from "./support.ts";

const ONE: Endpoint = { host: "192.0.2.1", port: 9001 };
const TWO: Endpoint = { host: "192.0.2.2", port: 9001 };
const THREE: Endpoint = { host: "192.0.2.3", port: 9001 };

function sync(...nodes: number[]): Uint8Array {
  return encodeBeacon({ type: "sync", beacon: 2, nodes });
}

Deno.test("a relay for a node of another beacon goes there unchanged, once", () => {
  const one = new Beacon({ id: 1 });
  one.peers.set([TWO]);
  const two = new Beacon({ id: 2 });
  two.peers.set([ONE]);
  two.receive(discover(43), B, 0);
  const { outgoing, left } = two.syncPeers();
  assert.deepEqual(messages(outgoing), [[{ type: "sync", beacon: 2, nodes: [43] }, ONE]]);
  assert.equal(left, 0);
  assert.deepEqual(one.receive(outgoing[0]!.bytes, TWO, 0), []);
  assert.equal(one.health(0).peer_nodes, 1);
  const datagram = relay(42, 43);
  const [forwarded] = one.receive(datagram.slice(), A, 0);
  assert.deepEqual([forwarded?.bytes, forwarded?.to], [datagram, TWO]);
  assert.equal(one.counters.forwarded, 1);
  const [delivered] = messages(two.receive(forwarded!.bytes, ONE, 0));
  assert.deepEqual([delivered?.[0].type, delivered?.[1]], ["relay_deliver", B]);
});

Deno.test("what came from a beacon is never forwarded to another one", () => {
  const one = new Beacon();
  one.peers.set([TWO, THREE]);
  one.receive(sync(43), THREE, 0);
  assert.deepEqual(one.receive(relay(42, 43), TWO, 0), []);
  assert.equal(one.counters.relay_unknown, 1);
  assert.equal(one.receive(relay(42, 43), A, 0)[0]?.to, THREE);
});

Deno.test("a Sync of a stranger is ignored, as is one from another port of a peer", () => {
  const one = new Beacon();
  one.peers.set([TWO]);
  one.receive(sync(43), C, 0);
  one.receive(sync(43), { ...TWO, port: 1 }, 0);
  assert.deepEqual(one.receive(relay(42, 43), A, 0), []);
  assert.equal(one.counters.ignored, 2);
});

Deno.test("a Sync replaces what the peer had, and is forgotten when the peer falls silent or is removed", () => {
  const one = new Beacon();
  one.peers.set([TWO]);
  const goesTo = (node: number, now: number) => one.receive(relay(42, node), A, now)[0]?.to;
  one.receive(sync(45, 43), TWO, 0);
  assert.deepEqual([goesTo(43, 0), goesTo(44, 0), goesTo(45, 0)], [TWO, undefined, TWO]);
  one.receive(sync(44), TWO, 500);
  assert.equal(goesTo(44, 500), undefined, "too soon after the one before");
  assert.equal(one.counters.limited, 1);
  one.receive(sync(44), TWO, 10_000);
  assert.deepEqual([goesTo(43, 10_000), goesTo(44, 10_000)], [undefined, TWO]);
  assert.equal(goesTo(44, 10_000 + SYNC_TTL_MS), TWO);
  assert.equal(goesTo(44, 10_001 + SYNC_TTL_MS), undefined);
  one.receive(sync(44), TWO, 50_000);
  one.peers.set([TWO, THREE]);
  assert.equal(goesTo(44, 50_000), TWO, "peers that stay keep what they said");
  one.peers.set([THREE]);
  assert.equal(goesTo(44, 50_000), undefined);
});

Deno.test("our own nodes go before those of peers, and of two peers the one heard last counts", () => {
  const one = new Beacon();
  one.peers.set([TWO, THREE]);
  one.receive(sync(43), THREE, 0);
  one.receive(sync(43), TWO, 1);
  assert.equal(one.receive(relay(42, 43), A, 1)[0]?.to, TWO);
  one.receive(discover(43), B, 1);
  assert.equal(one.receive(relay(42, 43), A, 1)[0]?.to, B);
});

Deno.test("a Sync is capped at what fits a datagram, and so is what is learned from one", () => {
  const one = new Beacon();
  one.peers.set([TWO]);
  for (let node = 1; node <= MAX_SYNCED_NODES + 5; node++) {
    const from = { host: `192.0.${node >> 12}.9`, port: 1 + node % 4096 };
    one.receive(discover(node), from, 0);
  }
  const { outgoing, left } = one.syncPeers();
  assert.equal(left, 5);
  assert.ok(outgoing[0]!.bytes.length <= 65_507);
  const two = new Beacon();
  two.peers.set([ONE]);
  two.receive(sync(...Array.from({ length: 20_000 }, (_, i) => i)), ONE, 0);
  assert.equal(two.health(0).peer_nodes, MAX_SYNCED_NODES);
});

Deno.test("peers are bounded and counted once; without peers nothing is synced", () => {
  const one = new Beacon();
  assert.deepEqual(one.syncPeers().outgoing, []);
  one.peers.set([
    ...Array.from({ length: 2 * MAX_PEERS }, (_, i) => ({ host: `192.0.2.${i}`, port: 1 })),
  ]);
  assert.equal(one.peers.size, MAX_PEERS);
  one.peers.set([TWO, TWO]);
  assert.equal(one.peers.size, 1);
});

Deno.test("otherBeacons takes addresses of others only", () => {
  const listed = [
    { id: 1, addr: "192.0.2.1:9001" },
    { id: 2, addr: "192.0.2.2:9001" },
    { id: 3, addr: "[2001:db8::3]:9001" },
    { id: 4, addr: "beacon.example:9001" },
    { id: 5, addr: "0.0.0.0:9001" },
    { id: 6, addr: "nonsense" },
    { id: 7, addr: "192.0.2.7:0" },
    { id: 8, addr: "[fe80::8%eth0]:9001" }, // ended every search for other beacons
  ];
  assert.deepEqual(otherBeacons(listed, 1), [TWO, { host: "2001:db8::3", port: 9001 }]);
});

Deno.test("no bytes make the beacon throw, answer with more than came, or send where nobody asked", async () => {
  const places = [A, B, C, TWO];
  const known = beaconWithKeys();
  await prove(known, 42, A);
  const small = fc.integer({ min: 40, max: 45 });
  const tail = fc.uint8Array({ maxLength: 40 });
  const shaped = fc.tuple(
    fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15),
    small,
    small,
    tail,
  ).map(([type, first, second, rest]) =>
    Uint8Array.of(type, 0, 0, 0, first, 0, 0, 0, second, ...rest)
  );
  const asking = small.map((node) => question(node, nonceOf(4)));
  const signing = fc.tuple(small, fc.uint8Array({ minLength: 64, maxLength: 64 })).map((
    [node, rest],
  ) => Uint8Array.of(...question(node, nonceOf(4)), ...rest));
  const datagrams = fc.oneof(fc.uint8Array({ maxLength: 120 }), shaped, asking, signing);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...places), datagrams, fc.nat(5_000)), { maxLength: 60 }),
      (arrivals) => {
        const beacon = beaconWithKeys({ limits: { total: 3, perSource: 2, proven: 2 } });
        beacon.peers.set([TWO]);
        const asked = new Set<Endpoint>();
        let now = 0;
        for (const [from, bytes, wait] of arrivals) {
          now += wait;
          asked.add(from);
          const came = bytes.length;
          const outgoing = beacon.receive(bytes.slice(), from, now);
          const type = bytes[0];
          // The wire gives DiscoverReply and PunchCommand more bytes than their requests.
          const extra = type === 1 || type === 8 ? 3 : type === 3 ? 7 : 0;
          const sent = outgoing.reduce((sum, { bytes }) => sum + bytes.length, 0);
          assert.ok(sent <= came + extra, `${type}: ${sent} > ${came}`);
          for (const { to } of outgoing) assert.ok(asked.has(to) || to === TWO);
          for (const proof of beacon.takeProofs()) beacon.onVerified(proof, false, now);
          assert.ok(beacon.size <= 5);
        }
      },
    ),
  );
});
