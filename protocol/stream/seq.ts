/**
 * Sequence numbers: 32-bit serial arithmetic on the wire, plain byte offsets inside (docs/protocol/streams.md §2.1).
 *
 * @module
 */

/**
 * Distance from `b` to `a` in RFC 1982 arithmetic.
 *
 * @param a Unsigned 32-bit sequence number.
 * @param b Unsigned 32-bit sequence number.
 * @returns `a - b` as a signed 32-bit number: positive when `a` is the later one.
 */
export function seqDiff(a: number, b: number): number {
  return (a - b) | 0;
}

/**
 * Moves a sequence number.
 *
 * @param seq Unsigned 32-bit sequence number.
 * @param bytes Distance, may be negative.
 * @returns Unsigned 32-bit sequence number.
 */
export function seqAdd(seq: number, bytes: number): number {
  return (seq + bytes) >>> 0;
}

/**
 * One direction's sequence space. Inside the stream every position is an offset that never wraps (0 is the first
 * data byte, the SYN sits at -1); only what goes over the wire is a 32-bit number.
 */
export class SeqSpace {
  readonly #first: number;

  /** @param isn Initial sequence number, unsigned 32 bit; the SYN consumes it. */
  constructor(isn: number) {
    this.#first = (isn + 1) >>> 0;
  }

  /**
   * @param offset Byte offset, below 2^53.
   * @returns Its sequence number on the wire.
   */
  toWire(offset: number): number {
    return (this.#first + offset) >>> 0;
  }

  /**
   * @param seq Sequence number from the wire.
   * @param near An offset at most 2^31 away, usually the current position.
   * @returns The offset meant by `seq`; negative when it lies before the first data byte.
   */
  toOffset(seq: number, near: number): number {
    return near + ((seq - this.toWire(near)) | 0);
  }
}
