/**
 * Which nodes have lately dealt with each other, as noted in memory: which nodes others have asked for, and which have
 * looked at them.
 *
 * @module
 */

/** Bounds of {@linkcode RecentPairs}. */
export interface RecentPairsLimits {
  /** Others remembered of one node; of more the oldest is forgotten. */
  readonly perNode: number;
  /** Pairs in all; of more the node that was noted longest ago loses its oldest. */
  readonly total: number;
  /** How long a pair counts, milliseconds. */
  readonly ttlMs: number;
}

/** Ordered pairs of nodes, each with the time of its last event. */
export class RecentPairs {
  readonly #limits: RecentPairsLimits;
  /** By the first node: the other, and when, monotonic milliseconds; the latest last. */
  readonly #byNode: Map<number, Map<number, number>> = new Map();
  #size = 0;

  /** @param limits Bounds. */
  constructor(limits: RecentPairsLimits) {
    this.#limits = limits;
  }

  /** Pairs remembered. */
  get size(): number {
    return this.#size;
  }

  /** Notes a pair; `now` in monotonic milliseconds. */
  note(from: number, to: number, now: number): void {
    const others = this.#byNode.get(from) ?? new Map<number, number>();
    // The node that was noted last is last, so the first is the one to lose its entries.
    this.#byNode.delete(from);
    this.#byNode.set(from, others);
    if (!others.delete(to)) this.#size++;
    others.set(to, now);
    if (others.size > this.#limits.perNode) this.#dropOldest(from, others);
    else if (this.#size > this.#limits.total) {
      const [first] = this.#byNode;
      this.#dropOldest(...first!);
    }
  }

  /** Has the pair been noted lately? */
  has(from: number, to: number, now: number): boolean {
    const at = this.#byNode.get(from)?.get(to);
    return at !== undefined && now - at < this.#limits.ttlMs;
  }

  /** Everybody noted with a node lately. */
  of(from: number, now: number): number[] {
    return [...this.#byNode.get(from)?.keys() ?? []].filter((to) => this.has(from, to, now));
  }

  /** Forgets a pair. */
  forget(from: number, to: number): void {
    const others = this.#byNode.get(from);
    if (others?.delete(to) !== true) return;
    this.#size--;
    if (others.size === 0) this.#byNode.delete(from);
  }

  #dropOldest(from: number, others: Map<number, number>): void {
    const [oldest] = others.keys();
    this.forget(from, oldest!);
  }
}
