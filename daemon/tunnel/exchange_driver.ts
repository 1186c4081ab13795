/**
 * Drives key exchanges: our PILAs until the peer answers, challenges to new keys, and rate-limited answers to
 * frames that nobody authenticated (docs/protocol/tunnel.md §4.1, §4.8, §4.9).
 *
 * @module
 */

import type { Endpoint } from "../../protocol/ip.ts";
import type { Clock, TimerSet } from "../../platform/clock.ts";
import { RELAY_ROUTE, type Route, sameRoute } from "../../protocol/path/mod.ts";
import type { BeaconLink } from "./beacon_link.ts";
import type { KeyExchange, Lane } from "./key_exchange.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import { KeyedRateLimit, TokenBucket } from "./rate_limit.ts";
import type { TunnelSender } from "./tunnel_sender.ts";
import type { Session } from "./tunnel_session.ts";
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
} from "./types.ts";

/**
 * Attempt at which a peer that does not answer is resolved anew: its address may be stale (docs/protocol/paths.md §6).
 */
const RERESOLVE_ATTEMPT = 3;

/** Our PILA as a question, as an answer, or only the question for the peer's. */
type Message = "request" | "response" | "key";

/** Sends PILAs and challenges at the right times. */
export class ExchangeDriver {
  readonly #clock: Clock;
  readonly #timers: TimerSet;
  readonly #kex: KeyExchange;
  readonly #sender: TunnelSender;
  readonly #beacon: BeaconLink;
  #unanswered: (node: number) => void = () => {};
  readonly #replies: Record<Lane, TokenBucket>;
  readonly #repliesPerNode: KeyedRateLimit<string>;
  readonly #strangerAnswers: TokenBucket;
  readonly #strangerAnswersPerNode: KeyedRateLimit<number>;
  /** Nodes whose last frame that we could not open was answered by our whole key: the next one asks for theirs. */
  readonly #told = new Set<number>();
  #running = 0;

  constructor(options: {
    clock: Clock;
    timers: TimerSet;
    kex: KeyExchange;
    sender: TunnelSender;
    beacon: BeaconLink;
    peers: PeerTable;
  }) {
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#kex = options.kex;
    this.#sender = options.sender;
    this.#beacon = options.beacon;
    options.peers.onRemoved((peer) => this.stop(peer));
    const bucket = () => new TokenBucket(REPLY_RATE, options.clock.now());
    this.#replies = { known: bucket(), relay: bucket(), other: bucket() };
    this.#repliesPerNode = new KeyedRateLimit(REPLY_RATE_PER_NODE, MAX_PEERS);
    this.#strangerAnswers = bucket();
    this.#strangerAnswersPerNode = new KeyedRateLimit(REPLY_RATE_PER_NODE, MAX_PEERS);
  }

  /** Calls `listener` with each peer that does not answer for some time: its address may be stale. */
  onUnanswered(listener: (node: number) => void): void {
    this.#unanswered = listener;
  }

  /** Another exchange would be more than {@linkcode MAX_KEX_PEERS}. */
  get isFull(): boolean {
    return this.#running >= MAX_KEX_PEERS;
  }

  /** Starts the exchange with a peer, or prolongs the one that runs. */
  want(peer: PeerTunnel): void {
    peer.wantedUntilMs = this.#clock.now() + GIVE_UP_MS;
    if (peer.cancelTimer !== undefined) return;
    if (this.isFull) {
      peer.pending = [];
      return;
    }
    this.#running++;
    peer.attempts = 0;
    this.#step(peer);
  }

  /** Ends the exchange with a peer. */
  stop(peer: PeerTunnel): void {
    if (peer.cancelTimer === undefined) return;
    peer.cancelTimer();
    peer.cancelTimer = undefined;
    this.#running--;
  }

  /** Makes the holder of a new key prove itself while the old session goes on. */
  challenge(peer: PeerTunnel, session: Session): void {
    if (!peer.candidates.includes(session)) return;
    if (session.probes++ >= MAX_PROBES) {
      peer.dropCandidate(session);
      return;
    }
    this.#sender.control(peer, session, PROBE_PAYLOAD, session.origin);
    this.#timers.after(PROBE_DELAY_MS * session.probes, () => this.challenge(peer, session));
  }

  /**
   * Answers a new key from an unknown place, by one small datagram at most: in turn our key, which the holder answers,
   * and a challenge, which proves him. Either may be lost, so it goes on for as long as he does.
   */
  answerStranger(peer: PeerTunnel, session: Session, route: Route): void {
    const now = this.#clock.now();
    const isWithin = this.#strangerAnswersPerNode.take(peer.node, now) &&
      this.#strangerAnswers.take(now);
    if (!isWithin) return;
    if (session.strangerAnswers++ % 2 === 0) this.send(peer.node, "request", route);
    else this.#sender.control(peer, session, PROBE_PAYLOAD, route);
  }

