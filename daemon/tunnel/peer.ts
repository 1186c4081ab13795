/**
 * What is known of one peer at the tunnel level: sessions, path, and packets that wait for a session. No I/O.
 *
 * A PILA carries no freshness, so a key it brings is only a candidate until a frame decrypts under it; a
 * replayed PILA can neither break nor redirect the live session (daemon.md §14).
 *
 * @module
 */

import { equalBytes } from "../../protocol/crypto/base64.ts";
import { noncePrefix, PILS_NONCE_OFFSET } from "../../protocol/frame.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import { PATH_BASE_BYTES } from "../../protocol/path/mod.ts";
import type { PeerPath } from "./path_mtu.ts";
import type { OpenResult, Route, Session } from "./session.ts";

/** Packets kept while there is no session; the oldest is dropped (daemon.md §2.7). */
export const MAX_PENDING_PACKETS = 64;
/** How long the key before the last change still opens frames that were under way. */
export const PREVIOUS_KEY_GRACE_MS = 10_000;
/** Keys that wait for proof; more can only come from replays. */
const MAX_CANDIDATES = 2;
/** Sending without hearing anything for this long makes a path doubtful: frames then take both paths. */
export const PATH_DOUBT_MS = 1_000;

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
  /** Session under which the peer has proven its key. */
  live: Session | undefined;
  /** Unproven sessions, newest first. */
  readonly candidates: Session[] = [];
  /** Where the peer was last reached or said to be. */
  direct: Endpoint | undefined;
  /** Other addresses worth a key exchange: LAN addresses of the peer. */
  alternatives: readonly Endpoint[] = [];
  /** Packets that wait for a session, oldest first. */
  pending: Uint8Array[] = [];
  /** The last authenticated frame, ms; -Infinity before the first. */
  heardMs = -Infinity;
  /** The last frame sent, ms. */
  sentMs = -Infinity;
  /** Key exchange goes on until this time while there is no live session. */
  wantedUntilMs = -Infinity;
  /** The last probe of the direct path while relayed, ms. */
  probedMs = -Infinity;
  /** PILAs sent in the running exchange. */
  attempts = 0;
  /** Cancels the running exchange's timer. */
  cancelTimer: (() => void) | undefined;
  /** What is known of the direct path's MTU. */
  path: PeerPath | undefined;
  /** The peer was last heard through the beacon. */
  #viaRelay = false;
  /** First frame since the peer was last heard that should have been answered. */
  #unansweredMs = Infinity;
  #previous: { session: Session; untilMs: number } | undefined;
  readonly #createdMs: number;

  constructor(node: number, now: number) {
    this.node = node;
    this.#createdMs = now;
  }

  /** The session to send under: the proven one, else the newest unproven. */
  get session(): Session | undefined {
    return this.live ?? this.candidates[0];
  }

  /** The last known path goes through the beacon. */
  get viaRelay(): boolean {
    return this.#viaRelay;
  }

  /** Largest datagram known to pass on the direct path. */
  get directBytes(): number {
    const { path, direct } = this;
    return path !== undefined && path.host === direct?.host ? path.machine.bytes : PATH_BASE_BYTES;
  }

  /** The last sign of life or interest, for eviction. */
  get usedMs(): number {
    return Math.max(this.#createdMs, this.heardMs, this.sentMs);
  }

  /** The routes a frame takes now: one, or both while the first is in doubt. */
  routes(now: number, canRelay: boolean): readonly Route[] {
    const origin = this.live === undefined ? this.candidates[0]?.origin : undefined;
    const direct: Route | undefined = origin?.via === "direct"
      ? origin
      : this.direct === undefined
      ? undefined
      : { via: "direct", endpoint: this.direct };
    const prefersRelay = origin === undefined ? this.#viaRelay : origin.via === "relay";
    if (direct === undefined) return canRelay ? [RELAY] : [];
    if (!canRelay) return [direct];
    if (this.isDoubtful(now)) {
      return prefersRelay ? [RELAY, direct] : [direct, RELAY];
    }
    return [prefersRelay ? RELAY : direct];
  }

  /** Frames have gone out for {@linkcode PATH_DOUBT_MS} and nothing came back. */
  isDoubtful(now: number): boolean {
    return now - this.#unansweredMs > PATH_DOUBT_MS;
  }

  /** Notes a frame sent at `now`, and whether a living peer answers such a frame at once. */
  sent(now: number, expectsAnswer: boolean): void {
    this.sentMs = now;
    if (expectsAnswer && this.#unansweredMs === Infinity) {
      this.#unansweredMs = now;
    }
  }

  /**
   * Notes an authentic frame; `route` is where it came from when it should decide where answers go. True when the
   * path is another one now.
   */
  heard(now: number, route: Route | undefined): boolean {
    this.heardMs = now;
    this.#unansweredMs = Infinity;
    if (route === undefined) return false;
    const wasRelayed = this.#viaRelay;
    const before = this.direct;
    this.#viaRelay = route.via === "relay";
    if (route.via === "relay") return !wasRelayed;
    this.direct = route.endpoint;
    return wasRelayed || before?.host !== route.endpoint.host;
  }

  /** Keeps a packet until there is a session. */
  queue(packet: Uint8Array): void {
    if (this.pending.length >= MAX_PENDING_PACKETS) this.pending.shift();
    this.pending.push(packet);
  }

  /** The session derived from this peer key, if there is one. */
  find(peerKey: Uint8Array): Session | undefined {
    return this.#sessions().find((session) => equalBytes(session.peerKey, peerKey));
  }

  /** Adds an unproven session. */
  addCandidate(session: Session): void {
    this.candidates.unshift(session);
    if (this.candidates.length > MAX_CANDIDATES) {
      this.candidates.pop()?.destroy();
    }
  }

  /** Gives up a candidate. */
  dropCandidate(session: Session): void {
    const index = this.candidates.indexOf(session);
    if (index >= 0) this.candidates.splice(index, 1);
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
    const { live } = this;
    // The usual case, for every packet: one session, nothing to try, nothing to allocate.
    if (live !== undefined && this.candidates.length === 0 && this.#previous === undefined) {
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
      if (result !== "ok" || !this.candidates.includes(session)) {
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

  /** Drops what has outlived its grace. */
  expire(now: number): void {
    if (this.#previous === undefined || now < this.#previous.untilMs) return;
    this.#previous.session.destroy();
    this.#previous = undefined;
  }

  /** Wipes every key and stops the timer. */
  destroy(): void {
    this.cancelTimer?.();
    for (const session of this.#sessions()) session.destroy();
    this.live = undefined;
    this.#previous = undefined;
    this.candidates.length = 0;
    this.pending = [];
  }

  #promote(session: Session, now: number): Session | undefined {
    this.candidates.splice(this.candidates.indexOf(session), 1);
    const replaced = this.live;
    if (replaced !== undefined) {
      this.#previous?.session.destroy();
      this.#previous = {
        session: replaced,
        untilMs: now + PREVIOUS_KEY_GRACE_MS,
      };
    }
    this.live = session;
    return replaced;
  }

  #sessions(): Session[] {
    const sessions = this.live === undefined
      ? [...this.candidates]
      : [this.live, ...this.candidates];
    if (this.#previous !== undefined) sessions.push(this.#previous.session);
    return sessions;
  }
}

const RELAY: Route = { via: "relay" };
