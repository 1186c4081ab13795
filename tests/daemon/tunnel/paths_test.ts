import assert from "node:assert/strict";
import { KEEPALIVE_MS, SWEEP_MS } from "../../../protocol/tunnel/tunnel_limits.ts";
import type { TestNode } from "../harness/node.ts";
import { Sink } from "../harness/streams.ts";
import { Nat, type Sent } from "../harness/udp.ts";
import { BEACON, datagram, texts, World } from "../harness/world.ts";

const MAX_RELAY_DATAGRAM_BYTES = 1232;

function isDirect({ from, to }: Sent): boolean {
  return from.host !== BEACON.host && to.host !== BEACON.host;
}

/** Connects two nodes by a stream and returns a function that sends and counts what arrived. */
async function stream(world: World, a: TestNode, b: TestNode) {
  const got: number[] = [];
  b.streams.bind(80, (conn) => {
    const drain = () => {
      for (let data = conn.read(); data !== undefined; data = conn.read()) got.push(data.length);
    };
    conn.setListener({ onReadable: drain, onWritable: () => {}, onClosed: () => {} });
  });
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: b.node }, 80));
  return { conn, bytes: () => got.reduce((sum, length) => sum + length, 0) };
}

Deno.test("when the direct path fails, frames take the relay within a second and a half", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const { conn, bytes } = await stream(world, a, b);
  await world.run(1_000);
  world.net.drop = isDirect;
  const start = world.clock.now();
  conn.write(new Uint8Array(5_000));
  await world.clock.until(() => bytes() === 5_000, 10_000);
  const waited = world.clock.now() - start;
  assert.ok(waited < 1_500, `${waited}`);
  await world.run(200);
  world.net.clearLog();
  conn.write(new Uint8Array(1_000));
  await world.run(1_000);
  assert.equal(bytes(), 6_000);
  assert.ok(a.tunnels.isRelayed(7) && b.tunnels.isRelayed(5));
  const ways = world.frames(({ type, sent }) =>
    type === "pils" && sent.from.host === a.endpoint.host && sent.data.length > 500
  ).map(({ isRelayed }) => isRelayed);
  assert.deepEqual([...new Set(ways)], [true], "the relay only, once it is known to work");
  conn.abort();
  await world.run(100);
});

Deno.test("a relayed pair goes back to the direct path when it works again", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const { conn, bytes } = await stream(world, a, b);
  world.net.drop = isDirect;
  conn.write(new Uint8Array(100));
  await world.clock.until(() => bytes() === 100, 10_000);
  await world.run(60_000);
  assert.ok(a.tunnels.isRelayed(7), "stays relayed while the direct path is dead");
  world.net.drop = () => false;
  await world.run(30_000);
  assert.ok(!a.tunnels.isRelayed(7) && !b.tunnels.isRelayed(5));
  world.net.clearLog();
  conn.write(new Uint8Array(100));
  await world.run(200);
  assert.equal(bytes(), 200);
  assert.ok(world.frames(({ type }) => type === "pils").every(({ isRelayed }) => !isRelayed));
  conn.abort();
  await world.run(100);
});

for (const blocked of ["there", "back"] as const) {
  Deno.test(`a path that is blocked ${blocked} is not taken again and again`, async () => {
    await using world = new World();
    const a = await world.node(5);
    const b = await world.node(7);
    const { conn, bytes } = await stream(world, a, b);
    const [from, to] = blocked === "there" ? [a, b] : [b, a];
    world.net.drop = (sent) =>
      sent.from.host === from.endpoint.host && sent.to.host === to.endpoint.host;
    let written = 0;
    let slow = 0;
    for (let i = 0; i < 80; i++) {
      written += conn.write(new Uint8Array(500));
      await world.run(1_000);
      // The first seconds find out; after that no probe may disturb the path that works.
      if (i > 10 && (!a.tunnels.isRelayed(7) || bytes() < written)) slow++;
    }
    assert.equal(slow, 0);
    conn.abort();
    await world.run(100);
  });
}

