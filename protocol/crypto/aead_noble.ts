/**
 * AES-256-GCM by `@noble/ciphers`: runs in any JavaScript runtime, about five times slower than `node:crypto`.
 *
 * @module
 */

import { gcm } from "@noble/ciphers/aes.js";
import { type Aead, AEAD_TAG_BYTES, CheckedAead, copyAeadKey } from "./aead.ts";

class NobleAead extends CheckedAead {
  override readonly name = "@noble/ciphers";
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    super();
    this.#key = copyAeadKey(key);
  }

  protected override sealChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const cipher = gcm(this.#key, nonce, aad);
    buf.set(cipher.encrypt(buf.subarray(offset, offset + length)), offset);
  }

  protected override openChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const end = offset + length + AEAD_TAG_BYTES;
    let plaintext: Uint8Array;
    try {
      plaintext = gcm(this.#key, nonce, aad).decrypt(buf.subarray(offset, end));
    } catch {
      // With all arguments checked above, a wrong tag is the one thing that makes decrypt() throw.
      return false;
    }
    buf.set(plaintext, offset);
    return true;
  }

  protected override wipe(): void {
    this.#key.fill(0);
  }
}

/**
 * Makes an {@linkcode Aead} on `@noble/ciphers`.
 *
 * @param key 32 bytes; copied.
 * @returns The cipher.
 * @throws {PilotError} `invalid_argument` when the key does not have 32 bytes.
 */
export function nobleAead(key: Uint8Array): Aead {
  return new NobleAead(key);
}
