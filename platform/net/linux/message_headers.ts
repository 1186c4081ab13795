/**
 * Arrays of `struct mmsghdr` with their names and control messages, in memory that the kernel reads and writes.
 *
 * Layout of one entry, 64 bytes on x86-64 and aarch64, here in 32-bit words (both are little-endian: the low
 * half of a 64-bit field comes first): name 0-1, namelen 2, iov 4-5, iovlen 6-7, control 8-9, controllen 10-11,
 * flags 12, result length 14. A control message: length 0-1 (with its header), level 2, type 3, data from 4.
 *
 * @module
 */

import { addressOf } from "./libc.ts";
import { SOCKADDR_BYTES } from "./sockaddr.ts";

/** Words of an entry. */
export const HEADER_WORDS = 16;
/** Word offsets within an entry. */
export const NAME_LENGTH = 2;
/** Word offset of the pointer to the iovecs. */
export const IOV = 4;
/** Word offset of the number of iovecs. */
export const IOV_COUNT = 6;
/** Word offset of the pointer to the control messages. */
export const CONTROL = 8;
/** Word offset of the bytes of control messages. */
export const CONTROL_LENGTH = 10;
/** Word offset of the bytes received. */
export const RESULT_LENGTH = 14;
/** Words of an iovec: base 0-1, length 2-3. */
export const IOV_WORDS = 4;
/** Words kept for control messages of an entry: an address of ours (40 bytes at most), and one with an integer. */
export const CONTROL_WORDS = 16;
/** Word at which an entry's control message with an integer begins when we write it; the address ends there. */
export const INTEGER_CONTROL = 10;
/** Words kept for the name of an entry. */
export const NAME_WORDS: number = SOCKADDR_BYTES / 4;
/** Bytes of a control message with an integer of 2 or 4 bytes, padded. */
export const CONTROL_BYTES = 24;

/** Writes an address as two words. */
export function writePointer(out: Uint32Array, at: number, address: bigint): void {
  out[at] = Number(address & 0xffffffffn);
  out[at + 1] = Number(address >> 32n);
}

/** `count` entries, each pointing to its own name and control memory. */
export class Messages {
  readonly headers: Uint32Array<ArrayBuffer>;
  readonly names: Uint32Array<ArrayBuffer>;
  readonly nameBytes: Uint8Array<ArrayBuffer>;
  readonly controls: Uint32Array<ArrayBuffer>;
  readonly iovs: Uint32Array<ArrayBuffer>;
  /** Address of the first entry. */
  readonly address: bigint;
  /** Address of the first iovec. */
  readonly iovAddress: bigint;
  readonly #controlAddress: bigint;

  constructor(count: number) {
    this.headers = new Uint32Array(count * HEADER_WORDS);
    this.names = new Uint32Array(count * NAME_WORDS);
    this.nameBytes = new Uint8Array(this.names.buffer);
    this.controls = new Uint32Array(count * CONTROL_WORDS);
    this.iovs = new Uint32Array(count * IOV_WORDS);
    this.address = addressOf(this.headers);
    this.iovAddress = addressOf(this.iovs);
    const names = addressOf(this.names);
    this.#controlAddress = addressOf(this.controls);
    for (let i = 0; i < count; i++) {
      const at = i * HEADER_WORDS;
      writePointer(this.headers, at, names + BigInt(i * SOCKADDR_BYTES));
      this.setControl(i, 0);
    }
  }

  /** Has the control messages of entry `i` begin at word `at` of its memory. */
  setControl(i: number, at: number): void {
    const address = this.#controlAddress + BigInt((i * CONTROL_WORDS + at) * 4);
    writePointer(this.headers, i * HEADER_WORDS + CONTROL, address);
  }

  /** Has entry `i` use `count` iovecs from `first` on. */
  setIovs(i: number, first: number, count: number): void {
    const at = i * HEADER_WORDS;
    writePointer(this.headers, at + IOV, this.iovAddress + BigInt(first * IOV_WORDS * 4));
    this.headers[at + IOV_COUNT] = count;
  }
}
