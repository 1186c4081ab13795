import assert from "node:assert/strict";
import { Identity, KeyPair } from "../../../protocol/crypto/mod.ts";
import {
  encodePila,
  encodePilk,
  pilaChallenge,
  writePilsHeader,
} from "../../../protocol/tunnel/frame.ts";
import {
  KEX_RATE,
  MAX_EARLY_FRAMES,
  MAX_VERIFYING,
} from "../../../protocol/tunnel/verifications.ts";
import { KeyedRateLimit, TokenBucket } from "../../../protocol/rate_limit.ts";
import {
  MAX_KEX_PEERS,
  MAX_PEERS,
  REPLY_RATE,
  REPLY_RATE_PER_NODE,
} from "../../../protocol/tunnel/tunnel_limits.ts";
import { settle } from "../../support/settle.ts";
import { datagram, World } from "../harness/world.ts";

/** A frame that nobody can open. */
function noise(sender: number, size = 80): Uint8Array {
  const frame = new Uint8Array(size);
  writePilsHeader(frame, 0, sender, 1, 1);
  return frame;
}

/** A well-signed PILA of anybody for any node. */
async function pila(node: number): Promise<Uint8Array> {
  const identity = await Identity.generate();
  const x25519 = (await KeyPair.generate()).publicKey;
  const signature = await identity.sign(pilaChallenge(node, x25519));
  return encodePila({ sender: node, x25519, ed25519: identity.publicKey, signature });
}

Deno.test("frames of an unknown peer are answered once a second", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const from = { host: "198.51.100.1", port: 1 };
  for (let i = 0; i < 500; i++) {
    world.net.inject(noise(7), from, a.endpoint);
    await world.run(10);
  }
  const { burst, perSecond } = REPLY_RATE_PER_NODE;
  const answers = world.net.log.filter(({ to }) => to.host === from.host).length;
  assert.ok(answers >= 5 && answers <= burst + 5 * perSecond, `${answers}`);
});

Deno.test("an answer is never more than twice as large as what asks for it, but for a peer's PILK", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const from = { host: "198.51.100.1", port: 1 };
  const answersTo = async (frame: Uint8Array) => {
    const before = world.net.log.length;
    world.net.inject(frame, from, a.endpoint);
    await world.run(2_000);
    return world.net.log.slice(before).filter(({ to }) => to.host === from.host);
  };
  // One byte less than the smallest frame that holds a packet.
  for (const size of [36, 60, 69]) assert.deepEqual(await answersTo(noise(7, size)), []);
  const [answer, ...more] = await answersTo(noise(7, 70));
  assert.ok(answer !== undefined && answer.data.length <= 2 * 70);
  assert.deepEqual(more, []);
  assert.equal((await answersTo(encodePilk(7, new Uint8Array(32)))).length, 1);
});

Deno.test("frames of many invented peers are answered at a limited rate altogether", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  for (let i = 0; i < 2_000; i++) {
    world.net.inject(noise(1000 + i), { host: "198.51.100.1", port: 1 }, a.endpoint);
    if (i % 20 === 0) await world.run(10);
  }
  await world.run(10);
  const answers = world.net.log.filter(({ to }) => to.host === "198.51.100.1").length;
  assert.ok(
    answers >= REPLY_RATE.burst && answers <= REPLY_RATE.burst + 1.1 * REPLY_RATE.perSecond,
  );
  assert.deepEqual(a.tunnels.list(), [], "nothing is remembered of them");
});

Deno.test("one address may not make us verify without end", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const frames = await Promise.all(Array.from({ length: 100 }, (_, i) => pila(1000 + i)));
  for (const frame of frames) {
    world.net.inject(frame, { host: "198.51.100.1", port: 1 }, a.endpoint);
  }
  await world.run(10);
  const asked = world.directory.asked.length;
  assert.equal(asked, KEX_RATE.burst);
  world.net.inject(await pila(2000), { host: "198.51.100.2", port: 1 }, a.endpoint);
  await world.run(10);
  assert.equal(world.directory.asked.length, asked + 1, "another address is not affected");
});

Deno.test("a flood of strangers does not keep out the peer that we want to reach", async () => {
  await using world = new World({ hasBeacon: false });
  const [a, b] = [await world.node(5), await world.node(7)];
  // Their verifications hang at the registry.
  for (let i = 0; i < 400; i++) world.directory.hold(1000 + i);
  const frames = await Promise.all(Array.from({ length: 400 }, (_, i) => pila(1000 + i)));
  // From the peer's own address, as behind one NAT, and from many others, so that both bounds are reached.
  for (const [i, frame] of frames.entries()) {
    const host = i % 4 === 0 ? b.endpoint.host : `198.51.100.${i % 256}`;
    world.net.inject(frame, { host, port: 9 }, a.endpoint);
  }
  await world.run(20);
  const start = world.clock.now();
  await world.meet(a, b);
  const tookMs = world.clock.now() - start;
  assert.ok(tookMs < 200, `${tookMs}`); // at the first attempt: the second comes after 250 ms
  for (let i = 0; i < 400; i++) world.directory.release(1000 + i);
});

