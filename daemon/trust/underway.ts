/**
 * Decisions for a peer that wait for the registry: a later one against it counts more.
 *
 * @module
 */

/** One decision under way. */
export interface Decision extends Disposable {
  /** It was decided otherwise meanwhile. */
  readonly isOvertaken: boolean;
}

/** The decisions that wait. */
export class Underway {
  readonly #decisions = new Set<{ readonly node: number; isOvertaken: boolean }>();

  /** A decision for a node begins to wait, until it is disposed of. */
  begin(node: number): Decision {
    const decision = {
      node,
      isOvertaken: false,
      [Symbol.dispose]: () => void this.#decisions.delete(decision),
    };
    this.#decisions.add(decision);
    return decision;
  }

  /** It is decided against a node. */
  overtake(node: number): void {
    for (const decision of this.#decisions) decision.isOvertaken ||= decision.node === node;
  }
}
