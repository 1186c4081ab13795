/**
 * A clock that is cranked by hand.
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { settle } from "./settle.ts";

interface Timer {
  readonly at: number;
  /** Order among timers of the same moment. */
  readonly order: number;
  /** Undefined once it has fired or was cancelled. */
  fn: (() => void) | undefined;
}

const START_MS = 1_000_000;
/** The calendar when a clock starts. */
const UNIX_START_MS = Date.UTC(2026, 0, 1);

/** A {@linkcode Clock} whose time passes only when it is told so. */
export class ManualClock implements Clock {
  #now = START_MS;
  /** By how much the calendar is ahead, milliseconds: set wrong, or the machine has slept. */
  skewMs = 0;
  #orders = 0;
  #pending = 0;
  /** A binary heap: simulations have thousands of timers. */
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#now;
  }

  unixNow(): number {
    return UNIX_START_MS - START_MS + this.#now + this.skewMs;
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#orders++, fn };
    this.#push(timer);
    this.#pending++;
    return () => this.#end(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#pending;
  }

  /** When the next timer is due; Infinity when there is none. */
  get nextAt(): number {
    while (this.#heap.length > 0 && this.#heap[0]!.fn === undefined) this.#pop();
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Turns it on by `ms` at once. Timers that are due have their turn in the next {@linkcode run}. */
  advance(ms: number): void {
    this.#now += ms;
  }

  /** Lets `ms` pass: every timer in order, and after each moment everything that follows from it. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let next = this.nextAt; next <= end; next = this.nextAt) {
      this.#turnTo(next);
      await settle();
    }
    this.#now = end;
  }

  /**
   * Lets time pass until a condition holds.
   *
   * @throws When it does not within `limitMs`.
   */
  async until(condition: () => boolean, limitMs: number = 60_000): Promise<void> {
    const end = this.#now + limitMs;
    await settle();
    while (!condition()) {
      const next = this.nextAt;
      if (next > end) throw new Error(`The condition did not come true within ${limitMs} ms`);
      this.#turnTo(next);
      await settle();
    }
  }

  /** Lets time pass until a promise settles. */
  async finish<T>(promise: Promise<T>, limitMs: number = 60_000): Promise<T> {
    let isDone = false;
    const done = () => isDone = true;
    promise.then(done, done);
    await this.until(() => isDone, limitMs);
    return await promise;
  }

  #turnTo(at: number): void {
    this.#now = Math.max(this.#now, at);
    // Timers set meanwhile for the same moment are for the next round.
    const due: Timer[] = [];
    while (this.nextAt <= this.#now) due.push(this.#pop());
    for (const timer of due) {
      const { fn } = timer;
      this.#end(timer);
      fn?.();
    }
  }

  #end(timer: Timer): void {
    if (timer.fn === undefined) return;
    timer.fn = undefined;
    this.#pending--;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(timer, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      const right = below + 1;
      if (right < heap.length && isBefore(heap[right]!, heap[below]!)) below = right;
      if (!isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at;
}
