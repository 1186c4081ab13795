import assert from "node:assert/strict";
import { encodePunch } from "../../../protocol/tunnel/frame.ts";
import { OldPeer } from "../harness/old_peer.ts";
import { BEACON, datagram, World } from "../harness/world.ts";

Deno.test("a relay-only node sends to the beacon alone, whatever comes to it directly", async () => {
  await using world = new World();
  const a = await world.node(5, { pathMode: "relay-only" });
  const b = await world.node(7);
  b.wanted.add(5);
  // First contact from outside finds its address in the registry, and the beacon has both sides punch.
  await world.meet(b, a);
  world.net.inject(encodePunch(), b.endpoint, a.endpoint);
  for (let i = 0; i < 30; i++) {
    a.send(datagram(a, b, "there"));
    b.send(datagram(b, a, "back"));
    await world.run(1_000);
  }
  await world.clock.finish(b.control.ping({ network: 0, node: 5 }, { timeoutMs: 5_000 }));
  const toHosts = world.net.log.filter(({ from }) => from.host === a.endpoint.host)
    .map(({ to }) => to.host);
  assert.deepEqual([...new Set(toHosts)], [BEACON.host]);
  assert.ok(world.net.log.some(({ to }) => to.host === a.endpoint.host), "something came");
  assert.equal(b.got.length, 30);
});

Deno.test("a relay-only node shows no peer where it is by asking for punches, nor asks a silent one directly", async () => {
  await using world = new World();
  const a = await world.node(5, { pathMode: "relay-only" });
  const b = await world.node(7);
  await world.meet(a, b);
  a.wanted.add(7);
  world.net.drop = () => true;
  for (let i = 0; i < 10; i++) {
    a.control.ping({ network: 0, node: 7 }, { timeoutMs: 500 }).catch(() => {});
    await world.run(1_000);
    await world.clock.finish(a.tunnels.ensure(7));
  }
  const sent = world.net.log.filter(({ from }) => from.host === a.endpoint.host);
  assert.deepEqual([...new Set(sent.map(({ to }) => to.host))], [BEACON.host]);
  assert.equal(sent.filter(({ data }) => data[0] === 3).length, 0, "no punch request");
});

Deno.test("a no-relay node sends no relayed frame, not even when nothing answers", async () => {
  await using world = new World();
  const a = await world.node(5, { pathMode: "no-relay" });
  const b = await world.node(7);
  await world.meet(a, b);
  world.net.drop = ({ from, to }) => from.host !== BEACON.host && to.host !== BEACON.host;
  for (let i = 0; i < 30; i++) {
    a.send(datagram(a, b, "there"));
    await world.run(1_000);
  }
  const relayed = world.net.log.filter(({ from, data }) =>
    from.host === a.endpoint.host && data[0] === 5
  );
  assert.equal(relayed.length, 0);
});

Deno.test("networkChanged probes at once", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  await world.run(10_000);
  world.net.clearLog();
  a.tunnels.networkChanged();
  const ways = world.frames(({ sent, type }) =>
    type === "pils" && sent.from.host === a.endpoint.host
  );
  assert.deepEqual(ways.map(({ isRelayed }) => isRelayed).sort(), [false, true]);
});

Deno.test("an old peer that answers no probe is not moved off a path by which it is heard", async () => {
  await using world = new World();
  const a = await world.node(5);
  const endpoint = { host: "192.0.2.7", port: 4000 };
  using old = await OldPeer.start(world, 7, { endpoint, answersControl: false });
  a.wanted.add(7);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, old, "hello"));
  await world.clock.until(() => old.got.length === 1, 1_000);
  let moved = 0;
  world.net.clearLog();
  for (let i = 0; i < 120; i++) {
    a.send(datagram(a, old, `${i}`));
    old.say(a, `${i}`);
    await world.run(1_000);
    if (a.tunnels.isRelayed(7)) moved++;
  }
  const sent = world.net.log.filter(({ from }) => from.host === a.endpoint.host).length;
  assert.equal(moved, 0);
  assert.ok(sent <= 120 * 4, `${sent} datagrams`);
});