Deno.test("pending verifications are bounded", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const count = MAX_VERIFYING + 20;
  const frames = await Promise.all(Array.from({ length: count }, (_, i) => pila(1000 + i)));
  for (const [i, frame] of frames.entries()) {
    world.directory.hold(1000 + i);
    world.net.inject(frame, { host: `198.51.100.${i % 200}`, port: 1 }, a.endpoint);
  }
  await world.run(10);
  assert.equal(world.directory.asked.length, MAX_VERIFYING);
  for (let i = 0; i < count; i++) world.directory.release(1000 + i);
  await world.run(10);
  assert.deepEqual(a.tunnels.list(), []);
});

Deno.test("frames that arrive before their key is verified are kept, but not many", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7);
  // b knows a's key, a's question about b's is held up.
  await world.clock.finish(a.tunnels.ensure(7));
  world.directory.hold(7);
  a.send(datagram(a, b, "start"));
  await world.run(20);
  for (let i = 0; i < MAX_EARLY_FRAMES + 10; i++) b.send(datagram(b, a, `${i}`));
  await world.run(20);
  world.directory.release(7);
  await world.run(5);
  assert.deepEqual(
    a.got.map(({ data }) => new TextDecoder().decode(data)),
    Array.from({ length: MAX_EARLY_FRAMES }, (_, i) => `${i}`),
  );
});

Deno.test("exchanges of ours are bounded; the dial beyond fails with limit_exceeded", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  for (let i = 0; i <= MAX_KEX_PEERS; i++) {
    world.directory.keys.set(1000 + i, new Uint8Array(32));
    world.directory.endpoints.set(1000 + i, { host: "192.0.2.200", port: 1000 + i });
  }
  for (let i = 0; i < MAX_KEX_PEERS; i++) await a.tunnels.ensure(1000 + i);
  await assert.rejects(a.tunnels.ensure(1000 + MAX_KEX_PEERS), { code: "limit_exceeded" });
  await world.run(40_000);
  await a.tunnels.ensure(1000 + MAX_KEX_PEERS);
});

Deno.test("the peer table is bounded, and a proven tunnel never goes for an unproven one", async () => {
  await using world = new World({ hasBeacon: false });
  const a = await world.node(5);
  const b = await world.node(7);
  await world.meet(a, b);
  const endpoint = { host: "192.0.2.200", port: 1 };
  const { directory } = world;
  const { resolve } = directory;
  directory.resolve = () => Promise.resolve({ endpoint, alternatives: [] });
  world.net.drop = () => true;
  for (let i = 0; i < MAX_PEERS + 10; i++) {
    // Beyond the running exchanges these fail; that they have a place in the table is what counts.
    await a.tunnels.ensure(10_000 + i).catch(() => {});
  }
  directory.resolve = resolve;
  assert.equal(a.tunnels.list().length, MAX_PEERS);
  const proven = a.tunnels.list().filter(({ authenticated }) => authenticated);
  assert.deepEqual(proven.map(({ node_id }) => node_id), [7]);
  world.net.drop = () => false;
  world.net.clearLog();
  a.send(datagram(a, b, "hi"));
  await world.run(10);
  assert.equal(b.got.length, 1);
});

Deno.test("a closed tunnel layer has no timer and answers nothing", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  await world.clock.finish(a.tunnels.ensure(7));
  world.directory.hold(5);
  a.send(datagram(a, b, "x"));
  await world.run(20);
  a.tunnels.close();
  b.tunnels.close();
  world.directory.release(5);
  await settle();
  await world.run(20);
  assert.equal(world.clock.pending, 0);
  assert.deepEqual(b.tunnels.list(), []);
  world.net.clearLog();
  a.tunnels.onDatagram(noise(7), b.endpoint);
  assert.equal(world.net.log.length, 0);
});

Deno.test("a token bucket gives its burst and then its rate", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
  const taken = (now: number) => {
    let count = 0;
    while (bucket.take(now)) count++;
    return count;
  };
  assert.deepEqual([taken(0), taken(50), taken(100), taken(350), taken(10_000)], [3, 0, 1, 2, 3]);
});

Deno.test("a keyed rate limit refuses new keys when its table is full of debtors, and forgets those who owe nothing", () => {
  const limit = new KeyedRateLimit<number>({ perSecond: 1, burst: 2 }, 3);
  for (const key of [1, 2, 3]) assert.ok(limit.take(key, 0));
  assert.equal(limit.take(4, 0), false);
  assert.equal(limit.size, 3);
  assert.ok(limit.take(4, 1_000), "their token is back");
  assert.equal(limit.size, 1);
});
