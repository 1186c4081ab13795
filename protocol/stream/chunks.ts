/**
 * A stretch of a stream's bytes, in chunks of one size that come from the shared memory when bytes do and go back when
 * these are not needed any more: a stream takes no more than it holds, and what one gives back fits any other.
 *
 * @module
 */

import { CHUNK_BYTES, type StreamMemory } from "./stream_memory.ts";

/** Bytes addressed by stream offset. */
export class Chunks {
  readonly #memory: StreamMemory;
  /** Each holds the bytes of one multiple of its size; the places before `#head` are empty. */
  #chunks: (Uint8Array | undefined)[] = [];
  #head = 0;
  /** Which multiple the chunk at `#head` holds. */
  #first = 0;
  #start = 0;
  #end = 0;
  #isCounted = true;

  /** @param memory What the chunks are taken from. */
  constructor(memory: StreamMemory) {
    this.#memory = memory;
  }

  /** Offset of the first byte held. */
  get start(): number {
    return this.#start;
  }

  /** Offset after the last byte held. */
  get end(): number {
    return this.#end;
  }

  /** Bytes held. */
  get size(): number {
    return this.#end - this.#start;
  }

  /** Bytes of memory in use. */
  get allocated(): number {
    return (this.#chunks.length - this.#head) * CHUNK_BYTES;
  }

  /**
   * Copies bytes to the end.
   *
   * @param bytes What to append.
   */
  append(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    if (this.#head === this.#chunks.length) this.#first = Math.floor(this.#end / CHUNK_BYTES);
    for (let done = 0; done < length;) {
      const at = this.#end % CHUNK_BYTES;
      let chunk = this.#chunkOf(this.#end);
      if (chunk === undefined) this.#chunks.push(chunk = this.#memory.takeChunk());
      const part = Math.min(length - done, CHUNK_BYTES - at);
      chunk.set(part === length ? bytes : bytes.subarray(done, done + part), at);
      done += part;
      this.#end += part;
    }
  }

  /**
   * A piece, where it lies in one chunk.
   *
   * @param offset First byte.
   * @param length Bytes, all held.
   * @returns A view, valid until the piece is released; undefined when it lies in several chunks.
   */
  view(offset: number, length: number): Uint8Array | undefined {
    const at = offset % CHUNK_BYTES;
    return at + length > CHUNK_BYTES ? undefined : this.#chunkOf(offset)?.subarray(at, at + length);
  }

  /**
   * Copies a piece.
   *
   * @param offset First byte; as many as `out` has must be held.
   * @param out Where to.
   */
  copy(offset: number, out: Uint8Array): void {
    for (let done = 0; done < out.length;) {
      const at = (offset + done) % CHUNK_BYTES;
      const part = Math.min(out.length - done, CHUNK_BYTES - at);
      const chunk = this.#chunkOf(offset + done)!;
      out.set(part === CHUNK_BYTES ? chunk : chunk.subarray(at, at + part), done);
      done += part;
    }
  }

  /** @param offset Everything before it is not needed any more. */
  release(offset: number): void {
    if (offset <= this.#start) return;
    this.#start = Math.min(offset, this.#end);
    const isEmpty = this.#start === this.#end;
    this.#drop(isEmpty ? Infinity : Math.floor(this.#start / CHUNK_BYTES) - this.#first);
  }

  /** Nothing is appended any more, and what is held no longer counts as shared memory. */
  disown(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#memory.take(-this.allocated);
  }

  #chunkOf(offset: number): Uint8Array | undefined {
    return this.#chunks[this.#head + Math.floor(offset / CHUNK_BYTES) - this.#first];
  }

  /** Gives back the first `count` chunks. */
  #drop(count: number): void {
    const chunks = this.#chunks;
    const end = Math.min(chunks.length, this.#head + count);
    if (end <= this.#head) return;
    this.#first += end - this.#head;
    for (; this.#head < end; this.#head++) {
      if (this.#isCounted) this.#memory.giveChunk(chunks[this.#head]!);
      chunks[this.#head] = undefined;
    }
    // Now and then, so that it costs little for each.
    if (end < chunks.length && 2 * end < chunks.length) return;
    this.#chunks = chunks.slice(end);
    this.#head = 0;
  }
}
