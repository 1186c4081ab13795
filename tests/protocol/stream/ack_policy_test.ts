import assert from "node:assert/strict";
import { AckPolicy } from "../../../protocol/stream/ack_policy.ts";

/** Feeds segments `gapMs` apart and tells how many each acknowledgement covered, in the order they left. */
function covered(policy: AckPolicy, segments: number, gapMs: number, start = 0): number[] {
  const counts: number[] = [];
  let since = 0;
  for (let i = 0, now = start; i < segments; i++, now += gapMs) {
    if (since > 0 && now >= policy.deadline) {
      policy.acknowledged(policy.deadline);
      counts.push(since);
      since = 0;
    }
    since++;
    if (!policy.onSegment(now)) continue;
    policy.acknowledged(now);
    counts.push(since);
    since = 0;
  }
  return counts;
}

Deno.test("AckPolicy acknowledges rarely only what comes fast, and only after the start", () => {
  const counts = covered(new AckPolicy(5, false), 10_000, 0.02);
  assert.deepEqual(new Set(counts.slice(0, 32)), new Set([1]));
  assert.equal(Math.max(...counts.slice(0, 2_000)), 2);
  assert.deepEqual(new Set(counts.slice(-100)), new Set([8]));
});

Deno.test("AckPolicy stays with every second segment when they come slowly or from an older peer", () => {
  assert.equal(Math.max(...covered(new AckPolicy(5, false), 10_000, 0.3)), 2);
  assert.equal(Math.max(...covered(new AckPolicy(5, true), 10_000, 0.02)), 2);
});

Deno.test("AckPolicy notices a sender whose window is smaller than what it waits for", () => {
  const policy = new AckPolicy(5, false);
  covered(policy, 10_000, 0.02);
  policy.acknowledged(200);
  // Three segments, then silence: the acknowledgement leaves after 2 ms, and the next ones at once.
  for (let i = 0; i < 3; i++) assert.equal(policy.onSegment(1_000), false);
  assert.equal(policy.deadline, 1_002);
  policy.acknowledged(1_002);
  assert.equal(policy.deadline, Infinity);
  assert.equal(policy.onSegment(1_003), true);
});
