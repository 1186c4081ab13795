/**
 * Bytes received in order and not yet read, gathered into large pieces, so that readers see few of them.
 *
 * @module
 */

/** Largest piece handed over at once. */
export const MAX_PIECE_BYTES = 64 << 10;

/** Queue of bytes. Each byte is copied once, from the datagram into a piece. */
export class RecvBuffer {
  /** Full pieces, then the one being filled. */
  readonly #pieces: Uint8Array[] = [];
  /** Next piece to read; the ones before it are gone. */
  #head = 0;
  /** Bytes of the head piece already read. */
  #read = 0;
  /** Bytes filled in the last piece. */
  #filled = 0;
  #size = 0;
  /** Bytes that came between the last two reads: how large a piece is likely to be needed. */
  #batch = 0;
  #sinceRead = 0;

  /** Bytes held. */
  get size(): number {
    return this.#size;
  }

  /** @param bytes What arrived next in order; copied. */
  append(bytes: Uint8Array): void {
    this.#size += bytes.length;
    this.#sinceRead += bytes.length;
    let rest = bytes;
    let last = this.#pieces[this.#pieces.length - 1];
    if (last !== undefined && this.#filled < last.length) {
      const room = last.length - this.#filled;
      last.set(room >= rest.length ? rest : rest.subarray(0, room), this.#filled);
      const used = Math.min(room, rest.length);
      this.#filled += used;
      if (used === rest.length) return;
      rest = rest.subarray(used);
    }
    last = new Uint8Array(
      Math.max(
        rest.length,
        Math.min(MAX_PIECE_BYTES, Math.max(this.#batch, this.#size)),
      ),
    );
    last.set(rest);
    this.#pieces.push(last);
    this.#filled = rest.length;
  }

  /**
   * Hands over the next bytes.
   *
   * @param max Bytes at most.
   * @returns One piece, which the caller owns; undefined when nothing is held.
   */
  read(max: number): Uint8Array | undefined {
    const piece = this.#pieces[this.#head];
    if (piece === undefined || max <= 0) return undefined;
    const isLast = this.#head === this.#pieces.length - 1;
    const end = isLast ? this.#filled : piece.length;
    const taken = Math.min(max, end - this.#read);
    const out = piece.subarray(this.#read, this.#read + taken);
    this.#read += taken;
    this.#size -= taken;
    if (this.#read === end) this.#drop(isLast);
    if (this.#size === 0) {
      this.#batch = this.#sinceRead;
      this.#sinceRead = 0;
    }
    return out;
  }

  /** Drops everything. */
  clear(): void {
    this.#pieces.length = 0;
    this.#head =
      this.#read =
      this.#filled =
      this.#size =
        0;
  }

  #drop(wasLast: boolean): void {
    this.#read = 0;
    if (wasLast) {
      // What is left of the piece stays with the reader; sharing it would tie two owners to one buffer.
      this.#pieces.length = 0;
      this.#head = this.#filled = 0;
      return;
    }
    this.#head++;
    // Compacting now and then keeps reading O(1) without letting read pieces pile up.
    if (this.#head >= 32) {
      this.#pieces.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
