/**
 * Bytes written by the application and not yet acknowledged.
 *
 * @module
 */

import { Chunks } from "./chunks.ts";
import { MAX_MSS_BYTES, SEND_BUFFER_START_BYTES } from "./stream_config.ts";
import { CHUNK_BYTES, type StreamMemory } from "./stream_memory.ts";

/** Where a segment is put together that lies in several chunks; it has left before the next one is made. */
const joined = new Uint8Array(MAX_MSS_BYTES);

/** Bytes addressed by stream offset, with a limit that follows the congestion window and the shared memory. */
export class SendBuffer {
  readonly #max: number;
  readonly #memory: StreamMemory;
  readonly #chunks: Chunks;
  #limit: number;

  /**
   * @param max Bytes held at most; rounded up to a power of two.
   * @param memory What they are held in.
   */
  constructor(max: number, memory: StreamMemory) {
    this.#max = ceilPowerOfTwo(max);
    this.#limit = Math.min(this.#max, SEND_BUFFER_START_BYTES);
    this.#memory = memory;
    this.#chunks = new Chunks(memory);
  }

  /** Offset of the first byte held. */
  get start(): number {
    return this.#chunks.start;
  }

  /** Offset after the last byte held. */
  get end(): number {
    return this.#chunks.end;
  }

  /** Bytes that can be appended now. */
  get free(): number {
    return Math.max(0, this.limit - this.#chunks.size);
  }

  /** Bytes held at most for now: a share of the memory, but at least a chunk, so that no stream is shut out. */
  get limit(): number {
    return Math.min(this.#limit, Math.max(CHUNK_BYTES, Math.floor(this.#memory.share)));
  }

  /** @param bytes Bytes in use at a time: doubles the limit until it is no less, or at its largest. */
  raise(bytes: number): void {
    while (this.#limit < bytes && this.#limit < this.#max) this.#limit *= 2;
  }

  /** Bytes of memory in use. */
  get allocated(): number {
    return this.#chunks.allocated;
  }

  /**
   * Copies bytes to the end.
   *
   * @param data What to append.
   * @returns Bytes taken, fewer than given when the buffer is full.
   */
  append(data: Uint8Array): number {
    const taken = Math.min(data.length, this.free);
    this.#chunks.append(taken === data.length ? data : data.subarray(0, taken));
    return taken;
  }

  /**
   * A piece of what is held.
   *
   * @param offset First byte.
   * @param length Bytes, at most the largest segment.
   * @returns A view, valid until the next call of any send buffer.
   */
  view(offset: number, length: number): Uint8Array {
    const view = this.#chunks.view(offset, length);
    if (view !== undefined) return view;
    const out = joined.subarray(0, length);
    this.#chunks.copy(offset, out);
    return out;
  }

  /** @param offset Everything before it is acknowledged. */
  release(offset: number): void {
    this.#chunks.release(offset);
  }

  /** Drops everything held. */
  clear(): void {
    this.#chunks.release(this.#chunks.end);
  }
}

function ceilPowerOfTwo(n: number): number {
  let size = 1;
  while (size < n) size *= 2;
  return size;
}
