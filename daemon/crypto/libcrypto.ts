/**
 * The few calls of OpenSSL's libcrypto that AES-256-GCM needs, through FFI.
 *
 * @module
 */

/** Names of the library: OpenSSL 3, then 1.1, whose EVP calls used here are the same. */
const LIBRARY_NAMES: readonly string[] = ["libcrypto.so.3", "libcrypto.so.1.1"];

/**
 * The EVP calls, as in the manual pages; 1 is success. Pointers are `bigint`: these stay V8 fast calls (8 ns),
 * while pointer objects would have to be created again for every offset (400 ns).
 */
export interface EvpCalls {
  EVP_CIPHER_CTX_new(): bigint;
  EVP_CIPHER_CTX_free(context: bigint): void;
  EVP_CIPHER_CTX_ctrl(context: bigint, type: number, argument: number, pointer: bigint): number;
  EVP_aes_256_gcm(): bigint;
  EVP_EncryptInit_ex(
    context: bigint,
    cipher: bigint,
    engine: bigint,
    key: bigint,
    nonce: bigint,
  ): number;
  EVP_EncryptUpdate(
    context: bigint,
    out: bigint,
    outLength: bigint,
    input: bigint,
    length: number,
  ): number;
  EVP_EncryptFinal_ex(context: bigint, out: bigint, outLength: bigint): number;
  EVP_DecryptInit_ex(
    context: bigint,
    cipher: bigint,
    engine: bigint,
    key: bigint,
    nonce: bigint,
  ): number;
  EVP_DecryptUpdate(
    context: bigint,
    out: bigint,
    outLength: bigint,
    input: bigint,
    length: number,
  ): number;
  EVP_DecryptFinal_ex(context: bigint, out: bigint, outLength: bigint): number;
}

/** A loaded library. */
export interface EvpLibrary {
  readonly calls: EvpCalls;
  /** Unloads it; no call may follow. */
  unload(): void;
}

const SYMBOLS = {
  EVP_CIPHER_CTX_new: { parameters: [], result: "usize" },
  EVP_CIPHER_CTX_free: { parameters: ["usize"], result: "void" },
  EVP_CIPHER_CTX_ctrl: { parameters: ["usize", "i32", "i32", "usize"], result: "i32" },
  EVP_aes_256_gcm: { parameters: [], result: "usize" },
  EVP_EncryptInit_ex: {
    parameters: ["usize", "usize", "usize", "usize", "usize"],
    result: "i32",
  },
  EVP_EncryptUpdate: { parameters: ["usize", "usize", "usize", "usize", "i32"], result: "i32" },
  EVP_EncryptFinal_ex: { parameters: ["usize", "usize", "usize"], result: "i32" },
  EVP_DecryptInit_ex: {
    parameters: ["usize", "usize", "usize", "usize", "usize"],
    result: "i32",
  },
  EVP_DecryptUpdate: { parameters: ["usize", "usize", "usize", "usize", "i32"], result: "i32" },
  EVP_DecryptFinal_ex: { parameters: ["usize", "usize", "usize"], result: "i32" },
} as const;

/**
 * Loads the system's libcrypto.
 *
 * @returns The library.
 * @throws When none of the known names can be loaded, with the last reason.
 */
export function loadEvpLibrary(): EvpLibrary {
  let reason: unknown;
  for (const name of LIBRARY_NAMES) {
    try {
      const library = Deno.dlopen(name, SYMBOLS);
      return { calls: library.symbols, unload: () => library.close() };
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}

/**
 * Addresses of buffers. Asking the runtime costs 400 ns, so they are kept: the memory of an `ArrayBuffer` does
 * not move for as long as it lives and is not transferred, and a transferred one has length 0, which callers
 * check before they use an address.
 */
export class AddressCache {
  readonly #known = new WeakMap<ArrayBufferLike, bigint>();
  #last: ArrayBufferLike | undefined;
  #lastBase = 0n;

  /** Address of byte `offset` of a view; the view must not be empty of memory. */
  at(view: Uint8Array, offset: number = 0): bigint {
    // Asking for the buffer also moves a small array out of V8's heap, where it would move.
    const { buffer } = view;
    if (buffer !== this.#last) this.#look(buffer);
    return this.#lastBase + BigInt(view.byteOffset + offset);
  }

  #look(buffer: ArrayBufferLike): void {
    let base = this.#known.get(buffer);
    if (base === undefined) {
      const bytes = new Uint8Array(buffer as ArrayBuffer);
      base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
      this.#known.set(buffer, base);
    }
    this.#last = buffer;
    this.#lastBase = base;
  }
}
