import assert from "node:assert/strict";
import {
  GIVE_UP_MS,
  KEX_DELAYS_MS,
  RELAY_STAGGER_MS,
} from "../../../protocol/tunnel/tunnel_limits.ts";
import { MAX_PENDING_PACKETS } from "../../../protocol/tunnel/peer_tunnel.ts";
import { datagram, texts, World } from "../harness/world.ts";

Deno.test("first contact takes three PILAs and delivers what waited, in order", async () => {
  await using world = new World();
  world.beacon!.isPunching = false;
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.tunnels.ensure(7));
  for (const text of ["one", "two", "three"]) a.send(datagram(a, b, text));
  // An answer proves the key to the side that asked.
  b.datagrams.onDatagram((got) => {
    b.got.push({ ...got, data: got.data.slice() });
    void b.datagrams.send({ network: 0, node: 5 }, 2000, new TextEncoder().encode("hello"));
  });
  await world.run(100);
  assert.deepEqual(texts(b), ["one", "two", "three"]);
  assert.deepEqual(texts(a), ["hello", "hello", "hello"]);
  const pilas = world.frames(({ type }) => type === "pila");
  assert.deepEqual(pilas.map((pila) => pila.type === "pila" && [pila.sender, pila.request]), [
    [5, true],
    [7, false],
    [5, false],
  ]);
  await world.run(GIVE_UP_MS);
  assert.equal(world.frames(({ type }) => type === "pila").length, 3, "no more later");
  assert.ok(a.tunnels.list()[0]!.authenticated && b.tunnels.list()[0]!.authenticated);
  assert.equal(a.socket.borrowed + b.socket.borrowed, 0);
});

Deno.test("first contact ends the exchange also when the peer has nothing to say", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.datagrams.send({ network: 0, node: 7 }, 2000, Uint8Array.of(1)));
  await world.run(1_000);
  assert.equal(b.got.length, 1);
  assert.ok(
    a.tunnels.list()[0]!.authenticated,
    "the key is proven without an answer of the application",
  );
  world.net.clearLog();
  await world.run(GIVE_UP_MS);
  assert.deepEqual(world.frames(), []);
});

Deno.test("packets waiting for a key are bounded and the oldest go first", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.hold(5);
  await world.clock.finish(a.tunnels.ensure(7));
  for (let i = 0; i < MAX_PENDING_PACKETS + 3; i++) a.send(datagram(a, b, `${i}`));
  await world.run(20);
  world.directory.release(5);
  await world.run(1_000);
  assert.equal(b.got.length, MAX_PENDING_PACKETS);
  assert.deepEqual(texts(b).slice(0, 2), ["3", "4"]);
  assert.equal(texts(b).at(-1), `${MAX_PENDING_PACKETS + 2}`);
});

Deno.test("the exchange is retried by timer when PILAs are lost", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.tunnels.ensure(7));
  const start = world.clock.now();
  const [first = 0, second = 0, third = 0] = KEX_DELAYS_MS;
  world.net.drop = ({ at }) => at - start < first + second + third;
  a.send(datagram(a, b, "late"));
  await world.clock.until(() => b.got.length === 1);
  const waited = world.clock.now() - start;
  assert.ok(waited >= first + second + third && waited < first + second + third + 100, `${waited}`);
  const times = world.between("pila", a, b).slice(0, 4).map(({ sent }) => sent.at - start);
  assert.deepEqual(times, [0, first, first + second, first + second + third]);
});

for (const lost of ["the answer", "the third PILA", "the first packet"] as const) {
  Deno.test(`first contact survives the loss of ${lost}`, async () => {
    await using world = new World({ hasBeacon: false });
    const a = await world.node(5);
    const b = await world.node(7);
    let done = false;
    world.net.drop = ({ data, from }) => {
      if (done) return false;
      const type = String.fromCharCode(...data.subarray(0, 4));
      const isFrom5 = from.host === a.endpoint.host;
      done = lost === "the answer"
        ? type === "PILA" && !isFrom5
        : lost === "the third PILA"
        ? type === "PILA" && isFrom5 && data[137] === 2
        : type === "PILS";
      return done;
    };
    const dialled = a.streams.dial({ network: 0, node: 7 }, 1234);
    b.streams.bind(1234, () => {});
    const conn = await world.clock.finish(dialled, 2_000);
    assert.ok(done);
    assert.equal(conn.state, "ESTABLISHED");
    conn.abort();
    await world.run(100);
  });
}

