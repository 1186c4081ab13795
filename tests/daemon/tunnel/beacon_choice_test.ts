/** A beacon with several addresses, one that moves, and one that is away, on a virtual network. */

import assert from "node:assert/strict";
import { decodeBeacon, encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import { type Endpoint, parseIp } from "../../../protocol/ip.ts";
import { MAX_SERVER_ADDRESSES } from "../../../platform/net/server_addresses.ts";
import { AUTHENTIC_MAX_MS, SEARCH_MAX_MS } from "../../../daemon/tunnel/beacon_choice.ts";
import { DISCOVER_INTERVAL_MS } from "../../../daemon/tunnel/beacon_link.ts";
import { TestBeacon } from "../harness/beacon.ts";
import type { TestNode } from "../harness/node.ts";
import { RealBeacon } from "../harness/real_beacon.ts";
import { text, type VirtualSocket } from "../harness/udp.ts";
import { datagram, texts, World } from "../harness/world.ts";

const DEAD: Endpoint = { host: "203.0.113.99", port: 9001 };
const OLD: Endpoint = { host: "203.0.113.1", port: 9001 };
const NEW: Endpoint = { host: "203.0.113.2", port: 9001 };
const V6: Endpoint = { host: "2001:db8::9", port: 9001 };
/** Long enough to notice that a beacon has gone and to find another: an announcement, its repetitions, a search. */
const FOLLOW_MS = DISCOVER_INTERVAL_MS + 10_000;

function link(node: TestNode) {
  return node.tunnels.beacon;
}

/** A node that knows these addresses of its beacon. */
async function nodeWith(world: World, node: number, ...addresses: Endpoint[]): Promise<TestNode> {
  const made = await world.node(node);
  link(made).setCandidates(addresses);
  return made;
}

/** Questions that went to an endpoint. */
function asked(world: World, to: Endpoint): number {
  return world.net.log.filter((sent) => text(sent.to) === text(to)).length;
}

/** Answers a node's questions of both kinds as somebody who reads them may; from another address where asked to. */
function answerer(
  world: World,
  at: Endpoint,
  { from, isAuthentic }: { from?: VirtualSocket; isAuthentic: boolean },
): VirtualSocket {
  const socket = world.net.bind(at.host, at.port);
  const send = (bytes: Uint8Array, to: Endpoint) => {
    const sender = from ?? socket;
    const buffer = sender.acquire(bytes.length);
    buffer.set(bytes);
    sender.send(buffer, bytes.length, to);
  };
  socket.start((data, source) => {
    const message = decodeBeacon(data);
    if (message instanceof DecodeError) return;
    if (message.type === "discover") {
      const { host, port } = source;
      send(encodeBeacon({ type: "discover_reply", ip: parseIp(host), port }), source);
    } else if (message.type === "discover_auth" && isAuthentic) {
      const { nonce } = message;
      send(
        encodeBeacon({ type: "cookie", isProven: true, nonce, cookie: new Uint8Array(16) }),
        source,
      );
    }
  });
  return socket;
}

Deno.test("of a name's addresses the one that answers is used, whatever its kind and place", async () => {
  for (const living of [NEW, V6]) {
    await using world = new World({ hasBeacon: false });
    const beacon = new RealBeacon(world, living);
    const [a, b] = [await nodeWith(world, 5, DEAD, living), await nodeWith(world, 7, DEAD, living)];
    await world.run(2_000);
    for (const node of [a, b]) {
      assert.deepEqual(link(node).endpoint, living);
      assert.ok(link(node).isProven);
    }
    // Nothing but the relay is left, and it works.
    world.net.drop = ({ from, to }) => ![text(from), text(to)].includes(text(living));
    await world.meet(a, b);
    a.send(datagram(a, b, "relayed"));
    await world.run(1_000);
    assert.deepEqual(texts(b), ["relayed"]);
    await beacon.close();
  }
});

Deno.test("the first address that answers is kept, and the others are left alone", async () => {
  await using world = new World({ hasBeacon: false });
  const beacons = [OLD, NEW].map((at) => new TestBeacon(world.net, at));
  const a = await nodeWith(world, 5, OLD, NEW);
  await world.run(10 * DISCOVER_INTERVAL_MS);
  assert.deepEqual(link(a).endpoint, OLD);
  assert.equal(asked(world, NEW), 0);
  // In another order: nothing changes.
  link(a).setCandidates([NEW, OLD]);
  await world.run(1_000);
  assert.deepEqual(link(a).endpoint, OLD);
  for (const { socket } of beacons) await socket.close();
});

Deno.test("a beacon that moves is followed, and the endpoint is proven there", async () => {
  await using world = new World({ hasBeacon: false });
  const before = new RealBeacon(world, OLD);
  let silences = 0;
  const a = await world.node(5, { onBeaconSilent: () => silences++ });
  link(a).setCandidates([OLD]);
  await world.run(1_000);
  assert.ok(link(a).isProven);
  await before.close();
  const after = new RealBeacon(world, NEW);
  await world.run(FOLLOW_MS);
  assert.ok(silences > 0, "its name is to be looked up again");
  assert.ok(!link(a).isAnswering && !link(a).isProven, "nobody answers");
  link(a).setCandidates([NEW]); // what the look-up gives
  await world.run(100);
  assert.deepEqual(link(a).endpoint, NEW);
  assert.ok(link(a).isProven);
  await after.close();
});

Deno.test("an address that is the name's no more is given up when another answers, not before", async () => {
  await using world = new World({ hasBeacon: false });
  const old = new TestBeacon(world.net, OLD);
  const a = await nodeWith(world, 5, OLD);
  await world.run(100);
  link(a).setCandidates([NEW]);
  await world.run(5_000);
  assert.deepEqual(link(a).endpoint, OLD, "it still relays");
  assert.ok(!link(a).isAnswering, "but the beacon of this name does not answer");
  const young = new TestBeacon(world.net, NEW);
  await world.run(SEARCH_MAX_MS * 1.5);
  assert.deepEqual(link(a).endpoint, NEW);
  for (const { socket } of [old, young]) await socket.close();
});

Deno.test("a beacon that is away for an hour is asked at a bounded rate, and found when it is back", async () => {
  await using world = new World({ hasBeacon: false });
  const addresses = Array.from(
    { length: 20 },
    (_, i) => ({ host: `203.0.113.${i + 1}`, port: 9001 }),
  );
  const a = await nodeWith(world, 5, ...addresses);
  await world.run(60 * 60_000);
  const hosts = new Set(world.net.log.map(({ to }) => to.host));
  assert.equal(hosts.size, MAX_SERVER_ADDRESSES);
  // Both questions, once in 25 to 37.5 s, and the shorter waits at the beginning.
  assert.ok(asked(world, OLD) <= 2 * (60 * 60 / 25 + 8), `${asked(world, OLD)}`);
  assert.ok(asked(world, OLD) >= 2 * 60 * 60 / 40, `${asked(world, OLD)}`);
  const beacon = new TestBeacon(world.net, NEW);
  await world.run(SEARCH_MAX_MS * 1.5 + 2_000);
  assert.ok(link(a).isAnswering);
  await beacon.socket.close();
});

Deno.test("addresses that change with every look-up do not make the questions more frequent", async () => {
  await using world = new World({ hasBeacon: false });
  let turn = 0;
  const a = await world.node(5, {
    onBeaconSilent: () => {
      turn++;
      link(a).setCandidates([{ host: `203.0.113.${1 + turn % 200}`, port: 9001 }]);
    },
  });
  link(a).setCandidates([DEAD]);
  await world.run(60 * 60_000);
  assert.ok(turn <= 60 * 60 / 25 + 8, `${turn}`);
});

Deno.test("an answer from an address that was not asked is ignored, but reported", async () => {
  await using world = new World({ hasBeacon: false });
  const other = world.net.bind("203.0.113.50", 9001);
  const server = answerer(world, OLD, { from: other, isAuthentic: true });
  const a = await nodeWith(world, 5, OLD);
  await world.run(3_000);
  assert.ok(!link(a).isAnswering);
  assert.deepEqual(link(a).endpoint, OLD);
  assert.deepEqual(link(a).stray, other.local);
  assert.deepEqual(a.observed, []);
  // Without having read the question nobody is even told of.
  const forged = { type: "cookie", isProven: true, cookie: new Uint8Array(16) } as const;
  const stranger = { host: "198.51.100.66", port: 9001 };
  world.net.inject(encodeBeacon({ ...forged, nonce: new Uint8Array(16) }), stranger, a.endpoint);
  await world.run(10);
  assert.deepEqual(link(a).stray, other.local);
  for (const socket of [server, other]) await socket.close();
});

Deno.test("who has read our question is taken before who only answers from the right address", async () => {
  await using world = new World({ hasBeacon: false });
  const beacon = new RealBeacon(world, NEW);
  const a = await nodeWith(world, 5, OLD, NEW);
  // Forged in the name of an address that leads nowhere.
  const forged = encodeBeacon({ type: "discover_reply", ip: parseIp("192.0.2.250"), port: 1 });
  world.net.inject(forged, OLD, a.endpoint);
  await world.run(10);
  assert.deepEqual(link(a).endpoint, OLD);
  await world.run(FOLLOW_MS);
  assert.deepEqual(link(a).endpoint, NEW);
  assert.ok(link(a).isProven);
  await beacon.close();
});

Deno.test("forged answers do not hold a node at an address from which its beacon has gone", async () => {
  await using world = new World({ hasBeacon: false });
  const before = new RealBeacon(world, OLD);
  const a = await nodeWith(world, 5, OLD, NEW);
  await world.run(100);
  assert.ok(link(a).isProven);
  await before.close();
  const after = new RealBeacon(world, NEW);
  const forger = answerer(world, OLD, { isAuthentic: false });
  await world.run(AUTHENTIC_MAX_MS + 4 * FOLLOW_MS);
  assert.deepEqual(link(a).endpoint, NEW);
  for (const open of [after, forger]) await open.close();
});

Deno.test("a beacon with a zone is known by answers without one, and may make us punch in its network", async () => {
  await using world = new World({ hasBeacon: false });
  const zoned = { host: "fe80::1%eth0", port: 9001 };
  const plain = { ...zoned, host: "fe80::1" };
  const answers = world.net.bind(plain.host, plain.port);
  const server = answerer(world, zoned, { from: answers, isAuthentic: true });
  const a = await nodeWith(world, 5, zoned);
  await world.run(100);
  assert.deepEqual(link(a).endpoint, zoned, "where it is sent to");
  assert.ok(link(a).isAnswering);
  const command = { type: "punch_command", ip: parseIp("fe80::7"), port: 4000 } as const;
  world.net.inject(encodeBeacon(command), plain, a.endpoint);
  await world.run(1_000);
  assert.equal(asked(world, { host: "fe80::7", port: 4000 }), 3);
  for (const socket of [server, answers]) await socket.close();
});

Deno.test("another network is a reason to ask a silent beacon at once", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await nodeWith(world, 5, OLD);
  await world.run(10 * 60_000);
  const beacon = new TestBeacon(world.net, OLD);
  a.tunnels.networkChanged();
  await world.run(100);
  assert.ok(link(a).isAnswering);
  await beacon.socket.close();
});
