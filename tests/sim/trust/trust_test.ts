import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity } from "../../../protocol/crypto/mod.ts";
import { Deed, DEEDS, TrustRun } from "./run.ts";

/** Runs in the gate; `deno task test:trust` makes 10,000. */
const RUNS = Number(Deno.env.get("PILOT_TRUST_RUNS") ?? 300);

/** Keys cost more than anything else of a run. */
const identities = [await Identity.generate(), await Identity.generate()] as const;

async function newRun(seed: number): Promise<TrustRun> {
  const run = new TrustRun(seed, identities);
  await run.start();
  return run;
}

Deno.test("trust: whatever happens to two parties and their registry, nobody is in without consent and both agree", async () => {
  const deed = fc.tuple(
    // Decisions more often than faults.
    fc.constantFrom(...DEEDS, "request", "approve", "revoke", "request" as const),
    fc.constantFrom("a" as const, "b" as const),
    fc.constantFrom(0, 1, 30, 700, 2_500, 20_000),
  ).map(([what, who, thenMs]) => new Deed(what, who, thenMs));
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.commands([deed], { maxCommands: 40, size: "max" }),
      async (seed, commands) => {
        const run = await newRun(seed);
        await fc.asyncModelRun(() => ({ model: {}, real: run }), commands);
        await run.settle();
        await run.startOver();
        for (const party of run.parties) party.kill();
      },
    ),
    { numRuns: RUNS, endOnFailure: false },
  );
});

Deno.test("trust: a revocation holds through a day without a registry and a kill on a full disk", async () => {
  const run = await newRun(1);
  const [a, b] = run.parties;
  await run.startOver();
  run.registry.isDown = true;
  a.disk.isFull = true;
  run.mail.loss = 1;
  await run.clock.finish(a.revoke(b));
  assert.equal(a.standing, "no");
  for (let start = 0; start < 3; start++) {
    run.kill(a);
    run.begin(a.start());
    // The machine stands still for most of the day, so that the test does not take as long.
    await run.pass(60_000);
    assert.equal(a.letsIn(b.node), false);
    for (const party of run.parties) run.kill(party);
    await run.pass(8 * 3_600_000);
    run.begin(b.start());
  }
  run.begin(a.start());
  await run.pass(1_000);
  assert.equal(a.letsIn(b.node), false);
  assert.equal(b.state.isTrusted(a.node), true, "nobody could tell it");
  await run.settle();
  assert.equal(b.state.isTrusted(a.node), false);
  await run.startOver();
  for (const party of run.parties) party.kill();
});

Deno.test("trust: a peer that was away for a month while it was revoked learns so and cannot come back alone", async () => {
  const run = await newRun(2);
  const [a, b] = run.parties;
  await run.startOver();
  run.kill(b);
  await run.clock.finish(a.revoke(b));
  run.kill(a);
  await run.pass(31 * 86_400_000);
  run.registry.restart();
  run.begin(a.start());
  run.begin(b.start());
  await run.pass(1_000);
  assert.equal(a.letsIn(b.node), false);
  await run.settle();
  assert.equal(b.state.isTrusted(a.node), false);
  await run.clock.finish(b.request(a));
  await run.settle();
  assert.equal(a.letsIn(b.node), false);
  assert.deepEqual(a.state.pending().map(({ nodeId }) => nodeId), [b.node]);
  await run.clock.finish(a.approve(b));
  await run.settle();
  assert.ok(a.letsIn(b.node) && b.letsIn(a.node));
  for (const party of run.parties) party.kill();
});
