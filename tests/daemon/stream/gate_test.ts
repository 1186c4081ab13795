import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import {
  Gate,
  type GateDeps,
  MAX_SYN_SOURCES,
  SYN_RATE,
  SYN_RATE_STRANGER,
  SYN_RATE_TRUSTED,
} from "../../../daemon/stream/gate.ts";
import { ManualClock } from "../harness/clock.ts";
import { settle } from "../harness/settle.ts";

function gate(deps: Partial<GateDeps> = {}) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const checkTrust = deps.checkTrust ?? (() => Promise.resolve(false));
  return {
    clock,
    asked,
    gate: new Gate({
      clock,
      isPublic: () => false,
      isTrusted: () => false,
      isExpected: () => false,
      ...deps,
      checkTrust: (node) => {
        asked.push(node);
        return checkTrust(node);
      },
    }),
  };
}

Deno.test("Gate admits everybody to a public node and trusted peers to a private one, unasked", () => {
  const open = gate({ isPublic: () => true });
  const trusting = gate({ isTrusted: (node) => node === 5 });
  assert.ok(open.gate.admits(9, 80) && trusting.gate.admits(5, 80));
  assert.ok(!trusting.gate.admits(6, 80));
  assert.deepEqual([open.asked, trusting.asked], [[], [6]]);
});

Deno.test("Gate finds the registry's verdict at the next try and believes it for a minute", async () => {
  let answer = true;
  const { gate: it, asked, clock } = gate({ checkTrust: () => Promise.resolve(answer) });
  assert.equal(it.admits(5, 80), false);
  assert.equal(it.admits(5, 80), false);
  await settle();
  assert.equal(it.admits(5, 80), true);
  answer = false;
  await clock.run(59_999);
  assert.equal(it.admits(5, 80), true);
  await clock.run(1);
  assert.equal(it.admits(5, 80), false);
  await settle();
  assert.equal(it.admits(5, 80), false);
  assert.equal(asked.length, 2);
});

Deno.test("Gate stays shut while the registry is away and asks again", async () => {
  const { gate: it, asked } = gate({
    checkTrust: () => Promise.reject(new PilotError("unavailable", "away")),
  });
  for (let i = 1; i <= 3; i++) {
    assert.equal(it.admits(5, 80), false);
    await settle();
    assert.equal(asked.length, i);
  }
});

Deno.test("Gate.forget makes the registry's word count no longer", async () => {
  const { gate: it, asked } = gate({ checkTrust: () => Promise.resolve(true) });
  it.admits(5, 80);
  await settle();
  assert.ok(it.admits(5, 80));
  it.forget(5);
  assert.equal(it.admits(5, 80), false);
  assert.equal(asked.length, 2);
});

Deno.test("Gate.forget also discards an answer that is under way", async () => {
  const answer = Promise.withResolvers<boolean>();
  const { gate: it } = gate({ checkTrust: () => answer.promise });
  it.admits(5, 80);
  it.forget(5);
  answer.resolve(true);
  await settle();
  assert.equal(it.admits(5, 80), false);
});

Deno.test("Gate asks about a bounded number of peers at a time", async () => {
  const release = Promise.withResolvers<boolean>();
  const { gate: it, asked } = gate({ checkTrust: () => release.promise });
  for (let node = 1; node <= 1000; node++) it.admits(node, 80);
  const count = asked.length;
  assert.ok(count >= 16 && count <= 64, `${count}`);
  release.resolve(false);
  await settle();
  it.admits(1000, 80);
  assert.equal(asked.length, count + 1);
});

Deno.test("Gate.takeSyn gives each source its rate and all together theirs", async () => {
  const { gate: it, clock } = gate({ isTrusted: (node) => node < 1000 });
  const taken = (node: number, tries: number) => {
    let count = 0;
    for (let i = 0; i < tries; i++) if (it.takeSyn(node)) count++;
    return count;
  };
  assert.equal(taken(5000, 200), SYN_RATE_STRANGER.burst);
  assert.equal(taken(5, 2 * SYN_RATE_TRUSTED.burst), SYN_RATE_TRUSTED.burst);
  await clock.run(1_000);
  assert.equal(taken(5000, 200), SYN_RATE_STRANGER.perSecond);
  assert.equal(taken(5, 2 * SYN_RATE_TRUSTED.burst), SYN_RATE_TRUSTED.perSecond);
  await clock.run(60_000);
  let all = 0;
  for (let node = 1; node <= 10; node++) all += taken(node, SYN_RATE_TRUSTED.burst);
  assert.equal(all, SYN_RATE.burst);
});

Deno.test("Gate.takeSyn refuses new strangers when it counts as many as it may", async () => {
  const { gate: it, clock } = gate();
  let count = 0;
  for (let node = 1; node <= MAX_SYN_SOURCES + 1000; node++) {
    if (it.takeSyn(node)) count++;
    // Slow enough for the common limit, quick enough that nobody is forgotten.
    if (node % 1000 === 0) await clock.run(10);
  }
  assert.ok(count <= MAX_SYN_SOURCES);
});
