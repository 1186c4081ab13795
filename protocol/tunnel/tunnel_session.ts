/**
 * One tunnel session: the key shared with one incarnation of a peer, and the state of both directions under it
 * (docs/protocol/tunnel.md §4.6 to §5.3).
 *
 * @module
 */

import { type Aead, AEAD_NONCE_BYTES } from "../crypto/aead.ts";
import type { NonceSequence } from "../crypto/nonce.ts";
import { ReplayWindows } from "../crypto/replay.ts";
import type { Route } from "../path/mod.ts";
import {
  nonceCounter,
  noncePrefix,
  PILS_AAD_OFFSET,
  PILS_HEADER_BYTES,
  PILS_NONCE_OFFSET,
  PILS_OVERHEAD_BYTES,
  writePilsHeader,
} from "./frame.ts";

/** What opening a sealed frame came to. */
export type OpenResult = "ok" | "forged" | "replayed";

/** Keys and counters of one session. */
export class Session {
  /** The peer's X25519 key; identifies the session. */
  readonly peerKey: Uint8Array;
  /** When the session was derived, ms of the daemon's clock. */
  readonly createdMs: number;
  /** Where its first frame came from; used until the peer's path is known. */
  readonly origin: Route;
  /**
   * The peer takes a path for dead on which it hears nothing for a minute, as existing daemons do
   * (docs/protocol/paths.md §8).
   */
  readonly expectsKeepalives: boolean;
  readonly #aead: Aead;
  readonly #nonces: NonceSequence;
  readonly #windows: ReplayWindows;
  // Copies of the 16 header bytes that the cipher wants for themselves: cheaper than two views of every frame. In memory
  // that does not move, as the cipher may take its address.
  readonly #nonce = new Uint8Array(new ArrayBuffer(AEAD_NONCE_BYTES));
  readonly #aad = new Uint8Array(new ArrayBuffer(PILS_NONCE_OFFSET - PILS_AAD_OFFSET));
  #lastPrefix: number | undefined;
  #isOriginDoubtful = false;

  constructor(
    options: {
      peerKey: Uint8Array;
      aead: Aead;
      nonces: NonceSequence;
      /** Of the frames that came under the peer's key so far; default none. */
      windows?: ReplayWindows;
      origin: Route;
      expectsKeepalives: boolean;
      now: number;
    },
  ) {
    this.peerKey = options.peerKey;
    this.#aead = options.aead;
    this.#nonces = options.nonces;
    this.#windows = options.windows ?? new ReplayWindows();
    this.origin = options.origin;
    this.expectsKeepalives = options.expectsKeepalives;
    this.createdMs = options.now;
  }

  /** What went to its origin was not answered in time: the peer may answer from an address at which it is not reached. */
  get isOriginDoubtful(): boolean {
    return this.#isOriginDoubtful;
  }

  /** Notes that what went to its origin was not answered in time. */
  doubtOrigin(): void {
    this.#isOriginDoubtful = true;
  }

  /** Nonce prefix of the newest frame from the peer; shows whose key an incoming frame is under. */
  get lastPrefix(): number | undefined {
    return this.#lastPrefix;
  }

  /**
   * Seals a packet in place. The packet lies at `offset` + 20; header, ciphertext and tag come to lie at `offset`.
   *
   * @returns Bytes of the whole frame.
   */
  seal(
    buffer: Uint8Array,
    offset: number,
    sender: number,
    packetBytes: number,
  ): number {
    writePilsHeader(buffer, offset, sender, 0, 0);
    this.#nonces.next(buffer, offset + PILS_NONCE_OFFSET);
    this.#takeHeader(buffer, offset);
    this.#aead.seal(
      this.#nonce,
      this.#aad,
      buffer,
      offset + PILS_HEADER_BYTES,
      packetBytes,
    );
    return packetBytes + PILS_OVERHEAD_BYTES;
  }

  /**
   * Opens a PILS frame in place; on "ok" the packet lies at {@linkcode PILS_HEADER_BYTES}, on anything else the
   * content is lost. Only an authentic frame moves the replay window.
   */
  open(frame: Uint8Array): OpenResult {
    const counter = nonceCounter(frame, PILS_NONCE_OFFSET);
    if (!Number.isSafeInteger(counter)) return "forged";
    this.#takeHeader(frame, 0);
    if (
      !this.#aead.open(
        this.#nonce,
        this.#aad,
        frame,
        PILS_HEADER_BYTES,
        frame.length - PILS_HEADER_BYTES,
      )
    ) return "forged";
    const prefix = noncePrefix(frame, PILS_NONCE_OFFSET);
    if (this.#windows.accept(prefix, counter) !== "ok") return "replayed";
    this.#lastPrefix = prefix;
    return "ok";
  }

  #takeHeader(frame: Uint8Array, offset: number): void {
    const aad = this.#aad;
    for (let i = 0; i < aad.length; i++) aad[i] = frame[offset + PILS_AAD_OFFSET + i]!;
    const nonce = this.#nonce;
    for (let i = 0; i < nonce.length; i++) nonce[i] = frame[offset + PILS_NONCE_OFFSET + i]!;
  }

  /** Both directions use one key and differ by their prefixes only; see {@linkcode NonceSequence.changePrefix}. */
  separatePrefix(random: (out: Uint8Array) => void): void {
    if (this.#lastPrefix === this.#nonces.prefix) this.#nonces.changePrefix(random);
  }

  /** Wipes the key. */
  destroy(): void {
    this.#aead.destroy();
  }
}
