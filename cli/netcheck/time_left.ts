/**
 * The time that a whole check may take, shared by its parts.
 *
 * @module
 */

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
  async within<T>(work: Promise<T>, late: T): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<T>();
    const end = () => resolve(late);
    const timer = setTimeout(end, this.ms());
    this.#signal.addEventListener("abort", end, { once: true });
    try {
      return await Promise.race([work, promise]);
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", end);
    }
  }
}
