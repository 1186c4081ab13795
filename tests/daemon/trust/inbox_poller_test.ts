import assert from "node:assert/strict";
import { InboxPoller, POLL_MIN_MS, WAKE_MIN_MS } from "../../../daemon/trust/inbox_poller.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A poller with a regular poll every 10 minutes, and what it did. */
function setUp(): {
  clock: ManualClock;
  poller: InboxPoller;
  polls: number[];
  answers: { isRead: boolean; during: () => Promise<void> };
} {
  const clock = new ManualClock();
  const startMs = clock.now();
  const polls: number[] = [];
  const answers = { isRead: true, during: () => Promise.resolve() };
  const poller = new InboxPoller({
    clock,
    intervalMs: () => 600_000,
    poll: async () => {
      polls.push(clock.now() - startMs);
      await answers.during();
      return answers.isRead;
    },
  });
  return { clock, poller, polls, answers };
}

Deno.test("InboxPoller polls at its interval", async () => {
  const { clock, poller, polls } = setUp();
  poller.start(2_000);
  await clock.run(1_300_000);
  assert.deepEqual(polls, [2_000, 602_000, 1_202_000]);
  await poller.stop();
  assert.equal(clock.pending, 0);
});

Deno.test("InboxPoller.wake polls at once, and a flood of wakes once a second", async () => {
  const { clock, poller, polls } = setUp();
  poller.wake();
  await clock.run(0);
  assert.deepEqual(polls, [0]);
  for (let i = 0; i < 500; i++) {
    poller.wake();
    await clock.run(10);
  }
  assert.ok(polls.length <= 1 + 5_000 / WAKE_MIN_MS + 1, `${polls.length}`);
  await poller.stop();
});

Deno.test("InboxPoller.wake is not held up by a poll that was requested otherwise", async () => {
  const { clock, poller, polls } = setUp();
  poller.soon();
  await clock.run(0);
  poller.wake();
  await clock.run(POLL_MIN_MS);
  assert.deepEqual(polls, [0, POLL_MIN_MS]);
  await poller.stop();
});

Deno.test("InboxPoller polls again when it is woken during a poll", async () => {
  const { clock, poller, polls, answers } = setUp();
  let finish = () => {};
  answers.during = () => new Promise((resolve) => finish = resolve);
  poller.soon();
  await clock.run(0);
  answers.during = () => Promise.resolve();
  poller.wake();
  await clock.run(5_000);
  assert.deepEqual(polls, [0], "one at a time");
  finish();
  await clock.run(POLL_MIN_MS);
  assert.deepEqual(polls, [0, 5_000]);
  await poller.stop();
});

Deno.test("InboxPoller tries again soon when the poll that a wake caused fails", async () => {
  const { clock, poller, polls, answers } = setUp();
  answers.isRead = false;
  poller.wake();
  await clock.run(100_000);
  assert.deepEqual(polls, [0, 2_000]);
  await poller.stop();
});

Deno.test("InboxPoller does nothing after it was stopped", async () => {
  const { clock, poller, polls } = setUp();
  await poller.stop();
  poller.wake();
  poller.soon();
  await clock.run(10_000);
  assert.deepEqual(polls, []);
});
