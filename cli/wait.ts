/**
 * Deadlines for things that take an `AbortSignal`.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

/**
 * Runs something that gives up when its signal fires, and fires it after a time.
 *
 * @param ms Longest time, milliseconds; 0 and Infinity mean no limit.
 * @param signal Fires as well.
 * @param what Named in the `timeout` error.
 * @param body What to do.
 * @returns What `body` gave.
 * @throws {PilotError} `timeout` when the time was up, otherwise what `body` threw.
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal,
  what: string,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (ms === 0 || ms === Infinity) return await body(signal);
  const deadline = new Deadline(ms, signal);
  try {
    return await body(deadline.signal);
  } catch (error) {
    if (!deadline.isPast) throw error;
    throw new PilotError("timeout", `${what}: nothing within ${ms / 1000} s`, {
      cause: error,
    });
  } finally {
    deadline.clear();
  }
}

/** A signal that fires at a time that can still be moved, or together with another one. */
export class Deadline {
  /** Fires at the deadline. */
  readonly signal: AbortSignal;
  readonly #timer = new AbortController();
  #handle: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param ms Milliseconds from now; Infinity for never.
   * @param signal Fires as well.
   */
  constructor(ms: number, signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#timer.signal]);
    this.move(ms);
  }

  /** Whether the time is up (not whether the other signal fired). */
  get isPast(): boolean {
    return this.#timer.signal.aborted;
  }

  /** Sets a new deadline, `ms` milliseconds from now. */
  move(ms: number): void {
    this.clear();
    if (ms === Infinity) return;
    this.#handle = setTimeout(() => this.#timer.abort(), ms);
  }

  /** Stops the clock. */
  clear(): void {
    clearTimeout(this.#handle);
  }
}

/**
 * Waits.
 *
 * @param ms Milliseconds.
 * @returns When they have passed.
 */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Waits, or until a signal fires.
 *
 * @param signal Ends the wait early.
 * @param ms Milliseconds.
 * @returns When either has happened.
 */
export async function sleepUnless(signal: AbortSignal, ms: number): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = () => resolve();
  signal.addEventListener("abort", wake, { once: true });
  const timer = setTimeout(wake, ms);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", wake);
}
