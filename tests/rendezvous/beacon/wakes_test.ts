/** Who is woken, when, and how often. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  MAX_WAKES,
  PROOF_TTL_MS,
  WAKE_REPEAT_MS,
} from "../../../rendezvous/beacon/beacon_limits.ts";
import type { Outgoing } from "../../../rendezvous/beacon/beacon.ts";
import { Wakes } from "../../../rendezvous/beacon/wakes.ts";
import { A, B, beaconWithKeys, discover, messages, nonceOf, prove } from "./support.ts";

Deno.test("a wake goes to the proven endpoint with the node's token, and again until the node polls", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A, { nonce: nonceOf(5) });
  const [first] = messages(beacon.wake(42, 1_000));
  assert.ok(first?.[0].type === "wake");
  assert.deepEqual([first[0].token, first[1]], [nonceOf(5), A]);
  assert.equal(beacon.nextWakeAt, 1_200);
  assert.deepEqual(beacon.repeatWakes(1_199), []);
  const [second] = messages(beacon.repeatWakes(1_200));
  assert.deepEqual(second, first, "a repetition is the same datagram");
  assert.deepEqual(beacon.wake(42, 1_300), [], "a wake is under way");
  assert.equal(beacon.nextWakeAt, 2_000);
  beacon.stopWaking(42);
  assert.equal(beacon.nextWakeAt, undefined);
  assert.deepEqual(beacon.repeatWakes(5_000), []);
  const [next] = messages(beacon.wake(42, 6_000));
  assert.ok(next?.[0].type === "wake" && next[0].sequence !== first[0].sequence);
});

Deno.test("a node that never polls is left alone after the last repetition, and woken again for the next reason", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  let sent = beacon.wake(42, 0).length;
  for (let now = 0; now <= 10_000; now += 50) sent += beacon.repeatWakes(now).length;
  assert.equal(sent, 1 + WAKE_REPEAT_MS.length);
  assert.equal(beacon.health(0).wakes_pending, 0);
  assert.equal(beacon.wake(42, 20_000).length, 1);
});

Deno.test("nodes that did not prove, or did not ask to be woken, get the notice of v1.18, and no token", async () => {
  const beacon = beaconWithKeys();
  const NOTICE = "0a01";
  const sent = (outgoing: readonly Outgoing[]) =>
    outgoing.map(({ bytes, to }) => [bytes.toHex(), to]);
  assert.deepEqual(beacon.wake(42, 0), [], "nobody knows where it is");
  beacon.receive(discover(42), A, 0);
  assert.deepEqual(sent(beacon.wake(42, 0)), [[NOTICE, A]]);
  assert.deepEqual(beacon.wake(42, 100), [], "one is under way");
  assert.deepEqual(beacon.repeatWakes(1_000), [], "it polls once in 2 s");
  assert.deepEqual(sent(beacon.repeatWakes(4_000)), [[NOTICE, A]]);
  beacon.stopWaking(42);
  assert.deepEqual(beacon.repeatWakes(5_000), []);
  await prove(beacon, 43, B, { flags: 0 });
  assert.deepEqual(sent(beacon.wake(43, 5_000)), [[NOTICE, B]]);
  await prove(beacon, 42, A, { now: 6_000 });
  const late = 6_000 + PROOF_TTL_MS + 1;
  assert.deepEqual(sent(beacon.wake(42, late)), [[NOTICE, A]], "the proof is old");
});

Deno.test("a repetition follows a node that has moved", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A, { nonce: nonceOf(1) });
  beacon.wake(42, 0);
  await prove(beacon, 42, B, { nonce: nonceOf(2), now: 100 });
  const [again] = messages(beacon.repeatWakes(200));
  assert.ok(again?.[0].type === "wake");
  assert.deepEqual([again[0].token, again[1]], [nonceOf(2), B]);
});

Deno.test("Wakes are bounded, and stopping makes room", () => {
  const wakes = new Wakes();
  for (let node = 1; node <= MAX_WAKES; node++) assert.ok(wakes.start(node, 0));
  assert.equal(wakes.start(MAX_WAKES + 1, 0), undefined);
  wakes.stop(1);
  assert.ok(wakes.start(MAX_WAKES + 1, 0));
  assert.equal(wakes.size, MAX_WAKES);
});

Deno.test("Wakes send each wake at its times and never after the poll", () => {
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 300 }),
    node: fc.integer({ min: 1, max: 4 }),
    stop: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const wakes = new Wakes();
    /** Started at, and repetitions seen. */
    const open = new Map<number, { at: number; seen: number; sequence: number }>();
    let now = 0;
    const turn = (to: number) => {
      for (let at = wakes.nextAt; at !== undefined && at <= to; at = wakes.nextAt) {
        for (const { node, sequence } of wakes.due(at)) {
          const wake = open.get(node);
          assert.ok(wake !== undefined && wake.sequence === sequence, "it is wanted");
          assert.equal(at, wake.at + WAKE_REPEAT_MS[wake.seen]!);
          if (++wake.seen === WAKE_REPEAT_MS.length) open.delete(node);
        }
      }
      now = to;
    };
    for (const { wait, node, stop } of steps) {
      turn(now + wait);
      if (stop) {
        wakes.stop(node);
        open.delete(node);
      } else {
        const wake = wakes.start(node, now);
        assert.equal(wake === undefined, open.has(node));
        if (wake !== undefined) open.set(node, { at: now, seen: 0, sequence: wake.sequence });
      }
      assert.equal(wakes.size, open.size);
    }
    turn(now + 10_000);
    assert.equal(wakes.size, 0);
    assert.equal(wakes.nextAt, undefined);
  }));
});
