import assert from "node:assert/strict";
import { PATH_BASE_BYTES, PMTU_RAISE_MS } from "../../../protocol/path/mod.ts";
import { DEFAULT_MSS_BYTES } from "../../../protocol/stream/mod.ts";
import { FRAME_OVERHEAD_BYTES } from "../../../protocol/tunnel/tunnel_sender.ts";
import { MAX_SEGMENT_BYTES } from "../../../protocol/tunnel/tunnel_limits.ts";
import type { TestNode } from "../harness/node.ts";
import type { Sent } from "../harness/udp.ts";
import { BEACON, World } from "../harness/world.ts";

const ETHERNET_BYTES = 1472;
const ETHERNET_MSS = ETHERNET_BYTES - FRAME_OVERHEAD_BYTES;
/** No longer than detection by a timeout and some repairs. */
const STALL_MS = 4_000;

function isDirect({ from, to }: Sent): boolean {
  return from.host !== BEACON.host && to.host !== BEACON.host;
}

/** Limits the direct path; the path to the beacon carries everything. */
function limit(world: World, bytes: number): void {
  world.net.maxBytes = (from, to) =>
    from.host === BEACON.host || to.host === BEACON.host ? Infinity : bytes;
}

/** A stream from a to b, and all that has arrived. */
async function stream(world: World, a: TestNode, b: TestNode) {
  let got = 0;
  let isIntact = true;
  b.streams.bind(80, (conn) => {
    const drain = () => {
      for (let data = conn.read(); data !== undefined; data = conn.read()) {
        isIntact &&= data.every((byte, i) => byte === (got + i) % 251);
        got += data.length;
      }
    };
    conn.setListener({ onReadable: drain, onWritable: () => {}, onClosed: () => {} });
  });
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: b.node }, 80));
  let written = 0;
  /** Sends that many bytes and waits until they have arrived. */
  const transfer = async (bytes: number, limitMs = 60_000) => {
    const end = written + bytes;
    const fill = () => {
      while (written < end) {
        const chunk = Uint8Array.from(
          { length: Math.min(20_000, end - written) },
          (_, i) => (written + i) % 251,
        );
        const taken = conn.write(chunk);
        written += taken;
        if (taken < chunk.length) return;
      }
    };
    conn.setListener({ onReadable: () => {}, onWritable: fill, onClosed: () => {} });
    fill();
    await world.clock.until(() => got === end, limitMs);
    assert.ok(isIntact, "every byte in its place");
  };
  return { conn, transfer };
}

function path(from: TestNode, to: TestNode) {
  const peer = from.tunnels.list().find(({ node_id }) => node_id === to.node)!;
  return { mtu: peer.path_mtu, mss: peer.mss };
}

/** Sizes of the datagrams that went directly from one node to the other. */
function sizes(world: World, from: TestNode, to: TestNode, filter = (_: Sent) => true): number[] {
  return world.net.log.filter((sent) =>
    sent.from.host === from.endpoint.host && sent.to.host === to.endpoint.host && filter(sent)
  ).map(({ data }) => data.length);
}

Deno.test("bulk data fills an Ethernet path, and nothing larger is lost but probes", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  limit(world, ETHERNET_BYTES);
  const { conn, transfer } = await stream(world, a, b);
  await transfer(100_000);
  await world.run(10_000);
  world.net.clearLog();
  await transfer(300_000);
  assert.deepEqual(path(a, b), { mtu: 1500, mss: ETHERNET_MSS });
  assert.equal(Math.max(...sizes(world, a, b)), ETHERNET_BYTES);
  assert.ok(world.net.log.every(({ isLost }) => !isLost), "the search is over");
  assert.equal(conn.stats().retransmits, 0, "no probe was a segment");
  assert.deepEqual(
    path(b, a),
    { mtu: 1250, mss: DEFAULT_MSS_BYTES },
    "who sends nothing asks nothing",
  );
  conn.abort();
  await world.run(100);
});

