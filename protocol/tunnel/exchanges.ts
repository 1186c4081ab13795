/**
 * Key exchanges: our PILAs until the peer answers, challenges to new keys, and rate-limited answers to frames that nobody
 * authenticated (docs/protocol/tunnel.md §4.1, §4.8, §4.9). Sans-I/O.
 *
 * @module
 */

import type { DeadlineQueue, Timed } from "../deadline_queue.ts";
import type { Endpoint } from "../ip.ts";
import { directRoute, RELAY_ROUTE, type Route, sameRoute } from "../path/mod.ts";
import { KeyedRateLimit, TokenBucket } from "../rate_limit.ts";
import type { Lane } from "./lanes.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { OwnKeyFrames, TunnelAction } from "./tunnel_host.ts";
import {
  GIVE_UP_MS,
  KEX_DELAYS_MS,
  MAX_KEX_PEERS,
  MAX_PEERS,
  MAX_PROBES,
  PROBE_DELAY_MS,
  PROBE_PAYLOAD,
  RELAY_STAGGER_MS,
  REPLY_RATE,
  REPLY_RATE_PER_NODE,
} from "./tunnel_limits.ts";
import type { TunnelSender } from "./tunnel_sender.ts";
import type { Session } from "./tunnel_session.ts";

/**
 * Attempt at which a peer that does not answer is resolved again: its address may be stale (docs/protocol/paths.md §6).
 */
const RERESOLVE_ATTEMPT = 3;

/** Our PILA as a question, as an answer, or only the question for the peer's. */
type Message = keyof OwnKeyFrames;

/** The exchange with one peer while it runs. */
class Exchange implements Timed {
  /** It continues until this time while there is no live session, ms. */
  wantedUntilMs = -Infinity;
  /** PILAs sent. */
  attempts = 0;
  /** The next PILAs, ms. */
  nextMs = Infinity;
  /** The first PILA through the relay, ms. */
  relayMs = Infinity;
  readonly #onTimer: (now: number) => void;

  constructor(onTimer: (now: number) => void) {
    this.#onTimer = onTimer;
  }

  deadline(): number {
    return Math.min(this.nextMs, this.relayMs);
  }

  onTimer(now: number): void {
    this.#onTimer(now);
  }
}

/** What was asked of a session that waits for its proof. */
class Challenge implements Timed {
  /** Challenges sent beside the live session. */
  probes = 0;
  /** The next one, ms. */
  nextMs = Infinity;
  /** Answers to its PILAs over paths that are not validated. */
  answers = 0;
  readonly #onTimer: (now: number) => void;

  constructor(onTimer: (now: number) => void) {
    this.#onTimer = onTimer;
  }

  deadline(): number {
    return this.nextMs;
  }

  onTimer(now: number): void {
    this.#onTimer(now);
  }
}

/** What exchanges need. */
export interface ExchangesParts {
  readonly deadlines: DeadlineQueue;
  readonly sender: TunnelSender;
  readonly peers: PeerTable;
  /** Our key as frames; undefined before we have a number. */
  readonly ownKey: () => OwnKeyFrames | undefined;
  readonly act: (action: TunnelAction) => void;
  readonly now: number;
}

/** All key exchanges, and which PILAs and challenges are due. */
export class Exchanges {
  readonly #parts: ExchangesParts;
  readonly #replies: Record<Lane, TokenBucket>;
  readonly #repliesPerNode: KeyedRateLimit<string>;
  readonly #unvalidatedReplies: TokenBucket;
  readonly #unvalidatedRepliesPerNode: KeyedRateLimit<number>;
  /** Nodes whose last frame that we could not open was answered by our whole key: the next one asks for theirs. */
  readonly #told = new Set<number>();
  readonly #running = new Map<PeerTunnel, Exchange>();
  readonly #challenges = new WeakMap<Session, Challenge>();

