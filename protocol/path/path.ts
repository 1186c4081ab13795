/**
 * One path that may lead to a peer, and what probes have shown of it. No I/O.
 *
 * @module
 */

import { isIP } from "node:net";
import { RELAY_HEADER_BYTES } from "../beacon/beacon_message.ts";
import { type Endpoint, isUnicastIp, parseIp } from "../ip.ts";
import type { MtuDiscovery } from "./mtu_discovery.ts";
import { PATH_BASE_BYTES } from "./pmtu.ts";
import { hostOf, type Route } from "./route.ts";

/**
 * Where a candidate comes from: the peer's local network, the registry, an authentic frame or the beacon's punch
 * command, or the beacon itself as the relay.
 */
export type CandidateKind = "lan" | "public" | "observed" | "relay";

/** Largest datagram to the beacon that need not become fragments (docs/protocol/beacon.md §4.3). */
const MAX_RELAY_BYTES = 1_232;
/** Wait for an answer before the round trip is known. */
export const PROBE_FIRST_WAIT_MS = 500;
/** Shortest wait once it is known: a busy event loop answers that late. */
export const PROBE_MIN_WAIT_MS = 250;
/** Longest wait. */
export const PROBE_MAX_WAIT_MS = 1_000;
/** An answer later than this says nothing about the path as it is now. */
export const PROBE_ANSWER_MS = 5_000;
/** Probes whose answers still count. */
const MAX_OUTSTANDING = 8;
/** Round trips remembered: the least of them is the path's, the rest is waiting somewhere. */
const RTT_SAMPLES = 4;
/** Probes without an answer after which a path is taken for dead in our direction though we hear the peer by it. */
const DEAF_PROBES = 3;
/** And the time that they must cover. */
const DEAF_MS = 1_000;
/** What the longest wait for an answer is multiplied with at each shorter one. */
const ANSWER_DECAY = 0.95;
/** Pause between two tries of another address of ours. */
const SWITCH_PAUSE_MS = 1_000;
/** Answers in a row that a path must give after it broke in use, at most. */
const MAX_NEEDED = 4;

/**
 * Whether one host may be there: it has a port, and the address is no group's and not everybody's. A name that is no
 * address is taken as it is; a zone (`fe80::1%eth0`) is the sockets' business.
 */
export function isEndpointOfOne({ host, port }: Endpoint): boolean {
  if (port === 0) return false;
  return isIP(host) === 0 || isUnicastIp(parseIp(host.split("%", 1)[0]!));
}

/**
 * A path to a peer: its address and what carries its frames (the route), round trip, validation by probes, MTU, and
 * counters. Fields are written here only, but for the kind and the MTU discovery, which the manager decides.
 */
export class Path {
  /** Where it comes from. */
  kind: CandidateKind;
  /** Discovery of its MTU, once more than the base was wanted; paths to one host share it. */
  mtu: MtuDiscovery | undefined;
  /** Frames sent by it. */
  framesSent: number = 0;
  /** Their bytes, without what the transport adds. */
  bytesSent: number = 0;
  /** Authentic frames that came by it. */
  framesReceived: number = 0;
  /** Their bytes, without what the transport adds. */
  bytesReceived: number = 0;
  /** The last authentic frame by it, ms; -Infinity before the first. */
  heardMs: number = -Infinity;
  /** The last answer to a probe, ms. */
  answeredMs: number = -Infinity;
  /** The last probe, ms. */
  probedMs: number = -Infinity;
  /** Probes sent. */
  sent: number = 0;
  /** Probes answered. */
  answered: number = 0;
  /** Times that it broke while it was in use, lately. */
  failures: number = 0;
  /** The first probe since the last answer, ms. */
  unansweredMs: number = Infinity;
  /** Bursts in a row without any answer. */
  vainBursts: number = 0;
  #routes: readonly [Route];
  /** The route with the address of ours at which the peer was heard; undefined while that is not known. */
  #heard: Route | undefined;
  #switchedMs = -Infinity;
  readonly #outstanding: { readonly id: number; readonly sentMs: number }[] = [];
  readonly #rtts: number[] = [];
  #answerMs: number | undefined;
  #unanswered = 0;
  #streak = 0;
  #burst: readonly number[] = [];
  #burstMs = 0;
  #burstAt = 0;

