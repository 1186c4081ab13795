/**
 * A node's Ed25519 identity, by WebCrypto (docs/protocol/tunnel.md §7, docs/protocol/registry.md §2.1).
 *
 * @module
 */

import { PilotError } from "../errors.ts";
import { decodeBase64, encodeBase64, equalBytes } from "./base64.ts";
import { ED25519_OID, privateKeyDer } from "./pkcs8.ts";
import { PUBLIC_KEY_BYTES } from "./verify_signature.ts";

/** Bytes of an Ed25519 seed. */
export const SEED_BYTES = 32;

/** Longest identity.json that is looked at; a real one has about 200 characters. */
export const IDENTITY_FILE_MAX_CHARS = 4096;

const BAD_FILE_HINT =
  "Restore identity.json from a backup, or move it away to be given a new identity (and node number).";

/** A node's Ed25519 key pair. The private half leaves the object only through {@linkcode Identity.toFile}. */
export class Identity {
  /** Ed25519 public key, 32 bytes. Not to be modified. */
  readonly publicKey: Uint8Array;
  /** The public key as standard base64, as the registry and trust messages carry it. */
  readonly publicKeyBase64: string;
  readonly #seed: Uint8Array;
  readonly #key: CryptoKey;

  /**
   * Use {@linkcode Identity.generate}, {@linkcode Identity.fromSeed} or {@linkcode Identity.fromFile} instead.
   *
   * @param seed 32 secret bytes.
   * @param key The private key made from them.
   * @param publicKey The public key made from them.
   */
  constructor(seed: Uint8Array, key: CryptoKey, publicKey: Uint8Array) {
    this.#seed = seed;
    this.#key = key;
    this.publicKey = publicKey;
    this.publicKeyBase64 = encodeBase64(publicKey);
  }

  /**
   * Makes a new identity. Draws from WebCrypto's own random source: a long-lived key must not come from an
   * injected, possibly seeded one.
   *
   * @returns The identity.
   */
  static generate(): Promise<Identity> {
    return Identity.fromSeed(
      crypto.getRandomValues(new Uint8Array(SEED_BYTES)),
    );
  }

  /**
   * Makes the identity that belongs to a seed.
   *
   * @param seed 32 secret bytes; copied.
   * @returns The identity.
   * @throws {PilotError} `invalid_argument` when the seed does not have 32 bytes.
   */
  static async fromSeed(seed: Uint8Array): Promise<Identity> {
    if (seed.length !== SEED_BYTES) {
      throw new PilotError(
        "invalid_argument",
        `Ed25519 seed has ${seed.length} bytes, not ${SEED_BYTES}`,
      );
    }
    const own = seed.slice();
    const der = privateKeyDer(ED25519_OID, own);
    // Extractable, because the JWK form is WebCrypto's one way from a private key to its public half.
    const key = await crypto.subtle.importKey("pkcs8", der, "Ed25519", true, [
      "sign",
    ]);
    der.fill(0);
    const { x = "" } = await crypto.subtle.exportKey("jwk", key);
    const publicKey = decodeBase64(
      x.replaceAll("-", "+").replaceAll("_", "/") + "=",
    );
    if (publicKey?.length !== PUBLIC_KEY_BYTES) {
      throw new PilotError("internal", "WebCrypto gave no Ed25519 public key");
    }
    return new Identity(own, key, publicKey);
  }

  /**
   * Reads identity.json (docs/protocol/tunnel.md §7).
   *
   * @param json The file's text.
   * @returns The identity.
   * @throws {PilotError} `invalid_argument` when it is not an identity, or its two keys do not belong together.
   * The message never repeats the content, which is secret.
   */
  static async fromFile(json: string): Promise<Identity> {
    const { private_key, public_key } = parseFile(json);
    const pair = decodeBase64(private_key);
    const publicKey = decodeBase64(public_key);
    if (
      pair?.length !== SEED_BYTES + PUBLIC_KEY_BYTES ||
      publicKey?.length !== PUBLIC_KEY_BYTES
    ) {
      throw badFile("a key is not base64 of the right length");
    }
    const identity = await Identity.fromSeed(pair.subarray(0, SEED_BYTES));
    if (
      !equalBytes(publicKey, identity.publicKey) ||
      !equalBytes(pair.subarray(SEED_BYTES), identity.publicKey)
    ) {
      throw badFile("the public key does not belong to the private key");
    }
    pair.fill(0);
    return identity;
  }

  /**
   * Writes identity.json (docs/protocol/tunnel.md §7). The text is secret: mode 0600, never into a log.
   *
   * @returns JSON with two-space indent and a final newline.
   */
  toFile(): string {
    const pair = new Uint8Array(SEED_BYTES + PUBLIC_KEY_BYTES);
    pair.set(this.#seed);
    pair.set(this.publicKey, SEED_BYTES);
    const file = {
      private_key: encodeBase64(pair),
      public_key: this.publicKeyBase64,
    };
    pair.fill(0);
    return JSON.stringify(file, undefined, 2) + "\n";
  }

  /**
   * Signs a message (RFC 8032, pure).
   *
   * @param message The bytes; may be reused by the caller at once.
   * @returns 64 bytes.
   */
  async sign(message: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(
      await crypto.subtle.sign("Ed25519", this.#key, message.slice()),
    );
  }

  /**
   * Signs a message so that no two signatures are the same, which takes about a millisecond.
   *
   * @param message The bytes; may be reused by the caller at once.
   * @returns 64 bytes that verify as those of {@linkcode Identity.sign}.
   */
  async signAnew(message: Uint8Array): Promise<Uint8Array> {
    const own = message.slice();
    // Only now: loading it takes longer than most commands.
    const { signHedged } = await import("./hedged_signature.ts");
    return signHedged(this.#seed, own, crypto.getRandomValues(new Uint8Array(SEED_BYTES)));
  }
}

function badFile(why: string): PilotError {
  return new PilotError("invalid_argument", `Not an identity file: ${why}`, {
    hint: BAD_FILE_HINT,
  });
}

function parseFile(json: string): { private_key: string; public_key: string } {
  if (json.length > IDENTITY_FILE_MAX_CHARS) throw badFile("it is too long");
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch {
    // Not kept as the cause: the parser's message quotes the file, and the file holds the private key.
    throw badFile("it is not JSON");
  }
  if (
    typeof file !== "object" || file === null ||
    !("private_key" in file) || typeof file.private_key !== "string" ||
    !("public_key" in file) || typeof file.public_key !== "string"
  ) {
    throw badFile("private_key or public_key is missing");
  }
  return { private_key: file.private_key, public_key: file.public_key };
}

export { verifySignature } from "./verify_signature.ts";
