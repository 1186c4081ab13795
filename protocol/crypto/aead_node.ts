/**
 * AES-256-GCM by `node:crypto`: the fast portable form (Deno, Node, Bun).
 *
 * @module
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { type Aead, AEAD_TAG_BYTES, CheckedAead, copyAeadKey } from "./aead.ts";

const ALGORITHM = "aes-256-gcm";

class NodeAead extends CheckedAead {
  override readonly name = "node:crypto";
  // Raw bytes, not a KeyObject: measured 0.5 to 1 us cheaper per operation, and they can be wiped.
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
    const end = offset + length;
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce);
    cipher.setAAD(aad);
    buf.set(cipher.update(buf.subarray(offset, end)), offset);
    cipher.final();
    buf.set(cipher.getAuthTag(), end);
  }

  protected override openChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const end = offset + length;
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce);
    decipher.setAAD(aad);
    decipher.setAuthTag(buf.subarray(end, end + AEAD_TAG_BYTES));
    const plaintext = decipher.update(buf.subarray(offset, end));
    try {
      decipher.final();
    } catch {
      // With all arguments checked above, a wrong tag is the one thing that makes final() throw.
      plaintext.fill(0);
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
 * Makes an {@linkcode Aead} on `node:crypto`.
 *
 * @param key 32 bytes; copied.
 * @returns The cipher.
 * @throws {PilotError} `invalid_argument` when the key does not have 32 bytes.
 */
export function nodeAead(key: Uint8Array): Aead {
  return new NodeAead(key);
}