  /** Makes the holder of a first key prove itself, if we are the ones who want something, where the key came from. */
  prove(peer: PeerTunnel): void {
    const session = peer.session;
    if (session === undefined || peer.cancelTimer === undefined) return;
    this.#sender.control(peer, session, PROBE_PAYLOAD, session.origin);
  }

  /**
   * The same over every way to the peer, as often as our key goes there: where a frame comes from need not be where its
   * sender is reached. What waits goes another way, too.
   */
  #proveEverywhere(peer: PeerTunnel): void {
    this.prove(peer);
    const { session } = peer;
    if (session === undefined || peer.attempts === 0) return;
    session.isOriginDoubtful = true;
    for (const { route } of peer.paths.all) {
      if (!sameRoute(route, session.origin)) {
        this.#sender.control(peer, session, PROBE_PAYLOAD, route);
      }
    }
    this.#sender.flush(peer);
  }

  /**
   * Answers or asks by PILA, unless too much of that was done already: nothing is authenticated here. What comes from
   * where the node is known to be is counted apart, so that a flood from elsewhere does not use up its answers.
   *
   * @returns Whether it was sent.
   */
  reply(node: number, kind: Message, route: Route, lane: Lane): boolean {
    const now = this.#clock.now();
    const isWithin = this.#repliesPerNode.take(`${node} ${lane}`, now) &&
      this.#replies[lane].take(now);
    if (isWithin) this.send(node, kind, route);
    return isWithin;
  }

  /**
   * Asks for the key of a peer whose frame we cannot open, as {@linkcode ExchangeDriver.reply}: in turn by our PILA,
   * for one that does not know our key, and by PILK, for one to whom our key is nothing new
   * (docs/protocol/tunnel.md §4.5).
   */
  ask(node: number, route: Route, lane: Lane): void {
    if (!this.reply(node, this.#told.has(node) ? "key" : "request", route, lane)) return;
    if (!this.#told.delete(node)) this.#told.add(node);
    if (this.#told.size > MAX_PEERS) this.#told.delete(this.#told.values().next().value!);
  }

  /** Sends our PILA, or asks for the peer's key by PILK. */
  send(node: number, kind: Message, route: Route): void {
    const frame = this.#kex.pila(kind);
    if (frame !== undefined) this.#sender.raw(frame, route, node);
  }

  /** The beacon says that a peer comes from this endpoint: go and meet it. */
  onPunch(peers: Iterable<PeerTunnel>, endpoint: Endpoint): void {
    for (const peer of peers) {
      if (peer.cancelTimer === undefined) continue;
      const isKnown = peer.paths.all.some(({ route }) =>
        route.via === "direct" && route.endpoint.host === endpoint.host
      );
      if (isKnown) this.send(peer.node, "request", { via: "direct", endpoint });
    }
  }

  /** Existing peers that have our key already answer no PILA of ours, only a PILK (§4.5). */
  #request(peer: PeerTunnel, route: Route): void {
    this.send(peer.node, "request", route);
    if (peer.attempts > 0) this.send(peer.node, "key", route);
  }

  #step(peer: PeerTunnel): void {
    if (peer.live !== undefined || this.#clock.now() > peer.wantedUntilMs) {
      this.stop(peer);
      peer.pending = [];
      return;
    }
    const isFirst = peer.attempts === 0;
    this.#proveEverywhere(peer);
    let isDirect = false;
    for (const { route } of peer.paths.all) {
      if (route.via === "relay") continue;
      isDirect = true;
      this.#request(peer, route);
    }
    // Beside the direct attempt, so that no timeout has to pass where that fails.
    if (peer.paths.admits(RELAY_ROUTE)) {
      if (!isFirst || !isDirect) this.#request(peer, RELAY_ROUTE);
      else {
        this.#timers.after(RELAY_STAGGER_MS, () => {
          if (peer.session === undefined && peer.cancelTimer !== undefined) {
            this.send(peer.node, "request", RELAY_ROUTE);
          }
        });
      }
    }
    if (!isFirst && isDirect) this.#beacon.requestPunch(peer.node);
    if (peer.attempts === RERESOLVE_ATTEMPT) this.#unanswered(peer.node);
    const delay = KEX_DELAYS_MS[Math.min(peer.attempts, KEX_DELAYS_MS.length - 1)]!;
    peer.attempts++;
    peer.cancelTimer = this.#timers.after(delay, () => this.#step(peer));
  }
}
