import assert from "node:assert/strict";
import fc from "fast-check";
import { TimerQueue } from "../../../daemon/stream/timer_queue.ts";
import type { Timed } from "../../../protocol/deadline_queue.ts";
import { ManualClock } from "../../support/manual_clock.ts";

class Item implements Timed {
  at = Infinity;
  /** What the deadline becomes when it fires: this much later, or never. */
  next = Infinity;
  readonly fired: number[] = [];

  deadline(): number {
    return this.at;
  }

  onTimer(now: number): void {
    this.fired.push(now);
    this.at = now + this.next;
    this.next = Infinity;
  }
}

/** The same by looking at everything all the time. */
class NaiveQueue {
  readonly items = new Map<Timed, number>();

  run(items: readonly Item[], from: number, to: number): void {
    for (;;) {
      const due = items.filter((item) => this.items.has(item) && Math.max(item.at, from) <= to)
        .sort((a, b) => a.at - b.at)[0];
      if (due === undefined) return;
      due.onTimer(Math.max(due.at, from));
    }
  }
}

const ITEMS = 6;
const step = fc.oneof(
  fc.record({
    kind: fc.constant("set" as const),
    item: fc.nat(ITEMS - 1),
    inMs: fc.oneof(fc.nat(50), fc.nat(5_000), fc.constant(Infinity)),
    next: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(Infinity)),
  }),
  fc.record({ kind: fc.constant("delete" as const), item: fc.nat(ITEMS - 1) }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(200) }),
);

Deno.test("TimerQueue fires what a naive queue fires, at the same times (property)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const clock = new ManualClock();
      const queue = new TimerQueue(clock);
      const naive = new NaiveQueue();
      const items = Array.from({ length: ITEMS }, () => new Item());
      const twins = items.map(() => new Item());
      for (const s of steps) {
        if (s.kind === "pass") {
          const from = clock.now();
          await clock.run(s.ms);
          naive.run(twins, from, clock.now());
        } else if (s.kind === "delete") {
          queue.delete(items[s.item]!);
          naive.items.delete(twins[s.item]!);
          items[s.item]!.at = twins[s.item]!.at = Infinity;
        } else {
          for (const item of [items[s.item]!, twins[s.item]!]) {
            item.at = clock.now() + s.inMs;
            item.next = s.next;
          }
          queue.touch(items[s.item]!);
          naive.items.set(twins[s.item]!, 0);
        }
      }
      const from = clock.now();
      await clock.run(20_000);
      naive.run(twins, from, clock.now());
      assert.deepEqual(items.map(({ fired }) => fired), twins.map(({ fired }) => fired));
      assert.equal(queue.size, 0);
      assert.equal(queue.entries, 0);
      assert.equal(clock.pending, 0);
    }),
    { numRuns: 150 },
  );
});

Deno.test("TimerQueue sets no timer for a deadline that only moves later", async () => {
  const clock = new ManualClock();
  const queue = new TimerQueue(clock);
  const item = new Item();
  const after = clock.after.bind(clock);
  let timers = 0;
  clock.after = (ms, fn) => {
    timers++;
    return after(ms, fn);
  };
  for (let i = 0; i < 1000; i++) {
    item.at = clock.now() + 200 + i;
    queue.touch(item);
  }
  assert.deepEqual([timers, queue.entries], [1, 1]);
  await clock.run(5_000);
  assert.deepEqual(item.fired, [1_001_199]);
});

Deno.test("TimerQueue does not gather stale entries when near and far deadlines alternate", async () => {
  const clock = new ManualClock();
  const queue = new TimerQueue(clock);
  const items = Array.from({ length: 10 }, () => new Item());
  let most = 0;
  for (let i = 0; i < 300; i++) {
    for (const item of items) {
      item.at = clock.now() + 5;
      item.next = 40_000;
      queue.touch(item);
    }
    await clock.run(10);
    most = Math.max(most, queue.entries);
  }
  assert.ok(most <= 100, `${most}`);
  assert.equal(queue.size, 10);
});

Deno.test("TimerQueue does not gather entries of deleted items", () => {
  const clock = new ManualClock();
  const queue = new TimerQueue(clock);
  const stays = new Item();
  stays.at = clock.now() + 50_000;
  queue.touch(stays);
  for (let i = 0; i < 10_000; i++) {
    const item = new Item();
    item.at = clock.now() + 40_000;
    queue.touch(item);
    queue.delete(item);
  }
  assert.ok(queue.entries <= 100, `${queue.entries}`);
  queue.delete(stays);
  assert.deepEqual([queue.entries, queue.size, clock.pending], [0, 0, 0]);
});

Deno.test("TimerQueue survives that items are deleted and touched while it fires", async () => {
  const clock = new ManualClock();
  const queue = new TimerQueue(clock);
  const [first, second, third] = [new Item(), new Item(), new Item()];
  for (const item of [first, second, third]) {
    item.at = clock.now() + 10;
    queue.touch(item);
  }
  first.onTimer = (now) => {
    first.fired.push(now);
    first.at = Infinity;
    for (const item of [first, second, third]) queue.delete(item);
    third.at = now + 7;
    queue.touch(third);
  };
  second.at = Infinity;
  await clock.run(100);
  assert.deepEqual([first.fired.length, second.fired.length], [1, 0]);
  assert.ok(third.fired.includes(1_000_017));
});