  /**
   * A path that nothing is known of yet.
   *
   * @param kind Where it comes from.
   * @param route Where its frames go.
   */
  constructor(kind: CandidateKind, route: Route) {
    this.kind = kind;
    this.#routes = [route];
    if (route.via === "direct" && route.endpoint.local !== undefined) this.#heard = route;
  }

  /** Where its frames go, and the address of ours which they leave from if the peer was heard at it. */
  get route(): Route {
    return this.#routes[0];
  }

  /** The route as the list of one that senders take. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /**
   * Notes at which address of ours the peer was heard: it, and NATs before it, expect what we send from that one.
   * Probes do not change it, as a peer tries all of ours.
   *
   * @param route As a frame came.
   * @param isTraffic The frame is no control packet.
   */
  arrived(route: Route, isTraffic: boolean): void {
    const known = this.#heard;
    if (route.via === "relay" || route.endpoint.local === undefined) return;
    if (known?.via === "direct") {
      if (route.endpoint === known.endpoint || !isTraffic) return;
      if (route.endpoint.local === known.endpoint.local) return;
    }
    const isFree = known !== undefined && this.route !== known;
    this.#heard = route;
    if (!isFree) this.#routes = [route];
  }

  /**
   * Nothing is answered: tries the address of ours that the system chooses, or if that was tried the one at which the peer
   * was heard. Routes change silently, and an address with the wrong one leads nowhere.
   */
  switchLocal(now: number): void {
    const heard = this.#heard;
    if (heard === undefined || now - this.#switchedMs < SWITCH_PAUSE_MS) return;
    this.#switchedMs = now;
    this.#routes = [this.route === heard ? withoutLocal(heard) : heard];
  }

  /** Largest frame known to pass in one piece, bytes. */
  get maxBytes(): number {
    if (this.isRelay) return MAX_RELAY_BYTES - RELAY_HEADER_BYTES;
    return this.mtu?.bytes ?? PATH_BASE_BYTES;
  }

  /** The host that its frames go to; undefined when that is the beacon. */
  get host(): string | undefined {
    return hostOf(this.route);
  }

  /** Counts a frame that leaves by it. */
  countSent(bytes: number): void {
    this.framesSent++;
    this.bytesSent += bytes;
  }

  /**
   * Notes an authentic frame that came by it.
   *
   * @param route As it came.
   * @param now Milliseconds.
   * @param isTraffic It is no control packet.
   * @param bytes Its size; 0 when it is counted already.
   */
  heard(route: Route, now: number, isTraffic: boolean, bytes: number): void {
    this.heardMs = now;
    this.arrived(route, isTraffic);
    if (bytes === 0) return;
    this.framesReceived++;
    this.bytesReceived += bytes;
  }

  /** It goes through the beacon. */
  get isRelay(): boolean {
    return this.route.via === "relay";
  }

  /** Round trip, ms; undefined before the first answer. */
  get rttMs(): number | undefined {
    return this.#rtts.length === 0 ? undefined : Math.min(...this.#rtts);
  }

  /** How long an answer is awaited. */
  get waitMs(): number {
    const rttMs = this.rttMs ?? this.#answerMs;
    if (rttMs === undefined) return PROBE_FIRST_WAIT_MS;
    return Math.min(PROBE_MAX_WAIT_MS, Math.max(PROBE_MIN_WAIT_MS, 3 * rttMs));
  }

  /** Notes how long the peer took to answer something else than a probe; serves until a probe is answered. */
  noteAnswer(ms: number): void {
    this.#answerMs = Math.max(ms, (this.#answerMs ?? 0) * ANSWER_DECAY);
  }

  /** When the next probe is due; Infinity when none is. */
  get probeMs(): number {
    const after = this.#burst[this.#burstAt];
    return after === undefined ? Infinity : this.#burstMs + after;
  }

  /** When it fails if no answer comes; Infinity when none is awaited. */
  get failsMs(): number {
    return this.unansweredMs + this.waitMs;
  }

  /** Enough probes in a row were answered, the last one not long before `now`. */
  isConfirmed(now: number): boolean {
    const needed = Math.min(MAX_NEEDED, 1 + this.failures);
    return this.#streak >= needed && now - this.answeredMs <= PROBE_ANSWER_MS;
  }

  /**
   * Probes go unanswered. A path by which we still hear the peer may yet be dead in our direction, for which it takes
   * more of them, and a peer that answers probes at all.
   *
   * @param now Milliseconds.
   * @param hasAnswers The peer has answered a probe before, by whichever path.
   */
  isFailing(now: number, hasAnswers: boolean): boolean {
    if (now < this.failsMs) return false;
    return this.heardMs < this.unansweredMs ||
      (hasAnswers && this.#unanswered >= DEAF_PROBES && now - this.unansweredMs >= DEAF_MS);
  }

  /** Sends probes at these times after `now`, ms; the first usually 0. Replaces what was still to be sent. */
  probe(times: readonly number[], now: number): void {
    if (this.#burst.length > 0 && this.unansweredMs !== Infinity) {
      this.vainBursts++;
      this.switchLocal(now);
    }
    this.#burst = times;
    this.#burstMs = now;
    this.#burstAt = 0;
  }

  /** Sends no more probes for now. */
  stopProbes(): void {
    this.#burst = [];
  }

  /** Notes that a probe with this id leaves now, and turns to the next one. */
  probed(id: number, now: number): void {
    this.#burstAt++;
    this.sent++;
    this.probedMs = now;
    // The one before is lost.
    if (now >= this.failsMs) this.#streak = 0;
    this.unansweredMs = Math.min(this.unansweredMs, now);
    this.#unanswered++;
    if (this.#outstanding.length >= MAX_OUTSTANDING) this.#outstanding.shift();
    this.#outstanding.push({ id, sentMs: now });
  }

  /** Takes the answer to a probe. False when it is none of ours, or too late. */
  take(id: number, now: number): boolean {
    const index = this.#outstanding.findIndex((probe) => probe.id === id);
    if (index < 0) return false;
    const { sentMs } = this.#outstanding[index]!;
    this.#outstanding.splice(index, 1);
    if (now - sentMs > PROBE_ANSWER_MS) return false;
    this.#rtts.push(now - sentMs);
    if (this.#rtts.length > RTT_SAMPLES) this.#rtts.shift();
    this.answered++;
    this.#streak++;
    this.answeredMs = now;
    this.vainBursts = 0;
    // What was sent before this answer's probe may be lost; what was sent after it is still awaited.
    const awaited = this.#outstanding.filter((probe) => probe.sentMs > sentMs);
    this.#unanswered = awaited.length;
    this.unansweredMs = awaited[0]?.sentMs ?? Infinity;
    return true;
  }

  /** Awaits no answer any more: what was asked is long ago. */
  forget(): void {
    this.#outstanding.length = 0;
    this.#unanswered = 0;
    this.unansweredMs = Infinity;
  }

  /** It has not broken for so long that earlier failures do not count. */
  forgive(): void {
    this.failures = 0;
  }

  /** It broke while it was in use. */
  noteFailure(): void {
    this.#forgetLocal();
    this.failures++;
    this.#streak = 0;
  }

  /** Forgets what probes have shown: the network is another one. */
  reset(): void {
    this.#forgetLocal();
    this.forget();
    this.#rtts.length = 0;
    this.#answerMs = undefined;
    this.#burst = [];
    this.#streak = 0;
    this.answeredMs = -Infinity;
    this.failures = 0;
    this.vainBursts = 0;
  }

  /** The system chooses the address of ours, as it does when there is nothing to answer: the network has changed. */
  #forgetLocal(): void {
    this.#heard = undefined;
    this.#routes = [withoutLocal(this.route)];
  }
}

function withoutLocal(route: Route): Route {
  if (route.via === "relay" || route.endpoint.local === undefined) return route;
  const { host, port } = route.endpoint;
  return { via: "direct", endpoint: { host, port } };
}
