/**
 * Keys of peers that are being verified: how many at a time, how often, what arrives meanwhile, and the sessions that
 * come of them (docs/protocol/tunnel.md §4.3, §4.6). Nothing changes for a peer before a verification has succeeded.
 *
 * @module
 */

import type { Aead } from "../crypto/aead.ts";
import { NonceSequence } from "../crypto/nonce.ts";
import { ReplayWindows } from "../crypto/replay.ts";
import type { Route } from "../path/mod.ts";
import { KeyedRateLimit } from "../rate_limit.ts";
import type { PilaFields } from "./frame.ts";
import type { Lane } from "./lanes.ts";
import { Session } from "./tunnel_session.ts";

/** Peers whose PILA is being verified; more must wait for their own retry. */
export const MAX_VERIFYING = 256;
/** Key exchanges a second from one address (5/s was too low for many nodes behind one NAT). */
export const KEX_RATE = { perSecond: 20, burst: 64 } as const;
/** Source addresses whose key exchanges are counted. */
export const MAX_KEX_SOURCES = 4_096;
/**
 * Nonce sequences and replay windows kept beyond their sessions, so that one peer key never sees a counter twice, and
 * neither do we: who replays a PILA of a former process must not prove it by that one's frames
 * (docs/protocol/tunnel.md §5.2, §5.3).
 */
export const MAX_NONCE_SEQUENCES = 16_384;
/** Frames of a peer that arrived while its PILA was being verified. */
export const MAX_EARLY_FRAMES = 16;

/** A PILA that is being verified. */
export interface Verification {
  /** The node whose key it is said to be. */
  readonly node: number;
  /** Where it came from. */
  readonly route: Route;
  /** Where that is. */
  readonly lane: Lane;
  /** We trust the node or want to reach it. */
  readonly isExpected: boolean;
  /** The peer's key for the tunnel. */
  readonly x25519: Uint8Array;
  /** Its identity. */
  readonly ed25519: Uint8Array;
  /** Over both, by the identity. */
  readonly signature: Uint8Array;
  /** The PILA was marked as question or answer. */
  readonly isMarked: boolean;
  /** Frames that arrived meanwhile, oldest first. */
  readonly early: readonly { readonly frame: Uint8Array; readonly route: Route }[];
}

interface OpenVerification extends Verification {
  readonly early: { frame: Uint8Array; route: Route }[];
}

/** What outlives the sessions under one peer key. */
interface KeyHistory {
  readonly nonces: NonceSequence;
  readonly windows: ReplayWindows;
}

const LANES: readonly Lane[] = ["known", "relay", "other"];

function laneKey(node: number, lane: Lane): string {
  return `${node} ${lane}`;
}

/** All verifications. */
export class Verifications {
  readonly #random: (out: Uint8Array) => void;
  readonly #sources: KeyedRateLimit<string>;
  readonly #expected: KeyedRateLimit<string>;
  readonly #maxNonces: number;
  /** By node and lane. */
  readonly #open = new Map<string, OpenVerification>();
  /** By peer key, the one used longest ago first. */
  readonly #histories = new Map<string, KeyHistory>();

  /**
   * Nothing is being verified yet.
   *
   * @param options Where prefixes of nonces come from, and {@linkcode MAX_NONCE_SEQUENCES}, smaller in tests.
   */
  constructor(options: { random: (out: Uint8Array) => void; maxNonces?: number }) {
    this.#random = options.random;
    this.#maxNonces = options.maxNonces ?? MAX_NONCE_SEQUENCES;
    this.#sources = new KeyedRateLimit(KEX_RATE, MAX_KEX_SOURCES);
    this.#expected = new KeyedRateLimit(KEX_RATE, MAX_KEX_SOURCES);
  }

  /** A PILA of this node is being verified. */
  isVerifying(node: number): boolean {
    return LANES.some((lane) => this.#open.has(laneKey(node, lane)));
  }

  /** Keeps a frame that came before its key could be verified; beyond the limit it is lost like any datagram. */
  holdEarly(node: number, frame: Uint8Array, route: Route): void {
    for (const lane of LANES) {
      const early = this.#open.get(laneKey(node, lane))?.early;
      if (early !== undefined && early.length < MAX_EARLY_FRAMES) {
        early.push({ frame: frame.slice(), route });
      }
    }
  }

  /**
   * Whether another key may be looked at now. Strangers are counted by where they come from; a node that we expect by
   * itself, apart for each lane. What comes in its name from anywhere is counted both ways.
   */
  admits(source: string, node: number, lane: Lane, isExpected: boolean, now: number): boolean {
    if (!isExpected) return this.#sources.take(source, now);
    if (lane === "other" && !this.#sources.take(source, now)) return false;
    return this.#expected.take(laneKey(node, lane), now);
  }

  /**
   * Begins to verify a PILA; undefined when that is being done, or too many others are.
   *
   * @param pila The frame; copied.
   * @param route Where it came from.
   * @param lane Where that is.
   * @param isExpected We trust the node or want to reach it; then {@linkcode MAX_VERIFYING} strangers are no obstacle.
   */
  begin(
    pila: PilaFields,
    route: Route,
    lane: Lane,
    isExpected: boolean,
  ): Verification | undefined {
    const slot = laneKey(pila.sender, lane);
    const isFull = this.#open.size >= MAX_VERIFYING && !isExpected;
    if (isFull || this.#open.has(slot)) return undefined;
    const verification: OpenVerification = {
      node: pila.sender,
      ...{ route, lane, isExpected },
      x25519: pila.x25519.slice(),
      ed25519: pila.ed25519.slice(),
      signature: pila.signature.slice(),
      isMarked: pila.request || pila.response,
      early: [],
    };
    this.#open.set(slot, verification);
    return verification;
  }

  /** It is verified or refused: the next may follow. */
  end(verification: Verification): void {
    this.#open.delete(laneKey(verification.node, verification.lane));
  }

  /** The session under a verified key. */
  session(verification: Verification, aead: Aead, now: number): Session {
    const { x25519, route, isMarked } = verification;
    return new Session({
      peerKey: x25519,
      aead,
      ...this.#historyOf(x25519),
      origin: route,
      // Ours marks each PILA as question or answer (§4.2), existing daemons none.
      expectsKeepalives: !isMarked,
      now,
    });
  }

  #historyOf(peerKey: Uint8Array): KeyHistory {
    const id = peerKey.toHex();
    const history = this.#histories.get(id) ??
      { nonces: NonceSequence.start(this.#random), windows: new ReplayWindows() };
    this.#histories.delete(id);
    this.#histories.set(id, history);
    if (this.#histories.size > this.#maxNonces) {
      this.#histories.delete(this.#histories.keys().next().value!);
    }
    return history;
  }
}
