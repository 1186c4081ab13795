import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CLOSED_PREFIXES,
  OLDER_PREFIXES,
  REPLAY_WINDOW_COUNTERS,
  ReplayWindow,
  ReplayWindows,
} from "../../../protocol/crypto/replay.ts";

/** Checks, commits when fresh, and tells whether it was. */
function take(window: ReplayWindow, counter: number): boolean {
  const fresh = window.check(counter);
  if (fresh) window.commit(counter);
  return fresh;
}

const W = REPLAY_WINDOW_COUNTERS;
const FAR = 2 ** 40;
const LAST = Number.MAX_SAFE_INTEGER;

// Each case: counters in order, and whether each is taken.
const CASES: [string, [number, boolean][]][] = [
  ["1 takes the first counter", [[1, true]]],
  ["2 takes counter 0, which drafts begin with", [[0, true], [0, false]]],
  ["3 takes any first counter", [[FAR, true], [FAR, false]]],
  ["4 refuses a repetition", [[1, true], [1, false], [2, true], [2, false]]],
  ["5 takes a swapped pair", [[2, true], [1, true], [1, false], [2, false]]],
  ["6 takes the far edge of the window", [[W, true], [1, true], [1, false]]],
  ["7 refuses one beyond the edge", [[W, true], [0, false]]],
  ["8 moves the edge by one", [[W, true], [W + 1, true], [1, false], [2, true]]],
  ["9 keeps bits over a short jump", [[5, true], [W + 3, true], [5, false]]],
  ["10 clears the bits it jumps over", [
    [5, true],
    [W + 4, true],
    [W + 3, true],
    [W + 3, false],
    [6, true],
  ]],
  ["11 clears everything on a jump of a window", [
    [5, true],
    [5 + W, true],
    [5, false],
    [6, true],
    [4 + W, true],
  ]],
  ["12 clears everything on a long jump", [
    [5, true],
    [FAR + 5, true],
    [FAR + 4, true],
    [FAR + 5, false],
    [FAR + 5 - W, false],
    [FAR + 6 - W, true],
  ]],
  ["13 works across 2^32", [
    [2 ** 32 - 1, true],
    [2 ** 32, true],
    [2 ** 32 + 1, true],
    [2 ** 32 - 1, false],
    [2 ** 32 - 2, true],
    [2 ** 32, false],
  ]],
  ["14 works up to 2^53-1", [
    [LAST - 1, true],
    [LAST, true],
    [LAST, false],
    [LAST - 1, false],
    [LAST - W + 1, true],
    [LAST - W, false],
  ]],
  ["15 refuses what is no counter", [
    [2 ** 53, false],
    [2 ** 64, false],
    [-1, false],
    [1.5, false],
    [NaN, false],
    [Infinity, false],
    [1, true],
  ]],
  ["16 clears the first of them, too", [
    [W, true],
    [1, true],
    [W + 2, true],
    [W + 1, true],
  ]],
];

for (const [name, steps] of CASES) {
  Deno.test(`ReplayWindow case ${name}`, () => {
    const window = new ReplayWindow();
    for (const [i, [counter, fresh]] of steps.entries()) {
      assert.equal(take(window, counter), fresh, `step ${i}: ${counter}`);
    }
  });
}

Deno.test("ReplayWindow.check alone changes nothing", () => {
  const window = new ReplayWindow();
  assert.equal(window.check(FAR), true);
  assert.equal(window.newest, -1);
  assert.equal(take(window, 1), true);
});

Deno.test("ReplayWindow.commit ignores what is too old or no counter", () => {
  const window = new ReplayWindow();
  take(window, FAR);
  for (const counter of [1, NaN, -5, 2 ** 60]) window.commit(counter);
  assert.equal(window.newest, FAR);
  assert.equal(window.check(FAR), false);
});

/** What the window promises, in three lines. */
class NaiveWindow {
  readonly #seen = new Set<number>();
  #newest = -1;

