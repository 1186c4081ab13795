/**
 * The key stream of AES-256-GCM for several packets at once: nonces count up, so the next ones are known beforehand, and
 * one call of the cipher does what would cost a call for each packet.
 *
 * @module
 */

import { createCipheriv } from "node:crypto";
import { PilotError } from "../errors.ts";
import { AEAD_NONCE_BYTES } from "./aead.ts";

/** Bytes of an AES block. */
export const AES_BLOCK_BYTES = 16;
const BLOCK_WORDS = AES_BLOCK_BYTES / 4;
/** Packets computed ahead at most: 1400 B take 2.4 us alone, 0.75 us beside seven others, hardly less beside more. */
const MAX_AHEAD = 8;
/**
 * Bytes computed ahead at most, two packets with the MTU of Ethernet's jumbo frames: hardly more for each byte than 512 KB
 * at once, and as much memory may stay with every session whose packets cease. Larger packets have a call each.
 */
const MAX_AHEAD_BYTES = 24_576;
/** Nonces that may be left out, by loss or reordering, before the next ones are no longer taken for a sequence. */
const MAX_GAP = 64;

/** AES-256 on blocks that have nothing to do with one another, by `node:crypto`. */
export class BlockCipher {
  readonly #cipher: ReturnType<typeof createCipheriv>;
  #isUsable = true;
  #isDestroyed = false;

  /**
   * Expands a key.
   *
   * @param key 32 bytes, not kept.
   */
  constructor(key: Uint8Array) {
    this.#cipher = createCipheriv("aes-256-ecb", key, null);
    this.#cipher.setAutoPadding(false);
  }

  /**
   * Encrypts whole blocks.
   *
   * @param blocks A multiple of 16 bytes, left as it is.
   * @returns As many bytes.
   * @throws {PilotError} `internal` when the runtime's cipher holds some of them back, `invalid_state` ever after, and
   * after `destroy`.
   */
  encrypt(blocks: Uint8Array): Uint8Array {
    if (!this.#isUsable) throw new PilotError("invalid_state", "AES is no longer to be used");
    // What a call held back would come with the next one, as the key stream of another nonce.
    this.#isUsable = false;
    const encrypted = this.#cipher.update(blocks);
    if (encrypted.length !== blocks.length) {
      throw new PilotError("internal", `AES gave ${encrypted.length} bytes for ${blocks.length}`);
    }
    this.#isUsable = true;
    // A plain view: the methods of a Buffer take several times as long.
    return new Uint8Array(encrypted.buffer, encrypted.byteOffset, encrypted.length);
  }

  /** Gives the key schedule back. May be called more than once. */
  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#isUsable = false;
    this.#cipher.final();
  }
}

/** Counter blocks of one packet, as many as the longest so far had. One for all keys: they are no secret. */
let single: Uint8Array<ArrayBuffer> = new Uint8Array(0);

/**
 * Key stream of consecutive nonces. A packet's part is the block that masks its tag (the counter 1 of SP 800-38D §7.1)
 * and those of its text behind it.
 */
export class Keystream {
  readonly #cipher: BlockCipher;
  readonly #first = new Uint8Array(AEAD_NONCE_BYTES);
  readonly #nonce = new Uint8Array(AEAD_NONCE_BYTES);
  readonly #words = new Uint32Array(this.#nonce.buffer);
  #bytes: Uint8Array = new Uint8Array(0);
  /** Counter blocks of several packets: from one refill to the next only the nonces in them change. */
  #counters: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Blocks of each of these packets. */
  #counted = 0;
  /** Packets in `#bytes`. */
  #count = 0;
  /** Blocks of each. */
  #perPacket = 0;
  /** Most blocks that a packet wanted since the last refill. */
  #maxBlocks = 0;

  /**
   * Makes an empty one.
   *
   * @param cipher Under the key.
   */
  constructor(cipher: BlockCipher) {
    this.#cipher = cipher;
  }

  /** What was computed; {@linkcode Keystream.find} gives places in it. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Looks for a packet's part. Changes nothing, so strangers may cause it.
   *
   * @param nonce 12 bytes.
   * @param blocks Blocks of the part, one more than the text has.
   * @returns Where in {@linkcode Keystream.bytes} it begins; -1 when it was not computed.
   */
  find(nonce: Uint8Array, blocks: number): number {
    const index = this.#indexOf(nonce);
    const isThere = index >= 0 && index < this.#count && blocks <= this.#perPacket;
    return isThere ? index * this.#perPacket * AES_BLOCK_BYTES : -1;
  }

  /**
   * Finds a packet's part, which is computed when it is not there, with those of the next ones.
   *
   * @param nonce 12 bytes, of a packet of ours.
   * @param blocks Blocks of the part.
   * @returns Where in {@linkcode Keystream.bytes} it begins.
   */
  take(nonce: Uint8Array, blocks: number): number {
    this.#noteBlocks(blocks);
    const at = this.find(nonce, blocks);
    if (at >= 0) return at;
    this.#refill(nonce);
    return 0;
  }

