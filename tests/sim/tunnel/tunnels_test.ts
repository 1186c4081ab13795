import assert from "node:assert/strict";
import { pilsSender } from "../../../protocol/tunnel/frame.ts";
import { IDLE_PEER_MS, KEEPALIVE_MS, SWEEP_MS } from "../../../protocol/tunnel/tunnel_limits.ts";
import type { LinkOptions } from "../network.ts";
import { type SimTunnel, TunnelWorld } from "./tunnel_world.ts";

const SEEDS = 40;
/** Loses, doubles, delays and overtakes a lot, and flips some bytes. */
const BAD: LinkOptions = {
  ...{ loss: 0.2, duplicate: 0.1, reorder: 0.2, reorderMs: 80, corrupt: 0.02 },
  ...{ delayMs: 15, jitterMs: 10 },
};
const ATTACKER = { host: "198.51.100.66", port: 6_666 };

/** Says something every 50 ms for some time; the texts. */
function talk(world: TunnelWorld, from: SimTunnel, to: number, name: string, ms: number): string[] {
  const texts: string[] = [];
  for (let at = 0; at < ms; at += 50) {
    const text = `${name} ${at}`;
    texts.push(text);
    from.say(to, text);
    from.perform();
    world.run(50);
  }
  return texts;
}

/** Most of what was said arrived, and nothing of it twice, in whatever order. */
function assertHeard(got: readonly string[], said: readonly string[], seed: number): void {
  const known = new Set(said);
  const heard = got.filter((text) => known.has(text));
  assert.equal(new Set(heard).size, heard.length, `seed ${seed}: something came twice`);
  assert.ok(heard.length > said.length / 2, `seed ${seed}: ${heard.length} of ${said.length}`);
}

function eachSeed(run: (world: TunnelWorld, seed: number) => void): void {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new TunnelWorld(seed, BAD);
    try {
      run(world, seed);
    } finally {
      world.stop();
    }
  }
}

Deno.test("two tunnels prove their keys to each other over a bad network, and nothing comes twice", () => {
  eachSeed((world, seed) => {
    const [a, b] = [world.start(5), world.start(7)];
    talk(world, a, 7, "first", 5_000); // contact
    const said = talk(world, a, 7, "a", 5_000);
    const answered = talk(world, b, 5, "b", 5_000);
    assert.deepEqual(a.liveKey(7), b.x25519, `seed ${seed}`);
    assert.deepEqual(b.liveKey(5), a.x25519, `seed ${seed}`);
    assert.deepEqual([a.proofs(7), b.proofs(5)], [1, 1], `seed ${seed}: proven once`);
    assertHeard(b.got, said, seed);
    assertHeard(a.got, answered, seed);
  });
});

Deno.test("a path counts the frames that leave and come by it", () => {
  eachSeed((world, seed) => {
    const [a, b] = [world.start(5), world.start(7)];
    talk(world, a, 7, "counted", 5_000);
    world.run(1_000);
    const path = a.core.peers.get(7)!.paths.current!;
    const sealed = world.sent.filter(({ from, frame }) =>
      from.host === a.endpoint.host && pilsSender(frame) !== undefined
    );
    const bytes = sealed.reduce((sum, { frame }) => sum + frame.length, 0);
    assert.deepEqual([path.framesSent, path.bytesSent], [sealed.length, bytes], `seed ${seed}`);
    const received = b.core.peers.get(5)!.paths.current!.framesReceived;
    assert.equal(received, b.core.stats.encryptOk, `seed ${seed}`);
    assert.ok(received > 0 && received < path.framesSent, `seed ${seed}: some are lost`);
  });
});

Deno.test("both sides of a bad network begin at once, and agree", () => {
  eachSeed((world, seed) => {
    const [a, b] = [world.start(5), world.start(7)];
    for (const [one, other] of [[a, b], [b, a]] as const) {
      one.say(other.node, "begin");
      one.perform();
    }
    world.run(8_000);
    assert.deepEqual(a.liveKey(7), b.x25519, `seed ${seed}`);
    assert.deepEqual(b.liveKey(5), a.x25519, `seed ${seed}`);
  });
});

