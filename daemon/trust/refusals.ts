/**
 * Which of our requests were refused, and why: for those who ask what became of them.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";

/** Refusals kept; the oldest goes first. A node can refuse only what it was asked, but may be asked often. */
export const MAX_REFUSALS = 256;

/** A refusal. */
export interface Refusal {
  /** Who refused. */
  readonly nodeId: number;
  /** Its words; empty when it gave none. */
  readonly reason: string;
  /** When, Unix milliseconds. */
  readonly refusedAt: number;
}

/** The latest refusals, since the start of the daemon. */
export class Refusals {
  readonly #byNode = new Map<number, Refusal>();

  /** Notes one. */
  add(refusal: Refusal): void {
    this.#byNode.delete(refusal.nodeId);
    this.#byNode.set(refusal.nodeId, refusal);
    if (this.#byNode.size <= MAX_REFUSALS) return;
    const [oldest] = this.#byNode.keys();
    this.#byNode.delete(oldest!);
  }

  /** The node was asked again, or is trusted. */
  forget(node: number): void {
    this.#byNode.delete(node);
  }

  /** Lists them, the oldest first. */
  all(): Refusal[] {
    return [...this.#byNode.values()];
  }

  /** The error for who waits for trust in a node that has refused; undefined when it has not. */
  error(node: number): PilotError | undefined {
    const refusal = this.#byNode.get(node);
    if (refusal === undefined) return undefined;
    const why = refusal.reason === "" ? ", without a reason" : `: ${refusal.reason}`;
    return new PilotError("denied", `Node ${node} rejected the request${why}`, {
      hint: "Talk to its operator, then ask again.",
    });
  }
}
