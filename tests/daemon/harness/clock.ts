/**
 * A clock that is cranked by hand.
 *
 * @module
 */

import type { Clock } from "../../../daemon/clock.ts";
import { settle } from "./settle.ts";

interface Timer {
  readonly at: number;
  readonly fn: () => void;
}

/** A {@linkcode Clock} whose time passes only in {@linkcode ManualClock.run}. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; Infinity when there is none. */
  get nextAt(): number {
    let next = Infinity;
    for (const { at } of this.#timers) next = Math.min(next, at);
    return next;
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
    const due = [...this.#timers].filter((timer) => timer.at <= this.#now)
      .sort((a, b) => a.at - b.at);
    for (const timer of due) {
      if (this.#timers.delete(timer)) timer.fn();
    }
  }
}
