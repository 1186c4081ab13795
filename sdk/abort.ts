/**
 * Abort signals and deadlines, turned into {@linkcode PilotError}s.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import { plainClock } from "../platform/clock.ts";
import { Deadline, pause } from "../platform/waiting.ts";

/** Options of every call that can be given up. */
export interface AbortOptions {
  /** Ends the call with an `aborted` error (`timeout` for `AbortSignal.timeout()`). */
  signal?: AbortSignal | undefined;
}

/** Options of calls that wait for a remote party. */
export interface WaitOptions extends AbortOptions {
  /** Longest wait in milliseconds; the error afterwards is `timeout`. */
  timeoutMs?: number | undefined;
}

/**
 * The error of a fired signal.
 *
 * @param signal A signal whose `aborted` is true.
 * @param what What was given up, put before the reason.
 * @returns `timeout` for a timeout signal, the reason itself where it is a {@linkcode PilotError}, else `aborted`.
 */
export function abortError(signal: AbortSignal, what: string): PilotError {
  const reason: unknown = signal.reason;
  if (reason instanceof PilotError) return reason;
  if (reason instanceof DOMException && reason.name === "TimeoutError") {
    return new PilotError("timeout", `${what} took too long`, {
      cause: reason,
    });
  }
  return new PilotError("aborted", `${what} was aborted`, { cause: reason });
}

/**
 * Throws when the signal has fired already.
 *
 * @param signal The caller's signal, if any.
 * @param what What is about to start.
 * @throws {PilotError} `aborted` or `timeout`.
 */
export function checkAbort(
  signal: AbortSignal | undefined,
  what: string,
): void {
  if (signal?.aborted) throw abortError(signal, what);
}

/**
 * Calls `onAbort` when the signal fires, until the returned function is called.
 *
 * @param signal The caller's signal, if any.
 * @param onAbort Called at most once; not called for a signal that has fired before.
 * @returns Stops listening.
 */
export function watchAbort(
  signal: AbortSignal | undefined,
  onAbort: () => void,
): () => void {
  if (signal === undefined) return noop;
  signal.addEventListener("abort", onAbort, { once: true });
  return () => signal.removeEventListener("abort", onAbort);
}

function noop(): void {}

/**
 * Runs `work` with a signal that fires when the caller's does or when time is up.
 *
 * @param options The caller's signal and limit.
 * @param what Names the work in errors.
 * @param work Gets the joined signal.
 * @returns What `work` returns.
 * @throws {PilotError} `timeout` or `aborted` through the signal, and whatever `work` throws.
 */
export async function withDeadline<T>(
  options: WaitOptions,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  checkAbort(options.signal, what);
  const { timeoutMs = Infinity, signal } = options;
  const late = () => timeoutError(what, timeoutMs);
  const deadline = new Deadline(plainClock, timeoutMs, signal, late);
  try {
    return await work(deadline.signal);
  } catch (error) {
    // Runtime functions given the signal throw its reason as it is.
    if (error instanceof PilotError || !deadline.signal.aborted) throw error;
    throw abortError(deadline.signal, what);
  } finally {
    deadline.clear();
  }
}

/**
 * The error of a wait that ended without an answer.
 *
 * @param what What was waited for.
 * @param timeoutMs How long, milliseconds.
 * @returns A `timeout` error.
 */
export function timeoutError(what: string, timeoutMs: number): PilotError {
  return new PilotError(
    "timeout",
    `${what}: no answer within ${timeoutMs / 1000} s`,
  );
}

/**
 * Waits, unless the signal fires first.
 *
 * @param ms Milliseconds.
 * @param signal Ends the wait.
 * @param what Names the wait in errors.
 * @throws {PilotError} `aborted` or `timeout`.
 */
export async function delay(
  ms: number,
  signal: AbortSignal | undefined,
  what: string,
): Promise<void> {
  await pause(plainClock, ms, signal);
  checkAbort(signal, what);
}
