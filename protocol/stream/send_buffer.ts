/**
 * Bytes written by the application and not yet acknowledged: a ring that grows by doubling.
 *
 * @module
 */

import { SEND_BUFFER_START_BYTES } from "./config.ts";
import type { StreamMemory } from "./memory.ts";

/** First size of the ring, which every stream may have however little shared memory is left. */
const START_BYTES = 4 << 10;

/** Byte ring addressed by stream offset. A view never crosses the end of the ring, so it is always contiguous. */
export class SendBuffer {
  readonly #max: number;
  readonly #memory: StreamMemory;
  #limit: number;
  #bytes: Uint8Array | undefined;
  #start = 0;
  #end = 0;

  /**
   * @param max Bytes held at most; rounded up to a power of two.
   * @param memory What the ring is taken from.
   */
  constructor(max: number, memory: StreamMemory) {
    this.#max = ceilPowerOfTwo(max);
    this.#limit = Math.min(this.#max, SEND_BUFFER_START_BYTES);
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

  /** Bytes that can be appended now. */
  get free(): number {
    return this.limit - (this.#end - this.#start);
  }

  /** Bytes held at most for now: as far as the ring may grow in the shared memory. */
  get limit(): number {
    const { share } = this.#memory;
    if (share >= this.#limit) return this.#limit;
    const { allocated } = this;
    let size = Math.max(allocated, Math.min(START_BYTES, this.#limit));
    while (size < this.#limit && 2 * size - allocated <= share) size *= 2;
    return size;
  }

  /** @param bytes Bytes in use at a time: doubles the limit until it is no less, or at its largest. */
  raise(bytes: number): void {
    while (this.#limit < bytes && this.#limit < this.#max) this.#limit *= 2;
  }

  /** Bytes of memory in use. */
  get allocated(): number {
    return this.#bytes?.length ?? 0;
  }

  /**
   * Copies bytes to the end.
   *
   * @param data What to append.
   * @returns Bytes taken, fewer than given when the buffer is full.
   */
  append(data: Uint8Array): number {
    const taken = Math.min(data.length, this.free);
    if (taken === 0) return 0;
    const ring = this.#reserve(this.#end - this.#start + taken);
    const at = this.#end & (ring.length - 1);
    const first = Math.min(taken, ring.length - at);
    ring.set(first === data.length ? data : data.subarray(0, first), at);
    if (first < taken) ring.set(data.subarray(first, taken), 0);
    this.#end += taken;
    return taken;
  }

  /**
   * Limits a piece to what lies in one run of memory.
   *
   * @param offset First byte.
   * @param length Bytes wanted, all held.
   * @returns Bytes that {@linkcode view} can give at once.
   */
  contiguous(offset: number, length: number): number {
    const size = this.allocated;
    return Math.min(length, size - (offset & (size - 1)));
  }

  /**
   * A piece that {@linkcode contiguous} allowed.
   *
   * @param offset First byte.
   * @param length Bytes.
   * @returns A view, valid until the next call of {@linkcode append}, {@linkcode release} or {@linkcode clear}.
   */
  view(offset: number, length: number): Uint8Array {
    const ring = this.#bytes ?? EMPTY;
    const at = offset & (ring.length - 1);
    return ring.subarray(at, at + length);
  }

  /** @param offset Everything before it is acknowledged. */
  release(offset: number): void {
    if (offset > this.#start) this.#start = Math.min(offset, this.#end);
  }

  /** Gives the memory back when nothing is held. */
  shrink(): void {
    if (this.#start === this.#end) this.clear();
  }

  /** Drops everything held. */
  clear(): void {
    this.#start = this.#end;
    this.#memory.take(-this.allocated);
    this.#bytes = undefined;
  }

  #reserve(bytes: number): Uint8Array {
    const old = this.#bytes;
    if (old !== undefined && old.length >= bytes) return old;
    // A ring below the limit always doubles: its old ends are ends of pieces, and stay on multiples of its size.
    let size = old?.length ?? Math.min(START_BYTES, this.#limit);
    while (size < bytes) size *= 2;
    const ring = new Uint8Array(size);
    this.#memory.take(size - this.allocated);
    if (old !== undefined) {
      for (let at = this.#start; at < this.#end;) {
        const length = Math.min(
          this.#end - at,
          old.length - (at & (old.length - 1)),
        );
        const from = at & (old.length - 1);
        ring.set(old.subarray(from, from + length), at & (size - 1));
        at += length;
      }
    }
    this.#bytes = ring;
    return ring;
  }
}

const EMPTY = new Uint8Array(0);

function ceilPowerOfTwo(n: number): number {
  let size = 1;
  while (size < n) size *= 2;
  return size;
}
