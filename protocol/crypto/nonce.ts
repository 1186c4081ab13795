/**
 * Nonces of PILS frames: 4 bytes of prefix, 8 bytes of counter (docs/protocol/tunnel.md §5.1).
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import { AEAD_NONCE_BYTES } from "./aead.ts";

/** Position of a {@linkcode NonceSequence}; kept per tunnel key, so that it never restarts. */
export interface NonceState {
  /** Prefix, unsigned 32 bit. */
  readonly prefix: number;
  /** Last counter given out, 0 when none was; below 2^53. */
  readonly counter: number;
}

/**
 * The nonces of one sender under one key. The counter only ever rises: old peers judge it in one window for all
 * prefixes, and both directions share the key.
 */
export class NonceSequence {
  #prefix: number;
  #counter: number;

  /**
   * Continues a sequence; see {@linkcode NonceSequence.start} for a new key.
   *
   * @param state Its position.
   */
  constructor(state: NonceState) {
    this.#prefix = state.prefix >>> 0;
    this.#counter = state.counter;
  }

  /**
   * Starts the sequence of a new key.
   *
   * @param random Fills its argument with random bytes.
   * @returns A sequence whose first counter is 1.
   */
  static start(random: (out: Uint8Array) => void): NonceSequence {
    return new NonceSequence({ prefix: randomPrefix(random), counter: 0 });
  }

  /** The prefix of the nonces given out from now on, unsigned 32 bit. */
  get prefix(): number {
    return this.#prefix;
  }

  /** The last counter given out; 0 when none was. */
  get counter(): number {
    return this.#counter;
  }

  /**
   * Writes the next nonce; no nonce is given out twice.
   *
   * @param out Where to write.
   * @param offset First byte of the 12.
   * @throws {PilotError} `internal` when the counter reached 2^53-1 (292 years at a million packets a second),
   * `invalid_argument` when `out` is too short.
   */
  next(out: Uint8Array, offset: number = 0): void {
    if (this.#counter >= Number.MAX_SAFE_INTEGER) {
      throw new PilotError("internal", "Nonce counter is used up");
    }
    if (offset + AEAD_NONCE_BYTES > out.length) {
      throw new PilotError("invalid_argument", "No room for a nonce");
    }
    this.#counter++;
    writeU32(out, offset, this.#prefix);
    writeU32(out, offset + 4, Math.floor(this.#counter / 0x1_0000_0000));
    writeU32(out, offset + 8, this.#counter >>> 0);
  }

  /**
   * Takes another prefix, because the peer was seen using the same one; the counter continues.
   *
   * @param random Fills its argument with random bytes.
   */
  changePrefix(random: (out: Uint8Array) => void): void {
    const prefix = randomPrefix(random);
    // One draw in 2^32 repeats the old prefix, which is the one that must go.
    this.#prefix = prefix === this.#prefix ? (prefix + 1) >>> 0 : prefix;
  }
}

/**
 * Reads the prefix of a nonce.
 *
 * @param bytes Holds the nonce.
 * @param offset Its first byte.
 * @returns The prefix, unsigned 32 bit.
 */
export function noncePrefix(bytes: Uint8Array, offset: number = 0): number {
  return readU32(bytes, offset);
}

/**
 * Reads the counter of a nonce.
 *
 * @param bytes Holds the nonce.
 * @param offset Its first byte.
 * @returns The counter; values of 2^53 and above, which no honest sender reaches, come out inexact but still
 * above `Number.MAX_SAFE_INTEGER`, and the replay window refuses them.
 */
export function nonceCounter(bytes: Uint8Array, offset: number = 0): number {
  return readU32(bytes, offset + 4) * 0x1_0000_0000 + readU32(bytes, offset + 8);
}

function randomPrefix(random: (out: Uint8Array) => void): number {
  const bytes = new Uint8Array(4);
  random(bytes);
  return readU32(bytes, 0);
}

// By hand and not through a DataView, which would be one more object per packet.
function writeU32(out: Uint8Array, offset: number, value: number): void {
  out[offset] = value >>> 24;
  out[offset + 1] = value >>> 16;
  out[offset + 2] = value >>> 8;
  out[offset + 3] = value;
}

function readU32(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 24 | bytes[offset + 1]! << 16 |
    bytes[offset + 2]! << 8 | bytes[offset + 3]!) >>> 0;
}
