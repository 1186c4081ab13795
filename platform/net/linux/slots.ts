/**
 * Send buffers in memory whose address is known: a slab for each size, made when first needed.
 *
 * @module
 */

import { BUFFER_CLASSES } from "../udp.ts";
import { addressOf } from "./libc.ts";

/**
 * Buffers of each class of `BUFFER_CLASSES`: together one full batch (256 datagrams) of small or of jumbo
 * segments and some in the making; 1, 2.3 and 2 MiB. When a class runs out, what is queued is sent first.
 */
export const SLOTS: readonly number[] = [512, 256, 32];

class Slab {
  readonly buffer: ArrayBuffer;
  readonly stride: number;
  /** Address of each slot: low and high half. */
  readonly addresses: Uint32Array<ArrayBuffer>;
  /** Slots to hand out, last first: the one used last is still in the cache. */
  readonly free: Uint8Array<ArrayBuffer>[] = [];

  constructor(stride: number, count: number) {
    this.stride = stride;
    const memory = new Uint8Array(stride * count);
    this.buffer = memory.buffer;
    this.addresses = new Uint32Array(2 * count);
    const base = addressOf(memory);
    for (let i = count - 1; i >= 0; i--) {
      const address = base + BigInt(i * stride);
      this.addresses[2 * i] = Number(address & 0xffffffffn);
      this.addresses[2 * i + 1] = Number(address >> 32n);
      this.free.push(memory.subarray(i * stride, (i + 1) * stride));
    }
  }
}

/** Hands out send buffers. */
export class SendSlots {
  readonly #slabs: (Slab | undefined)[] = BUFFER_CLASSES.map(() => undefined);

  /** A buffer of a class; undefined when all are in use. */
  take(sizeClass: number): Uint8Array<ArrayBuffer> | undefined {
    const slab = this.#slabs[sizeClass] ??= new Slab(
      BUFFER_CLASSES[sizeClass]!,
      SLOTS[sizeClass]!,
    );
    return slab.free.pop();
  }

  /** Takes a buffer back. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#slabOf(buffer)?.free.push(buffer);
  }

  /** Whether a buffer is one of ours. */
  owns(buffer: Uint8Array<ArrayBuffer>): boolean {
    return this.#slabOf(buffer) !== undefined;
  }

  /** Writes a buffer's address as two words, low half first. */
  writeAddress(buffer: Uint8Array<ArrayBuffer>, out: Uint32Array, at: number): void {
    const slab = this.#slabOf(buffer)!;
    const i = 2 * (buffer.byteOffset / slab.stride);
    out[at] = slab.addresses[i]!;
    out[at + 1] = slab.addresses[i + 1]!;
  }

  #slabOf(buffer: Uint8Array<ArrayBuffer>): Slab | undefined {
    const memory = buffer.buffer;
    for (let i = 0; i < this.#slabs.length; i++) {
      if (this.#slabs[i]?.buffer === memory) return this.#slabs[i];
    }
    return undefined;
  }
}
