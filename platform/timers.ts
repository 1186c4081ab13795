/**
 * Timers whose callbacks cannot end the process: what one throws is a bug in one part, and is logged, but
 * an uncaught error would end everything else with it.
 *
 * @module
 */

import { getLogger, LOG_CATEGORY } from "./log.ts";

/** What the global functions return. */
export type TimerHandle = ReturnType<typeof setTimeout>;

const log = getLogger([LOG_CATEGORY, "timers"]);

// Deno 2.9.6 panics when the first stack trace of a process is asked for while no descriptor is free.
void new Error("first stack trace").stack;

/** Calls `fn`; what it throws, or its promise rejects with, goes to the log. */
export function runGuarded(fn: () => unknown): void {
  try {
    const result = fn();
    if (result instanceof Promise) result.catch(tell);
  } catch (error) {
    tell(error);
  }
}

function tell(error: unknown): void {
  const stack = error instanceof Error ? error.stack : undefined;
  log.error("internal error in a timer's task", { error: String(error), stack: stack ?? "" });
}

/** As `setTimeout`, guarded. */
export function setGuardedTimeout(fn: () => unknown, ms: number): TimerHandle {
  return setTimeout(runGuarded, ms, fn);
}
