/**
 * How far each peer's statements have been acted upon, so that late and doubled ones are distinguished from new ones.
 *
 * @module
 */

import { ORDER_MAX_AHEAD_MS, SEEN_MAX } from "./trust_peer.ts";

/** Highest `order` acted upon, by node. */
export class SeenOrders {
  readonly #byNode: Map<number, number> = new Map();

  /** All, the one changed last at the end. */
  all(): { nodeId: number; order: number }[] {
    return [...this.#byNode].map(([nodeId, order]) => ({ nodeId, order }));
  }

  /** The highest order of a node. */
  get(node: number): number | undefined {
    return this.#byNode.get(node);
  }

  /** Takes what was stored. */
  load(nodeId: number, order: number): void {
    this.#byNode.set(nodeId, order);
  }

  /**
   * Takes the order of a statement.
   *
   * @param now Unix milliseconds.
   * @returns False for what is not newer than the last.
   */
  take(node: number, order: number, now: number): boolean {
    const seen = this.#byNode.get(node) ?? -1;
    const limit = now + ORDER_MAX_AHEAD_MS;
    // A mark from a clock that was far ahead must not silence the peer until then.
    if (order <= seen && (seen <= limit || order > limit)) return false;
    this.#byNode.delete(node);
    this.#byNode.set(node, order);
    return true;
  }

  /**
   * Forgets one of the nodes that nothing else is known of, when there are more than {@linkcode SEEN_MAX}.
   *
   * @param related How many nodes are to be kept, at most.
   * @param isRelated Whether a node is one of them.
   */
  trim(related: number, isRelated: (node: number) => boolean): void {
    if (this.#byNode.size <= SEEN_MAX + related) return;
    for (const node of this.#byNode.keys()) {
      if (isRelated(node)) continue;
      this.#byNode.delete(node);
      return;
    }
  }
}
