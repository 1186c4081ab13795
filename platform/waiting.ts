/**
 * Waiting with an end: for time to pass, and for something that may not come.
 *
 * @module
 */

import type { Timers } from "./clock.ts";

/**
 * Lets time pass.
 *
 * @param clock Whose time.
 * @param ms How long, milliseconds.
 * @param signal Ends it early.
 * @returns Resolves when either has happened.
 */
export function pause(clock: Timers, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener("abort", end);
  });
}

/**
 * Waits for something for some time. It goes on by itself after that: whoever started it has to end it.
 *
 * @param clock Whose time.
 * @param promise What is awaited.
 * @param ms How long, milliseconds.
 * @param signal Ends the wait early.
 * @returns What came of it; undefined when it did not come in time.
 * @throws What it rejected with in time.
 */
export async function inTime<T>(
  clock: Timers,
  promise: Promise<T>,
  ms: number,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  try {
    return await Promise.race([promise, pause(clock, ms, either).then(() => undefined)]);
  } finally {
    over.abort();
  }
}

/**
 * Waits for something that takes no signal itself.
 *
 * @param signal Ends the wait.
 * @param promise What is awaited; it goes on unheard when the signal fires.
 * @returns What came of it.
 * @throws What it rejected with, or the signal's reason.
 */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const end = () => late.reject(signal.reason);
  if (signal.aborted) end();
  else signal.addEventListener("abort", end);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

/** A signal that fires at a time that can still be moved, or together with another one. */
export class Deadline {
  readonly #clock: Timers;
  readonly #controller = new AbortController();
  readonly #reason: (() => unknown) | undefined;
  readonly #unwatch: () => void;
  #cancel: (() => void) | undefined;
  #isPast = false;

  /**
   * @param clock Whose time.
   * @param ms Milliseconds from now; Infinity for never.
   * @param signal Fires as well.
   * @param reason What the signal fires with when the time is up; default an `AbortError`.
   */
  constructor(clock: Timers, ms: number, signal?: AbortSignal, reason?: () => unknown) {
    this.#clock = clock;
    this.#reason = reason;
    const end = () => this.#controller.abort(signal?.reason);
    this.#unwatch = () => signal?.removeEventListener("abort", end);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end, { once: true });
    this.move(ms);
  }

  /** Fires at the deadline. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the time is up (not whether the other signal fired). */
  get isPast(): boolean {
    return this.#isPast;
  }

  /** Sets a new deadline, `ms` milliseconds from now. */
  move(ms: number): void {
    this.#cancel?.();
    if (ms === Infinity) return;
    this.#cancel = this.#clock.after(ms, () => {
      this.#isPast = true;
      this.#controller.abort(this.#reason?.());
    });
  }

  /** It fires no more. */
  clear(): void {
    this.#cancel?.();
    this.#unwatch();
  }
}
