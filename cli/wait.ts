/**
 * Deadlines for things that take an `AbortSignal`.
 *
 * @module
 */

import { plainClock } from "../platform/clock.ts";
import { Deadline } from "../platform/waiting.ts";
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
  const deadline = new Deadline(plainClock, ms, signal);
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
