/**
 * Waiting for something with a time limit and a way to give up.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Clock } from "../../platform/clock.ts";

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
export function withLimits(promise: Promise<void>, limits: WaitLimits): Promise<void> {
  const { clock, timeoutMs, signal, what } = limits;
  return new Promise((resolve, reject) => {
    const onAbort = () =>
      finish(() =>
        reject(new PilotError("aborted", `${what} was cancelled`, { cause: signal?.reason }))
      );
    const cancel = clock.after(
      timeoutMs,
      () => finish(() => reject(new PilotError("timeout", `${what} timed out`))),
    );
    const finish = (settle: () => void) => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
      settle();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    promise.then(() => finish(resolve), (error) => finish(() => reject(error)));
  });
}
