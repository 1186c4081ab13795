/**
 * What is known of one peer at the tunnel level: sessions, path, and packets that wait for a session. No I/O.
 *
 * A PILA carries no freshness, so a key it brings is only a candidate until a frame decrypts under it; a
 * replayed PILA can neither break nor redirect the live session (docs/protocol/tunnel.md §8).
 *
 * @module
 */

import { equalBytes } from "../crypto/base64.ts";
import { noncePrefix, PILS_NONCE_OFFSET } from "./frame.ts";
import { PathManager, type PathMode, RELAY_ROUTE, type Route, sameRoute } from "../path/mod.ts";
import type { OpenResult, Session } from "./tunnel_session.ts";
import { IDLE_PEER_MS } from "./tunnel_limits.ts";

/** Packets kept while there is no session; the oldest is dropped (docs/protocol/tunnel.md §4.8). */
export const MAX_PENDING_PACKETS = 64;
/** How long the key before the last change still opens frames that were in flight. */
export const PREVIOUS_KEY_GRACE_MS = 10_000;
/** Keys that wait for proof; more can only come from replays. */
const MAX_CANDIDATES = 2;
/** The path through the beacon alone. */
const RELAY_ONLY: readonly Route[] = [RELAY_ROUTE];
const NO_ROUTE: readonly Route[] = [];

/** What became of a sealed frame. */
export interface Opened {
  readonly result: OpenResult;
  /** The session it was under, where more than one was possible. */
  readonly session?: Session;
  /** The session that a new one replaced. */
  readonly replaced?: Session;
  /** The frame proved a new session. */
  readonly promoted?: boolean;
}

const OPENED: Readonly<Record<OpenResult, Opened>> = {
  ok: { result: "ok" },
  forged: { result: "forged" },
  replayed: { result: "replayed" },
};

/** A peer's tunnel. */
export class PeerTunnel {
  readonly node: number;
  /** The paths to the peer. */
  readonly paths: PathManager;
  #live: Session | undefined;
  readonly #candidates: Session[] = [];
  #pending: Uint8Array[] = [];
  #previous: { session: Session; untilMs: number } | undefined;
  readonly #createdMs: number;

  constructor(
    node: number,
    now: number,
    paths: { mode: PathMode; random: (out: Uint8Array) => void },
  ) {
    this.node = node;
    this.paths = new PathManager(paths);
    this.#createdMs = now;
  }

  /** Session under which the peer has proven its key. */
  get live(): Session | undefined {
    return this.#live;
  }

  /** Unproven sessions, newest first. */
  get candidates(): readonly Session[] {
    return this.#candidates;
  }

  /** The session to send under: the proven one, else the newest unproven. */
  get session(): Session | undefined {
    return this.#live ?? this.#candidates[0];
  }

  /** It is a daemon of the existing kind, as far as that is proven. */
  get isExisting(): boolean {
    return this.#live?.expectsKeepalives === true;
  }

  /** The path in use goes through the beacon. */
  get viaRelay(): boolean {
    return this.paths.isRelayed;
  }

  /** The last authentic frame, ms; -Infinity before the first. */
  get heardMs(): number {
    return this.paths.heardMs;
  }

  /** The last frame sent by the path in use, ms. */
  get sentMs(): number {
    return this.paths.sentMs;
  }

