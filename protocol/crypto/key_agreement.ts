/**
 * X25519 key agreement and the keys derived from it, by WebCrypto (docs/protocol/tunnel.md §4.6, §6).
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import { hkdfSha256, SECURE_KEY_INFO, TUNNEL_KEY_INFO } from "./hkdf.ts";
import { privateKeyDer, X25519_OID } from "./pkcs8.ts";

/** Bytes of an X25519 public or private key. */
export const X25519_KEY_BYTES = 32;

const SHARED_BITS = 256;

/** The base point: its multiple by a private key is the public key. */
const BASE_POINT = Uint8Array.of(9, ...new Uint8Array(31));

/** An X25519 key pair. The private half cannot be read back. */
export class KeyPair {
  /** X25519 public key, 32 bytes. Not to be modified. */
  readonly publicKey: Uint8Array;
  readonly #key: CryptoKey;

  /**
   * Use {@linkcode KeyPair.generate} or {@linkcode KeyPair.fromPrivate} instead.
   *
   * @param key The private key.
   * @param publicKey Its public half.
   */
  constructor(key: CryptoKey, publicKey: Uint8Array) {
    this.#key = key;
    this.publicKey = publicKey;
  }

  /**
   * Makes a new key pair. Draws from WebCrypto's own random source, as {@linkcode Identity.generate} does.
   *
   * @returns The pair.
   */
  static async generate(): Promise<KeyPair> {
    const raw = crypto.getRandomValues(new Uint8Array(X25519_KEY_BYTES));
    const pair = await KeyPair.fromPrivate(raw);
    raw.fill(0);
    return pair;
  }

  /**
   * Makes the key pair that belongs to a raw private key.
   *
   * @param raw 32 secret bytes; copied.
   * @returns The pair.
   * @throws {PilotError} `invalid_argument` when `raw` does not have 32 bytes.
   */
  static async fromPrivate(raw: Uint8Array): Promise<KeyPair> {
    if (raw.length !== X25519_KEY_BYTES) {
      throw new PilotError(
        "invalid_argument",
        `X25519 private key has ${raw.length} bytes, not ${X25519_KEY_BYTES}`,
      );
    }
    const der = privateKeyDer(X25519_OID, raw);
    const key = await crypto.subtle.importKey("pkcs8", der, "X25519", false, [
      "deriveBits",
    ]);
    der.fill(0);
    const publicKey = await agree(key, BASE_POINT);
    if (publicKey === undefined) {
      throw new PilotError("internal", "WebCrypto gave no X25519 public key");
    }
    return new KeyPair(key, publicKey);
  }

  /**
   * Derives the key of the tunnel with a peer (docs/protocol/tunnel.md §4.6). Both directions share it.
   *
   * @param peerPublic The peer's X25519 public key.
   * @returns 32 bytes, or `undefined` when the peer's key is not 32 bytes or has low order.
   */
  deriveTunnelKey(peerPublic: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#derive(peerPublic, TUNNEL_KEY_INFO);
  }

  /**
   * Derives the key of the end-to-end channel on port 443 (docs/protocol/tunnel.md §6).
   *
   * @param peerPublic The peer's ephemeral X25519 public key.
   * @returns 32 bytes, or `undefined` when the peer's key is not 32 bytes or has low order.
   */
  deriveSecureKey(peerPublic: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#derive(peerPublic, SECURE_KEY_INFO);
  }

  async #derive(
    peerPublic: Uint8Array,
    info: string,
  ): Promise<Uint8Array | undefined> {
    const shared = await agree(this.#key, peerPublic);
    if (shared === undefined) return undefined;
    const key = await hkdfSha256(shared, info);
    shared.fill(0);
    return key;
  }
}

/** @returns The shared secret, or `undefined` when the public key is unusable. */
async function agree(
  key: CryptoKey,
  peerPublic: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (peerPublic.length !== X25519_KEY_BYTES) return undefined;
  const peer = await crypto.subtle.importKey(
    "raw",
    peerPublic.slice(),
    "X25519",
    true,
    [],
  );
  let shared: Uint8Array;
  try {
    shared = new Uint8Array(
      await crypto.subtle.deriveBits(
        { name: "X25519", public: peer },
        key,
        SHARED_BITS,
      ),
    );
  } catch (error) {
    // WebCrypto's answer to a point of low order; anything else is a bug and is rethrown.
    if (error instanceof DOMException && error.name === "OperationError") {
      return undefined;
    }
    throw error;
  }
  // Runtimes without that check return zeros.
  return shared.some((byte) => byte !== 0) ? shared : undefined;
}
