/**
 * Bytes received in order and not yet read, gathered into large pieces, so that readers see few of them.
 *
 * @module
 */

/** Largest piece handed over at once. */
export const MAX_PIECE_BYTES = 64 << 10;

/** Read pieces kept for the next stream that needs one: a few full receive windows. */
const POOLED_PIECES = 32;

/** Pieces of the largest size that nobody uses. */
const pool: Uint8Array[] = [];

/** Queue of bytes. Each byte is copied once, from the datagram into a piece. */
export class RecvBuffer {
  /** Full pieces, then the one being filled. */
  readonly #pieces: Uint8Array[] = [];
  /** Next piece to read; the ones before it are gone. */
  #head = 0;
  /** Bytes of the head piece already read. */
  #read = 0;
  /** Part of the head piece was handed over, so it belongs to the reader. */
  #isLent = false;
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
    const size = Math.max(
      rest.length,
      Math.min(MAX_PIECE_BYTES, Math.max(this.#batch, this.#size)),
    );
    last = size === MAX_PIECE_BYTES ? pool.pop() : undefined;
    last ??= new Uint8Array(size);
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
    const out = piece.subarray(this.#read, this.#read + Math.min(max, this.#headEnd - this.#read));
    this.#isLent = true;
    this.#taken(out.length);
    return out;
  }

  /**
   * Copies the next bytes out.
   *
   * @param out Filled from its start.
   * @returns Bytes copied: as many as there are and fit.
   */
  readInto(out: Uint8Array): number {
    let copied = 0;
    while (copied < out.length) {
      const piece = this.#pieces[this.#head];
      if (piece === undefined) break;
      const bytes = Math.min(out.length - copied, this.#headEnd - this.#read);
      out.set(piece.subarray(this.#read, this.#read + bytes), copied);
      copied += bytes;
      this.#taken(bytes);
    }
    return copied;
  }

  /** Drops everything. */
  clear(): void {
    this.#isLent = false;
    this.#pieces.length = 0;
    this.#head =
      this.#read =
      this.#filled =
      this.#size =
        0;
  }

  get #headEnd(): number {
    return this.#head === this.#pieces.length - 1 ? this.#filled : this.#pieces[this.#head]!.length;
  }

  #taken(bytes: number): void {
    const isLast = this.#head === this.#pieces.length - 1;
    const end = this.#headEnd;
    this.#read += bytes;
    this.#size -= bytes;
    if (this.#read === end) this.#drop(isLast);
    if (this.#size === 0) {
      this.#batch = this.#sinceRead;
      this.#sinceRead = 0;
    }
  }

  /** Drops the head piece, which has been read. */
  #drop(wasLast: boolean): void {
    const piece = this.#pieces[this.#head]!;
    if (!this.#isLent && piece.length === MAX_PIECE_BYTES && pool.length < POOLED_PIECES) {
      pool.push(piece);
    }
    this.#isLent = false;
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