  /** The last sign of life or interest, for eviction. */
  get usedMs(): number {
    return Math.max(this.#createdMs, this.heardMs, this.sentMs);
  }

  /**
   * The routes a frame takes now: one, or both while the path in use is in doubt.
   *
   * @param now Milliseconds.
   * @param hasRelay Frames can be relayed now.
   * @param isOnce The frame must not arrive twice, as an application would get it twice.
   */
  routes(now: number, hasRelay: boolean, isOnce: boolean = false): readonly Route[] {
    const canRelay = hasRelay && this.paths.admits(RELAY_ROUTE);
    const { current } = this.paths;
    if (this.#live === undefined || current === undefined) {
      return this.#firstRoutes(canRelay, isOnce);
    }
    const isDoubtful = this.paths.isDoubtful(now);
    if (!isDoubtful && (canRelay || !current.isRelay)) return current.routes;
    const { direct } = this.paths;
    if (isDoubtful && canRelay) {
      if (direct === undefined || isOnce) return RELAY_ONLY;
      return current.isRelay ? [RELAY_ROUTE, direct.route] : [direct.route, RELAY_ROUTE];
    }
    return direct?.routes ?? NO_ROUTE;
  }

  /** Frames that should have been answered were not, for some time. */
  isDoubtful(now: number): boolean {
    return this.paths.isDoubtful(now);
  }

  /** Keeps a packet until there is a session. */
  queue(packet: Uint8Array): void {
    if (this.#pending.length >= MAX_PENDING_PACKETS) this.#pending.shift();
    this.#pending.push(packet);
  }

  /** Takes the packets that wait for a session, oldest first. */
  takePending(): readonly Uint8Array[] {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }

  /** The session derived from this peer key, if there is one. */
  find(peerKey: Uint8Array): Session | undefined {
    return this.#sessions().find((session) => equalBytes(session.peerKey, peerKey));
  }

  /** Adds an unproven session. */
  addCandidate(session: Session): void {
    this.#candidates.unshift(session);
    if (this.#candidates.length > MAX_CANDIDATES) {
      this.#candidates.pop()?.destroy();
    }
  }

  /** Gives up a candidate. */
  dropCandidate(session: Session): void {
    const index = this.#candidates.indexOf(session);
    if (index >= 0) this.#candidates.splice(index, 1);
    session.destroy();
  }

  /**
   * Opens a PILS frame in place under whichever session it belongs to, and promotes a candidate that proves itself.
   *
   * @param frame The frame; its content is the packet on "ok".
   * @param now Milliseconds.
   * @returns The result, and the session that was replaced when a new one took its place.
   */
  open(frame: Uint8Array, now: number): Opened {
    this.expire(now);
    const live = this.#live;
    // The usual case, for every packet: one session, nothing to try, nothing to allocate.
    if (live !== undefined && this.#candidates.length === 0 && this.#previous === undefined) {
      return OPENED[live.open(frame)];
    }
    const sessions = this.#sessions();
    const prefix = noncePrefix(frame, PILS_NONCE_OFFSET);
    const likely = sessions.findIndex((session) => session.lastPrefix === prefix);
    if (likely > 0) sessions.unshift(...sessions.splice(likely, 1));
    let result: OpenResult = "forged";
    // A failed open destroys its input, so every try but the last works on a copy.
    for (const [index, session] of sessions.entries()) {
      const copy = index < sessions.length - 1 ? frame.slice() : frame;
      result = session.open(copy);
      if (result === "forged") continue;
      if (result === "ok" && copy !== frame) frame.set(copy);
      if (result !== "ok" || !this.#candidates.includes(session)) {
        return { result, session };
      }
      const replaced = this.#promote(session, now);
      return {
        result,
        session,
        promoted: true,
        ...(replaced === undefined ? {} : { replaced }),
      };
    }
    return { result };
  }

  /**
   * Drops what has outlived its grace.
   *
   * @returns Whether there has been no sign of life or interest for {@linkcode IDLE_PEER_MS}.
   */
  expire(now: number): boolean {
    if (this.#previous !== undefined && now >= this.#previous.untilMs) {
      this.#previous.session.destroy();
      this.#previous = undefined;
    }
    return now - this.usedMs > IDLE_PEER_MS;
  }

  /** Wipes every key. */
  destroy(): void {
    for (const session of this.#sessions()) session.destroy();
    this.#live = undefined;
    this.#previous = undefined;
    this.#candidates.length = 0;
    this.#pending = [];
  }

  /** Before the peer has proven its key: where its key came from, or where it is said to be. */
  #firstRoutes(canRelay: boolean, isOnce: boolean): readonly Route[] {
    const session = this.#live === undefined ? this.#candidates[0] : undefined;
    const origin = session?.origin;
    const { direct } = this.paths;
    if (origin?.via === "direct") {
      if (session?.isOriginDoubtful !== true) return [origin];
      const other = canRelay ? RELAY_ROUTE : direct?.route;
      if (other === undefined || sameRoute(other, origin)) return [origin];
      return isOnce ? [other] : [origin, other];
    }
    if (canRelay && (origin !== undefined || direct === undefined)) return RELAY_ONLY;
    return direct?.routes ?? NO_ROUTE;
  }

  #promote(session: Session, now: number): Session | undefined {
    this.#candidates.splice(this.#candidates.indexOf(session), 1);
    const replaced = this.#live;
    if (replaced !== undefined) {
      this.#previous?.session.destroy();
      this.#previous = {
        session: replaced,
        untilMs: now + PREVIOUS_KEY_GRACE_MS,
      };
    }
    this.#live = session;
    return replaced;
  }

  #sessions(): Session[] {
    const sessions = this.#live === undefined
      ? [...this.#candidates]
      : [this.#live, ...this.#candidates];
    if (this.#previous !== undefined) sessions.push(this.#previous.session);
    return sessions;
  }
}

/** The peer to forget for lack of room: of those never proven the longest unused; never a proven one for a stranger. */
export function leastWorth(peers: Iterable<PeerTunnel>): PeerTunnel | undefined {
  let oldest: PeerTunnel | undefined;
  for (const peer of peers) {
    if (peer.live === undefined && (oldest === undefined || peer.usedMs < oldest.usedMs)) {
      oldest = peer;
    }
  }
  return oldest;
}
