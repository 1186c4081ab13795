/**
 * Memory shared by the buffers of many streams, so that their number cannot take all of it.
 *
 * @module
 */

/** Size of the pieces that buffers are made of, bytes: what every stream may have however little memory is left. */
export const CHUNK_BYTES = 8 << 10;
/**
 * Bytes of unused chunks kept for the next stream, within the limit: fresh ones at the rate of a bulk transfer outrun
 * the garbage collector, which then holds more memory than all that is in use.
 */
const MAX_KEPT_BYTES = 40 << 20;
/** Memory that one buffer may take of what is free, as a divisor: later streams still find some. */
const SHARE_DIVISOR = 2;

/**
 * Counts the bytes that streams hold, and hands out what most of them are held in. A buffer may grow to a share of what
 * is still free (the dynamic threshold of shared switch buffers, Choudhury and Hahne): a few get all they want, many get
 * little each, and none is shut out.
 */
export class StreamMemory {
  /** Bytes that all buffers together should hold at most. */
  readonly limit: number;
  readonly #kept: Uint8Array[] = [];
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

  /** Bytes of chunks that nobody uses: part of the limit. */
  get kept(): number {
    return this.#kept.length * CHUNK_BYTES;
  }

  /** Counts `bytes` as used that are not in chunks; negative ones are given back. */
  take(bytes: number): void {
    this.#used += bytes;
    if (bytes > 0) this.#trim();
  }

  /** A chunk, counted as used; its content is undefined. */
  takeChunk(): Uint8Array {
    this.#used += CHUNK_BYTES;
    const chunk = this.#kept.pop();
    if (chunk !== undefined) return chunk;
    this.#trim();
    return new Uint8Array(CHUNK_BYTES);
  }

  /** Takes a chunk back; nobody may use a view of it any more. */
  giveChunk(chunk: Uint8Array): void {
    this.#used -= CHUNK_BYTES;
    if (this.kept + CHUNK_BYTES <= Math.min(this.free, MAX_KEPT_BYTES)) this.#kept.push(chunk);
  }

  /** Unused chunks go first when memory is needed for something else. */
  #trim(): void {
    const most = this.free / CHUNK_BYTES;
    if (this.#kept.length > most) this.#kept.length = Math.floor(most);
  }
}
