/**
 * The daemon's side of the beacon: registration of our endpoint, punch requests, punch commands, and the
 * unwrapping of relayed frames (docs/protocol/beacon.md §4).
 *
 * @module
 */

import {
  type BeaconMessage,
  decodeBeacon,
  encodeBeacon,
} from "../../protocol/beacon/beacon_message.ts";
import type { Identity } from "../../protocol/crypto/mod.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { encodePunch } from "../../protocol/tunnel/frame.ts";
import { type Endpoint, formatIp, isPrivateIp, isUnicastIp, parseIp } from "../../protocol/ip.ts";
import { type Clock, every, TimerSet } from "../../platform/clock.ts";
import { withoutZone } from "../../platform/local_addresses.ts";
import { sameEndpoint } from "../../protocol/ip.ts";
import { BeaconChoice } from "./beacon_choice.ts";
import { BeaconProof } from "./beacon_proof.ts";
import { TokenBucket } from "../../protocol/rate_limit.ts";

/** How often our endpoint is announced: below the 30 s after which NAT mappings start to vanish. */
export const DISCOVER_INTERVAL_MS = 25_000;
/** Punch commands acted upon: each makes us send to an address that others named. */
export const PUNCH_RATE = { perSecond: 10, burst: 20 } as const;
/** When punches go out after a command, ms (docs/protocol/beacon.md §4.2). */
const PUNCH_DELAYS_MS = [0, 50, 150];

/** What the beacon reports about us. */
export interface BeaconNews {
  /** The beacon sees us at this endpoint. */
  observed(endpoint: Endpoint): void;
  /** The beacon has taken our proof that this endpoint is ours: nobody can take it away, and it wakes us. */
  proven?(): void;
  /** Something waits for us in the registry's inbox. */
  wake?(): void;
  /** The beacon answers at this address, one of several maybe. */
  answers?(endpoint: Endpoint): void;
  /** The beacon answers at none of its addresses; reported again while that is so. */
  silent?(): void;
}

/** What the link reports to the tunnel layer. */
export interface BeaconEvents extends BeaconNews {
  /** A peer will come from this endpoint: answer it with a key exchange if one is under way. */
  punch(endpoint: Endpoint): void;
  /** A tunnel frame that came through the beacon. The envelope's sender is not authenticated. */
  relayed(frame: Uint8Array): void;
}

/** Before anything listens. */
const UNHEARD: BeaconEvents = { observed() {}, punch() {}, relayed() {} };

/** Talks to the beacon over the tunnel socket. */
export class BeaconLink {
  readonly #clock: Clock;
  readonly #send: (data: Uint8Array, to: Endpoint) => void;
  #events: BeaconEvents = UNHEARD;
  readonly #punches: TokenBucket;
  readonly #timers: TimerSet;
  readonly #proof: BeaconProof;
  readonly #isHidden: boolean;
  readonly #choice: BeaconChoice;
  /** Where the beacon was when it took our proof. */
  #provenAt: Endpoint | undefined;
  #stray: Endpoint | undefined;
  /** Our endpoint as the beacon said last. */
  #observed: Endpoint | undefined;
  #node = 0;