Deno.test("a path that carries more gets segments up to the limit", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  const { conn, transfer } = await stream(world, a, b);
  await transfer(500_000);
  await world.run(1_000);
  assert.equal(path(a, b).mss, MAX_SEGMENT_BYTES);
  world.net.clearLog();
  await transfer(500_000);
  assert.equal(Math.max(...sizes(world, a, b)), MAX_SEGMENT_BYTES + FRAME_OVERHEAD_BYTES);
  assert.ok(world.net.log.every(({ mayFragment }) => !mayFragment));
  conn.abort();
  await world.run(100);
});

Deno.test("answers to probes are short", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  const { conn, transfer } = await stream(world, a, b);
  await transfer(200_000);
  assert.ok(Math.max(...sizes(world, b, a)) < 200, `${Math.max(...sizes(world, b, a))}`);
  conn.abort();
  await world.run(100);
});

Deno.test("nothing is probed for small messages and idle tunnels", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  const { conn, transfer } = await stream(world, a, b);
  for (let i = 0; i < 20; i++) {
    await transfer(500);
    await world.run(PMTU_RAISE_MS / 10);
  }
  assert.ok(Math.max(...sizes(world, a, b)) < 700);
  assert.equal(path(a, b).mss, DEFAULT_MSS_BYTES);
  conn.abort();
  await world.run(100);
});

Deno.test("a path that becomes narrower silently costs a moment, and nothing is lost", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  const { conn, transfer } = await stream(world, a, b);
  await transfer(500_000);
  await world.run(1_000);
  assert.equal(path(a, b).mss, MAX_SEGMENT_BYTES);
  const narrow = 1400;
  // In the middle of a transfer: segments of the old size are under way, and more are repeated until that is noticed.
  const rest = transfer(500_000, STALL_MS);
  limit(world, narrow);
  world.net.clearLog();
  await rest;
  const tooLarge = sizes(world, a, b, ({ data }) => data.length > narrow).length;
  assert.ok(tooLarge > 0);
  await world.run(20_000);
  world.net.clearLog();
  await transfer(300_000);
  assert.ok(path(a, b).mss <= narrow - FRAME_OVERHEAD_BYTES, `${path(a, b).mss}`);
  assert.ok(path(a, b).mss > DEFAULT_MSS_BYTES, "and is searched again");
  assert.ok(world.net.log.every(({ mayFragment }) => !mayFragment), "everything fits again");
  conn.abort();
  await world.run(100);
});

Deno.test("fragments may vanish as well: nothing relies on routers that cut, nor on the relay", async () => {
  for (const hasBeacon of [true, false]) {
    await using world = new World({ hasBeacon });
    const [a, b] = [await world.node(5), await world.node(7)];
    limit(world, ETHERNET_BYTES);
    const there = await stream(world, a, b);
    const back = await stream(world, b, a);
    await Promise.all([there.transfer(300_000), back.transfer(300_000)]);
    assert.deepEqual([path(a, b).mss, path(b, a).mss], [ETHERNET_MSS, ETHERNET_MSS]);
    const narrow = 1272;
    const rest = Promise.all([
      there.transfer(500_000, STALL_MS),
      back.transfer(500_000, STALL_MS),
    ]);
    world.net.drop = (sent) => isDirect(sent) && sent.data.length > narrow;
    await rest;
    assert.ok(path(a, b).mss <= narrow - FRAME_OVERHEAD_BYTES, `${path(a, b).mss}`);
    assert.ok(!a.tunnels.isRelayed(7));
    for (const { conn } of [there, back]) conn.abort();
    await world.run(100);
  }
});

Deno.test("the last segments before a silence are enough to notice, and arrive", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  limit(world, ETHERNET_BYTES);
  const { conn, transfer } = await stream(world, a, b);
  await transfer(300_000);
  world.net.drop = (sent) => isDirect(sent) && sent.data.length > 1272;
  // One full segment: all that ever vanishes are its repeats.
  await transfer(ETHERNET_MSS, STALL_MS);
  assert.ok(conn.stats().retransmits <= 4, `${conn.stats().retransmits}`);
  conn.abort();
  await world.run(100);
});

