import assert from "node:assert/strict";
import { Moderation } from "../../../platform/net/moderation.ts";
import { newUdpStats } from "../../../platform/net/udp.ts";

/** What a socket sees in some seconds, and what is decided at the end. */
function decide(
  traffic: { perMs: number; bytes: number; answers: number },
  moderation: Moderation = new Moderation(),
  ms: number = 3_000,
): boolean {
  const stats = newUdpStats();
  let isOn = false;
  for (let tick = 0; tick < 10 * ms; tick++) {
    // Ten looks a millisecond, some of which find nothing and are not reported.
    const before = Math.floor(tick * traffic.perMs / 10);
    const news = Math.floor((tick + 1) * traffic.perMs / 10) - before;
    if (news === 0) continue;
    stats.received += news;
    stats.receivedBytes += news * traffic.bytes;
    stats.sent = Math.floor(stats.received * traffic.answers);
    isOn = moderation.drained(1_000 + tick / 10, stats);
  }
  return isOn;
}

Deno.test("Moderation pauses for a steady stream in one direction", () => {
  for (const perMs of [3, 8, 20]) {
    assert.equal(decide({ perMs, bytes: 1402, answers: 1 / 8 }), true, `${perMs} a ms`);
  }
});

Deno.test("Moderation does not keep questions, answers and acknowledgements waiting", () => {
  assert.equal(decide({ perMs: 5, bytes: 1402, answers: 1 }), false, "question and answer");
  assert.equal(decide({ perMs: 5, bytes: 1402, answers: 0.5 }), false, "every second answered");
  assert.equal(decide({ perMs: 5, bytes: 70, answers: 0 }), false, "acknowledgements");
});

Deno.test("Moderation leaves slow and fast streams alone", () => {
  assert.equal(decide({ perMs: 1, bytes: 1402, answers: 1 / 8 }), false);
  assert.equal(decide({ perMs: 100, bytes: 1402, answers: 1 / 32 }), false);
});

Deno.test("Moderation waits until a stream has been steady for two seconds", () => {
  assert.equal(decide({ perMs: 8, bytes: 1402, answers: 1 / 8 }, new Moderation(), 1_900), false);
});

Deno.test("Moderation ends with the stream: the first datagram after a silence is not followed by a pause", () => {
  const moderation = new Moderation();
  assert.equal(decide({ perMs: 8, bytes: 1402, answers: 1 / 8 }, moderation), true);
  const stats = {
    ...newUdpStats(),
    received: 24_001,
    receivedBytes: 24_001 * 1402,
    sent: 3_000,
  };
  assert.equal(moderation.drained(20_000, stats), false);
});
