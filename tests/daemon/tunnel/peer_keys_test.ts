import assert from "node:assert/strict";
import { Identity } from "../../../protocol/crypto/mod.ts";
import { encodePila, pilaChallenge } from "../../../protocol/tunnel/frame.ts";
import { PeerKeys } from "../../../daemon/tunnel/peer_keys.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { datagram, texts, World } from "../harness/world.ts";
import type { TestNode } from "../harness/node.ts";

async function greet(world: World, a: TestNode, b: TestNode, text: string): Promise<void> {
  await world.clock.finish(a.tunnels.ensure(b.node));
  a.send(datagram(a, b, text));
}

Deno.test("a pinned key wins over the registry's, which is not even asked", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.keys.set(7, (await Identity.generate()).publicKey);
  a.pinned.set(7, b.identity.publicKey);
  await greet(world, a, b, "pinned");
  await world.run(1_000);
  assert.deepEqual(texts(b), ["pinned"]);
  assert.equal(world.directory.count("lookup 7"), 0);
});

Deno.test("a peer with another key than the pinned one is refused, whatever the registry says", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  a.pinned.set(7, (await Identity.generate()).publicKey);
  await greet(world, a, b, "secret");
  await world.run(40_000);
  assert.equal(b.got.length, 0);
  assert.equal(a.tunnels.list()[0]!.encrypted, false);
  assert.ok(a.eventNames.includes("security.key_mismatch"));
});

Deno.test("a peer with another key than the registered one is refused until the registry knows better", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.keys.set(7, (await Identity.generate()).publicKey);
  await greet(world, a, b, "secret");
  await world.run(4_000);
  assert.equal(a.tunnels.list()[0]!.encrypted, false);
  assert.ok(a.eventNames.includes("security.key_mismatch"));
  assert.equal(
    world.directory.count("lookup 7"),
    1,
    "a contradicted answer is believed for a while",
  );
  world.directory.keys.set(7, b.identity.publicKey);
  await world.run(10_000);
  assert.deepEqual(texts(b), ["secret"]);
});

Deno.test("a node that the registry does not know gets no tunnel", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  world.directory.keys.delete(5);
  await greet(world, a, b, "who?");
  await world.run(40_000);
  assert.deepEqual(b.tunnels.list(), []);
  assert.deepEqual(texts(b), []);
});

Deno.test("without the registry there is no tunnel, and with it back there is one", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.tunnels.ensure(7));
  world.directory.isDown = true;
  a.send(datagram(a, b, "patience"));
  await world.run(5_000);
  assert.equal(a.tunnels.list()[0]!.encrypted, false);
  world.directory.isDown = false;
  await world.run(5_000);
  assert.deepEqual(texts(b), ["patience"]);
});

Deno.test("trusted peers find each other while the registry is down", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  a.pinned.set(7, b.identity.publicKey);
  b.pinned.set(5, a.identity.publicKey);
  await world.meet(a, b);
  const again = await b.restart();
  again.pinned.set(5, a.identity.publicKey);
  world.directory.isDown = true;
  a.send(datagram(a, again, "lost"));
  await world.run(1_000);
  a.send(datagram(a, again, "found"));
  await world.run(100);
  assert.deepEqual(texts(again), ["found"]);
});

Deno.test("a slow answer about one peer does not hold up another", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const slow = await world.node(9);
  await world.clock.finish(slow.tunnels.ensure(5));
  world.directory.hold(9);
  slow.send(datagram(slow, a, "slow"));
  await world.run(20);
  assert.equal(world.directory.count("lookup 9"), 1);
  const start = world.clock.now();
  await greet(world, b, a, "quick");
  await world.clock.until(() => a.got.length === 1, 100);
  assert.ok(world.clock.now() - start < 50);
  world.directory.release(9);
  await world.run(1_000);
  assert.deepEqual(texts(a), ["quick", "slow"]);
});

Deno.test("the registry is asked once for PILAs that arrive while it thinks", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(b.tunnels.ensure(5));
  world.directory.hold(7);
  b.send(datagram(b, a, "hi"));
  await world.run(8_000);
  assert.equal(world.directory.count("lookup 7"), 1);
  world.directory.release(7);
  await world.run(100);
  assert.deepEqual(texts(a), ["hi"]);
});

Deno.test("a PILA with a key that gives everybody the same secret is refused", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7);
  for (
    const x25519 of [new Uint8Array(32), new Uint8Array(32).fill(1, 0, 1), a.keyPair.publicKey]
  ) {
    const signature = await b.identity.sign(pilaChallenge(7, x25519));
    const ed25519 = b.identity.publicKey;
    const pila = encodePila({ sender: 7, x25519, ed25519, signature, request: true });
    world.net.inject(pila, b.endpoint, a.endpoint);
    await world.run(100);
    assert.deepEqual(a.tunnels.list(), []);
  }
  assert.equal(a.socket.stats.sent, 0);
});

Deno.test("PeerKeys asks the registry once for questions about one node at the same time", async () => {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  let asked = 0;
  const keys = new PeerKeys({
    clock: new ManualClock(),
    pinned: () => undefined,
    lookup: () => {
      asked++;
      return promise;
    },
  });
  const key = new Uint8Array(32).fill(1);
  const verdicts = Promise.all([keys.check(7, key), keys.check(7, new Uint8Array(32))]);
  resolve(key);
  assert.deepEqual(await verdicts, ["ok", "mismatch"]);
  assert.equal(asked, 1);
});

Deno.test("a rotated key is found although the old one is remembered", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const identity = await Identity.generate();
  world.directory.keys.set(7, identity.publicKey);
  const again = await b.restart({ identity });
  await world.run(6_000);
  await world.meet(again, a);
  assert.deepEqual(a.restarted, [7]);
});
