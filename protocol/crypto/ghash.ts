/**
 * GHASH, the authentication half of AES-GCM (NIST SP 800-38D §6.4), in WebAssembly with SIMD and in constant time.
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import {
  GHASH_BLOCK_BYTES,
  GHASH_LANES,
  GHASH_MEMORY_BYTES,
  GHASH_RESULT_AT,
  GHASH_TABLE_BYTES,
  GHASH_TABLES_AT,
  type GhashExports,
  ghashModule,
} from "./ghash_module.ts";

/** Bytes of additional data at most, in {@linkcode GhashMachine}. */
export const MAX_GHASH_AAD_BYTES = 256;
/** Bytes of text at most: more than any UDP datagram has. */
export const MAX_GHASH_TEXT_BYTES = 65_536;

/** Room before the message that stays zero: leading zero blocks do not change the hash. */
const MESSAGE_AT = 4096;
const KEYSTREAM_AT: number = GHASH_MEMORY_BYTES / 2;

/** The tables of one hash key, for {@linkcode GhashMachine}. */
export type GhashTables = Uint8Array<ArrayBuffer>;

/** One message at a time, in the memory of the WebAssembly module. */
export class GhashMachine {
  readonly #memory: Uint8Array<ArrayBuffer>;
  readonly #exports: GhashExports;
  #tables: GhashTables | undefined;
  #messageEnd = MESSAGE_AT;
  #textAt = MESSAGE_AT;
  #textBytes = 0;

  /**
   * Compiles the module.
   *
   * @throws {WebAssembly.CompileError} When the runtime has no SIMD.
   */
  constructor() {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(ghashModule()));
    this.#exports = exports as unknown as GhashExports;
    this.#memory = new Uint8Array(this.#exports.memory.buffer as ArrayBuffer);
  }

  /**
   * Takes a message.
   *
   * @param aad At most {@linkcode MAX_GHASH_AAD_BYTES}.
   * @param text At most {@linkcode MAX_GHASH_TEXT_BYTES}.
   */
  put(aad: Uint8Array, text: Uint8Array): void {
    const memory = this.#memory;
    const textAt = MESSAGE_AT + toBlocks(aad.length);
    const end = textAt + toBlocks(text.length);
    // What does not fill its last block is followed by zeros.
    if (aad.length > 0) {
      memory.fill(0, textAt - GHASH_BLOCK_BYTES, textAt);
      memory.set(aad, MESSAGE_AT);
    }
    if (text.length > 0) {
      memory.fill(0, end - GHASH_BLOCK_BYTES, end);
      memory.set(text, textAt);
    }
    memory.fill(0, end, end + GHASH_BLOCK_BYTES);
    writeBits(memory, end, aad.length);
    writeBits(memory, end + 8, text.length);
    this.#textAt = textAt;
    this.#textBytes = text.length;
    this.#messageEnd = end;
  }

  /**
   * Adds a key stream to the text, which encrypts or decrypts it.
   *
   * @param keystream As many bytes as the text has, in whole blocks.
   * @throws {PilotError} `internal` when they are not as many: what is left unmasked would be sent as it is.
   */
  mask(keystream: Uint8Array): void {
    if (keystream.length !== this.#messageEnd - this.#textAt) {
      throw new PilotError(
        "internal",
        `Key stream of ${keystream.length} bytes does not fit a text`,
      );
    }
    if (keystream.length === 0) return;
    this.#memory.set(keystream, KEYSTREAM_AT);
    this.#exports.xor(this.#textAt, this.#messageEnd, KEYSTREAM_AT);
    this.#memory.fill(0, this.#textAt + this.#textBytes, this.#messageEnd);
  }

  /**
   * Hashes the message.
   *
   * @param tables Of the hash key.
   * @returns 16 bytes, valid until the next call.
   */
  hash(tables: GhashTables): Uint8Array {
    if (this.#tables !== tables) {
      this.#memory.set(tables, GHASH_TABLES_AT);
      this.#tables = tables;
    }
    const end = this.#messageEnd + GHASH_BLOCK_BYTES;
    const odd = (end - MESSAGE_AT) / GHASH_BLOCK_BYTES % GHASH_LANES;
    const leading = odd === 0 ? 0 : GHASH_LANES - odd;
    this.#exports.ghash(MESSAGE_AT - leading * GHASH_BLOCK_BYTES, end);
    return this.#memory.subarray(GHASH_RESULT_AT, GHASH_RESULT_AT + GHASH_BLOCK_BYTES);
  }

  /**
   * Copies the text.
   *
   * @param out Where to.
   * @param offset First byte there.
   */
  take(out: Uint8Array, offset: number): void {
    out.set(this.#memory.subarray(this.#textAt, this.#textAt + this.#textBytes), offset);
  }

  /**
   * Wipes tables that will not be used again, and all of the memory: behind the message of another key there may be the
   * rest of a longer one of this.
   *
   * @param tables What {@linkcode ghashTables} gave.
   */
  forget(tables: GhashTables): void {
    tables.fill(0);
    this.#tables = undefined;
    this.#memory.fill(0);
  }
}

