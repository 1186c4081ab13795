/** Paths to daemons of the existing kind, which answer by the path they last heard us and probe nothing. */

import assert from "node:assert/strict";
import { KeyPair } from "../../../protocol/crypto/mod.ts";
import { encodePilk } from "../../../protocol/tunnel/frame.ts";
import { OldPeer } from "../harness/old_peer.ts";
import type { TestNode } from "../harness/node.ts";
import { Nat, type Sent } from "../harness/udp.ts";
import { BEACON, datagram, texts, World } from "../harness/world.ts";

function isDirect({ from, to }: Sent): boolean {
  return from.host !== BEACON.host && to.host !== BEACON.host;
}

/** A node of ours and an old one, both behind NATs that let in only whom they sent to. */
async function behindNats(world: World, answersControl: boolean): Promise<[TestNode, OldPeer]> {
  const one = new Nat(world.net, { host: "198.51.100.1" });
  const two = new Nat(world.net, { host: "198.51.100.2" });
  const a = await world.node(5, { nat: one, endpoint: { host: "10.0.0.5", port: 4000 } });
  const endpoint = { host: "10.0.0.7", port: 4000 };
  const old = await OldPeer.start(world, 7, { nat: two, endpoint, answersControl });
  await world.run(100);
  world.directory.endpoints.set(5, a.observed.at(-1)!);
  world.directory.endpoints.set(7, old.observed!);
  return [a, old];
}

/** Brings the two together: the first datagram of ours has arrived. */
async function meet(world: World, a: TestNode, old: OldPeer): Promise<void> {
  a.wanted.add(7);
  await world.clock.finish(a.tunnels.ensure(7));
  a.send(datagram(a, old, "hello"));
  await world.clock.until(() => old.got.length === 1, 1_000);
}

/** Both say something every second; the counts of what did not arrive. */
async function converse(
  world: World,
  a: TestNode,
  old: OldPeer,
  seconds: number,
): Promise<number[]> {
  const [here, there] = [a.got.length, old.got.length];
  for (let i = 0; i < seconds; i++) {
    a.send(datagram(a, old, `to old ${i}`));
    old.say(a, `from old ${i}`);
    await world.run(1_000);
  }
  return [seconds - (a.got.length - here), seconds - (old.got.length - there)];
}

for (const answersControl of [true, false]) {
  const what = answersControl ? "that answers probes" : "that answers no probe";
  Deno.test(`an old peer ${what} is met by punching and stays direct`, async () => {
    await using world = new World();
    const [a, old] = await behindNats(world, answersControl);
    using _old = old;
    await meet(world, a, old);
    await world.run(20_000);
    assert.deepEqual(await converse(world, a, old, 60), [0, 0]);
    assert.equal(texts(a).at(-1), "from old 59");
    if (!answersControl) return;
    assert.equal(a.tunnels.isRelayed(7), false);
    assert.equal(old.route?.via, "direct");
  });
}

Deno.test("a relayed old peer comes to the direct path when it opens, and back to the relay when it closes", async () => {
  await using world = new World();
  world.net.drop = isDirect;
  const [a, old] = await behindNats(world, true);
  using _old = old;
  await meet(world, a, old);
  await world.clock.until(() => a.tunnels.isRelayed(7), 1_000);
  assert.deepEqual(await converse(world, a, old, 30), [0, 0]);
  world.net.drop = () => false;
  // Datagrams that the old one sends while its choice of path is being made are its own affair.
  await converse(world, a, old, 30);
  assert.ok(!a.tunnels.isRelayed(7));
  assert.equal(old.route?.via, "direct");
  assert.deepEqual(await converse(world, a, old, 10), [0, 0]);
  world.net.drop = isDirect;
  await world.clock.finish(a.control.ping({ network: 0, node: 7 }, { timeoutMs: 10_000 }));
  await converse(world, a, old, 5);
  assert.ok(a.tunnels.isRelayed(7));
  assert.deepEqual(await converse(world, a, old, 30), [0, 0]);
});

for (const [first, says] of [["we speak", true], ["it speaks", false]] as const) {
  Deno.test(`a session that only the old peer still has is replaced when ${first} first`, async () => {
    await using world = new World();
    const [a, old] = await behindNats(world, true);
    using _old = old;
    await meet(world, a, old);
    // Trust ended and was given again: our keys of the peer are gone, and ours is nothing new to it.
    a.tunnels.remove(7);
    if (says) await world.clock.finish(a.tunnels.ensure(7));
    const isDone = () => old.got.includes("to old 4") && texts(a).includes("from old 4");
    for (let i = 0; i < 5; i++) {
      if (says) a.send(datagram(a, old, `to old ${i}`));
      old.say(a, `from old ${i}`);
      await world.run(1_000);
      if (!says && texts(a).length > 0) a.send(datagram(a, old, `to old ${i}`));
    }
    await world.clock.until(isDone, 1_000);
  });
}

for (
  const [where, via, closes] of [["on one machine", "direct", false], [
    "over the relay",
    "relay",
    true,
  ]] as const
) {
  Deno.test(`an idle old peer ${where} hears something well within a minute`, async () => {
    await using world = new World();
    if (closes) world.net.drop = isDirect;
    const a = await world.node(5, { endpoint: { host: "127.0.0.1", port: 4005 } });
    using old = await OldPeer.start(world, 7, { endpoint: { host: "127.0.0.1", port: 4007 } });
    await world.run(100);
    world.directory.endpoints.set(5, a.observed.at(-1)!);
    world.directory.endpoints.set(7, old.observed!);
    await meet(world, a, old);
    await world.run(5_000);
    // It takes the path for dead after 55 s (docs/protocol/paths.md §8).
    for (let minute = 0; minute < 10; minute++) {
      if (minute === 5) { // trust has ended, and is perhaps given again
        a.wanted.delete(7);
        a.isFormer = () => true;
      }
      const heard = old.heard;
      await world.run(50_000);
      assert.ok(old.heard > heard, `silent in minute ${minute}`);
      assert.equal(old.route?.via, via);
    }
  });
}

for (const isFormer of [true, false]) {
  Deno.test(`a key request of a peer that trust ${isFormer ? "ended with lately is answered" : "never was with meets silence"}`, async () => {
    await using world = new World();
    const a = await world.node(5, { isPublic: false });
    a.isFormer = () => isFormer;
    using old = await OldPeer.start(world, 7, { endpoint: { host: "10.0.0.7", port: 4000 } });
    await world.run(100);
    world.net.clearLog();
    const { publicKey } = await KeyPair.generate();
    const from = { host: "10.0.0.7", port: 4000 };
    world.net.inject(encodePilk(old.node, publicKey), from, a.endpoint);
    await world.run(1_000);
    const answers = world.net.log.filter(({ from, data }) =>
      from.port === a.endpoint.port && from.host === a.endpoint.host && data[3] === 0x41
    );
    assert.equal(answers.length > 0, isFormer);
  });
}
