import assert from "node:assert/strict";
import fc from "fast-check";
import FakeTimers from "@sinonjs/fake-timers";
import { Deadlines } from "../../sdk/deadlines.ts";

/** Runs with a clock of our own. */
function withClock(run: (clock: FakeTimers.Clock) => void): void {
  const clock = FakeTimers.install({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    run(clock);
    assert.equal(clock.countTimers(), 0, "a timer is left");
  } finally {
    clock.uninstall();
  }
}

Deno.test("Deadlines notifies in time each caller whose limit was not stopped, and no other", () => {
  const call = fc.record({
    at: fc.nat(500),
    limit: fc.constantFrom(10, 100, 1000),
    stopAfter: fc.option(fc.nat(1200), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(call, { maxLength: 30 }), (calls) =>
      withClock((clock) => {
        const deadlines = new Deadlines();
        const told: (number | undefined)[] = calls.map(() => undefined);
        calls.forEach(({ at, limit, stopAfter }, i) => {
          const timed = { onTimeout: () => void (told[i] = performance.now()) };
          clock.setTimeout(() => deadlines.start(timed, limit), at);
          if (stopAfter !== undefined) {
            clock.setTimeout(() => deadlines.stop(timed, limit), at + stopAfter);
          }
        });
        clock.tick(3000);
        calls.forEach(({ at, limit, stopAfter = Infinity }, i) => {
          const lateness = told[i] === undefined ? undefined : told[i] - at - limit;
          // A call stopped within the millisecond that timers are early or late may go either way.
          if (stopAfter > limit + 1) assert.ok(lateness! >= -1 && lateness! <= 1, `${lateness}`);
          else if (stopAfter < limit - 1) assert.equal(lateness, undefined);
        });
      })),
    { numRuns: 200 },
  );
});

Deno.test("Deadlines keeps one timer for calls of one limit, and none when nobody waits", () => {
  withClock((clock) => {
    const deadlines = new Deadlines();
    const calls = Array.from({ length: 100 }, () => ({ onTimeout: () => assert.fail() }));
    for (const timed of calls) deadlines.start(timed, 50);
    assert.equal(clock.countTimers(), 1);
    for (const timed of calls) deadlines.stop(timed, 50);
    assert.equal(clock.countTimers(), 0);
  });
});

Deno.test("Deadlines lets a notified caller start again", () => {
  withClock((clock) => {
    const deadlines = new Deadlines();
    let rounds = 0;
    const timed = {
      onTimeout: () => {
        if (++rounds < 3) deadlines.start(timed, 20);
      },
    };
    deadlines.start(timed, 20);
    deadlines.start({ onTimeout: () => {} }, 20);
    clock.tick(100);
    assert.equal(rounds, 3);
  });
});
