/**
 * Which way to a peer is used, sans-I/O: ways that may lead there, authentic frames and answers to probes go in; the
 * routes of frames, probes to send and wishes come out (docs/protocol/paths.md §2, §3).
 *
 * A way is taken only when a round trip over it was authenticated, and left only when probes over it go unanswered
 * while another way is known to work. An address from which an authentic frame came is therefore no more than a
 * candidate: whoever captures a frame and sends it on from elsewhere moves nothing (RFC 9000 §9.3).
 *
 * @module
 */

import type { Endpoint } from "../ip.ts";
import { Candidate, type CandidateKind, isEndpointOfOne, PROBE_ANSWER_MS } from "./candidate.ts";
import { cost, isFaster, isLikelier, worth } from "./ranking.ts";
import { SearchSchedule } from "./search.ts";
import { encodePathProbe, PATH_ANSWER_BYTES, pathProbeId } from "./probe.ts";
import { type PathMode, RELAY_ROUTE, type Route, sameRoute } from "./route.ts";

/** Ways to one peer that are remembered; those that never answered go first. */
export const MAX_CANDIDATES = 16;
/** Sending without hearing anything by the path in use for this long: frames then take the relay, too. */
export const PATH_DOUBT_MS = 1_000;
/** The same until the path in use and the relay are probed. */
export const PATH_SUSPECT_MS = 400;
/** A peer with open connections that falls silent is probed after this time: our own mapping may be gone. */
export const PATH_QUIET_MS = 1_000;
/** When an address is probed that the registry or the beacon names, ms: the other side's punch may come a little later. */
export const SEARCH_PROBES_MS: readonly number[] = [0, 100, 250, 500, 1_000];
/** When the path in use is probed. */
export const CHECK_PROBES_MS: readonly number[] = [0, 300, 700, 1_500, 3_000];
/** An address that only a frame speaks for gets one probe a frame at most: it may be anybody's. */
export const OBSERVED_PROBES_MS: readonly number[] = [0];
/** Pause between two such probes, doubled while they bring nothing. */
export const OBSERVED_PAUSE_MS = 250;
/** Longest such pause. */
export const MAX_OBSERVED_PAUSE_MS = 30_000;
/** Pause between two questions to the path in use because the peer comes another way. */
export const CURRENT_PAUSE_MS = 1_000;
/** Pause between two such changes: round trips that vary must not make a pair go to and fro. */
export const FASTER_PAUSE_MS = 30_000;
/** Pause before a direct way is looked for after one has just broken. */
export const AFTER_FAILURE_MS = 1_000;
/** A path in use for this long without breaking has made good its failures. */
export const FORGIVE_MS = 60_000;

/** A probe to send: a control packet with this payload, by this route only. */
export interface PathProbe {
  /** The route to be tried. */
  readonly route: Route;
  /** Payload of the control packet. */
  readonly payload: Uint8Array;
}

/** What there is to do. */
export interface PathWork {
  /** Probes to send now. */
  readonly probes: readonly PathProbe[];
  /** Look for a direct way: ask the registry for the peer's endpoint and the beacon for punches. */
  readonly search: boolean;
  /** Tell the beacon where we are: our own mapping may be gone. */
  readonly announce: boolean;
  /** Frames take another way now. */
  readonly changed: boolean;
}

/** What the owner knows at the time. */
export interface PathNeeds {
  /** The tunnel is to be kept up. */
  readonly isWanted: boolean;
  /** Connections run over it. */
  readonly hasConns: boolean;
}

const ID_BYTES = 6;
const NOTHING: PathWork = { probes: [], search: false, announce: false, changed: false };

