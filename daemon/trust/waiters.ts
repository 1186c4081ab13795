/**
 * Callers that wait until a node is trusted.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";

/** Callers that wait for trust at a time. */
export const MAX_WAITERS = 4_096;

/** Ends a wait: whether the node is trusted, or why it will not be. */
type Finish = (outcome: boolean | PilotError) => void;

/** Waiting callers, by node. */
export class TrustWaiters {
  readonly #timers: TimerSet;
  readonly #waiters = new Map<number, Set<Finish>>();
  #count = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#timers = new TimerSet(clock);
  }

  /** How many wait. */
  get count(): number {
    return this.#count;
  }

  /**
   * Waits for {@linkcode TrustWaiters.wake}.
   *
   * @returns True when woken; false after `timeoutMs`, when `signal` fires, or at the end.
   * @throws {PilotError} `limit_exceeded` when {@linkcode MAX_WAITERS} wait already; what {@linkcode TrustWaiters.fail}
   * was given.
   */
  async wait(node: number, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted || this.#closed) return false;
    if (this.#count >= MAX_WAITERS) {
      throw new PilotError("limit_exceeded", `${MAX_WAITERS} callers wait for trust already`);
    }
    const waiters = this.#waiters.get(node) ?? new Set<Finish>();
    this.#waiters.set(node, waiters);
    this.#count++;
    return await new Promise((resolve, reject) => {
      const finish: Finish = (outcome) => {
        if (!waiters.delete(finish)) return;
        this.#count--;
        if (waiters.size === 0) this.#waiters.delete(node);
        cancel();
        signal?.removeEventListener("abort", giveUp);
        if (typeof outcome === "boolean") resolve(outcome);
        else reject(outcome);
      };
      const giveUp = () => finish(false);
      const cancel = this.#timers.after(timeoutMs, giveUp);
      signal?.addEventListener("abort", giveUp, { once: true });
      waiters.add(finish);
    });
  }

  /** The node is trusted now. */
  wake(node: number): void {
    for (const finish of [...this.#waiters.get(node) ?? []]) finish(true);
  }

  /** Wakes those whose node is what they wait for by now. */
  wakeThose(isTrusted: (node: number) => boolean): void {
    for (const node of [...this.#waiters.keys()]) if (isTrusted(node)) this.wake(node);
  }

  /** The node will not be trusted. */
  fail(node: number, error: PilotError): void {
    for (const finish of [...this.#waiters.get(node) ?? []]) finish(error);
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closed = true;
    for (const waiters of [...this.#waiters.values()]) {
      for (const finish of [...waiters]) finish(false);
    }
    this.#timers.close();
  }
}
