/**
 * Waiting with an end: for time to pass, and for something that may not come.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";

/**
 * Lets time pass.
 *
 * @param ms How long, milliseconds.
 * @param options Whose time, the machine's by default; a signal ends the pause early.
 * @returns Resolves when it is over, either way.
 */
export function pause(
  ms: number,
  { clock = systemClock, signal }: { clock?: Clock; signal?: AbortSignal | undefined } = {},
): Promise<void> {
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
 * @param promise What is awaited.
 * @param ms How long, milliseconds.
 * @param clock Whose time; the machine's by default.
 * @returns What came of it; undefined when it did not come in time.
 * @throws What it rejected with in time.
 */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  clock: Clock = systemClock,
): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.after(ms, () => late.resolve(undefined));
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    cancel();
  }
}
