/**
 * Sequential reading and writing of variable-length records.
 *
 * @module
 */

import { EMPTY, viewOf } from "./bytes.ts";

/**
 * Reads fields one after the other. A read past the end gives zeros or nothing and sets `failed`, so that a
 * decoder checks once at its end; counts must still be bounded before looping.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  #failed = false;

  /**
   * Starts at the first byte.
   *
   * @param bytes What to read.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  /** A read went past the end. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Bytes not yet read. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** Reserves `count` bytes and returns where they start, or -1 when they are not there. */
  #advance(count: number): number {
    if (this.#failed || count > this.remaining) {
      this.#failed = true;
      return -1;
    }
    const start = this.#offset;
    this.#offset += count;
    return start;
  }

  /** @returns The next byte. */
  u8(): number {
    const at = this.#advance(1);
    return at < 0 ? 0 : this.#view.getUint8(at);
  }

  /** @returns The next 16-bit number. */
  u16(): number {
    const at = this.#advance(2);
    return at < 0 ? 0 : this.#view.getUint16(at);
  }

  /** @returns The next 32-bit number. */
  u32(): number {
    const at = this.#advance(4);
    return at < 0 ? 0 : this.#view.getUint32(at);
  }

  /** @returns The next signed 32-bit number. */
  i32(): number {
    return this.u32() | 0;
  }

  /** @returns The next 64-bit number; not exact above `Number.MAX_SAFE_INTEGER`. */
  u64(): number {
    return this.u32() * 0x100000000 + this.u32();
  }

  /** @returns The next signed 64-bit number; not exact outside the safe integers. */
  i64(): number {
    return this.i32() * 0x100000000 + this.u32();
  }

  /**
   * @param count How many bytes.
   * @returns A view of them, empty when they are not there.
   */
  take(count: number): Uint8Array {
    const at = this.#advance(count);
    return at < 0 ? EMPTY : this.#bytes.subarray(at, at + count);
  }

  /** @returns A view of everything left. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }
}

/** Collects fields into one array; for control messages, not for the packet path. */
export class ByteWriter {
  readonly #bytes: number[] = [];

  /**
   * @param value Written as one byte.
   * @returns This writer.
   */
  u8(value: number): this {
    this.#bytes.push(value & 0xff);
    return this;
  }

  /**
   * @param value Written as two bytes.
   * @returns This writer.
   */
  u16(value: number): this {
    return this.u8(value >>> 8).u8(value);
  }

  /**
   * @param value Written as four bytes; may be negative.
   * @returns This writer.
   */
  u32(value: number): this {
    return this.u16(value >>> 16).u16(value);
  }

  /**
   * @param value Written as eight bytes; a safe integer, may be negative.
   * @returns This writer.
   */
  u64(value: number): this {
    return this.u32(Math.floor(value / 0x100000000)).u32(value);
  }

  /**
   * @param bytes Written as they are.
   * @returns This writer.
   */
  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  /** @returns Everything written. */
  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