Deno.test("relayed datagrams stay within 1232 bytes", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  world.net.drop = isDirect;
  const { conn, bytes } = await stream(world, a, b);
  new Sink(conn).sendAll(new Uint8Array(200_000));
  await world.clock.until(() => bytes() === 200_000);
  const sizes = world.net.log.filter(({ to }) => to.host === BEACON.host)
    .map(({ data }) => data.length);
  assert.ok(Math.max(...sizes) <= MAX_RELAY_DATAGRAM_BYTES, `${Math.max(...sizes)}`);
  assert.ok(Math.max(...sizes) > 1_200, "and fill them");
  conn.abort();
  await world.run(100);
});

Deno.test("two nodes behind cone translators meet by punching", async () => {
  await using world = new World();
  const one = new Nat(world.net, { host: "198.51.100.1" });
  const two = new Nat(world.net, { host: "198.51.100.2" });
  const a = await world.node(5, { nat: one, endpoint: { host: "10.0.0.5", port: 4000 } });
  const b = await world.node(7, { nat: two, endpoint: { host: "10.0.0.7", port: 4000 } });
  await world.run(100);
  world.directory.endpoints.set(5, a.observed.at(-1)!);
  world.directory.endpoints.set(7, b.observed.at(-1)!);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "through two walls"));
  await world.clock.until(() => b.got.length === 1, 1_000);
  assert.deepEqual(texts(b), ["through two walls"]);
  assert.equal(b.received.at(-1)!.via, "direct");
});

Deno.test("two nodes behind symmetric translators meet through the relay and stay there", async () => {
  await using world = new World();
  const one = new Nat(world.net, { host: "198.51.100.1", isSymmetric: true });
  const two = new Nat(world.net, { host: "198.51.100.2", isSymmetric: true });
  const a = await world.node(5, { nat: one, endpoint: { host: "10.0.0.5", port: 4000 } });
  const b = await world.node(7, { nat: two, endpoint: { host: "10.0.0.7", port: 4000 } });
  await world.run(100);
  world.directory.endpoints.set(5, a.observed.at(-1)!);
  world.directory.endpoints.set(7, b.observed.at(-1)!);
  const { conn, bytes } = await stream(world, a, b);
  for (let i = 0; i < 30; i++) {
    conn.write(new Uint8Array(1_000));
    await world.run(2_000);
  }
  assert.equal(bytes(), 30_000);
  assert.ok(a.tunnels.isRelayed(7) && b.tunnels.isRelayed(5));
  conn.abort();
  await world.run(100);
});

Deno.test("an unanswered probe of the direct path does not make the relayed one doubtful", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  world.net.drop = isDirect;
  await world.meet(a, b);
  a.wanted.add(7);
  // Long after the last frame of the peer, and after probes.
  await world.run(45_000);
  const asked = world.directory.count("resolve 7");
  await world.clock.finish(a.tunnels.ensure(7));
  assert.equal(world.directory.count("resolve 7"), asked, "the tunnel is known to work");
});

Deno.test("keepalives go at least every 25 s to wanted peers only", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const c = await world.node(9);
  await world.meet(a, b);
  await world.meet(a, c);
  a.wanted.add(7);
  b.wanted.add(5);
  await world.run(1_000);
  world.net.clearLog();
  const hour = 3_600_000;
  await world.run(hour);
  const sealed = (from: TestNode, to: TestNode) => world.between("pils", from, to).length;
  for (const count of [sealed(a, b), sealed(b, a)]) {
    // Here both sides ask at the same moment, and both are answered.
    assert.ok(
      count >= hour / KEEPALIVE_MS - 1 && count <= 2 * hour / (KEEPALIVE_MS - SWEEP_MS),
      `${count}`,
    );
  }
  assert.equal(sealed(a, c) + sealed(c, a), 0);
  assert.ok(
    a.tunnels.list().every(({ node_id }) => node_id !== 9),
    "an idle tunnel that nobody wants is forgotten",
  );
  assert.deepEqual(b.tunnels.list().map(({ authenticated }) => authenticated), [true]);
});

Deno.test("a forgotten tunnel comes back when it is needed", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  await world.run(1_200_000);
  assert.deepEqual([...a.tunnels.list(), ...b.tunnels.list()], []);
  await world.meet(b, a);
  assert.deepEqual([a.restarted, b.restarted], [[], []]);
});
