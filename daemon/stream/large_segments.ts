/**
 * Notices when the large segments of a connection do not arrive: the sign of a path that has become narrower without
 * a word (RFC 8899 §4.3).
 *
 * @module
 */

import { DEFAULT_MSS_BYTES, type Segment } from "../../protocol/stream/mod.ts";

/**
 * A large segment is repeated after the peer has been silent for so long: not because others arrived but because
 * nothing did. Below the shortest retransmission timeout.
 */
export const LARGE_SILENCE_MS = 150;
/** Repeats of one large segment that are suspicious even while others arrive: three losses at 1 % are one in a million. */
export const LARGE_REPEATS = 3;

/** Watches what one connection sends. */
export class LargeSegments {
  #heardMs = -Infinity;
  /** Sequence number after the last large segment; undefined before the first. */
  #end: number | undefined;
  #repeated = 0;
  #repeats = 0;

  /** The peer was heard on this connection. */
  heard(now: number): void {
    this.#heardMs = now;
  }

  /** Notes a segment on its way out; true when the path may not carry its size. */
  sent(segment: Segment, now: number): boolean {
    const { seq, payload } = segment;
    if (payload.length <= DEFAULT_MSS_BYTES) return false;
    if (this.#end === undefined || ((seq - this.#end) | 0) >= 0) {
      this.#end = seq + payload.length;
      return false;
    }
    this.#repeats = seq === this.#repeated ? this.#repeats + 1 : 1;
    this.#repeated = seq;
    return now - this.#heardMs >= LARGE_SILENCE_MS || this.#repeats >= LARGE_REPEATS;
  }
}