/** All ways to one peer. */
export class PathManager {
  /** The last authentic frame, ms; -Infinity before the first. */
  heardMs: number = -Infinity;
  /** The last frame sent, ms. */
  sentMs: number = -Infinity;
  /** The path in use was taken because the one before broke. */
  isRepaired: boolean = false;
  /** When the path in use was taken, ms. */
  sinceMs: number = -Infinity;
  /**
   * Something may be due earlier than {@linkcode PathManager.deadline} said last. The owner resets it when it has
   * asked again; a flag, because packets set it.
   */
  isStirred: boolean = false;
  /** Which ways may be taken. */
  readonly mode: PathMode;
  readonly #random: (out: Uint8Array) => void;
  readonly #candidates: Candidate[] = [];
  #relay: Candidate | undefined;
  #current: Candidate | undefined;
  /** First frame by the path in use since the peer was last heard by it that should have been answered. */
  #unansweredMs = Infinity;
  #isSuspect = false;
  /** The peer comes by the relay, and the path in use has not answered since: it may know better. */
  #isDisputed = false;
  /** The peer came by the path in use, but perhaps not in answer to what went there: doubtful until then, ms. */
  #untestedMs = -Infinity;
  /** The peer has answered a probe; some of the oldest never do. */
  #hasAnswers = false;
  /** When a way was last left for a faster one. */
  #fasterMs = -Infinity;
  #isQuietAsked = true;
  readonly #searches = new SearchSchedule();
  #announce = false;
  #polledMs = -Infinity;

  /**
   * Knows no way yet.
   *
   * @param options Which ways may be taken, and where ids of probes come from.
   */
  constructor(options: { mode: PathMode; random: (out: Uint8Array) => void }) {
    this.mode = options.mode;
    this.#random = options.random;
    if (options.mode !== "no-relay") this.#relay = new Candidate("relay", RELAY_ROUTE);
  }

  /** The way in use; undefined before the first authentic frame. */
  get current(): Candidate | undefined {
    return this.#current;
  }

  /** The way in use goes through the beacon. */
  get isRelayed(): boolean {
    return this.#current?.isRelay === true;
  }

  /** All ways, the relay last. */
  get candidates(): readonly Candidate[] {
    return this.#relay === undefined ? this.#candidates : [...this.#candidates, this.#relay];
  }

  /** The direct endpoint in use, or the one that is most likely to work. */
  get direct(): Endpoint | undefined {
    const { route } = this.#current ?? {};
    if (route?.via === "direct") return route.endpoint;
    let best: Candidate | undefined;
    for (const candidate of this.#candidates) {
      if (best === undefined || isLikelier(candidate, best)) best = candidate;
    }
    return best?.route.via === "direct" ? best.route.endpoint : undefined;
  }

