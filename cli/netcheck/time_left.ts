/**
 * The time that a whole check may take, shared by its parts.
 *
 * @module
 */

import { plainClock } from "../../platform/clock.ts";
import { inTime } from "../../platform/waiting.ts";

/** Counts down. */
export class TimeLeft {
  readonly #endMs: number;
  readonly #signal: AbortSignal;

  /**
   * @param ms Milliseconds from now.
   * @param signal Ends it early.
   */
  constructor(ms: number, signal: AbortSignal) {
    this.#endMs = performance.now() + ms;
    this.#signal = signal;
  }

  /**
   * What is left.
   *
   * @param atMost No more than this, milliseconds.
   * @returns Milliseconds, 0 when the time is up or the signal has fired.
   */
  ms(atMost: number = Infinity): number {
    if (this.#signal.aborted) return 0;
    return Math.max(0, Math.min(atMost, this.#endMs - performance.now()));
  }

  /** A share of it: `ms` from now, but not longer than the whole. */
  part(ms: number): TimeLeft {
    return new TimeLeft(this.ms(ms), this.#signal);
  }

  /**
   * Waits for something that cannot be cancelled no longer than this.
   *
   * @param work What to wait for; when it is late it continues unobserved.
   * @param late Given then.
   */
  async within<T extends object>(work: Promise<T>, late: T): Promise<T> {
    return await inTime(plainClock, work, this.ms(), this.#signal) ?? late;
  }
}