Deno.test("a peer that restarts is found again under its new key, whoever speaks first", () => {
  eachSeed((world, seed) => {
    const a = world.start(5);
    const before = world.start(7);
    talk(world, a, 7, "before", 5_000);
    assert.deepEqual(a.liveKey(7), before.x25519, `seed ${seed}`);
    const after = world.start(7);
    const speaker = seed % 2 === 0 ? a : after;
    const other = speaker === a ? after : a;
    talk(world, speaker, other.node, "contact", 15_000);
    const said = talk(world, speaker, other.node, "after", 5_000);
    assert.deepEqual(a.liveKey(7), after.x25519, `seed ${seed}`);
    assert.deepEqual(after.liveKey(5), a.x25519, `seed ${seed}`);
    assert.equal(a.proofs(7), 2, `seed ${seed}`);
    assert.ok(a.actions.some((action) => action.type === "proven" && action.isRekeyed));
    assertHeard(other.got, said, seed);
  });
});

Deno.test("replayed PILAs and frames move nothing, from wherever they come, and draw little", () => {
  eachSeed((world, seed) => {
    const a = world.start(5);
    const old = world.start(7);
    talk(world, a, 7, "old", 5_000);
    const b = world.start(7);
    talk(world, a, 7, "new", 15_000);
    assert.deepEqual(a.liveKey(7), b.x25519, `seed ${seed}`);
    const route = a.routeTo(7);
    const captured = world.arrived.filter(({ from }) => from.host === b.endpoint.host);
    const proofs = a.proofs(7);
    const count = a.got.length;
    for (let round = 0; round < 100; round++) {
      for (const from of [ATTACKER, b.endpoint]) {
        world.inject(old.frames.request, from, a.endpoint);
        world.inject(captured[round % captured.length]!.frame, from, a.endpoint);
      }
      world.run(50);
    }
    a.perform();
    assert.deepEqual(a.liveKey(7), b.x25519, `seed ${seed}`);
    assert.deepEqual(a.routeTo(7), route, `seed ${seed}: the path has moved`);
    assert.equal(a.proofs(7), proofs, `seed ${seed}`);
    assert.equal(a.got.length, count, `seed ${seed}: a packet came twice`);
    const drawn = world.sent.filter(({ to }) => to.host === ATTACKER.host);
    assert.ok(drawn.length < 50, `seed ${seed}: 200 frames drew ${drawn.length}`);
    assertHeard(b.got, talk(world, a, 7, "still", 2_000), seed);
  });
});

Deno.test("an idle tunnel is kept up by a probe every 20 to 25 s while it is needed, and forgotten when it is not", () => {
  const world = new TunnelWorld(1);
  const [a, b] = [world.start(5), world.start(7)];
  talk(world, a, 7, "hello", 1_000);
  world.run(10_000);
  const path = a.core.peers.get(7)!.paths.current!;
  const before = path.answered;
  b.isNeeded = false; // only one of them asks
  const minutes = 30;
  world.run(minutes * 60_000);
  const asked = path.answered - before;
  const perMinute = asked / minutes;
  assert.ok(60_000 / KEEPALIVE_MS <= perMinute && perMinute <= 3, `${perMinute} a minute`);
  assert.deepEqual(a.liveKey(7), b.x25519);
  a.isNeeded = false;
  world.run(IDLE_PEER_MS + KEEPALIVE_MS);
  for (const { core } of [a, b]) assert.equal([...core.peers.values()].length, 0);
  // Only the sweep continues.
  assert.ok(a.core.deadline - world.now <= SWEEP_MS);
  world.stop();
  assert.equal(a.core.deadline, Infinity, "nothing is due after the end");
});

Deno.test("a seed gives the same frames each time", () => {
  const [first, second] = [1, 2].map(() => {
    const world = new TunnelWorld(11, BAD);
    const a = world.start(5);
    world.start(7);
    talk(world, a, 7, "same", 3_000);
    world.stop();
    return world.sent.map(({ frame }) => frame.toHex());
  });
  assert.ok(first!.length > 60);
  assert.deepEqual(first, second);
});