  take(counter: number): boolean {
    if (this.#seen.has(counter) || this.#newest - counter >= W) return false;
    this.#seen.add(counter);
    this.#newest = Math.max(this.#newest, counter);
    return true;
  }
}

Deno.test("ReplayWindow agrees with a naive model for any order of counters", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -20, max: 20 }) },
    { weight: 3, arbitrary: fc.integer({ min: -W - 5, max: W + 5 }) },
    { weight: 1, arbitrary: fc.integer({ min: -1000, max: 100_000 }) },
  );
  const start = fc.constantFrom(0, 3, 2 ** 32 - 300, FAR);
  const steps = fc.array(step, { maxLength: 300, size: "max" });
  fc.assert(fc.property(start, steps, (start, steps) => {
    const window = new ReplayWindow();
    const model = new NaiveWindow();
    let at = start;
    for (const step of steps) {
      at = Math.max(0, at + step);
      assert.equal(take(window, at), model.take(at), `counter ${at}`);
    }
  }));
});

Deno.test("ReplayWindows distinguishes a replay from an old counter", () => {
  const windows = new ReplayWindows();
  assert.equal(windows.accept(1, 10_000), "ok");
  assert.equal(windows.accept(1, 10_000), "replay");
  assert.equal(windows.accept(1, 10_000 - W), "old");
  assert.equal(windows.accept(1, 10_001 - W), "ok");
  assert.equal(windows.accept(1, 2 ** 53), "old");
});

Deno.test("ReplayWindows records every counter, not only the first of a prefix", () => {
  const windows = new ReplayWindows();
  for (const counter of [1, 2, W + 2]) {
    assert.equal(windows.accept(1, counter), "ok");
    assert.equal(windows.accept(1, counter), "replay");
  }
  assert.equal(windows.accept(1, 2), "old");
});

Deno.test("ReplayWindows keeps prefix 0 like any other when the next one comes", () => {
  const windows = new ReplayWindows();
  windows.accept(0, 5);
  windows.accept(1, 1);
  assert.equal(windows.accept(0, 6), "ok");
  assert.equal(windows.accept(0, 5), "old");
});

Deno.test("ReplayWindows forgets the prefix closed first when there are too many", () => {
  const windows = new ReplayWindows();
  const most = CLOSED_PREFIXES + OLDER_PREFIXES + 1;
  for (let prefix = 1; prefix <= most + 1; prefix++) windows.accept(prefix, 7);
  assert.equal(windows.accept(2, 7), "old");
  assert.equal(windows.accept(1, 7), "ok", "the price of the bound");
});

Deno.test("ReplayWindows takes a counter that restarts under a new prefix", () => {
  const windows = new ReplayWindows();
  assert.equal(windows.accept(0xffffffff, 500_000), "ok");
  assert.equal(windows.accept(0, 1), "ok");
  assert.equal(windows.accept(0, 1), "replay");
});

Deno.test("ReplayWindows takes late frames of an older prefix once and refuses their replays silently", () => {
  const windows = new ReplayWindows();
  windows.accept(1, 10);
  windows.accept(2, 1);
  assert.equal(windows.accept(1, 11), "ok");
  assert.equal(windows.accept(1, 11), "old");
  assert.equal(windows.accept(1, 10), "old");
  assert.equal(windows.accept(2, 1), "replay");
});

Deno.test("ReplayWindows keeps the older prefixes used last and never reopens a closed one", () => {
  const windows = new ReplayWindows();
  const last = OLDER_PREFIXES + 1;
  for (let prefix = 1; prefix <= last; prefix++) windows.accept(prefix, 1);
  assert.equal(windows.accept(1, 2), "ok");
  // Prefix 1 was used just now, so 2 is the one that goes.
  assert.equal(windows.accept(last + 1, 1), "ok");
  assert.equal(windows.accept(2, 2), "old");
  assert.equal(windows.accept(2, 1), "old");
  assert.equal(windows.accept(1, 3), "ok");
  assert.equal(windows.accept(3, 2), "ok");
});

Deno.test("ReplayWindows remembers closed prefixes up to its limit", () => {
  const windows = new ReplayWindows();
  const kept = CLOSED_PREFIXES + OLDER_PREFIXES + 1;
  for (let prefix = 1; prefix <= kept; prefix++) windows.accept(prefix, 7);
  assert.equal(windows.accept(1, 7), "old");
  assert.equal(windows.accept(kept + 1, 7), "ok");
  assert.equal(windows.accept(2, 7), "old");
});

Deno.test("ReplayWindows does not open a prefix for an invalid counter", () => {
  const windows = new ReplayWindows();
  assert.equal(windows.accept(1, 1), "ok");
  assert.equal(windows.accept(2, 2 ** 60), "old");
  assert.equal(windows.accept(1, 1), "replay");
});
