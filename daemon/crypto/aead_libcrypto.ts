/**
 * AES-256-GCM by the system's libcrypto through FFI: about 0.7 us for a packet, where `node:crypto` takes 12.
 *
 * @module
 */

import {
  type Aead,
  AEAD_KEY_BYTES,
  AEAD_TAG_BYTES,
  type AeadFactory,
  CheckedAead,
  copyAeadKey,
  type KeyState,
} from "../../protocol/crypto/aead.ts";
import { PilotError } from "../../protocol/errors.ts";
import { AddressCache, type EvpCalls, loadEvpLibrary } from "./libcrypto.ts";

const EVP_CTRL_AEAD_GET_TAG = 0x10;
const EVP_CTRL_AEAD_SET_TAG = 0x11;
const NULL = 0n;

/** libcrypto and what was made with it. */
export interface LibcryptoAead {
  /** Makes an AEAD that is to be destroyed before {@linkcode LibcryptoAead.close}. */
  readonly factory: AeadFactory;
  /** Wipes the keys that are still there, and unloads the library. */
  close(): void;
}

/** The two contexts of one key: each direction keeps its own, so that a packet costs no key schedule. */
interface Contexts extends KeyState {
  readonly seal: bigint;
  readonly open: bigint;
}

/** What all keys share. */
class Library {
  readonly calls: EvpCalls;
  // One for each argument, as these take turns with different buffers.
  readonly sealAddresses = new AddressCache();
  readonly openAddresses = new AddressCache();
  readonly nonceAddresses = new AddressCache();
  readonly aadAddresses = new AddressCache();
  /** Where libcrypto writes the lengths that are known beforehand, and the nothing that "final" adds. */
  readonly scratch: bigint;
  readonly #scratchBytes = new Uint8Array(new ArrayBuffer(64));
  readonly #unload: () => void;
  readonly #live = new Set<Contexts>();
  /** Wipes keys that nobody destroyed: a safety net, not the normal path. */
  readonly #lost = new FinalizationRegistry<Contexts>((contexts) => this.free(contexts));

  constructor() {
    const { calls, unload } = loadEvpLibrary();
    this.calls = calls;
    this.#unload = unload;
    this.scratch = this.sealAddresses.at(this.#scratchBytes);
  }

  make(key: Uint8Array): Contexts {
    const { calls } = this;
    const copy = copyAeadKey(key);
    // Not in V8's heap, where the collector could leave copies.
    const own = new Uint8Array(new ArrayBuffer(AEAD_KEY_BYTES));
    own.set(copy);
    copy.fill(0);
    const contexts: Contexts = {
      seal: calls.EVP_CIPHER_CTX_new(),
      open: calls.EVP_CIPHER_CTX_new(),
      isWiped: false,
    };
    this.#live.add(contexts);
    const cipher = calls.EVP_aes_256_gcm();
    const at = new AddressCache().at(own);
    const isReady = contexts.seal !== NULL && contexts.open !== NULL &&
      calls.EVP_EncryptInit_ex(contexts.seal, cipher, NULL, at, NULL) === 1 &&
      calls.EVP_DecryptInit_ex(contexts.open, cipher, NULL, at, NULL) === 1;
    own.fill(0);
    if (!isReady) {
      this.free(contexts);
      throw internalError("take a key");
    }
    return contexts;
  }

  watch(aead: Aead, contexts: Contexts): void {
    this.#lost.register(aead, contexts, aead);
  }

  /** libcrypto cleanses the key schedule when it frees a context. */
  free(contexts: Contexts, aead?: Aead): void {
    contexts.isWiped = true;
    if (!this.#live.delete(contexts)) return;
    this.calls.EVP_CIPHER_CTX_free(contexts.seal);
    this.calls.EVP_CIPHER_CTX_free(contexts.open);
    if (aead !== undefined) this.#lost.unregister(aead);
  }

  close(): void {
    for (const contexts of [...this.#live]) this.free(contexts);
    this.#unload();
  }
}

class EvpAead extends CheckedAead {
  override readonly name = "libcrypto";
  readonly #library: Library;
  readonly #calls: EvpCalls;
  readonly #contexts: Contexts;
  readonly #scratch: bigint;

  constructor(library: Library, key: Uint8Array) {
    const contexts = library.make(key);
    super(contexts);
    this.#contexts = contexts;
    this.#library = library;
    this.#calls = library.calls;
    this.#scratch = library.scratch;
    library.watch(this, contexts);
  }

  protected override sealChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const calls = this.#calls;
    const context = this.#contexts.seal;
    const scratch = this.#scratch;
    const { sealAddresses: addresses, nonceAddresses, aadAddresses } = this.#library;
    const data = addresses.at(buf, offset);
    const isSealed =
      calls.EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonceAddresses.at(nonce)) === 1 &&
      (aad.length === 0 ||
        calls.EVP_EncryptUpdate(context, NULL, scratch, aadAddresses.at(aad), aad.length) === 1) &&
      (length === 0 || calls.EVP_EncryptUpdate(context, data, scratch, data, length) === 1) &&
      calls.EVP_EncryptFinal_ex(context, scratch + 16n, scratch) === 1 &&
      calls.EVP_CIPHER_CTX_ctrl(
          context,
          EVP_CTRL_AEAD_GET_TAG,
          AEAD_TAG_BYTES,
          addresses.at(buf, offset + length),
        ) === 1;
    if (!isSealed) {
      buf.fill(0, offset, offset + length);
      throw internalError("seal");
    }
  }

  protected override openChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    const calls = this.#calls;
    const context = this.#contexts.open;
    const scratch = this.#scratch;
    const { openAddresses: addresses, nonceAddresses, aadAddresses } = this.#library;
    const data = addresses.at(buf, offset);
    const tag = addresses.at(buf, offset + length);
    const isRead =
      calls.EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonceAddresses.at(nonce)) === 1 &&
      calls.EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag) === 1 &&
      (aad.length === 0 ||
        calls.EVP_DecryptUpdate(context, NULL, scratch, aadAddresses.at(aad), aad.length) === 1) &&
      (length === 0 || calls.EVP_DecryptUpdate(context, data, scratch, data, length) === 1);
    if (isRead && calls.EVP_DecryptFinal_ex(context, scratch + 16n, scratch) === 1) return true;
    buf.fill(0, offset, offset + length);
    if (!isRead) throw internalError("open");
    return false;
  }

  protected override wipe(): void {
    this.#library.free(this.#contexts, this);
  }
}

function internalError(what: string): PilotError {
  return new PilotError("internal", `libcrypto could not ${what}`);
}

/**
 * Loads the system's libcrypto.
 *
 * @returns A factory, and the way to unload it.
 * @throws When the library is not there or FFI is not permitted.
 */
export function loadLibcryptoAead(): LibcryptoAead {
  const library = new Library();
  let isClosed = false;
  return {
    factory: (key) => {
      if (isClosed) throw new PilotError("invalid_state", "libcrypto was unloaded");
      return new EvpAead(library, key);
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      library.close();
    },
  };
}
