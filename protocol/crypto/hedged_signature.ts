/**
 * Ed25519 signatures that differ each time. WebCrypto makes only the deterministic ones of RFC 8032.
 *
 * @module
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concatBytes } from "../bytes.ts";

/**
 * Signs as RFC 8032 §5.1.6 with random bytes in the nonce beside key and message, so that a broken random source gives
 * no more away than a deterministic signature does.
 *
 * @param seed The private key, 32 bytes.
 * @param message The bytes.
 * @param noise The random bytes, new for each signature.
 * @returns 64 bytes that verify as every Ed25519 signature.
 */
export function signHedged(seed: Uint8Array, message: Uint8Array, noise: Uint8Array): Uint8Array {
  const { prefix, scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(seed);
  const { Fn, BASE } = ed25519.Point;
  const scalarOf = (...parts: Uint8Array[]) =>
    Fn.create(bytesToNumberLE(sha512(concatBytes(...parts))));
  const nonce = scalarOf(prefix, noise, message);
  prefix.fill(0);
  const commitment = BASE.multiply(nonce).toBytes();
  const response = Fn.add(nonce, Fn.mul(scalarOf(commitment, pointBytes, message), scalar));
  return concatBytes(commitment, Fn.toBytes(response));
}
