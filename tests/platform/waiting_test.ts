import assert from "node:assert/strict";
import { Deadline, inTime, pause, unlessAborted } from "../../platform/waiting.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { settle } from "../support/settle.ts";

/** Whether a promise has settled. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let isDone = false;
  const done = () => isDone = true;
  promise.then(done, done);
  await settle();
  return isDone;
}

const never = new Promise<never>(() => {});

Deno.test("a pause ends with its time or with its signal, and leaves no timer", async () => {
  const clock = new ManualClock();
  const whole = pause(clock, 1_000);
  await clock.run(999);
  assert.equal(await isSettled(whole), false);
  await clock.run(1);
  assert.equal(await isSettled(whole), true);
  const ending = new AbortController();
  const early = pause(clock, 1_000, ending.signal);
  assert.equal(await isSettled(early), false);
  ending.abort();
  assert.equal(await isSettled(early), true);
  await pause(clock, 1_000, ending.signal);
  assert.equal(clock.pending, 0);
});

Deno.test("what comes in time is given, what fails in time is thrown, what comes late is undefined", async () => {
  const clock = new ManualClock();
  assert.equal(await inTime(clock, Promise.resolve(7), 1_000), 7);
  await assert.rejects(inTime(clock, Promise.reject(new Error("broken")), 1_000), /broken/);
  const late = Promise.withResolvers<number>();
  const waiting = inTime(clock, late.promise, 1_000);
  await clock.run(999);
  assert.equal(await isSettled(waiting), false);
  await clock.run(1);
  assert.equal(await waiting, undefined);
  late.reject(new Error("nobody hears it"));
  const ending = new AbortController();
  const given = inTime(clock, never, 1_000, ending.signal);
  ending.abort();
  assert.equal(await given, undefined);
  assert.equal(clock.pending, 0);
});

Deno.test("a wait for something without a signal of its own ends with the signal's reason", async () => {
  const ending = new AbortController();
  assert.equal(await unlessAborted(ending.signal, Promise.resolve(7)), 7);
  const waiting = unlessAborted(ending.signal, never);
  ending.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(unlessAborted(ending.signal, never), /enough/);
});

Deno.test("a deadline fires at its time, which can be moved, with its reason", async () => {
  const clock = new ManualClock();
  const deadline = new Deadline(clock, 1_000, undefined, () => new Error("late"));
  await clock.run(999);
  deadline.move(1_000);
  await clock.run(999);
  assert.deepEqual([deadline.signal.aborted, deadline.isPast], [false, false]);
  await clock.run(1);
  assert.deepEqual([deadline.signal.aborted, deadline.isPast], [true, true]);
  assert.equal((deadline.signal.reason as Error).message, "late");
  assert.equal(clock.pending, 0);
});

Deno.test("a deadline fires with another signal, also one that has fired before, and not once it is cleared", async () => {
  const clock = new ManualClock();
  const ending = new AbortController();
  const [fired, cleared] = [1, 2].map(() => new Deadline(clock, Infinity, ending.signal));
  cleared!.clear();
  ending.abort("why");
  const after = new Deadline(clock, 1_000, ending.signal);
  const all = [fired!, cleared!, after];
  assert.deepEqual(all.map(({ signal }) => signal.aborted), [true, false, true]);
  assert.deepEqual(all.map(({ isPast }) => isPast), [false, false, false]);
  assert.equal(fired!.signal.reason, "why");
  after.clear();
  await clock.run(2_000);
  assert.equal(clock.pending, 0);
});