  constructor(
    options: {
      clock: Clock;
      send: (data: Uint8Array, to: Endpoint) => void;
      /** Peers are neither shown where we are nor met there: no punches, neither asked for nor sent. */
      isHidden?: boolean;
      /** 0 <= x < 1; spreads the questions of many daemons whose beacon is away. Default `Math.random`. */
      randomFraction?: () => number;
    },
  ) {
    this.#isHidden = options.isHidden ?? false;
    this.#clock = options.clock;
    this.#timers = new TimerSet(options.clock);
    this.#send = options.send;
    this.#punches = new TokenBucket(PUNCH_RATE, options.clock.now());
    this.#proof = new BeaconProof({
      clock: options.clock,
      send: (data) => {
        const { current, isAnswering } = this.#choice;
        // A search sends it to every address.
        if (current !== undefined && isAnswering) this.#send(data, current);
        return current !== undefined;
      },
      proven: () => {
        this.#provenAt = this.#choice.current;
        this.#events.proven?.();
      },
      wake: () => this.#events.wake?.(),
    });
    this.#choice = new BeaconChoice({
      clock: options.clock,
      randomFraction: options.randomFraction ?? Math.random,
      searching: () => this.#proof.renew(),
      ask: (to, isSearch) => this.#ask(to, isSearch),
      silent: () => this.#events.silent?.(),
      chosen: (endpoint) => {
        this.#stray = undefined;
        this.#events.answers?.(endpoint);
      },
    });
  }

  /** The beacon has taken our proof, so it wakes us when something waits in the registry's inbox. */
  get isProven(): boolean {
    const { current, isAnswering } = this.#choice;
    return isAnswering && this.#proof.isProven && sameEndpoint(current, this.#provenAt);
  }

  /** The beacon answers our questions. */
  get isAnswering(): boolean {
    return this.#choice.isAnswering;
  }

  /** The beacon's endpoint in use, once one is known. */
  get endpoint(): Endpoint | undefined {
    return this.#choice.current;
  }

  /** Where the beacon is asked. */
  get candidates(): readonly Endpoint[] {
    return this.#choice.candidates;
  }

  /**
   * While the beacon does not answer where it is asked: the address from which an answer to our question came instead,
   * as a server with several does. It is not accepted, but shows what is wrong.
   */
  get stray(): Endpoint | undefined {
    return this.#choice.isAnswering ? undefined : this.#stray;
  }

  /** Sets the beacon's only endpoint, as {@linkcode BeaconLink.setCandidates}. */
  setEndpoint(endpoint: Endpoint | undefined): void {
    this.setCandidates(endpoint === undefined ? [] : [endpoint]);
  }

  /** Sets where the beacon may be, see `BeaconChoice.set`; messages are accepted from these addresses only. */
  setCandidates(endpoints: readonly Endpoint[]): void {
    this.#choice.set(endpoints);
  }

  /** Sets our node number and announces our endpoint now and every {@linkcode DISCOVER_INTERVAL_MS}. */
  start(node: number, identity: Identity): void {
    this.#timers.clear();
    this.#node = node;
    this.#proof.start(node, identity);
    this.#choice.start();
    every(this.#timers, DISCOVER_INTERVAL_MS, () => this.announce());
  }

  /** Announces our endpoint out of turn: it may be another one. */
  announce(): void {
    this.#choice.check();
    if (this.#choice.isAnswering) this.#proof.check();
  }

  /** Announces our endpoint at once, also while a beacon that is away is asked seldom: we may be elsewhere. */
  networkChanged(): void {
    this.#choice.restart();
  }

  /** Asks the beacon to make both sides punch, which shows the peer where we are; not when hidden. */
  requestPunch(target: number): void {
    const { current } = this.#choice;
    if (!this.#isHidden && current !== undefined && this.#node !== 0) {
      this.#send(encodeBeacon({ type: "punch_request", requester: this.#node, target }), current);
    }
  }

  /** Sets the listener for what the beacon says. */
  listen(events: BeaconEvents): void {
    this.#events = events;
  }

  /** Handles a datagram whose first byte marks a beacon message. Anything not from the beacon is dropped. */
  onDatagram(data: Uint8Array, from: Endpoint): void {
    const isCurrent = this.#choice.isFromCurrent(from);
    // In the usual case nothing but relayed frames is looked at here.
    if (!isCurrent && this.#choice.isAnswering && !this.#choice.isAsked(from)) return;
    const message = decodeBeacon(data);
    if (message instanceof DecodeError) return;
    if (message.type === "cookie" || message.type === "discover_reply") {
      this.#onAnswer(message, from);
    } else if (isCurrent) this.#onMessage(message);
  }

  /** Stops all timers. */
  close(): void {
    this.#timers.close();
    this.#choice.close();
    this.#proof.close();
  }

  #ask(to: Endpoint, isSearch: boolean): void {
    this.#send(encodeBeacon({ type: "discover", node: this.#node, ex: false }), to);
    const question = isSearch ? this.#proof.question : undefined;
    if (question !== undefined) this.#send(question, to);
  }

  #onAnswer(
    message: BeaconMessage & { type: "cookie" | "discover_reply" },
    from: Endpoint,
  ): void {
    const isAuthentic = message.type === "cookie" && this.#proof.isAnswer(message);
    if (isAuthentic && !this.#choice.isAsked(from)) this.#stray = from;
    // A cookie for another question proves nothing.
    if (message.type === "cookie" && !isAuthentic) return;
    if (!this.#choice.answered(from, isAuthentic)) return;
    if (message.type === "cookie") this.#proof.onMessage(message);
    else this.#onObserved({ host: formatIp(message.ip), port: message.port });
  }

  #onMessage(message: BeaconMessage): void {
    switch (message.type) {
      case "punch_command":
        this.#punch(message.ip, message.port);
        break;
      case "relay_deliver":
        this.#events.relayed(message.frame);
        break;
      case "relay_deliver_dest":
        if (message.dest === this.#node) this.#events.relayed(message.frame);
        break;
      case "wake":
      case "notify":
        this.#proof.onMessage(message);
        break;
      default: // Requests are for beacons, not for us.
    }
  }

  #onObserved(endpoint: Endpoint): void {
    const before = this.#observed;
    this.#observed = endpoint;
    // The beacon relays nothing for a node from elsewhere than its proven endpoint.
    if (before !== undefined && !sameEndpoint(before, endpoint)) this.#proof.moved();
    this.#events.observed(endpoint);
  }

  #punch(ip: Uint8Array, port: number): void {
    const beacon = this.#choice.current;
    if (
      this.#isHidden || beacon === undefined || port === 0 || !isPunchable(ip, beacon) ||
      !this.#punches.take(this.#clock.now())
    ) return;
    const endpoint = { host: formatIp(ip), port };
    for (const delay of PUNCH_DELAYS_MS) {
      if (delay === 0) this.#send(encodePunch(), endpoint);
      else this.#timers.after(delay, () => this.#send(encodePunch(), endpoint));
    }
    this.#events.punch(endpoint);
  }
}

/** A beacon on the Internet has no business sending us to private addresses (§4.2); nobody sends us to groups. */
function isPunchable(ip: Uint8Array, beacon: Endpoint): boolean {
  return isUnicastIp(ip) && (!isPrivateIp(ip) || isPrivateIp(parseIp(withoutZone(beacon.host))));
}