  /**
   * Computes a packet's part and nothing else.
   *
   * @param nonce 12 bytes.
   * @param blocks Blocks of the part.
   * @returns Its bytes.
   */
  once(nonce: Uint8Array, blocks: number): Uint8Array {
    const bytes = blocks * AES_BLOCK_BYTES;
    if (bytes > single.length) single = newCounters(bytes, blocks);
    this.#nonce.set(nonce);
    this.#writeNonce(new Uint32Array(single.buffer), 0, blocks);
    return this.#cipher.encrypt(single.subarray(0, bytes));
  }

  /**
   * Computes what comes after an authentic packet, when that is not there yet. Packets that come late change nothing.
   *
   * @param nonce The packet's.
   * @param blocks Blocks of its part.
   * @param wasFound Whether its part was.
   */
  follow(nonce: Uint8Array, blocks: number, wasFound: boolean): void {
    this.#noteBlocks(blocks);
    const index = this.#indexOf(nonce);
    if (wasFound ? index < this.#count - 1 : index < 0) return;
    if (partsAhead(this.#maxBlocks) < 2) {
      this.wipe();
      return;
    }
    const next = nonce.slice();
    incrementNonce(next);
    this.#refill(next);
  }

  /** Forgets all. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#count = 0;
    this.#maxBlocks = 0;
  }

  #noteBlocks(blocks: number): void {
    if (blocks > this.#maxBlocks) this.#maxBlocks = blocks;
  }

  /** Computes the parts of a nonce, to be found at 0, and of those that come next, each as long as any lately. */
  #refill(nonce: Uint8Array): void {
    const perPacket = this.#maxBlocks;
    const count = Math.min(this.#nextCount(nonce), Math.max(1, partsAhead(perPacket)));
    // Nothing is there until the cipher has given it: what is wiped here would let text through as it is.
    this.wipe();
    this.#first.set(nonce);
    this.#bytes = count === 1
      ? this.once(this.#first, perPacket)
      : this.#cipher.encrypt(this.#countersOf(count, perPacket));
    this.#perPacket = perPacket;
    this.#count = count;
  }

  /** Counter blocks from the first nonce on. */
  #countersOf(count: number, perPacket: number): Uint8Array {
    const bytes = count * perPacket * AES_BLOCK_BYTES;
    if (perPacket !== this.#counted || bytes > this.#counters.length) {
      this.#counters = newCounters(bytes, perPacket);
      this.#counted = perPacket;
    }
    const words = new Uint32Array(this.#counters.buffer);
    this.#nonce.set(this.#first);
    for (let packet = 0; packet < count; packet++) {
      this.#writeNonce(words, packet * perPacket, perPacket);
      incrementNonce(this.#nonce);
    }
    return this.#counters.subarray(0, bytes);
  }

  /**
   * Twice as many whenever all were there to be used, half when nonces were left out behind them: a packet now and then
   * costs no more than itself.
   */
  #nextCount(nonce: Uint8Array): number {
    const count = this.#count;
    const used = this.#indexOf(nonce);
    const isSequence = count > 0 && used >= 0 && used < count + MAX_GAP;
    if (!isSequence) return 1;
    if (used === count) return Math.min(MAX_AHEAD, count * 2);
    return used > count ? Math.max(1, count >> 1) : count;
  }

  /** How far behind the first a nonce is; NaN when their prefixes differ, inexact only where it is beyond 2^53. */
  #indexOf(nonce: Uint8Array): number {
    const first = this.#first;
    for (let i = 0; i < 4; i++) if (first[i] !== nonce[i]) return NaN;
    return (word(nonce, 4) - word(first, 4)) * 0x1_0000_0000 + word(nonce, 8) - word(first, 8);
  }

  #writeNonce(words: Uint32Array, block: number, count: number): void {
    const a = this.#words[0]!, b = this.#words[1]!, c = this.#words[2]!;
    const end = (block + count) * BLOCK_WORDS;
    for (let at = block * BLOCK_WORDS; at < end; at += BLOCK_WORDS) {
      words[at] = a;
      words[at + 1] = b;
      words[at + 2] = c;
    }
  }
}

/** Packets that fit into {@linkcode MAX_AHEAD_BYTES}. */
function partsAhead(perPacket: number): number {
  return Math.floor(MAX_AHEAD_BYTES / (perPacket * AES_BLOCK_BYTES));
}

/** Blocks with the block counters of one packet after the other, still without nonces. */
function newCounters(bytes: number, perPacket: number): Uint8Array<ArrayBuffer> {
  const counters = new Uint8Array(bytes);
  const view = new DataView(counters.buffer);
  for (let block = 0; block * AES_BLOCK_BYTES < bytes; block++) {
    view.setUint32(block * AES_BLOCK_BYTES + AEAD_NONCE_BYTES, 1 + block % perPacket);
  }
  return counters;
}

function word(nonce: Uint8Array, at: number): number {
  return (nonce[at]! << 24 | nonce[at + 1]! << 16 | nonce[at + 2]! << 8 | nonce[at + 3]!) >>> 0;
}

/** The counter of a nonce is its last 8 bytes (docs/protocol/tunnel.md §5.1). */
function incrementNonce(nonce: Uint8Array): void {
  for (let i = AEAD_NONCE_BYTES - 1; i >= 4; i--) {
    const byte = (nonce[i]! + 1) & 0xff;
    nonce[i] = byte;
    if (byte !== 0) return;
  }
}
