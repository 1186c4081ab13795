/**
 * Checking of Ed25519 signatures without WebCrypto. A registry meets another key with
 * nearly every request, and with WebCrypto the memory grows with them: 1.13 GB at the peak of `deno task bench
 * registry`, 0.53 GB like this (250,000 nodes, one run each). Both occupy the event loop while they check.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createPublicKey, verify } from "node:crypto";
import { isUsablePublicKey, SIGNATURE_BYTES } from "../../protocol/crypto/verify_signature.ts";

/** What precedes the 32 bytes of a key in the DER form of RFC 8410. */
const DER_HEADER = Uint8Array.of(
  0x30,
  0x2a,
  0x30,
  0x05,
  0x06,
  0x03,
  0x2b,
  0x65,
  0x70,
  0x03,
  0x21,
  0,
);

/**
 * Checks an Ed25519 signature as `verifySignature` of protocol/crypto does. Never throws on hostile input.
 *
 * @param publicKey The signer's key; anything but 32 bytes, and points of small order, give false.
 * @param message The signed bytes.
 * @param signature Anything but 64 bytes gives false.
 * @returns True when the signature fits.
 */
export function verifies(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (signature.length !== SIGNATURE_BYTES || !isUsablePublicKey(publicKey)) return false;
  const der = Buffer.concat([DER_HEADER, publicKey]);
  try {
    const key = createPublicKey({ key: der, format: "der", type: "spki" });
    return verify(null, message, key, signature);
  } catch {
    return false; // 32 bytes that are no point of the curve
  }
}
