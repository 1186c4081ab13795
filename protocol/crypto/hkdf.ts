/**
 * HKDF-SHA256 with the two labels of the protocol, and SHA-256 (docs/protocol/tunnel.md §4.6, §6).
 *
 * @module
 */

import { createHash } from "node:crypto";

/** HKDF label of tunnel keys. */
export const TUNNEL_KEY_INFO = "pilot-tunnel-v1";
/** HKDF label of the end-to-end channel on port 443. */
export const SECURE_KEY_INFO = "pilot-secure-v1";

const DERIVED_KEY_BITS = 256;
const encoder = new TextEncoder();

/**
 * HKDF-SHA256 (RFC 5869) with an empty salt.
 *
 * @param secret The shared secret.
 * @param info The label, for example {@linkcode TUNNEL_KEY_INFO}.
 * @returns 32 bytes.
 */
export async function hkdfSha256(
  secret: Uint8Array,
  info: string,
): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey(
    "raw",
    secret.slice(),
    "HKDF",
    false,
    ["deriveBits"],
  );
  const bits = await crypto.subtle.deriveBits(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(0),
      info: encoder.encode(info),
    },
    key,
    DERIVED_KEY_BITS,
  );
  return new Uint8Array(bits);
}

/**
 * SHA-256.
 *
 * @param data Bytes, or text that is hashed as UTF-8.
 * @returns The hash in lower-case hex.
 */
export function sha256Hex(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}
