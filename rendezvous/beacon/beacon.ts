/**
 * The beacon without its socket (docs/protocol/beacon.md §2): reports to nodes their endpoint, introduces them to each
 * other, relays between them and wakes them.
 *
 * It sends only to endpoints that sent it a Discover and to configured peers. No answer is larger than what caused
 * it but for the few bytes of a DiscoverReply, whose rate is limited; so it is no amplifier.
 *
 * @module
 */

import {
  type BeaconMessage,
  BeaconType,
  decodeBeacon,
  DISCOVER_EX,
  DISCOVER_WAKE,
  discoverChallenge,
  encodeBeacon,
  relayToDelivery,
} from "../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { type Endpoint, sameEndpoint } from "../../protocol/ip.ts";
import { TokenBuckets } from "../../protocol/rate_limit.ts";
import { Cookies } from "./cookies.ts";
import { type BeaconCounters, type BeaconHealth, newBeaconCounters } from "./beacon_counters.ts";
import {
  MAX_PROOFS_PENDING,
  MAX_SOURCES,
  MAX_SYNCED_NODES,
  NOTIFY_REPEAT_FROM_MS,
  RELAY_BURST_SECONDS,
  RELAY_BYTES_PER_SECOND,
  RELAY_MIN_COST,
  RELAY_PEER_FACTOR,
  REPLIES_BURST,
  REPLIES_PER_SECOND,
  UNPROVEN_BURST,
  UNPROVEN_BYTES_PER_SECOND,
  VERIFY_BURST,
  VERIFY_PER_SECOND,
  VERIFY_TOTAL_BURST,
  VERIFY_TOTAL_PER_SECOND,
} from "./beacon_limits.ts";
import {
  type Announcement,
  isProven,
  type MappingLimits,
  Mappings,
  renewCredit,
  takeCredit,
} from "./mappings.ts";
import { Introductions } from "./introductions.ts";
import { type Arrival, command, observed, type Outgoing } from "./location_answers.ts";
import { type Peer, Peers } from "./peers.ts";
import { Sources } from "./sources.ts";
import { type Wake, Wakes } from "./wakes.ts";

export type { Outgoing } from "./location_answers.ts";