function toBlocks(bytes: number): number {
  return (bytes + GHASH_BLOCK_BYTES - 1) & -GHASH_BLOCK_BYTES;
}

/** A length in bits, 64-bit big-endian; of bytes below 2^24. */
function writeBits(memory: Uint8Array, at: number, bytes: number): void {
  memory[at + 4] = bytes >>> 21;
  memory[at + 5] = bytes >>> 13;
  memory[at + 6] = bytes >>> 5;
  memory[at + 7] = bytes << 3;
}

/**
 * An element of GF(2^128): the first bit of the block, the coefficient of x^0, is the highest of the first of four words.
 * Words and no BigInt, as those stay in memory and take a time that depends on the secret.
 */
type Element = Uint32Array<ArrayBuffer>;
const ELEMENT_WORDS = GHASH_BLOCK_BYTES / 4;
/** x^128 = 1 + x + x^2 + x^7. */
const REDUCTION = 0xe1000000;

/** Multiplies by x, in place. */
function timesX(element: Element): void {
  const overflow = -(element[3]! & 1);
  for (let i = 3; i > 0; i--) element[i] = element[i]! >>> 1 | element[i - 1]! << 31;
  element[0] = element[0]! >>> 1 ^ overflow & REDUCTION;
}

function product(a: Element, b: Element): Element {
  const sum = new Uint32Array(ELEMENT_WORDS);
  const shifted = b.slice();
  for (let bit = 0; bit < 128; bit++) {
    const mask = -(a[bit >>> 5]! >>> (31 - (bit & 31)) & 1);
    for (let i = 0; i < ELEMENT_WORDS; i++) sum[i]! ^= shifted[i]! & mask;
    timesX(shifted);
  }
  shifted.fill(0);
  return sum;
}

/**
 * Makes the tables of a hash key, once for a key: some 0.02 ms.
 *
 * @param hashKey 16 bytes: a block of zeros, encrypted.
 * @returns For each power of the key, the highest first, and each nibble of a byte, the high one first: row i holds byte
 * i of the products with 0 to 15.
 */
export function ghashTables(hashKey: Uint8Array): GhashTables {
  const tables = new Uint8Array(GHASH_LANES * GHASH_TABLE_BYTES);
  const view = new DataView(hashKey.buffer, hashKey.byteOffset, GHASH_BLOCK_BYTES);
  const key = Uint32Array.from({ length: ELEMENT_WORDS }, (_, i) => view.getUint32(4 * i));
  let power = key.slice();
  for (let lane = GHASH_LANES - 1; lane >= 0; lane--) {
    const next = product(power, key);
    for (let bit = 0; bit < 8; bit++, timesX(power)) {
      const half = lane * GHASH_TABLE_BYTES + (bit >> 2) * 256;
      addMultiples(tables.subarray(half, half + 256), 8 >> (bit & 3), power);
    }
    power.fill(0);
    power = next;
  }
  power.fill(0);
  key.fill(0);
  return tables;
}

/** Adds an element to all entries whose number has a certain bit. */
function addMultiples(half: Uint8Array, bit: number, element: Element): void {
  for (let row = 0; row < 16; row++) {
    const byte = element[row >> 2]! >>> (24 - 8 * (row & 3)) & 0xff;
    for (let entry = 0; entry < 16; entry++) if (entry & bit) half[row * 16 + entry]! ^= byte;
  }
}
