/**
 * Waiting for something with a time limit and a way to give up.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Clock } from "../../platform/clock.ts";
import { Deadline, unlessAborted } from "../../platform/waiting.ts";

/** How long to wait for a promise. */
export interface WaitLimits {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Names what is waited for in errors: "Dial of 0:0000.0000.0007 port 80". */
  readonly what: string;
}

/**
 * Lets a caller stop waiting for a promise; its work continues unobserved.
 *
 * @param promise What to wait for.
 * @param limits How long.
 * @throws {PilotError} `timeout`, `aborted`; or as the promise.
 */
export async function withLimits(promise: Promise<void>, limits: WaitLimits): Promise<void> {
  const { clock, timeoutMs, signal, what } = limits;
  const late = () => new PilotError("timeout", `${what} timed out`);
  const deadline = new Deadline(clock, timeoutMs, signal, late);
  try {
    await unlessAborted(deadline.signal, promise);
  } catch (error) {
    if (deadline.isPast || error !== signal?.reason) throw error;
    throw new PilotError("aborted", `${what} was cancelled`, { cause: error });
  } finally {
    deadline.clear();
  }
}