/** A signature to be checked; the answer goes to {@linkcode Beacon.onVerified}. */
export interface Proof {
  readonly node: number;
  /** The key the node must have signed with. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly nonce: Uint8Array;
  readonly announcement: Announcement;
  readonly wakes: boolean;
}

/** What a beacon is made of. */
export interface BeaconOptions {
  /** Bounds of the table of nodes, other than the defaults. */
  readonly limits?: MappingLimits | undefined;
  /** Relayed bytes per second of one source address, default {@linkcode RELAY_BYTES_PER_SECOND}. */
  readonly relayBytesPerSecond?: number | undefined;
  /** Key of a registered node; without it nothing can be proven. */
  readonly keyOf?: ((node: number) => Uint8Array | undefined) | undefined;
  /** Whether two nodes may learn each other's endpoints; default always. */
  readonly mayMeet?: ((requester: number, target: number) => boolean) | undefined;
  /** Whether a node may send frames to another one; default always. */
  readonly maySend?: ((sender: number, target: number) => boolean) | undefined;
  /** 32 bytes for cookies; default random ones. */
  readonly secret?: Uint8Array | undefined;
  /** Our number among the beacons, in Sync; default 0. */
  readonly id?: number | undefined;
}

const NOTHING: readonly Outgoing[] = [];
const NOTIFY: Uint8Array = encodeBeacon({ type: "notify" });
/** Key of the one bucket for all. */
const EVERYBODY = "";

/** State and rules of a beacon. */
export class Beacon {
  /** Counts for operators and tests. */
  readonly counters: BeaconCounters = newBeaconCounters();
  /** Other beacons. */
  readonly peers: Peers = new Peers();
  readonly #id: number;
  readonly #keyOf: (node: number) => Uint8Array | undefined;
  readonly #mayMeet: (requester: number, target: number) => boolean;
  readonly #introductions: Introductions;
  readonly #cookies: Cookies;
  readonly #mappings: Mappings;
  readonly #sources: Sources = new Sources();
  readonly #wakes: Wakes = new Wakes();
  readonly #relayRate: TokenBuckets;
  readonly #replyRate: TokenBuckets = new TokenBuckets({
    burst: REPLIES_BURST,
    perSecond: REPLIES_PER_SECOND,
    maxSources: MAX_SOURCES,
  });
  /** Bytes to addresses that may be a victim's. */
  readonly #unprovenRate: TokenBuckets = new TokenBuckets({
    burst: UNPROVEN_BURST,
    perSecond: UNPROVEN_BYTES_PER_SECOND,
    maxSources: MAX_SOURCES,
  });
  readonly #verifyRate: TokenBuckets = new TokenBuckets({
    burst: VERIFY_BURST,
    perSecond: VERIFY_PER_SECOND,
    maxSources: MAX_SOURCES,
  });
  readonly #verifyTotal: TokenBuckets = new TokenBuckets({
    burst: VERIFY_TOTAL_BURST,
    perSecond: VERIFY_TOTAL_PER_SECOND,
    maxSources: 1,
  });
  #proofs: Proof[] = [];
  /** Proofs taken and not answered yet. */
  #verifying = 0;

  /** @param options Bounds, keys, secrets. */
  constructor(options: BeaconOptions = {}) {
    const perSecond = options.relayBytesPerSecond ?? RELAY_BYTES_PER_SECOND;
    this.#relayRate = new TokenBuckets({
      perSecond,
      // Never less than one datagram of the largest size.
      burst: Math.max(perSecond * RELAY_BURST_SECONDS, 0xffff),
      maxSources: MAX_SOURCES,
    });
    this.#mappings = new Mappings(options.limits);
    this.#keyOf = options.keyOf ?? (() => undefined);
    this.#mayMeet = options.mayMeet ?? (() => true);
    this.#introductions = new Introductions(options.maySend ?? (() => true));
    this.#cookies = new Cookies(options.secret ?? crypto.getRandomValues(new Uint8Array(32)));
    this.#id = options.id ?? 0;
  }

  /** Nodes with a known endpoint. */
  get size(): number {
    return this.#mappings.size;
  }

  /**
   * State for operators.
   *
   * @param now Monotonic milliseconds.
   */
  health(now: number): BeaconHealth {
    return {
      nodes: this.#mappings.size,
      nodes_proven: this.#mappings.proven,
      peers: this.peers.size,
      peer_nodes: this.peers.nodeCount(now),
      wakes_pending: this.#wakes.size,
      ...this.counters,
    };
  }

  /**
   * Handles one datagram.
   *
   * @param datagram What came; may be changed, and reused after the outgoing datagrams were sent.
   * @param from Where it came from.
   * @param now Monotonic milliseconds.
   * @returns What to send. Signatures to check wait in {@linkcode Beacon.takeProofs}.
   */
  receive(datagram: Uint8Array, from: Endpoint, now: number): readonly Outgoing[] {
    if (datagram[0] === BeaconType.sync) return this.#sync(datagram, from, now);
    const message = decodeBeacon(datagram);
    if (message instanceof DecodeError) return this.#ignore();
    const arrival: Arrival = { from, source: this.#sources.of(from.host), now };
    switch (message.type) {
      case "relay":
        return this.#relay(message, datagram, arrival);
      case "discover":
        return this.#discover(message.node, message.ex, arrival);
      case "discover_auth":
        return message.signature === undefined
          ? this.#giveCookie(message, arrival)
          : this.#checkCookie(message, message.signature, arrival);
      case "punch_request":
        return this.#punch(message.requester, message.target, arrival);
      default:
        return this.#ignore(); // answers of beacons
    }
  }

  #ignore(): readonly Outgoing[] {
    this.counters.ignored++;
    return NOTHING;
  }

  #limit(): readonly Outgoing[] {
    this.counters.limited++;
    return NOTHING;
  }

  // ---- endpoints

  /** Node 0 only asks for its endpoint: it is not known yet, so it is answered and forgotten. */
  #discover(node: number, ex: boolean, arrival: Arrival): readonly Outgoing[] {
    const { from: addr, source, now } = arrival;
    if (!this.#replyRate.take(source.key, now)) return this.#limit();
    if (node !== 0) {
      const outcome = this.#mappings.announce(node, { addr, source, ex }, now);
      if (outcome === "full") return this.#limit();
      // The sender may learn its endpoint: if it is the node, it sees that it has moved, and proves it.
      if (outcome === "kept") this.counters.discovers_refused++;
    }
    this.counters.discovers++;
    return [observed(arrival)];
  }

  #giveCookie(
    { node, nonce }: { node: number; nonce: Uint8Array },
    { from, source, now }: Arrival,
  ): readonly Outgoing[] {
    // No cookie says that this beacon cannot check a proof: the node need not make one.
    if (node === 0 || this.#keyOf(node) === undefined) return this.#ignore();
    if (!this.#replyRate.take(source.key, now)) return this.#limit();
    this.counters.cookies++;
    const mapping = this.#mappings.get(node);
    const isHere = mapping !== undefined && sameEndpoint(mapping.addr, from);
    return [{
      bytes: encodeBeacon({
        type: "cookie",
        isProven: isHere && isProven(mapping, now),
        nonce,
        cookie: this.#cookies.make({ node, nonce, ip: source.bytes, port: from.port }, now),
      }),
      to: from,
    }];
  }

  /** The cookie first: only a sender that receives at its claimed address can make us verify a signature. */
  #checkCookie(
    message: Extract<BeaconMessage, { type: "discover_auth" }>,
    signature: Uint8Array,
    { from: addr, source, now }: Arrival,
  ): readonly Outgoing[] {
    const { node, nonce, cookie, flags } = message;
    const holder = { node, nonce, ip: source.bytes, port: addr.port };
    const publicKey = this.#keyOf(node);
    if (publicKey === undefined || !this.#cookies.check(cookie, holder, now)) {
      this.counters.proofs_refused++;
      return NOTHING;
    }
    if (
      this.#proofs.length + this.#verifying >= MAX_PROOFS_PENDING ||
      !this.#verifyRate.take(source.key, now) || !this.#verifyTotal.take(EVERYBODY, now)
    ) return this.#limit();
    this.#proofs.push({
      node,
      publicKey,
      message: discoverChallenge(message),
      signature: signature.slice(),
      nonce: nonce.slice(),
      announcement: { addr, source, ex: (flags & DISCOVER_EX) !== 0 },
      wakes: (flags & DISCOVER_WAKE) !== 0,
    });
    return NOTHING;
  }

  /** Takes the proofs whose signatures are to be checked; each must be answered by {@linkcode Beacon.onVerified}. */
  takeProofs(): readonly Proof[] {
    if (this.#proofs.length === 0) return [];
    const proofs = this.#proofs;
    this.#proofs = [];
    this.#verifying += proofs.length;
    return proofs;
  }

  /**
   * A signature was checked.
   *
   * @param proof From {@linkcode Beacon.takeProofs}.
   * @param isValid Whether it is the signature of its key over its message.
   * @param now Monotonic milliseconds.
   * @returns What to send.
   */
  onVerified(proof: Proof, isValid: boolean, now: number): readonly Outgoing[] {
    this.#verifying--;
    const { node, publicKey, nonce, announcement } = proof;
    // The node may have got another key meanwhile.
    const current = this.#keyOf(node);
    const isCurrent = current !== undefined && publicKey.every((byte, i) => byte === current[i]);
    if (!isValid || !isCurrent) {
      this.counters.proofs_refused++;
      return NOTHING;
    }
    const token = proof.wakes ? nonce : undefined;
    if (!this.#mappings.prove(node, announcement, token, now)) return this.#limit();
    this.counters.proofs++;
    const { addr, source } = announcement;
    const cookie = this.#cookies.make({ node, nonce, ip: source.bytes, port: addr.port }, now);
    return [{ bytes: encodeBeacon({ type: "cookie", isProven: true, nonce, cookie }), to: addr }];
  }

  // ---- between nodes

  /** Introduces two known nodes. The request itself moves no mapping: only a Discover does. */
  #punch(
    requester: number,
    target: number,
    { from, source, now }: Arrival,
  ): readonly Outgoing[] {
    const asking = this.#mappings.get(requester);
    const wanted = this.#mappings.get(target);
    if (asking === undefined || wanted === undefined || asking === wanted) {
      return this.#ignore();
    }
    const isHere = sameEndpoint(asking.addr, from);
    const isMeeting = (isHere || !isProven(asking, now)) && this.#mayMeet(requester, target);
    if (!isMeeting) return this.#ignore();
    if (!this.#replyRate.take(source.key, now)) return this.#limit();
    if (isHere) renewCredit(asking);
    this.counters.punches++;
    return [command(asking, wanted), command(wanted, asking)];
  }

  #relay(
    { sender, dest }: { sender: number; dest: number },
    datagram: Uint8Array,
    arrival: Arrival,
  ): readonly Outgoing[] {
    const { from, source, now } = arrival;
    const { length } = datagram;
    const peer = this.peers.size === 0 ? undefined : this.peers.at(from);
    const cost = Math.max(length, RELAY_MIN_COST) / (peer === undefined ? 1 : RELAY_PEER_FACTOR);
    if (!this.#relayRate.take(source.key, now, cost)) return this.#limit();
    const sending = peer === undefined ? this.#mappings.get(sender) : undefined;
    if (sending !== undefined) {
      if (sameEndpoint(sending.addr, from)) renewCredit(sending);
      else if (isProven(sending, now)) return this.#refuseSender(length, arrival);
    }
    const target = this.#mappings.get(dest);
    if (target === undefined) return this.#forward(dest, datagram, peer, now);
    if (!this.#introductions.admits(sender, dest, now)) {
      this.counters.relay_strangers++;
      return NOTHING;
    }
    const isOpen = isProven(target, now) || takeCredit(target, length) ||
      this.#unprovenRate.take(target.source.key, now, length);
    if (!isOpen) {
      this.counters.relay_unproven++;
      return NOTHING;
    }
    this.counters.relayed++;
    this.counters.relayed_bytes += length;
    return [{ bytes: relayToDelivery(datagram, target.ex), to: target.addr }];
  }

  /** Not from where the node is. If the node has moved, it learns so from its endpoint, and proves the new one. */
  #refuseSender(length: number, arrival: Arrival): readonly Outgoing[] {
    this.counters.relay_refused++;
    const answer = observed(arrival);
    const mayAnswer = answer.bytes.length <= length &&
      this.#replyRate.take(arrival.source.key, arrival.now);
    return mayAnswer ? [answer] : NOTHING;
  }

  /** To the beacon that has the node; never what came from a beacon, so that nothing goes in circles. */
  #forward(
    dest: number,
    datagram: Uint8Array,
    cameFrom: Peer | undefined,
    now: number,
  ): readonly Outgoing[] {
    const peer = cameFrom === undefined ? this.peers.of(dest, now) : undefined;
    if (peer === undefined) {
      this.counters.relay_unknown++;
      return NOTHING;
    }
    this.counters.forwarded++;
    return [{ bytes: datagram, to: peer.addr }];
  }

  // ---- between beacons

  #sync(datagram: Uint8Array, from: Endpoint, now: number): readonly Outgoing[] {
    const peer = this.peers.at(from);
    if (peer === undefined) return this.#ignore();
    if (!this.peers.maySync(peer, now)) return this.#limit();
    const message = decodeBeacon(datagram);
    if (message instanceof DecodeError || message.type !== "sync") return this.#ignore();
    this.peers.learn(peer, message.nodes, now);
    this.counters.syncs++;
    return NOTHING;
  }

  /**
   * Sends the peers our nodes; due every `SYNC_INTERVAL_MS`.
   *
   * @returns What to send, and how many nodes did not fit.
   */
  syncPeers(): { readonly outgoing: readonly Outgoing[]; readonly left: number } {
    const { addrs } = this.peers;
    if (addrs.length === 0) return { outgoing: NOTHING, left: 0 };
    const nodes: number[] = [];
    for (const node of this.#mappings.nodes()) {
      if (nodes.length >= MAX_SYNCED_NODES) break;
      nodes.push(node);
    }
    const bytes = encodeBeacon({ type: "sync", beacon: this.#id, nodes });
    return {
      outgoing: addrs.map((to) => ({ bytes, to })),
      left: this.#mappings.size - nodes.length,
    };
  }

  // ---- wakes

  /** When {@linkcode Beacon.repeatWakes} has something to do, monotonic milliseconds. */
  get nextWakeAt(): number | undefined {
    return this.#wakes.nextAt;
  }

  /**
   * Something begins to wait for a node in the registry: wakes it until it has polled, by our message where the node has
   * proven that it understands it, else by the one of v1.18.
   *
   * @param now Monotonic milliseconds.
   * @returns What to send.
   */
  wake(node: number, now: number): readonly Outgoing[] {
    if (this.#mappings.get(node) === undefined) return NOTHING;
    const wake = this.#wakes.start(node, now);
    return wake === undefined ? NOTHING : this.#wakeUp(wake, now);
  }

  /** The node has polled. */
  stopWaking(node: number): void {
    this.#wakes.stop(node);
  }

  /**
   * Sends wakes again.
   *
   * @param now Monotonic milliseconds.
   * @returns What to send.
   */
  repeatWakes(now: number): readonly Outgoing[] {
    return this.#wakes.due(now).flatMap((wake) => this.#wakeUp(wake, now));
  }

  #wakeUp({ node, sequence, afterMs }: Wake, now: number): readonly Outgoing[] {
    const mapping = this.#mappings.get(node);
    if (mapping === undefined) return NOTHING;
    const { wakeToken: token, addr: to } = mapping;
    // Only what reaches the node for certain may carry the token of its proof.
    const isOwn = token !== undefined && isProven(mapping, now);
    if (!isOwn && afterMs > 0 && afterMs < NOTIFY_REPEAT_FROM_MS) return NOTHING;
    this.counters.wakes++;
    return [{ bytes: isOwn ? encodeBeacon({ type: "wake", token, sequence }) : NOTIFY, to }];
  }

  /** Forgets nodes that were silent too long. */
  sweep(now: number): void {
    this.#mappings.sweep(now);
  }
}