Deno.test("a copy of the key goes through the beacon beside the direct attempt, and reaches a peer that it does not", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  world.net.drop = ({ from, to }) =>
    [from, to].every(({ host }) => host !== world.beacon!.socket.local.host);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "through the beacon"));
  const start = world.clock.now();
  await world.clock.until(() => b.got.length === 1, 2_000);
  const own = world.frames(({ sent, type }) =>
    type === "pila" && sent.from.host === a.endpoint.host
  );
  assert.equal(own[0]!.isRelayed, false);
  assert.ok(own.every(({ isRelayed, sent }) => !isRelayed || sent.at > start));
  assert.ok(own.some(({ isRelayed, sent }) => isRelayed && sent.at <= start + RELAY_STAGGER_MS));
  assert.equal(b.received[0]!.via, "relay");
  assert.ok(b.tunnels.isRelayed(5));
});

Deno.test("a peer without an endpoint is reached through the beacon at the first attempt", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.endpoints.delete(7);
  await world.run(20);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "hi"));
  await world.clock.until(() => b.got.length === 1, 100);
});

Deno.test("ensure fails with connection_failed when there is neither endpoint nor beacon", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  await world.node(7);
  world.directory.endpoints.delete(7);
  await assert.rejects(a.tunnels.ensure(7), { code: "connection_failed" });
});

Deno.test("LAN addresses are tried beside the registered one", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7, { endpoint: { host: "10.0.0.7", port: 4000 } });
  world.directory.endpoints.set(7, { host: "198.51.100.9", port: 4000 });
  world.directory.alternatives.set(7, [b.endpoint]);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "near"));
  await world.clock.until(() => b.got.length === 1, 100);
});

Deno.test("both sides may begin at once", async () => {
  for (const head of [0, 1, 3, 5, 7]) {
    await using world = new World();
    const a = await world.node(5);
    const b = await world.node(7);
    await world.clock.finish(Promise.all([a.tunnels.ensure(7), b.tunnels.ensure(5)]));
    a.send(datagram(a, b, "from a"));
    await world.run(head);
    b.send(datagram(b, a, "from b"));
    await world.run(1_000);
    assert.deepEqual([texts(a), texts(b)], [["from b"], ["from a"]], `head start ${head}`);
    world.net.clearLog();
    await world.run(GIVE_UP_MS);
    assert.equal(world.frames().length, 0, "both are done");
  }
});

Deno.test("the exchange gives up after 30 s and leaves no timer and no packet", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  await world.run(0);
  const timers = world.clock.pending;
  world.directory.keys.set(9, new Uint8Array(32));
  world.directory.endpoints.set(9, { host: "192.0.2.99", port: 1 });
  await world.clock.finish(a.tunnels.ensure(9));
  a.send(datagram(a, { node: 9 }, "nobody"));
  await world.run(GIVE_UP_MS + KEX_DELAYS_MS.at(-1)! + 1);
  assert.equal(world.clock.pending, timers);
  const before = world.net.log.length;
  await world.run(60_000);
  assert.equal(world.net.log.length, before, "nothing is sent any more");
  // When the node appears the old packet must not.
  const late = await world.node(9, { endpoint: { host: "192.0.2.99", port: 1 } });
  await world.clock.finish(a.tunnels.ensure(9));
  a.send(datagram(a, late, "somebody"));
  await world.run(1_000);
  assert.deepEqual(texts(late), ["somebody"]);
});

Deno.test("the address is resolved again while a peer does not answer", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.endpoints.set(7, { host: "192.0.2.77", port: 4000 });
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, b, "moved"));
  await world.run(1_000);
  world.directory.endpoints.set(7, b.endpoint);
  await world.clock.until(() => b.got.length === 1, 10_000);
});

Deno.test("a punch command adds at most one PILA and its answer to first contact", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 1).catch(() => {}));
  await world.run(GIVE_UP_MS);
  assert.ok(world.frames(({ type }) => type === "pila").length <= 5);
  assert.ok(world.frames(({ type }) => type === "pilp").length > 0);
  assert.ok(b.tunnels.list()[0]!.authenticated);
});
