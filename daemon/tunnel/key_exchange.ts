/**
 * The authenticated key exchange: our PILA, and what becomes of theirs (daemon.md §2.2, §2.4).
 *
 * Verification asks the registry and is asynchronous; it holds up nobody but the peer concerned, and nothing
 * changes before it has succeeded.
 *
 * @module
 */

import type { Aead, AeadFactory } from "../../protocol/crypto/aead.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import { type Identity, verifySignature } from "../../protocol/crypto/identity.ts";
import { KeyPair } from "../../protocol/crypto/key_agreement.ts";
import { NonceSequence } from "../../protocol/crypto/nonce.ts";
import {
  encodePila,
  encodePilk,
  pilaChallenge,
  type PilaFields,
  type PilaInput,
} from "../../protocol/tunnel/frame.ts";
import type { Route } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { KeyVerdict, PeerKeys } from "./peer_keys.ts";
import { KeyedRateLimit } from "./rate_limit.ts";
import { Session } from "./tunnel_session.ts";

/** Peers whose PILA is being verified; more must wait for their own retry. */
export const MAX_VERIFYING = 256;
/** Key exchanges a second from one address (anchors.md C.1: 5/s was too low for many nodes behind one NAT). */
export const KEX_RATE = { perSecond: 20, burst: 64 } as const;
/** Source addresses whose key exchanges are counted. */
export const MAX_KEX_SOURCES = 4_096;
/** Nonce sequences kept beyond their sessions, so that one peer key never sees a counter twice (§2.5 RULE). */
export const MAX_NONCE_SEQUENCES = 16_384;

/** Frames of a peer that arrived while its PILA was being verified. */
export const MAX_EARLY_FRAMES = 16;

/** A PILA whose signature and identity were found right. */
export interface VerifiedPila {
  readonly node: number;
  readonly session: Session;
  /** Frames that arrived meanwhile, oldest first. */
  readonly early: readonly {
    readonly frame: Uint8Array;
    readonly route: Route;
  }[];
}

/**
 * Where frames in the name of a node come from: an address where it is known to be, the beacon, or anywhere. Each has
 * its own limits, so that no flood from elsewhere keeps the node itself out.
 */
export type Lane = "known" | "relay" | "other";

interface Verification {
  readonly early: { frame: Uint8Array; route: Route }[];
}

const LANES: readonly Lane[] = ["known", "relay", "other"];

function laneKey(node: number, lane: Lane): string {
  return `${node} ${lane}`;
}

/** Signs our PILAs, verifies theirs, and derives sessions. */
export class KeyExchange {
  readonly #clock: Clock;
  readonly #keyPair: KeyPair;
  readonly #aead: AeadFactory;
  readonly #keys: Pick<PeerKeys, "check">;
  readonly #random: (out: Uint8Array) => void;
  readonly #mayKnow: (node: number) => Promise<boolean>;
  readonly #sources: KeyedRateLimit<string>;
  readonly #expected: KeyedRateLimit<string>;
  readonly #maxNonces: number;
  /** By node and lane. */
  readonly #verifying = new Map<string, Verification>();
  readonly #nonces = new Map<string, NonceSequence>();
  #isClosed = false;
  #pila:
    | { plain: Uint8Array; request: Uint8Array; response: Uint8Array; key: Uint8Array }
    | undefined;

  constructor(options: {
    clock: Clock;
    keyPair: KeyPair;
    aead: AeadFactory;
    keys: Pick<PeerKeys, "check">;
    random: (out: Uint8Array) => void;
    /** Whether a node that we do not expect may know that we are here. */
    mayKnow: (node: number) => Promise<boolean>;
    /** {@linkcode MAX_NONCE_SEQUENCES}, smaller in tests. */
    maxNonces?: number;
  }) {
    this.#clock = options.clock;
    this.#keyPair = options.keyPair;
    this.#aead = options.aead;
    this.#keys = options.keys;
    this.#random = options.random;
    this.#mayKnow = options.mayKnow;
    this.#maxNonces = options.maxNonces ?? MAX_NONCE_SEQUENCES;
    this.#sources = new KeyedRateLimit(KEX_RATE, MAX_KEX_SOURCES);
    this.#expected = new KeyedRateLimit(KEX_RATE, MAX_KEX_SOURCES);
  }