  /** The next time at which {@linkcode PathManager.poll} may have something, ms. */
  get deadline(): number {
    let next = this.#searches.nextMs;
    for (const candidate of this.candidates) next = Math.min(next, candidate.probeMs);
    const current = this.#current;
    if (current === undefined) return next;
    if (current.failsMs > this.#polledMs) next = Math.min(next, current.failsMs);
    if (!this.#isSuspect) next = Math.min(next, this.#unansweredMs + PATH_SUSPECT_MS);
    return this.#isQuietAsked ? next : Math.min(next, this.heardMs + PATH_QUIET_MS);
  }

  /** Adds a direct way, if one host may be there. A name that is no address is taken as it is. */
  add(kind: CandidateKind, endpoint: Endpoint): Candidate | undefined {
    if (this.mode === "relay-only" || kind === "relay") return undefined;
    const route: Route = { via: "direct", endpoint };
    const known = this.#candidates.find((candidate) => sameRoute(candidate.route, route));
    if (known !== undefined) {
      if (kind !== "observed") known.kind = kind;
      return known;
    }
    if (!isEndpointOfOne(endpoint)) return undefined;
    if (this.#candidates.length >= MAX_CANDIDATES) this.#evict();
    const candidate = new Candidate(kind, route);
    this.#candidates.push(candidate);
    return candidate;
  }

  /** Frames may be taken and sent this way at all. */
  admits(route: Route): boolean {
    return route.via === "relay" ? this.mode !== "no-relay" : this.mode !== "relay-only";
  }

  /** Notes a frame sent by the path in use, and whether a living peer answers such a frame at once. */
  sent(now: number, expectsAnswer: boolean, isTraffic: boolean): void {
    this.sentMs = now;
    if (isTraffic) this.#traffic(now);
    if (expectsAnswer && this.#unansweredMs === Infinity) {
      this.#unansweredMs = now;
      this.#isSuspect = false;
      this.isStirred = true;
    }
  }

  /** Notes an authentic, fresh frame. True when frames take another way now. */
  heard(route: Route, now: number, isTraffic: boolean): boolean {
    this.heardMs = now;
    if (isTraffic) {
      this.#traffic(now);
      if (this.#isQuietAsked) {
        this.#isQuietAsked = false;
        this.isStirred = true;
      }
    }
    const current = this.#current;
    if (current !== undefined && sameRoute(current.route, route)) {
      current.heardMs = now;
      current.arrived(route, isTraffic);
      if (this.#unansweredMs !== Infinity) {
        current.noteAnswer(now - this.#unansweredMs);
        this.#unansweredMs = Infinity;
      }
      this.#isDisputed = false;
      if (current.unansweredMs !== Infinity) this.#askAgain(current, now);
      return false;
    }
    return this.#heardElsewhere(route, now, isTraffic);
  }

  /**
   * Takes the answer to a probe.
   *
   * @returns Whether frames take another way now; undefined when it answers none of our probes.
   */
  answered(id: number, route: Route, now: number): boolean | undefined {
    for (const candidate of this.candidates) {
      // Relayed answers to direct probes say nothing about the way back, nor the other way round.
      if (candidate.route.via !== route.via || !candidate.take(id, now)) continue;
      this.#hasAnswers = true;
      const isInUse = candidate === this.#current;
      if (isInUse) {
        this.#unansweredMs = Infinity;
        this.#isDisputed = false;
        this.#untestedMs = -Infinity;
      }
      if (candidate.isConfirmed(now)) candidate.rest();
      this.isStirred = true;
      return this.#choose(now);
    }
    return undefined;
  }

  /** Does what is due. */
  poll(now: number, needs: PathNeeds): PathWork {
    const current = this.#current;
    this.#polledMs = now;
    if (current !== undefined) {
      this.#suspect(current, now);
      this.#listen(current, now, needs);
      if (!current.isRelay && now - this.sinceMs > FORGIVE_MS && this.#unansweredMs === Infinity) {
        current.failures = 0;
      }
      if (!current.isRelay && !current.isFailing(now, this.#hasAnswers)) this.#searches.stop();
    }
    const changed = this.#choose(now);
    const search = this.#searches.take(now, needs.isWanted || needs.hasConns);
    const probes: PathProbe[] = [];
    for (const candidate of this.candidates) {
      while (candidate.probeMs <= now) {
        const id = new Uint8Array(ID_BYTES);
        this.#random(id);
        const payload = encodePathProbe(id, PATH_ANSWER_BYTES);
        candidate.probed(pathProbeId(payload), now);
        probes.push({ route: candidate.route, payload });
      }
    }
    const announce = this.#announce;
    this.#announce = false;
    if (!changed && !search && !announce && probes.length === 0) return NOTHING;
    return { probes, search, announce, changed };
  }

  /** Probes every direct way: the other side punches now. */
  search(now: number): void {
    for (const candidate of this.#candidates) {
      if (candidate !== this.#current) candidate.probe(SEARCH_PROBES_MS, now);
    }
    this.isStirred = true;
  }

  /** The beacon says that a peer comes from this endpoint, and it may be this one. */
  punched(endpoint: Endpoint, now: number): void {
    this.add("observed", endpoint)?.probe(SEARCH_PROBES_MS, now);
    this.isStirred = true;
  }

  /** Probes the path in use, as a keepalive that asks. */
  check(now: number): void {
    const current = this.#current;
    if (current === undefined || current.probeMs !== Infinity) return;
    current.probe(CHECK_PROBES_MS, now);
    this.isStirred = true;
  }

  /** The peer was first heard by the path in use after frames had gone other ways, too: does it lead there? */
  distrust(now: number): void {
    if (this.#current?.isRelay !== false) return;
    this.#untestedMs = now + PROBE_ANSWER_MS;
    this.check(now);
  }

  /** The peer's process is a new one, and came this way first. True when frames take another way now. */
  restarted(route: Route, now: number): boolean {
    const before = this.#current;
    if (before !== undefined && sameRoute(before.route, route)) return false;
    if (!this.admits(route)) return false;
    const candidate = route.via === "relay" ? this.#relay : this.add("observed", route.endpoint);
    if (candidate === undefined) return false;
    candidate.heardMs = now;
    candidate.arrived(route, true);
    this.#use(candidate, now);
    return true;
  }

  /** Our own network is another one: nothing that was measured still holds. */
  networkChanged(now: number): void {
    for (const candidate of this.candidates) candidate.reset();
    this.check(now);
    this.#relay?.probe(CHECK_PROBES_MS, now);
    if (this.isRelayed && this.#canSearch) this.#searches.begin(now);
    this.isStirred = true;
  }

  /**
   * Frames that should have been answered have gone out for {@linkcode PATH_DOUBT_MS} and nothing came back, or the peer
   * comes by the relay and the path in use does not answer.
   */
  isDoubtful(now: number): boolean {
    return this.#isDisputed || now < this.#untestedMs ||
      now - this.#unansweredMs > PATH_DOUBT_MS;
  }

  /** When the next search for a direct way is, ms; Infinity when none is planned. */
  get nextSearchMs(): number {
    return this.#searches.nextMs;
  }

  get #canSearch(): boolean {
    return this.mode !== "relay-only";
  }

  #traffic(now: number): void {
    if (this.#searches.onTraffic(now)) this.isStirred = true;
  }

  #heardElsewhere(route: Route, now: number, isTraffic: boolean): boolean {
    if (!this.admits(route)) return false;
    const candidate = route.via === "relay" ? this.#relay : this.add("observed", route.endpoint);
    if (candidate === undefined) return false;
    candidate.heardMs = now;
    candidate.arrived(route, isTraffic);
    const current = this.#current;
    if (current === undefined) {
      this.#use(candidate, now);
      return true;
    }
    if (!candidate.isRelay) this.#ask(candidate, OBSERVED_PROBES_MS, now);
    // The peer has its reasons to come another way: is ours still good?
    if (!current.isRelay) {
      this.#ask(current, CHECK_PROBES_MS, now);
      this.#isDisputed = candidate.isRelay &&
        (current.probeMs <= now || current.unansweredMs !== Infinity);
    }
    return this.#choose(now);
  }

  /** Probes a way unless that is being done or has brought nothing lately. */
  #ask(candidate: Candidate, times: readonly number[], now: number): void {
    const pauseMs = Math.min(MAX_OBSERVED_PAUSE_MS, OBSERVED_PAUSE_MS * 2 ** candidate.vainBursts);
    if (candidate.probeMs !== Infinity || now - candidate.probedMs < pauseMs) return;
    // What works is not asked at every frame.
    if (candidate.isConfirmed(now)) {
      if (candidate !== this.#current || now - candidate.answeredMs < CURRENT_PAUSE_MS) return;
    }
    candidate.probe(times, now);
    this.isStirred = true;
  }

  /** Heard again after probes that nobody answered, all of them sent long ago: what they showed is over. */
  #askAgain(current: Candidate, now: number): void {
    if (current.probeMs !== Infinity || now < current.failsMs) return;
    current.forget();
    current.probe(CHECK_PROBES_MS, now);
    this.isStirred = true;
  }

  #suspect(current: Candidate, now: number): void {
    if (this.#isSuspect || now - this.#unansweredMs < PATH_SUSPECT_MS) return;
    this.#isSuspect = true;
    if (current.probeMs === Infinity) current.probe(CHECK_PROBES_MS, now);
    // Whether the peer lives at all, and the way that would be taken if this one is dead.
    if (!current.isRelay) this.#relay?.probe(CHECK_PROBES_MS, now);
    else this.#announce = true;
  }

  /** After data, silence: either there is nothing to say, or what is said does not reach us. */
  #listen(current: Candidate, now: number, { hasConns }: PathNeeds): void {
    if (this.#isQuietAsked || now - this.heardMs < PATH_QUIET_MS) return;
    this.#isQuietAsked = true;
    if (hasConns && current.probeMs === Infinity) current.probe(CHECK_PROBES_MS, now);
  }

  /** Takes a better way, if there is one. */
  #choose(now: number): boolean {
    const current = this.#current;
    if (current === undefined) return false;
    const best = this.#best(now);
    if (current.isRelay) {
      if (current.isFailing(now, this.#hasAnswers)) this.#announce = true;
      if (best === undefined) return false;
      this.#use(best, now);
      return true;
    }
    if (current.isFailing(now, this.#hasAnswers)) {
      this.#announce = true;
      current.turn(now);
      const other = best ?? this.#proofOfRelay(current);
      if (other === undefined) {
        if (this.#relay !== undefined) this.#ask(this.#relay, CHECK_PROBES_MS, now);
        if (this.#searches.nextMs === Infinity && this.#canSearch) this.#searches.begin(now);
        return false;
      }
      current.broke();
      this.#use(other, now);
      this.isRepaired = true;
      return true;
    }
    if (best === undefined || best === current) return false;
    if (now < this.#untestedMs) {
      this.#use(best, now);
      return true;
    }
    if (!isFaster(best, current)) return false;
    if (now - this.#fasterMs < FASTER_PAUSE_MS) return false;
    this.#fasterMs = now;
    this.#use(best, now);
    return true;
  }

  /** The relay, if the peer was heard by it since the path in use fell silent. */
  #proofOfRelay(current: Candidate): Candidate | undefined {
    const relay = this.#relay;
    if (relay === undefined) return undefined;
    return Math.max(relay.heardMs, relay.answeredMs) > current.unansweredMs ? relay : undefined;
  }

  #best(now: number): Candidate | undefined {
    let best: Candidate | undefined;
    for (const candidate of this.#candidates) {
      if (!candidate.isConfirmed(now) || candidate.isFailing(now, this.#hasAnswers)) continue;
      if (best === undefined || cost(candidate) < cost(best)) best = candidate;
    }
    return best;
  }

  #use(candidate: Candidate, now: number): void {
    const wasRelayed = this.#current?.isRelay;
    this.#current = candidate;
    this.sinceMs = now;
    this.isRepaired = false;
    this.#unansweredMs = Infinity;
    this.#isSuspect = this.#isDisputed = false;
    this.#untestedMs = -Infinity;
    this.isStirred = true;
    if (candidate.isRelay) {
      if (!this.#canSearch) return;
      this.#searches.begin(wasRelayed === undefined ? now : now + AFTER_FAILURE_MS);
      return;
    }
    this.#searches.stop();
    this.#relay?.rest();
    // Of several ways that work the fastest is wanted, which takes the round trip of each, and of this one.
    const others = this.#candidates.filter((other) => other !== candidate);
    if (others.length === 0 || wasRelayed === false) return;
    for (const other of this.#candidates) {
      if (other.probeMs === Infinity) other.probe(SEARCH_PROBES_MS, now);
    }
  }

  /** Makes room: for what never answered and nobody but a frame speaks for first. */
  #evict(): void {
    let worst: Candidate | undefined;
    for (const candidate of this.#candidates) {
      if (candidate === this.#current) continue;
      if (worst === undefined || worth(candidate) < worth(worst)) worst = candidate;
    }
    if (worst !== undefined) this.#candidates.splice(this.#candidates.indexOf(worst), 1);
  }
}
