/** Whatever frames a stranger makes up: nothing of them is taken, nothing moves, and they cost the stranger more than us. */

import assert from "node:assert/strict";
import { encodePila, encodePilk, pilsSender } from "../../../protocol/tunnel/frame.ts";
import type { Random } from "../random.ts";
import { type SimTunnel, TunnelWorld } from "./tunnel_world.ts";

const SEEDS = 20;
const FRAMES = 400;
const ATTACKER = { host: "198.51.100.66", port: 6_666 };
const MAGICS = ["PILA", "PILK", "PILS", "PILT", "PILP", "PIL?", ""];

/** A frame as somebody makes it who has seen all others, and has no key. */
function forged(
  random: Random,
  captured: readonly Uint8Array[],
  names: readonly number[],
): Uint8Array {
  const sender = names[random.int(0, names.length - 1)]!;
  const seen = captured[random.int(0, captured.length - 1)]!.slice();
  const bytes = (length: number) => random.fill(new Uint8Array(length));
  switch (random.int(0, 6)) {
    case 0: // any bytes behind a known beginning
      return Uint8Array.from([
        ...new TextEncoder().encode(MAGICS[random.int(0, MAGICS.length - 1)]),
        ...bytes(random.int(0, 200)),
      ]);
    case 1: // a frame with a bit that has changed
      seen[random.int(0, seen.length - 1)]! ^= 1 << random.int(0, 7);
      return seen;
    case 2: // one cut off
      return seen.subarray(0, random.int(0, seen.length));
    case 3: // one that is longer
      return Uint8Array.from([...seen, ...bytes(random.int(1, 40))]);
    case 4: // somebody's name before somebody else's frame
      if (pilsSender(seen) !== undefined) new DataView(seen.buffer).setUint32(4, sender);
      return seen;
    case 5: // a key of our own under a name
      return encodePila({
        ...{ sender, x25519: bytes(32), ed25519: bytes(32), signature: bytes(64) },
        ...(random.int(0, 1) === 0 ? { request: true } : { response: true }),
      });
    default:
      return encodePilk(sender, bytes(32));
  }
}

/** Exchanges texts with a peer in both directions; what each of the two has said. */
function talk(world: TunnelWorld, a: SimTunnel, b: SimTunnel, name: string): Set<string> {
  const said = new Set<string>();
  for (let at = 0; at < 20; at++) {
    for (const [one, other] of [[a, b], [b, a]] as const) {
      const text = `${name} ${one.node} ${at}`;
      said.add(text);
      one.say(other.node, text);
      one.perform();
    }
    world.run(50);
  }
  return said;
}

Deno.test("made-up frames are not taken, move nothing, and draw less than they cost", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new TunnelWorld(seed, { delayMs: 10 });
    const [a, b] = [world.start(5), world.start(7)];
    const said = talk(world, a, b, "before");
    const proofs = a.proofs(7);
    const [key, route] = [a.liveKey(7), a.routeTo(7)];
    assert.deepEqual(key, b.x25519, `seed ${seed}`);
    const captured = world.arrived.map(({ frame }) => frame);
    const start = world.sent.length;
    let injectedBytes = 0;
    for (let n = 0; n < FRAMES; n++) {
      const frame = forged(world.random, captured, [5, 7, 9, 0, 0xffffffff]);
      const from = n % 3 === 0 ? b.endpoint : { ...ATTACKER, port: world.random.int(1, 65_535) };
      injectedBytes += frame.length;
      world.inject(frame, from, a.endpoint);
      world.run(5);
    }
    const drawn = world.sent.slice(start).filter(({ to }) => to.host === ATTACKER.host);
    const drawnBytes = drawn.reduce((sum, { frame }) => sum + frame.length, 0);
    assert.ok(
      drawnBytes < injectedBytes / 2,
      `seed ${seed}: ${injectedBytes} B drew ${drawnBytes} B`,
    );
    for (const text of talk(world, a, b, "after")) said.add(text);
    world.run(500);
    assert.deepEqual(a.liveKey(7), key, `seed ${seed}: another key`);
    assert.deepEqual(a.routeTo(7), route, `seed ${seed}: the path has moved`);
    assert.equal(a.proofs(7), proofs, `seed ${seed}`);
    for (const { got, node } of [a, b]) {
      assert.equal(new Set(got).size, got.length, `seed ${seed}: node ${node} got something twice`);
      assert.deepEqual(got.filter((text) => !said.has(text)), [], `seed ${seed}: node ${node}`);
      const after = got.filter((text) => text.startsWith("after"));
      assert.equal(after.length, 20, `seed ${seed}: node ${node} missed something`);
    }
    world.stop();
  }
});
