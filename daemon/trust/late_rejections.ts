/**
 * Rejections that were on their way when trust was asked for again. Existing daemons and registries say in them nothing
 * of the request that they answer.
 *
 * @module
 */

import type { Relayed } from "./relayed.ts";

/** One look into the registry's inbox. */
export interface Look {
  /**
   * Takes out what the registry said before it had our request: it is hardly an answer to it, and the registry says it
   * again if it is.
   */
  answers(relayed: readonly Relayed[]): Relayed[];
  /** It is over. */
  end(): void;
}

/** Distinguishes late rejections from answers. */
export class LateRejections {
  /** Nodes asked for trust while a look was under way, and at which turn. */
  readonly #asked = new Map<number, number>();
  #turn = 0;
  #looks = 0;

  /** A node is asked for trust. */
  asked(node: number): void {
    if (this.#looks > 0) this.#asked.set(node, ++this.#turn);
  }

  /** A look into the inbox begins; several may be under way. */
  begin(): Look {
    const begun = this.#turn;
    this.#looks++;
    const isLate = ({ type, message, from }: Relayed) =>
      type === "handshake_reject" && message === undefined &&
      (this.#asked.get(from) ?? 0) > begun;
    return {
      answers: (relayed) => relayed.filter((one) => !isLate(one)),
      end: () => {
        if (--this.#looks === 0) this.#asked.clear();
      },
    };
  }
}
