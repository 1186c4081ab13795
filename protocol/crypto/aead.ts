/**
 * What the packet path needs from AES-256-GCM: seal and open in place, synchronously
 * (docs/protocol/tunnel.md §4.6, §5.1).
 *
 * @module
 */

import { PilotError } from "../errors.ts";

/** Bytes of an AES-256-GCM key. */
export const AEAD_KEY_BYTES = 32;
/** Bytes of a nonce. */
export const AEAD_NONCE_BYTES = 12;
/** Bytes of the tag behind every ciphertext. */
export const AEAD_TAG_BYTES = 16;

/** One AES-256-GCM key, ready for use. */
export interface Aead {
  /** Name of the implementation, shown by `info`. */
  readonly name: string;

  /**
   * Encrypts in place: the plaintext at `buf[offset, offset + length)` becomes ciphertext, followed by the tag.
   *
   * @param nonce 12 bytes, never used before with this key.
   * @param aad Bytes that are authenticated and not encrypted.
   * @param buf Holds the plaintext and has {@linkcode AEAD_TAG_BYTES} bytes of room behind it.
   * @param offset First plaintext byte.
   * @param length Plaintext bytes.
   * @throws {PilotError} `invalid_argument` when nonce or range do not fit, `invalid_state` after `destroy`.
   */
  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): void;

  /**
   * Decrypts in place: `buf[offset, offset + length)` is ciphertext and tag; on success the plaintext is at
   * `buf[offset, offset + length - 16)`.
   *
   * @param nonce 12 bytes.
   * @param aad The bytes that were authenticated.
   * @param buf Holds ciphertext and tag.
   * @param offset First ciphertext byte.
   * @param length Bytes of ciphertext and tag; fewer than 16 gives false.
   * @returns True when the tag fits. When false, `buf` never holds unauthenticated plaintext.
   * @throws {PilotError} `invalid_argument` when nonce or range do not fit, `invalid_state` after `destroy`.
   */
  open(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean;

  /** Wipes the key. May be called more than once. */
  destroy(): void;
}

/**
 * Makes an {@linkcode Aead} from a key, which is copied.
 *
 * Throws {@linkcode PilotError} `invalid_argument` when the key does not have 32 bytes.
 */
export type AeadFactory = (key: Uint8Array) => Aead;

/**
 * Copies a key after checking its length; for implementations of {@linkcode AeadFactory}.
 *
 * @param key 32 bytes.
 * @returns A copy.
 * @throws {PilotError} `invalid_argument` when the length is wrong.
 */
export function copyAeadKey(key: Uint8Array): Uint8Array {
  if (key.length !== AEAD_KEY_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `AES-256-GCM key has ${key.length} bytes, not ${AEAD_KEY_BYTES}`,
    );
  }
  return key.slice();
}

/** Whether a key is there. */
export interface KeyState {
  /** Also set by who wipes keys behind the back of their {@linkcode CheckedAead}. */
  isWiped: boolean;
}

/** What every implementation does alike: it checks its calls, and uses no key that was wiped. */
export abstract class CheckedAead implements Aead {
  abstract readonly name: string;
  readonly #state: KeyState;

  /**
   * Takes a key into use.
   *
   * @param state Whether the key is there.
   */
  constructor(state: KeyState = { isWiped: false }) {
    this.#state = state;
  }

  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): void {
    checkCall(this.#state, nonce, buf, offset, length, AEAD_TAG_BYTES);
    this.sealChecked(nonce, aad, buf, offset, length);
  }

  open(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    checkCall(this.#state, nonce, buf, offset, length, 0);
    return length >= AEAD_TAG_BYTES &&
      this.openChecked(nonce, aad, buf, offset, length - AEAD_TAG_BYTES);
  }

  destroy(): void {
    if (this.#state.isWiped) return;
    this.#state.isWiped = true;
    this.wipe();
  }

  /** {@linkcode Aead.seal}. */
  protected abstract sealChecked(...call: Parameters<Aead["seal"]>): void;

  /** {@linkcode Aead.open}, but `length` bytes of ciphertext with the tag behind them. */
  protected abstract openChecked(...call: Parameters<Aead["open"]>): boolean;

  /** Wipes the key, once. */
  protected abstract wipe(): void;
}

function checkCall(
  { isWiped }: KeyState,
  nonce: Uint8Array,
  buf: Uint8Array,
  offset: number,
  length: number,
  room: number,
): void {
  if (isWiped) {
    throw new PilotError("invalid_state", "AES-256-GCM key was wiped");
  }
  if (nonce.length !== AEAD_NONCE_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `AES-256-GCM nonce has ${nonce.length} bytes, not ${AEAD_NONCE_BYTES}`,
    );
  }
  const isRange = Number.isSafeInteger(offset) && Number.isSafeInteger(length) &&
    offset >= 0 && length >= 0 && offset + length + room <= buf.length;
  if (!isRange) {
    throw new PilotError(
      "invalid_argument",
      `AES-256-GCM cannot use ${length} + ${room} bytes at ${offset} of a buffer of ${buf.length}`,
    );
  }
}