Deno.test("after an outage of the whole path the former size is soon in use again", async () => {
  await using world = new World({ hasBeacon: false });
  const [a, b] = [await world.node(5), await world.node(7)];
  limit(world, ETHERNET_BYTES);
  const { conn, transfer } = await stream(world, a, b);
  await transfer(300_000);
  world.net.drop = () => true;
  const rest = transfer(300_000);
  await world.run(3_000);
  world.net.drop = () => false;
  await rest;
  for (let i = 0; i < 10; i++) {
    await transfer(50_000);
    await world.run(1_000);
  }
  assert.equal(path(a, b).mss, ETHERNET_MSS);
  conn.abort();
  await world.run(100);
});

Deno.test("random loss of one in fifty does not make segments smaller", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  limit(world, ETHERNET_BYTES);
  let seed = 7;
  world.net.drop = () =>
    (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16 < 65_536 / 50;
  const { conn, transfer } = await stream(world, a, b);
  await transfer(2_000_000, 600_000);
  await world.run(10_000);
  await transfer(10_000);
  assert.equal(path(a, b).mss, ETHERNET_MSS);
  conn.abort();
  await world.run(100);
});

Deno.test("relayed segments keep the base size, and the direct path its own", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  limit(world, ETHERNET_BYTES);
  const { conn, transfer } = await stream(world, a, b);
  await transfer(300_000);
  assert.equal(path(a, b).mss, ETHERNET_MSS);
  world.net.drop = isDirect;
  await transfer(300_000);
  assert.ok(a.tunnels.isRelayed(7));
  assert.equal(path(a, b).mss, DEFAULT_MSS_BYTES);
  world.net.clearLog();
  await transfer(300_000);
  const relayed = world.net.log.filter(({ to }) => to.host === BEACON.host);
  assert.ok(Math.max(...relayed.map(({ data }) => data.length)) <= 1232);
  world.net.drop = () => false;
  await world.run(30_000);
  assert.ok(!a.tunnels.isRelayed(7));
  await transfer(10_000);
  await world.run(6_000);
  await transfer(10_000);
  await world.run(1_000);
  assert.equal(path(a, b).mss, ETHERNET_MSS);
  conn.abort();
  await world.run(100);
});

Deno.test("a socket that cannot forbid fragments looks no further than an Ethernet frame", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5, { forbidsFragments: false }), await world.node(7)];
  const { conn, transfer } = await stream(world, a, b);
  await transfer(300_000);
  assert.deepEqual(path(a, b), { mtu: 1500, mss: ETHERNET_MSS });
  assert.equal(Math.max(...sizes(world, a, b)), ETHERNET_BYTES);
  // It cannot have fragments made either.
  const rest = transfer(300_000, STALL_MS);
  world.net.maxBytes = (from, to) => isDirect({ from, to } as Sent) ? PATH_BASE_BYTES : Infinity;
  await rest;
  assert.ok(!a.tunnels.isRelayed(7), "and needs neither them nor the relay");
  conn.abort();
  await world.run(100);
});

Deno.test("an address of this machine is not taken for an Ethernet path", async () => {
  await using world = new World();
  const a = await world.node(5, {
    endpoint: { host: "127.0.0.1", port: 4001 },
    forbidsFragments: false,
  });
  const b = await world.node(7, { endpoint: { host: "127.0.0.1", port: 4002 } });
  const { conn, transfer } = await stream(world, a, b);
  await transfer(500_000);
  await world.run(1_000);
  assert.equal(path(a, b).mss, MAX_SEGMENT_BYTES);
  conn.abort();
  await world.run(100);
});

Deno.test("a datagram larger than the path may become fragments", async () => {
  await using world = new World();
  const [a, b] = [await world.node(5), await world.node(7)];
  await world.meet(a, b);
  limit(world, ETHERNET_BYTES);
  const sending = a.datagrams.send({ network: 0, node: 7 }, 2000, new Uint8Array(20_000));
  await world.clock.finish(Promise.resolve(sending));
  await world.clock.until(() => b.got.length === 1, 1_000);
  assert.equal(b.got[0]!.data.length, 20_000);
});
