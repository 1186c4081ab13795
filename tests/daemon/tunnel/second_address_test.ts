/** Peers with several addresses: what answers from another one, or is reached at one only, is reached all the same. */

import assert from "node:assert/strict";
import { KEX_DELAYS_MS } from "../../../protocol/tunnel/tunnel_limits.ts";
import type { TestNode } from "../harness/node.ts";
import type { Uplink, VirtualSocket } from "../harness/udp.ts";
import { BEACON, datagram, texts, World } from "../harness/world.ts";

/** Published, and open. */
const FLOATING = { host: "192.0.2.33", port: 4000 };
/** What the system sends from; only the beacon gets in there. */
const PRIMARY = { host: "192.0.2.3", port: 4000 };
/** Some round trips and timers after the first doubt. */
const SOON_MS = KEX_DELAYS_MS[0]! + 250;

/** A host that receives at one address and sends from another. */
function crossed(world: World): Uplink {
  return {
    send: (_socket: VirtualSocket, data, to, mayFragment) =>
      world.net.inject(data, PRIMARY, to, mayFragment),
    attach: (socket) => {
      const detach = [FLOATING, PRIMARY].map((endpoint) =>
        world.net.attach(endpoint, (data, sender) => {
          if (endpoint === FLOATING || sender.host === BEACON.host) socket.receive(data, sender);
        })
      );
      return () => detach.forEach((each) => each());
    },
  };
}

async function nodes(world: World): Promise<{ a: TestNode; b: TestNode }> {
  const a = await world.node(5);
  const b = await world.node(7, { endpoint: FLOATING, nat: crossed(world) });
  world.directory.endpoints.set(b.node, FLOATING);
  await world.run(20);
  return { a, b };
}

function ping(world: World, a: TestNode, b: TestNode, limitMs: number) {
  const address = { network: 0, node: b.node };
  return world.clock.finish(a.control.ping(address, { timeoutMs: 30_000 }), limitMs);
}

Deno.test("a peer that answers from an address at which it is not reached: by relay at once, then directly", async () => {
  await using world = new World();
  const { a, b } = await nodes(world);
  await ping(world, a, b, SOON_MS);
  await world.run(20_000);
  assert.equal(a.tunnels.list()[0]!.endpoint, "192.0.2.33:4000");
  assert.ok(!a.tunnels.isRelayed(b.node));
  await ping(world, a, b, 100);
});

Deno.test("such a peer is reached without a relay, at the address that is known of it", async () => {
  await using world = new World({ hasBeacon: false });
  const { a, b } = await nodes(world);
  b.streams.bind(1234, () => {});
  const conn = await world.clock.finish(a.streams.dial({ network: 0, node: b.node }, 1234), 2_000);
  conn.abort();
  await world.run(100);
});

Deno.test("such a peer gets a first datagram once, and later ones", async () => {
  await using world = new World();
  const { a, b } = await nodes(world);
  await world.clock.finish(a.tunnels.ensure(b.node));
  a.send(datagram(a, b, "first"));
  await world.run(SOON_MS);
  for (let i = 0; i < 5; i++) {
    a.send(datagram(a, b, `${i}`));
    await world.run(100);
  }
  const got = texts(b);
  assert.deepEqual(got.filter((text) => text !== "first"), ["0", "1", "2", "3", "4"]);
  assert.ok(got.filter((text) => text === "first").length <= 1);
});

Deno.test("a peer that works costs nothing more: one proof, by the path its key came", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.run(20);
  await ping(world, a, b, 200);
  await world.run(5_000);
  const sealed = world.frames(({ type, isRelayed }) => type === "pils" && isRelayed);
  assert.equal(sealed.length, 0, "no sealed frame takes the relay");
});

Deno.test("a replayed key draws no more to its sender's address than before, and nothing to others", async () => {
  await using world = new World();
  const attacker = { host: "198.51.100.66", port: 666 };
  let a = await world.node(5);
  const b = await world.node(7);
  await world.meet(b, a);
  const pila = world.frames(({ type, sent }) =>
    type === "pila" && sent.from.host === b.endpoint.host
  ).at(-1)!.sent.data.slice();
  a = await a.restart();
  // The true peer is away, and somebody sends its key from elsewhere while we ask.
  world.net.drop = ({ from, to }) => [from.host, to.host].includes(b.endpoint.host);
  world.net.clearLog();
  void a.control.ping({ network: 0, node: b.node }, { timeoutMs: 5_000 }).catch(() => {});
  await world.run(20);
  for (let i = 0; i < 100; i++) {
    world.net.inject(pila, attacker, a.endpoint);
    await world.run(100);
  }
  await world.run(30_000);
  const sent = world.net.log.filter(({ from }) => from.host === a.endpoint.host);
  const places = new Set(sent.map(({ to }) => to.host));
  const own = [b.endpoint.host, world.beacon!.socket.local.host];
  assert.deepEqual([...places].filter((host) => !own.includes(host)), [attacker.host]);
  const drawn = sent.filter(({ to }) => to.host === attacker.host);
  const bytes = drawn.reduce((sum, { data }) => sum + data.length, 0);
  assert.ok(bytes < 100 * pila.length, `${bytes} bytes for ${100 * pila.length}`);
  assert.ok(drawn.length <= 40, `${drawn.length} datagrams`);
});
