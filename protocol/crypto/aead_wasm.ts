/**
 * AES-256-GCM with AES by `node:crypto` and GHASH in WebAssembly: the fastest portable form where each call into the
 * runtime is dear. `node:crypto` makes objects and five calls of each packet, here one call encrypts the counters of
 * several.
 *
 * @module
 */

import { type Aead, AEAD_TAG_BYTES, CheckedAead } from "./aead.ts";
import { nodeAead } from "./aead_node.ts";
import {
  GhashMachine,
  type GhashTables,
  ghashTables,
  MAX_GHASH_AAD_BYTES,
  MAX_GHASH_TEXT_BYTES,
} from "./ghash.ts";
import { AES_BLOCK_BYTES, BlockCipher, Keystream } from "./keystream.ts";

/** One for all keys: it keeps nothing from one packet to the next but tables, which it knows apart. */
let machine: GhashMachine | undefined;

class WasmAead extends CheckedAead {
  override readonly name = "WebAssembly";
  readonly #machine: GhashMachine;
  readonly #cipher: BlockCipher;
  readonly #tables: GhashTables;
  readonly #sealing: Keystream;
  readonly #opening: Keystream;
  /** For what is larger than a datagram. */
  readonly #large: Aead;

  constructor(key: Uint8Array) {
    super();
    this.#machine = machine ??= new GhashMachine();
    this.#large = nodeAead(key);
    this.#cipher = new BlockCipher(key);
    const hashKey = this.#cipher.encrypt(new Uint8Array(AES_BLOCK_BYTES));
    this.#tables = ghashTables(hashKey);
    hashKey.fill(0);
    this.#sealing = new Keystream(this.#cipher);
    this.#opening = new Keystream(this.#cipher);
  }

  protected override sealChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): void {
    const end = offset + length;
    if (isLarge(aad, length)) return this.#large.seal(nonce, aad, buf, offset, length);
    const machine = this.#machine;
    const keystream = this.#sealing;
    const blocks = partBlocks(length);
    const at = keystream.take(nonce, blocks);
    const { bytes } = keystream;
    machine.put(aad, buf.subarray(offset, end));
    machine.mask(bytes.subarray(at + AES_BLOCK_BYTES, at + blocks * AES_BLOCK_BYTES));
    const hash = machine.hash(this.#tables);
    machine.take(buf, offset);
    for (let i = 0; i < AEAD_TAG_BYTES; i++) buf[end + i] = hash[i]! ^ bytes[at + i]!;
  }

  protected override openChecked(
    nonce: Uint8Array,
    aad: Uint8Array,
    buf: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    if (isLarge(aad, length)) {
      return this.#large.open(nonce, aad, buf, offset, length + AEAD_TAG_BYTES);
    }
    const machine = this.#machine;
    const keystream = this.#opening;
    const end = offset + length;
    const blocks = partBlocks(length);
    const found = keystream.find(nonce, blocks);
    // Keystream is precomputed only after an authentic packet, so forged packets cost no extra work.
    const bytes = found < 0 ? keystream.once(nonce, blocks) : keystream.bytes;
    const at = Math.max(found, 0);
    machine.put(aad, buf.subarray(offset, end));
    const hash = machine.hash(this.#tables);
    let difference = 0;
    for (let i = 0; i < AEAD_TAG_BYTES; i++) {
      difference |= hash[i]! ^ bytes[at + i]! ^ buf[end + i]!;
    }
    const isAuthentic = difference === 0;
    if (isAuthentic) {
      machine.mask(bytes.subarray(at + AES_BLOCK_BYTES, at + blocks * AES_BLOCK_BYTES));
      // While the nonce is still there: it may lie where the text goes.
      keystream.follow(nonce, blocks, found >= 0);
      machine.take(buf, offset);
    }
    if (found < 0) bytes.fill(0);
    return isAuthentic;
  }

  protected override wipe(): void {
    this.#large.destroy();
    this.#machine.forget(this.#tables);
    this.#sealing.wipe();
    this.#opening.wipe();
    this.#cipher.destroy();
  }
}

/** Blocks of key stream for a text, and the one for the tag. */
function partBlocks(textBytes: number): number {
  return 1 + Math.ceil(textBytes / AES_BLOCK_BYTES);
}

function isLarge(aad: Uint8Array, textBytes: number): boolean {
  return aad.length > MAX_GHASH_AAD_BYTES || textBytes > MAX_GHASH_TEXT_BYTES;
}

/**
 * Makes an {@linkcode Aead} on `node:crypto` and WebAssembly.
 *
 * @param key 32 bytes; copied.
 * @returns The cipher.
 * @throws {PilotError} `invalid_argument` when the key does not have 32 bytes.
 * @throws {WebAssembly.CompileError} When the runtime has no SIMD.
 */
export function wasmAead(key: Uint8Array): Aead {
  return new WasmAead(key);
}
