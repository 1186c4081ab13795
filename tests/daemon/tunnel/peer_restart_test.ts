import assert from "node:assert/strict";
import { PREVIOUS_KEY_GRACE_MS } from "../../../protocol/tunnel/peer_tunnel.ts";
import { Nat } from "../harness/udp.ts";
import { datagram, texts, World } from "../harness/world.ts";

Deno.test("frames that a restarted peer cannot open lead to a new key within two round trips", async () => {
  await using world = new World();
  const a = await world.node(5);
  let b = await world.node(7);
  await world.meet(a, b);
  b = await b.restart();
  const rtt = 2 * world.net.delayMs;
  const start = world.clock.now();
  a.send(datagram(a, b, "opens nothing"));
  // Undecryptable frame there, PILA back, challenge there, proof back.
  await world.clock.until(() => a.restarted.length === 1, 2 * rtt + 1);
  assert.ok(world.clock.now() - start <= 2 * rtt);
  a.send(datagram(a, b, "opens"));
  b.send(datagram(b, a, "back"));
  await world.run(20);
  assert.deepEqual([texts(b), texts(a)], [["opens"], ["back"]]);
  assert.deepEqual(a.restarted, [7]);
  assert.ok(a.eventNames.filter((name) => name === "tunnel.established").length === 2);
});

Deno.test("frames under a key that we do not know lead to it at once", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  let b = await world.node(7);
  await world.meet(a, b);
  const ours = world.between("pila", a, b).at(-1)!.sent.data;
  b = await b.restart();
  // The peer learns our key, but its own PILA is lost; then it sends under the new key.
  world.net.drop = ({ data, from }) => from.host === b.endpoint.host && data[3] === 0x41;
  world.net.inject(ours, a.endpoint, b.endpoint);
  await world.run(20);
  world.net.drop = () => false;
  world.net.clearLog();
  const frame = await world.capture(b, a, "what key is this");
  world.net.drop = ({ data, from }) =>
    from.host === b.endpoint.host && data[3] === 0x41 && data[137] === 1;
  world.net.inject(frame, b.endpoint, a.endpoint);
  await world.run(100);
  assert.deepEqual(a.restarted, [7]);
});

Deno.test("a restarted peer that speaks first replaces the session only when it has proven the key", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  let b = await world.node(7);
  await world.meet(a, b);
  b = await b.restart();
  // Sealed frames are lost, so the key stays unproven.
  world.net.drop = ({ data }) => data[3] === 0x53;
  await world.clock.finish(b.tunnels.ensure(5));
  await world.run(500);
  assert.deepEqual(a.restarted, []);
  world.net.drop = () => false;
  await world.run(2_000);
  assert.deepEqual(a.restarted, [7]);
});

Deno.test("frames sealed under the key before arrive for ten seconds and not later", async () => {
  await using world = new World();
  const a = await world.node(5);
  const old = await world.node(7);
  await world.meet(a, old);
  const soon = await world.capture(old, a, "soon");
  const late = await world.capture(old, a, "late");
  const b = await old.restart();
  await world.meet(b, a);
  await world.run(PREVIOUS_KEY_GRACE_MS - 1_000);
  world.net.inject(soon, old.endpoint, a.endpoint);
  await world.run(10);
  assert.deepEqual(texts(a), ["soon"]);
  assert.deepEqual(a.restarted, [7], "not a restart back");
  await world.run(2_000);
  world.net.inject(late, old.endpoint, a.endpoint);
  await world.run(10);
  assert.deepEqual(texts(a), ["soon"]);
  a.send(datagram(a, b, "new key in use"));
  await world.run(10);
  assert.deepEqual(texts(b), ["new key in use"]);
});

Deno.test("a new key that is never proven is given up, and the old session stays in use", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  // Another process with the same identity and address takes part but gets nothing through.
  const twin = await world.node(7, {
    identity: b.identity,
    endpoint: { host: "198.51.100.7", port: 4000 },
  });
  world.net.drop = ({ to }) => to.host === twin.endpoint.host;
  await world.clock.finish(twin.tunnels.ensure(5));
  await world.run(60_000);
  assert.deepEqual(a.restarted, []);
  a.send(datagram(a, b, "unshaken"));
  await world.run(100);
  assert.deepEqual(texts(b), ["unshaken"]);
  world.net.clearLog();
  await world.run(10_000);
  assert.deepEqual(world.frames(({ type }) => type === "pils"), [], "no challenge is left over");
});

Deno.test("streams of the incarnation before end soon after the restart, and new ones work at once", async () => {
  await using world = new World();
  const a = await world.node(5);
  let b = await world.node(7);
  b.streams.bind(80, () => {});
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 80));
  b = await b.restart();
  b.streams.bind(80, () => {});
  const dialled = world.clock.now();
  const next = await world.clock.finish(
    b.streams.dial({ network: 0, node: 5 }, 81).catch((e) => e),
  );
  assert.equal(next.code, "connection_refused");
  await world.clock.until(() => conn.closed, 10_000);
  assert.ok(world.clock.now() - dialled < 5_000);
  assert.equal(conn.error?.code, "connection_closed");
  const again = await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 80), 2_000);
  again.abort();
  await world.run(100);
});

Deno.test("a peer that moved and restarted while nobody spoke is found by asking the registry", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  let b = await world.node(7);
  await world.meet(a, b);
  b = await b.restart({ endpoint: { host: "192.0.2.107", port: 4001 } });
  b.streams.bind(80, () => {});
  const first = a.streams.dial({ network: 0, node: 7 }, 80, { timeoutMs: 5_000 }).catch((e) => e);
  await world.clock.finish(first);
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 80), 5_000);
  conn.abort();
  await world.run(100);
});

Deno.test("a peer whose address changes is followed by its authentic frames", async () => {
  await using world = new World({ hasBeacon: false });
  const nat = new Nat(world.net, { host: "198.51.100.1" });
  const a = await world.node(5);
  const b = await world.node(7, { nat, endpoint: { host: "10.0.0.7", port: 4000 } });
  await world.meet(b, a);
  assert.equal(a.tunnels.list()[0]!.endpoint, "198.51.100.1:20000");
  nat.rebind();
  b.send(datagram(b, a, "from a new port"));
  assert.equal(a.tunnels.list()[0]!.endpoint, "198.51.100.1:20000", "not before it has answered");
  await world.run(1_000);
  assert.equal(a.tunnels.list()[0]!.endpoint, "198.51.100.1:20001");
  a.send(datagram(a, b, "answer"));
  await world.run(20);
  assert.deepEqual([texts(a), texts(b)], [["from a new port"], ["answer"]]);
});
