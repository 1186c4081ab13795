/**
 * Memory shared by the buffers of many streams, so that their number cannot take all of it.
 *
 * @module
 */

/** Memory that one buffer may take of what is free, as a divisor: whoever comes later still finds some. */
const SHARE_DIVISOR = 2;

/**
 * Counts the bytes that streams hold. A buffer may grow to a share of what is still free (the dynamic threshold of
 * shared switch buffers, Choudhury and Hahne): a few get all they want, many get little each, and none is shut out.
 */
export class StreamMemory {
  /** Bytes that all buffers together should hold at most. */
  readonly limit: number;
  #used = 0;

  /**
   * Makes a budget of which nothing is used.
   *
   * @param limit Bytes; Infinity for no limit.
   */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes held now. */
  get used(): number {
    return this.#used;
  }

  /** Bytes left; 0 when each stream is down to the little it may always hold. */
  get free(): number {
    return Math.max(0, this.limit - this.#used);
  }

  /** Bytes that one more, or one larger, buffer may take now. */
  get share(): number {
    return this.free / SHARE_DIVISOR;
  }

  /** Counts `bytes` as used; negative ones are given back. */
  take(bytes: number): void {
    this.#used += bytes;
  }
}
