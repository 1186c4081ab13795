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
 * Nonce sequences kept beyond their sessions, so that one peer key never sees a counter twice
 * (docs/protocol/tunnel.md §5.2).
 */
export const MAX_NONCE_SEQUENCES = 16_384;
/**
 * Keys whose replay windows are kept beyond their sessions, so that who replays a PILA of a former process does not
 * prove it by that one's frames (docs/protocol/tunnel.md §5.3). Fewer than nonces: a peer that works at it fills 34 KB
 * each, with a thousand prefixes.
 */
export const MAX_REPLAY_HISTORIES = 4_096;
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
  readonly #nonces = new Map<string, NonceSequence>();
  /** Likewise. */
  readonly #windows = new Map<string, ReplayWindows>();

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
      ...this.#historyOf(x25519.toHex()),
      origin: route,
      // Ours marks each PILA as question or answer (§4.2), existing daemons none.
      expectsKeepalives: !isMarked,
      now,
    });
  }

  #historyOf(key: string): { nonces: NonceSequence; windows: ReplayWindows } {
    return {
      nonces: remembered(
        this.#nonces,
        key,
        this.#maxNonces,
        () => NonceSequence.start(this.#random),
      ),
      windows: remembered(this.#windows, key, MAX_REPLAY_HISTORIES, () => new ReplayWindows()),
    };
  }
}

/** What is there under a key, or is made; what was used longest ago goes when there are too many. */
function remembered<T>(map: Map<string, T>, key: string, max: number, make: () => T): T {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value!);
  return value;
}