  constructor(parts: ExchangesParts) {
    this.#parts = parts;
    parts.peers.onRemoved((peer) => {
      this.stop(peer);
      for (const session of peer.candidates) this.settle(session);
    });
    const bucket = () => new TokenBucket(REPLY_RATE, parts.now);
    this.#replies = { known: bucket(), relay: bucket(), other: bucket() };
    this.#repliesPerNode = new KeyedRateLimit(REPLY_RATE_PER_NODE, MAX_PEERS);
    this.#unvalidatedReplies = bucket();
    this.#unvalidatedRepliesPerNode = new KeyedRateLimit(REPLY_RATE_PER_NODE, MAX_PEERS);
  }

  /** Another exchange would be more than {@linkcode MAX_KEX_PEERS}. */
  get isFull(): boolean {
    return this.#running.size >= MAX_KEX_PEERS;
  }

  /** An exchange with the peer is in progress. */
  isRunning(peer: PeerTunnel): boolean {
    return this.#running.has(peer);
  }

  /** Starts the exchange with a peer, or prolongs the one that runs. */
  start(peer: PeerTunnel, now: number): void {
    const running = this.#running.get(peer);
    if (running !== undefined) {
      running.wantedUntilMs = now + GIVE_UP_MS;
      return;
    }
    if (this.isFull) {
      peer.takePending();
      return;
    }
    const exchange = new Exchange((at) => this.#onTimer(peer, exchange, at));
    exchange.wantedUntilMs = now + GIVE_UP_MS;
    this.#running.set(peer, exchange);
    this.#step(peer, exchange, now);
  }

  /** Ends the exchange with a peer. */
  stop(peer: PeerTunnel): void {
    const exchange = this.#running.get(peer);
    if (exchange === undefined) return;
    this.#running.delete(peer);
    exchange.nextMs = exchange.relayMs = Infinity;
    this.#parts.deadlines.delete(exchange);
  }

  /** Makes the holder of a new key prove itself while the old session stays in use. */
  challenge(peer: PeerTunnel, session: Session, now: number): void {
    const challenge = this.#challengeOf(peer, session);
    challenge.nextMs = Infinity;
    if (!peer.candidates.includes(session)) return;
    if (challenge.probes++ >= MAX_PROBES) {
      peer.dropCandidate(session);
      return;
    }
    this.#parts.sender.control(peer, session, PROBE_PAYLOAD, now, session.origin);
    challenge.nextMs = now + PROBE_DELAY_MS * challenge.probes;
    this.#parts.deadlines.touch(challenge);
  }

  /** A session needs no challenge any more. */
  settle(session: Session): void {
    const challenge = this.#challenges.get(session);
    if (challenge === undefined) return;
    challenge.nextMs = Infinity;
    this.#parts.deadlines.delete(challenge);
    this.#challenges.delete(session);
  }

  /**
   * Answers a new key over a path that is not validated, by one small datagram at most: in turn our key, which the holder
   * answers, and a challenge, which proves it. Either may be lost, so it continues for as long as the holder does.
   */
  answerUnvalidated(peer: PeerTunnel, session: Session, route: Route, now: number): void {
    const isWithin = this.#unvalidatedRepliesPerNode.take(peer.node, now) &&
      this.#unvalidatedReplies.take(now);
    if (!isWithin) return;
    if (this.#challengeOf(peer, session).answers++ % 2 === 0) {
      this.send(peer.node, "request", route);
    } else this.#parts.sender.control(peer, session, PROBE_PAYLOAD, now, route);
  }

  /** Makes the holder of a first key prove itself, if we are the ones who want something, where the key came from. */
  prove(peer: PeerTunnel, now: number): void {
    const { session } = peer;
    if (session === undefined || !this.isRunning(peer)) return;
    this.#parts.sender.control(peer, session, PROBE_PAYLOAD, now, session.origin);
  }

  /**
   * Answers or asks by PILA, unless too much of that was done already: nothing is authenticated here. What comes from
   * where the node is known to be is counted apart, so that a flood from elsewhere does not use up its answers.
   *
   * @returns Whether it was sent.
   */
  reply(node: number, kind: Message, route: Route, lane: Lane, now: number): boolean {
    const isWithin = this.#repliesPerNode.take(`${node} ${lane}`, now) &&
      this.#replies[lane].take(now);
    if (isWithin) this.send(node, kind, route);
    return isWithin;
  }

  /**
   * Asks for the key of a peer whose frame we cannot open, as {@linkcode Exchanges.reply}: in turn by our PILA, for one
   * that does not know our key, and by PILK, for one that has our key already (docs/protocol/tunnel.md §4.5).
   */
  ask(node: number, route: Route, lane: Lane, now: number): void {
    if (!this.reply(node, this.#told.has(node) ? "key" : "request", route, lane, now)) return;
    if (!this.#told.delete(node)) this.#told.add(node);
    if (this.#told.size > MAX_PEERS) this.#told.delete(this.#told.values().next().value!);
  }

  /** Sends our PILA, or asks for the peer's key by PILK. */
  send(node: number, kind: Message, route: Route): void {
    const frame = this.#parts.ownKey()?.[kind];
    if (frame !== undefined) this.#parts.sender.raw(frame, route, node);
  }

  /** The beacon says that a peer comes from this endpoint: go and meet it. */
  onPunch(endpoint: Endpoint): void {
    for (const { node, paths } of this.#running.keys()) {
      if (paths.knowsHost(endpoint.host)) this.send(node, "request", directRoute(endpoint));
    }
  }

  #challengeOf(peer: PeerTunnel, session: Session): Challenge {
    let challenge = this.#challenges.get(session);
    if (challenge === undefined) {
      challenge = new Challenge((now) => this.challenge(peer, session, now));
      this.#challenges.set(session, challenge);
    }
    return challenge;
  }

  /**
   * Asks for the proof over every path to the peer, as often as our key goes there: where a frame comes from need not be
   * where its sender is reached. What waits goes another path, too.
   */
  #proveEverywhere(peer: PeerTunnel, now: number): void {
    const { sender } = this.#parts;
    this.prove(peer, now);
    const { session } = peer;
    if (session === undefined) return;
    session.doubtOrigin();
    for (const { route } of peer.paths.all) {
      if (!sameRoute(route, session.origin)) {
        sender.control(peer, session, PROBE_PAYLOAD, now, route);
      }
    }
    sender.flush(peer, now);
  }

  /** Existing peers that have our key already answer no PILA of ours, only a PILK (§4.5). */
  #request(peer: PeerTunnel, isFirst: boolean, route: Route): void {
    this.send(peer.node, "request", route);
    if (!isFirst) this.send(peer.node, "key", route);
  }

  #onTimer(peer: PeerTunnel, exchange: Exchange, now: number): void {
    if (exchange.relayMs <= now) {
      exchange.relayMs = Infinity;
      if (peer.session === undefined) this.send(peer.node, "request", RELAY_ROUTE);
    }
    if (exchange.nextMs <= now) this.#step(peer, exchange, now);
  }

  #step(peer: PeerTunnel, exchange: Exchange, now: number): void {
    if (peer.live !== undefined || now > exchange.wantedUntilMs) {
      this.stop(peer);
      peer.takePending();
      return;
    }
    const { attempts } = exchange;
    const isFirst = attempts === 0;
    if (!isFirst) this.#proveEverywhere(peer, now);
    let isDirect = false;
    for (const { isRelay, route } of peer.paths.all) {
      if (isRelay) continue;
      isDirect = true;
      this.#request(peer, isFirst, route);
    }
    // Beside the direct attempt, so that no timeout has to pass where that fails.
    if (peer.paths.admits(RELAY_ROUTE)) {
      if (!isFirst || !isDirect) this.#request(peer, isFirst, RELAY_ROUTE);
      else exchange.relayMs = now + RELAY_STAGGER_MS;
    }
    const { act } = this.#parts;
    if (!isFirst && isDirect) act({ type: "punch", node: peer.node });
    if (attempts === RERESOLVE_ATTEMPT) {
      act({ type: "resolve", node: peer.node, reason: "unanswered" });
    }
    exchange.nextMs = now + KEX_DELAYS_MS[Math.min(attempts, KEX_DELAYS_MS.length - 1)]!;
    exchange.attempts++;
    this.#parts.deadlines.touch(exchange);
  }
}
