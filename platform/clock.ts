/**
 * Time as the parts of a daemon and of a rendezvous see it: injected, so that tests can turn it by hand.
 *
 * @module
 */

/** Monotonic time, the calendar, and one-shot timers. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. For ages, rates and deadlines. */
  now(): number;
  /** Unix time, milliseconds; for timestamps that people and other machines see. */
  unixNow(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/**
 * The machine's clock, for programs without a log: what a timer's task throws is nobody's but the program's. Others
 * have `systemClock`.
 */
export const plainClock: Clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Unix time in whole seconds.
 *
 * @param clock Where time comes from.
 * @returns Seconds since 1970.
 */
export function unixSeconds(clock: Clock): number {
  return Math.floor(clock.unixNow() / 1000);
}

/** What gives timers: a clock, or a set of timers that end together. */
export type Timers = Pick<Clock, "after">;

/**
 * Calls `fn` again and again.
 *
 * @param timers Whose time.
 * @param ms Time between two calls, and before the first one.
 * @param fn What is called; what it throws ends nothing.
 * @returns Ends it.
 */
export function every(timers: Timers, ms: number, fn: () => unknown): () => void {
  const turn = () => {
    cancel = timers.after(ms, turn); // first: whatever goes wrong, there is a next time
    return fn();
  };
  let cancel = timers.after(ms, turn);
  return () => cancel();
}

/** Timers that end together, so that closing something leaves none behind. */
export class TimerSet implements Timers {
  readonly #clock: Timers;
  readonly #cancels = new Set<() => void>();
  #closed = false;

  constructor(clock: Timers) {
    this.#clock = clock;
  }

  /** Calls `fn` once after `ms`, unless cancelled or the set is closed before. */
  after(ms: number, fn: () => void): () => void {
    if (this.#closed) return () => {};
    const stop = this.#clock.after(ms, () => {
      this.#cancels.delete(cancel);
      fn();
    });
    const cancel = () => {
      this.#cancels.delete(cancel);
      stop();
    };
    this.#cancels.add(cancel);
    return cancel;
  }

  /** Cancels every timer. */
  clear(): void {
    for (const cancel of [...this.#cancels]) cancel();
  }

  /** Cancels every timer and starts no other. */
  close(): void {
    this.#closed = true;
    this.clear();
  }
}
