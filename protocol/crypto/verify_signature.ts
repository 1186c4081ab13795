/**
 * Checking of Ed25519 signatures by WebCrypto (docs/protocol/tunnel.md §4.1, docs/protocol/registry.md §2.1).
 *
 * @module
 */

import { encodeBase64 } from "./base64.ts";

/** Bytes of an Ed25519 public key. */
export const PUBLIC_KEY_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

/** Imported keys kept ready: importing costs as much as a verification, and a daemon talks to few peers at once. */
export const KEY_CACHE_ENTRIES = 512;

/** Most recently used last. Holds public keys only. */
const imported = new Map<string, CryptoKey>();

/**
 * The y coordinates of the eight points of small order, also in their non-canonical encodings, sign bit cleared.
 * WebCrypto takes such a key, and then one constant signature fits every message: anyone could sign as its owner.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) =>
  encodeBase64(
    Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16)),
  )
));

/**
 * Returns whether bytes may serve as an Ed25519 public key: 32 bytes and not a point of small order.
 *
 * @param publicKey The claimed key.
 * @returns False for keys with which signatures would prove nothing.
 */
export function isUsablePublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES) return false;
  const y = publicKey.slice();
  y[31]! &= 0x7f;
  return !SMALL_ORDER.has(encodeBase64(y));
}

/** @returns The imported key, or `undefined` when the runtime refuses it. */
async function importPublicKey(
  publicKey: Uint8Array,
): Promise<CryptoKey | undefined> {
  const name = encodeBase64(publicKey);
  let key = imported.get(name);
  if (key === undefined) {
    try {
      key = await crypto.subtle.importKey(
        "raw",
        publicKey.slice(),
        "Ed25519",
        true,
        ["verify"],
      );
    } catch {
      // 32 bytes that are no point of the curve: some runtimes say so here, others in verify().
      return undefined;
    }
  }
  // Deleting first moves the entry to the end.
  imported.delete(name);
  imported.set(name, key);
  if (imported.size > KEY_CACHE_ENTRIES) {
    for (const oldest of imported.keys()) {
      imported.delete(oldest);
      break;
    }
  }
  return key;
}

/**
 * Checks an Ed25519 signature (RFC 8032, pure). Never throws on hostile input.
 *
 * @param publicKey The signer's key; anything but 32 bytes, and points of small order, give false.
 * @param message The signed bytes; may be reused by the caller at once.
 * @param signature Anything but 64 bytes gives false.
 * @returns True when the signature fits.
 */
export async function verifySignature(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (signature.length !== SIGNATURE_BYTES || !isUsablePublicKey(publicKey)) {
    return false;
  }
  // Copied before the first await: callers pass views of receive buffers.
  const signed = message.slice();
  const proof = signature.slice();
  const key = await importPublicKey(publicKey);
  if (key === undefined) return false;
  return await crypto.subtle.verify("Ed25519", key, proof, signed);
}
