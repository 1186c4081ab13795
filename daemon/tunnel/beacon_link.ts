/**
 * The daemon's side of the beacon: registration of our endpoint, punch requests, punch commands, and the
 * unwrapping of relayed frames (daemon.md §2.11, rendezvous.md §10).
 *
 * @module
 */

import { type BeaconMessage, decodeBeacon, encodeBeacon } from "../../protocol/beacon.ts";
import type { Identity } from "../../protocol/crypto/mod.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { encodePunch } from "../../protocol/frame.ts";
import { type Endpoint, formatIp, isPrivateIp, isUnicastIp, parseIp } from "../../protocol/ip.ts";
import { type Clock, TimerSet } from "../clock.ts";
import { sameEndpoint } from "../../platform/net/udp.ts";
import { BeaconProof } from "./beacon_proof.ts";
import { TokenBucket } from "./rate_limit.ts";

/** How often our endpoint is announced: below the 30 s after which NAT mappings start to vanish. */
export const DISCOVER_INTERVAL_MS = 25_000;
/** Punch commands obeyed: each makes us send to an address that somebody else named. */
export const PUNCH_RATE = { perSecond: 10, burst: 20 } as const;
/** When punches go out after a command, ms (§2.11 RULE). */
const PUNCH_DELAYS_MS = [0, 50, 150];

/** What the link tells its owner. */
export interface BeaconEvents {
  /** The beacon sees us at this endpoint. */
  observed(endpoint: Endpoint): void;
  /** A peer will come from this endpoint: answer it with a key exchange if one is under way. */
  punch(endpoint: Endpoint): void;
  /** A tunnel frame that came through the beacon. The envelope's sender is not authenticated. */
  relayed(frame: Uint8Array): void;
  /** The beacon has taken our proof that this endpoint is ours: nobody can take it away, and it wakes us. */
  proven?(): void;
  /** Something waits for us in the registry's inbox. */
  wake?(): void;
}

/** Talks to the beacon over the tunnel socket. */
export class BeaconLink {
  readonly #clock: Clock;
  readonly #send: (data: Uint8Array, to: Endpoint) => void;
  readonly #events: BeaconEvents;
  readonly #punches: TokenBucket;
  readonly #timers: TimerSet;
  readonly #proof: BeaconProof;
  readonly #isHidden: boolean;
  #endpoint: Endpoint | undefined;
  /** Our endpoint as the beacon said last. */
  #observed: Endpoint | undefined;
  #node = 0;

  constructor(
    options: {
      clock: Clock;
      send: (data: Uint8Array, to: Endpoint) => void;
      events: BeaconEvents;
      /** Peers are neither shown where we are nor met there: no punches, neither asked for nor sent. */
      isHidden?: boolean;
    },
  ) {
    this.#isHidden = options.isHidden ?? false;
    this.#clock = options.clock;
    this.#timers = new TimerSet(options.clock);
    this.#send = options.send;
    this.#events = options.events;
    this.#punches = new TokenBucket(PUNCH_RATE, options.clock.now());
    this.#proof = new BeaconProof({
      clock: options.clock,
      send: (data) => {
        if (this.#endpoint !== undefined) this.#send(data, this.#endpoint);
        return this.#endpoint !== undefined;
      },
      proven: () => options.events.proven?.(),
      wake: () => options.events.wake?.(),
    });
  }

  /** The beacon has taken our proof, so it wakes us when something waits in the registry's inbox. */
  get isProven(): boolean {
    return this.#proof.isProven;
  }

  /** The beacon's endpoint, once it is known. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  /** Sets the beacon's endpoint; messages are accepted from there only. */
  setEndpoint(endpoint: Endpoint | undefined): void {
    this.#endpoint = endpoint;
  }

  /** Sets our node number and announces our endpoint now and every {@linkcode DISCOVER_INTERVAL_MS}. */
  start(node: number, identity: Identity): void {
    this.#timers.clear();
    this.#node = node;
    this.#proof.start(node, identity);
    this.#announce();
  }

  /** Announces our endpoint out of turn: it may be another one. */
  announce(): void {
    this.discover();
    this.#proof.check();
  }

  /** Announces our endpoint once. */
  discover(): void {
    if (this.#endpoint !== undefined) {
      this.#send(
        encodeBeacon({ type: "discover", node: this.#node, ex: false }),
        this.#endpoint,
      );
    }
  }

  /** Asks the beacon to make both sides punch, which tells the peer where we are; not when hidden. */
  requestPunch(target: number): void {
    if (!this.#isHidden && this.#endpoint !== undefined && this.#node !== 0) {
      this.#send(
        encodeBeacon({ type: "punch_request", requester: this.#node, target }),
        this.#endpoint,
      );
    }
  }

  /** Handles a datagram whose first byte marks a beacon message. Anything not from the beacon is dropped. */
  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (!sameEndpoint(from, this.#endpoint)) return;
    const message = decodeBeacon(data);
    if (!(message instanceof DecodeError)) this.#onMessage(message);
  }

  /** Stops all timers. */
  close(): void {
    this.#timers.close();
    this.#proof.close();
  }

  #onMessage(message: BeaconMessage): void {
    switch (message.type) {
      case "discover_reply":
        this.#onObserved({ host: formatIp(message.ip), port: message.port });
        break;
      case "punch_command":
        this.#punch(message.ip, message.port);
        break;
      case "relay_deliver":
        this.#events.relayed(message.frame);
        break;
      case "relay_deliver_dest":
        if (message.dest === this.#node) this.#events.relayed(message.frame);
        break;
      case "cookie":
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
    const beacon = this.#endpoint;
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

  #announce(): void {
    this.announce();
    this.#timers.after(DISCOVER_INTERVAL_MS, () => this.#announce());
  }
}

/** A beacon on the Internet has no business sending us to private addresses (§2.11 RULE); nobody sends us to groups. */
function isPunchable(ip: Uint8Array, beacon: Endpoint): boolean {
  return isUnicastIp(ip) && (!isPrivateIp(ip) || isPrivateIp(parseIp(beacon.host)));
}
