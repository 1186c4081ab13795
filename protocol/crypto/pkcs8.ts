/**
 * The PKCS #8 wrapping that WebCrypto wants around raw 32-byte private keys (RFC 8410 §7).
 *
 * @module
 */

/** Last byte of the object identifier of X25519 (1.3.101.110). */
export const X25519_OID = 0x6e;
/** Last byte of the object identifier of Ed25519 (1.3.101.112). */
export const ED25519_OID = 0x70;

/**
 * Wraps a raw private key.
 *
 * @param oid {@linkcode X25519_OID} or {@linkcode ED25519_OID}.
 * @param raw 32 bytes.
 * @returns 48 bytes of DER; the caller wipes them after use.
 */
export function privateKeyDer(
  oid: number,
  raw: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const der = new Uint8Array(16 + raw.length);
  // deno-fmt-ignore
  der.set([
    0x30, 0x2e,                         // sequence, 46 bytes
    0x02, 0x01, 0x00,                   // version 0
    0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, oid,
    0x04, 0x22, 0x04, 0x20,             // octet string holding an octet string of 32 bytes
  ]);
  der.set(raw, 16);
  return der;
}
