/**
 * A bound on memory that strangers can make a service hold, over all its connections and per peer.
 *
 * @module
 */

/** The bounds. */
export interface ByteBudgetOptions {
  /** Bytes over all accounts. */
  total: number;
  /** Bytes over the accounts of one peer, so that one cannot keep the others out. */
  perPeer: number;
  /** Bytes an account holds without being counted: what every connection may have in any case. */
  free: number;
}

/** What one connection holds. */
export interface ByteAccount {
  /**
   * Sets how much the connection holds now.
   *
   * @param bytes Total of this connection, not a difference.
   * @returns False when that is too much; then the former amount stays counted.
   */
  hold(bytes: number): boolean;
}

/** Counts bytes held by many connections. */
export class ByteBudget {
  readonly #options: ByteBudgetOptions;
  readonly #peers = new Map<number, number>();
  #total = 0;

  /**
   * @param options The bounds.
   */
  constructor(options: ByteBudgetOptions) {
    this.#options = options;
  }

  /** Bytes counted now. */
  get bytes(): number {
    return this.#total;
  }

  /**
   * Opens an account; `hold(0)` ends it.
   *
   * @param peer Key of the peer.
   * @returns The account.
   */
  open(peer: number): ByteAccount {
    let counted = 0;
    return {
      hold: (bytes) => {
        const wanted = Math.max(0, bytes - this.#options.free);
        const change = wanted - counted;
        const ofPeer = (this.#peers.get(peer) ?? 0) + change;
        if (
          change > 0 && (this.#total + change > this.#options.total ||
            ofPeer > this.#options.perPeer)
        ) return false;
        counted = wanted;
        this.#total += change;
        if (ofPeer === 0) this.#peers.delete(peer);
        else this.#peers.set(peer, ofPeer);
        return true;
      },
    };
  }
}