  /** Signs our PILA for a node number; until then {@linkcode pila} gives nothing. */
  async setSelf(node: number, identity: Identity): Promise<void> {
    const x25519 = this.#keyPair.publicKey;
    const signature = await identity.sign(pilaChallenge(node, x25519));
    const fields = {
      sender: node,
      x25519,
      ed25519: identity.publicKey,
      signature,
    };
    this.#pila = {
      plain: encodePila(fields),
      request: encodePila({ ...fields, request: true }),
      response: encodePila({ ...fields, response: true }),
      key: encodePilk(node, x25519),
    };
    await this.#warmUp(fields);
  }

  /** Does once what the first contact will need: cold code would cost it several milliseconds. */
  async #warmUp(fields: PilaInput): Promise<void> {
    const challenge = pilaChallenge(fields.sender, fields.x25519);
    await verifySignature(fields.ed25519, challenge, fields.signature);
    const stranger = await KeyPair.generate();
    (await this.#keyPair.deriveTunnelKey(stranger.publicKey))?.fill(0);
  }

  /** Our PILA frame; as `key` only our question for the peer's, a PILK. */
  pila(kind: "plain" | "request" | "response" | "key"): Uint8Array | undefined {
    return this.#pila?.[kind];
  }

  /** Derives no more sessions: whoever waits for a verification finds us "busy". */
  close(): void {
    this.#isClosed = true;
  }

  /** A PILA of this node is being verified. */
  isVerifying(node: number): boolean {
    return LANES.some((lane) => this.#verifying.has(laneKey(node, lane)));
  }

  /** Keeps a frame that came before its key could be verified; beyond the limit it is lost like any datagram. */
  holdEarly(node: number, frame: Uint8Array, route: Route): void {
    for (const lane of LANES) {
      const early = this.#verifying.get(laneKey(node, lane))?.early;
      if (early !== undefined && early.length < MAX_EARLY_FRAMES) {
        early.push({ frame: frame.slice(), route });
      }
    }
  }

  /**
   * Whether another key may be looked at now. Strangers are counted by where they come from; a node that we expect by
   * itself, apart for each lane. What comes in its name from anywhere is counted both ways.
   */
  admits(source: string, node: number, lane: Lane, isExpected: boolean): boolean {
    const now = this.#clock.now();
    if (!isExpected) return this.#sources.take(source, now);
    if (lane === "other" && !this.#sources.take(source, now)) return false;
    return this.#expected.take(laneKey(node, lane), now);
  }

  /**
   * Verifies a PILA and derives its session.
   *
   * @param pila The frame; copied.
   * @param route Where it came from.
   * @param lane Where that is.
   * @param isExpected We trust the node or want to reach it; then {@linkcode MAX_VERIFYING} strangers are no obstacle.
   * @returns The session, or why there is none.
   */
  async verify(
    pila: PilaFields,
    route: Route,
    lane: Lane,
    isExpected: boolean,
  ): Promise<
    VerifiedPila | KeyVerdict | "busy" | "bad signature" | "weak key" | "stranger"
  > {
    const node = pila.sender;
    const slot = laneKey(node, lane);
    const isFull = this.#verifying.size >= MAX_VERIFYING && !isExpected;
    if (isFull || this.#verifying.has(slot)) return "busy";
    const verification: Verification = { early: [] };
    this.#verifying.set(slot, verification);
    try {
      const x25519 = pila.x25519.slice();
      const ed25519 = pila.ed25519.slice();
      const signature = pila.signature.slice();
      const isMarked = pila.request || pila.response;
      if (equalBytes(x25519, this.#keyPair.publicKey)) return "weak key";
      // Begun beside the verification, which takes as long; thrown away when that fails.
      const deriving = this.#keyPair.deriveTunnelKey(x25519);
      const refuse = async <T>(reason: T): Promise<T> => {
        (await deriving)?.fill(0);
        return reason;
      };
      // The signature before the registry: a stranger must not make us ask for nothing.
      if (!await verifySignature(ed25519, pilaChallenge(node, x25519), signature)) {
        return await refuse("bad signature" as const);
      }
      const verdict = await this.#keys.check(node, ed25519);
      if (verdict !== "ok") return await refuse(verdict);
      // Only now: whoever makes us ask the registry has shown a key that is registered.
      if (!isExpected && !await this.#mayKnow(node)) return await refuse("stranger" as const);
      const key = await deriving;
      if (key === undefined) return "weak key";
      // The cipher's library may be unloaded by now.
      if (this.#isClosed) return await refuse("busy" as const);
      const session = new Session({
        peerKey: x25519,
        aead: this.#aeadOf(key),
        nonces: this.#noncesFor(x25519),
        origin: route,
        // Ours marks each PILA as question or answer (§2.2), existing daemons none.
        expectsKeepalives: !isMarked,
        now: this.#clock.now(),
      });
      return { node, session, early: verification.early };
    } finally {
      this.#verifying.delete(slot);
    }
  }

  #aeadOf(key: Uint8Array): Aead {
    try {
      return this.#aead(key);
    } finally {
      key.fill(0);
    }
  }

  #noncesFor(peerKey: Uint8Array): NonceSequence {
    const id = peerKey.toHex();
    const nonces = this.#nonces.get(id) ?? NonceSequence.start(this.#random);
    this.#nonces.delete(id);
    this.#nonces.set(id, nonces);
    if (this.#nonces.size > this.#maxNonces) {
      this.#nonces.delete(this.#nonces.keys().next().value!);
    }
    return nonces;
  }
}
