/**
 * Bytes received in order and not yet read, gathered, so that readers see large pieces.
 *
 * @module
 */

import { Chunks } from "./chunks.ts";
import type { StreamMemory } from "./stream_memory.ts";

/** Largest piece handed over at once. */
export const MAX_PIECE_BYTES = 64 << 10;

/** Queue of bytes. */
export class RecvBuffer {
  readonly #chunks: Chunks;

  /**
   * Makes an empty queue.
   *
   * @param memory What the bytes are held in.
   */
  constructor(memory: StreamMemory) {
    this.#chunks = new Chunks(memory);
  }

  /** Bytes held. */
  get size(): number {
    return this.#chunks.size;
  }

  /** @param bytes What arrived next in order; copied. */
  append(bytes: Uint8Array): void {
    this.#chunks.append(bytes);
  }

  /**
   * Hands over the next bytes.
   *
   * @param max Bytes at most.
   * @returns A copy, which the caller owns; undefined when nothing is held.
   */
  read(max: number): Uint8Array | undefined {
    const length = Math.min(max, this.size, MAX_PIECE_BYTES);
    if (length <= 0) return undefined;
    const out = new Uint8Array(length);
    this.readInto(out);
    return out;
  }

  /**
   * Copies the next bytes out.
   *
   * @param out Filled from its start.
   * @returns Bytes copied: as many as there are and fit.
   */
  readInto(out: Uint8Array): number {
    const chunks = this.#chunks;
    const { start } = chunks;
    const length = Math.min(out.length, chunks.size);
    chunks.copy(start, length === out.length ? out : out.subarray(0, length));
    chunks.release(start + length);
    return length;
  }

  /** Nothing comes any more, and what is held no longer counts as shared memory. */
  disown(): void {
    this.#chunks.disown();
  }

  /** Drops everything. */
  clear(): void {
    this.#chunks.release(this.#chunks.end);
  }
}
