import assert from "node:assert/strict";
import { every, TimerSet } from "../../platform/clock.ts";
import { systemClock, turnClock } from "../../platform/system_clock.ts";
import { configureLog, resetLog } from "../../platform/log.ts";
import { setGuardedTimeout } from "../../platform/timers.ts";

Deno.test("a timer whose task throws ends nothing, and the error is logged with its place", async () => {
  const lines: string[] = [];
  configureLog({ level: "error", write: (line) => lines.push(line) });
  try {
    const done = Promise.withResolvers<void>();
    const timers = new TimerSet(systemClock);
    setGuardedTimeout(() => {
      throw new TypeError("one");
    }, 0);
    timers.after(0, () => {
      throw new TypeError("two");
    });
    setGuardedTimeout(() => Promise.reject(new TypeError("four")), 0);
    let turns = 0;
    const end = every(systemClock, 1, () => {
      if (++turns === 3) done.resolve();
      throw new TypeError("three");
    });
    await done.promise;
    end();
    timers.close();
    for (const word of ["one", "two", "three", "four"]) {
      assert.match(lines.find((line) => line.includes(word)) ?? "", /level=error.*timers_test\.ts/);
    }
  } finally {
    resetLog();
  }
});

Deno.test("systemClock measures what happens within a turn of the event loop, turnClock stands still in it", async () => {
  const [startMs, turnMs] = [systemClock.now(), turnClock.now()];
  const end = performance.now() + 2;
  while (performance.now() < end);
  assert.ok(systemClock.now() > startMs);
  assert.equal(turnClock.now(), turnMs);
  await Promise.resolve();
  assert.ok(turnClock.now() > turnMs);
});
