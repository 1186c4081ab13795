/**
 * Which path to a peer is used, sans-I/O: paths that may lead there, authentic frames and answers to probes go in; the
 * routes of frames, probes to send and wishes come out (docs/protocol/paths.md §2, §3).
 *
 * A path is taken only when a round trip over it was authenticated, and left only when probes over it go unanswered
 * while another path is known to work. An address from which an authentic frame came is therefore no more than a
 * candidate: a captured frame that is sent from elsewhere moves nothing (RFC 9000 §9.3).
 *
 * @module
 */

import type { Endpoint } from "../ip.ts";
import { type CandidateKind, isEndpointOfOne, Path, PROBE_ANSWER_MS } from "./path.ts";
import { NO_PATH_WORK, type PathDemand, type PathProbe, type PathWork } from "./path_work.ts";
import { cost, isFaster, isLikelier, retention } from "./ranking.ts";
import type { MtuDiscovery } from "./mtu_discovery.ts";
import { SearchSchedule } from "./search.ts";
import { encodePathProbe, PATH_ANSWER_BYTES, pathProbeId } from "./probe.ts";
import { type PathMode, RELAY_ROUTE, type Route, sameRoute } from "./route.ts";

/** Paths to one peer that are remembered; those that never answered go first. */
export const MAX_PATHS = 16;
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
/** An address known from a frame only gets one probe a frame at most: it may be a victim's. */
export const OBSERVED_PROBES_MS: readonly number[] = [0];
/** Pause between two such probes, doubled while they bring nothing. */
export const OBSERVED_PAUSE_MS = 250;
/** Longest such pause. */
export const MAX_OBSERVED_PAUSE_MS = 30_000;
/** Pause between two questions to the path in use because the peer comes by another path. */
export const CURRENT_PAUSE_MS = 1_000;
/** Pause between two such changes: round trips that vary must not make a pair go to and fro. */
export const FASTER_PAUSE_MS = 30_000;
/** Pause before a direct path is looked for after one has just broken. */
export const AFTER_FAILURE_MS = 1_000;
/** A path in use for this long without breaking has made good its failures. */
export const FORGIVE_MS = 60_000;

const ID_BYTES = 6;

/** All paths to one peer. */
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
  needsReschedule: boolean = false;
  /** Which paths may be taken. */
  readonly mode: PathMode;
  readonly #random: (out: Uint8Array) => void;
  readonly #paths: Path[] = [];
  #relay: Path | undefined;
  #current: Path | undefined;
  /** First frame by the path in use since the peer was last heard by it that should have been answered. */
  #unansweredMs = Infinity;
  #isSuspect = false;
  /** The peer comes by the relay, and the path in use has not answered since: it may know better. */
  #isDisputed = false;
  /** The peer came by the path in use, but perhaps not in answer to what went there: doubtful until then, ms. */
  #untestedMs = -Infinity;
  /** The peer has answered a probe; some of the oldest never do. */
  #hasAnswers = false;
  /** When a path was last left for a faster one. */
  #fasterMs = -Infinity;
  #isQuietAsked = true;
  readonly #searches = new SearchSchedule();
  #announce = false;
  #polledMs = -Infinity;

  /**
   * Knows no path yet.
   *
   * @param options Which paths may be taken, and where ids of probes come from.
   */
  constructor(options: { mode: PathMode; random: (out: Uint8Array) => void }) {
    this.mode = options.mode;
    this.#random = options.random;
    if (options.mode !== "no-relay") this.#relay = new Path("relay", RELAY_ROUTE);
  }

  /** The path in use; undefined before the first authentic frame. */
  get current(): Path | undefined {
    return this.#current;
  }

  /** The path in use goes through the beacon. */
  get isRelayed(): boolean {
    return this.#current?.isRelay === true;
  }

  /** All paths, the relay last. */
  get all(): readonly Path[] {
    return this.#relay === undefined ? this.#paths : [...this.#paths, this.#relay];
  }

  /** The direct path in use, or the one that is most likely to work. */
  get direct(): Path | undefined {
    if (this.#current?.isRelay === false) return this.#current;
    let best: Path | undefined;
    for (const path of this.#paths) {
      if (best === undefined || isLikelier(path, best)) best = path;
    }
    return best;
  }

  /** The path that a route is, if it is a known one. */
  find(route: Route): Path | undefined {
    const current = this.#current;
    if (current !== undefined && sameRoute(current.route, route)) return current;
    if (route.via === "relay") return this.#relay;
    return this.#paths.find((path) => sameRoute(path.route, route));
  }

  /** A direct path leads to this host, whatever the port. */
  knowsHost(host: string | undefined): boolean {
    return host !== undefined && this.#paths.some((path) => path.host === host);
  }

  /** Gives all direct paths to a host one discovery of its MTU: the port decides nothing. */
  discoverMtu(host: string | undefined, mtu: MtuDiscovery): void {
    for (const path of this.#paths) if (path.host === host) path.mtu = mtu;
  }

  /** The next time at which {@linkcode PathManager.poll} may have something, ms. */
  get deadline(): number {
    let next = this.#searches.nextMs;
    for (const path of this.all) next = Math.min(next, path.probeMs);
    const current = this.#current;
    if (current === undefined) return next;
    if (current.failsMs > this.#polledMs) next = Math.min(next, current.failsMs);
    if (!this.#isSuspect) next = Math.min(next, this.#unansweredMs + PATH_SUSPECT_MS);
    return this.#isQuietAsked ? next : Math.min(next, this.heardMs + PATH_QUIET_MS);
  }

  /** Adds a direct path, if one host may be there. A name that is no address is taken as it is. */
  add(kind: CandidateKind, endpoint: Endpoint): Path | undefined {
    if (this.mode === "relay-only" || kind === "relay") return undefined;
    const route: Route = { via: "direct", endpoint };
    const known = this.#paths.find((path) => sameRoute(path.route, route));
    if (known !== undefined) {
      if (kind !== "observed") known.kind = kind;
      return known;
    }
    if (!isEndpointOfOne(endpoint)) return undefined;
    if (this.#paths.length >= MAX_PATHS) this.#evict();
    const path = new Path(kind, route);
    path.mtu = this.#paths.find(({ host }) => host === path.host)?.mtu;
    this.#paths.push(path);
    return path;
  }

  /** Frames may be taken and sent by this path at all. */
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
      this.needsReschedule = true;
    }
  }

  /** Notes an authentic, fresh frame of so many bytes. True when frames take another path now. */
  heard(route: Route, now: number, isTraffic: boolean, bytes: number = 0): boolean {
    this.heardMs = now;
    if (isTraffic) {
      this.#traffic(now);
      if (this.#isQuietAsked) {
        this.#isQuietAsked = false;
        this.needsReschedule = true;
      }
    }
    const current = this.#current;
    if (current !== undefined && sameRoute(current.route, route)) {
      current.heard(route, now, isTraffic, bytes);
      if (this.#unansweredMs !== Infinity) {
        current.noteAnswer(now - this.#unansweredMs);
        this.#unansweredMs = Infinity;
      }
      this.#isDisputed = false;
      if (current.unansweredMs !== Infinity) this.#askAgain(current, now);
      return false;
    }
    return this.#heardElsewhere(route, now, isTraffic, bytes);
  }

  /**
   * Takes the answer to a probe.
   *
   * @returns Whether frames take another path now; undefined when it answers none of our probes.
   */
  answered(id: number, route: Route, now: number): boolean | undefined {
    for (const path of this.all) {
      // Relayed answers to direct probes say nothing about the direct path back, and vice versa.
      if (path.route.via !== route.via || !path.take(id, now)) continue;
      this.#hasAnswers = true;
      const isInUse = path === this.#current;
      if (isInUse) {
        this.#unansweredMs = Infinity;
        this.#isDisputed = false;
        this.#untestedMs = -Infinity;
      }
      if (path.isConfirmed(now)) path.stopProbes();
      this.needsReschedule = true;
      return this.#choose(now);
    }
    return undefined;
  }

  /** Does what is due. */
  poll(now: number, demand: PathDemand): PathWork {
    const current = this.#current;
    this.#polledMs = now;
    if (current !== undefined) {
      this.#suspect(current, now);
      this.#listen(current, now, demand);
      if (!current.isRelay && now - this.sinceMs > FORGIVE_MS && this.#unansweredMs === Infinity) {
        current.forgive();
      }
      if (!current.isRelay && !current.isFailing(now, this.#hasAnswers)) this.#searches.stop();
    }
    const changed = this.#choose(now);
    const search = this.#searches.take(now, demand.isWanted || demand.hasConns);
    const probes: PathProbe[] = [];
    for (const path of this.all) {
      while (path.probeMs <= now) {
        const id = new Uint8Array(ID_BYTES);
        this.#random(id);
        const payload = encodePathProbe(id, PATH_ANSWER_BYTES);
        path.probed(pathProbeId(payload), now);
        probes.push({ route: path.route, payload });
      }
    }
    const announce = this.#announce;
    this.#announce = false;
    if (!changed && !search && !announce && probes.length === 0) return NO_PATH_WORK;
    return { probes, search, announce, changed };
  }

  /** Probes every direct path: the other side punches now. */
  search(now: number): void {
    for (const path of this.#paths) {
      if (path !== this.#current) path.probe(SEARCH_PROBES_MS, now);
    }
    this.needsReschedule = true;
  }

  /** The beacon says that a peer comes from this endpoint, and it may be this one. */
  punched(endpoint: Endpoint, now: number): void {
    this.add("observed", endpoint)?.probe(SEARCH_PROBES_MS, now);
    this.needsReschedule = true;
  }

  /** Probes the path in use, as a keepalive that asks. */
  check(now: number): void {
    const current = this.#current;
    if (current === undefined || current.probeMs !== Infinity) return;
    current.probe(CHECK_PROBES_MS, now);
    this.needsReschedule = true;
  }

  /** The peer was first heard by the path in use after frames had taken other paths, too: does it lead there? */
  distrust(now: number): void {
    if (this.#current?.isRelay !== false) return;
    this.#untestedMs = now + PROBE_ANSWER_MS;
    this.check(now);
  }

  /** The peer's process is a new one, and came by this path first. True when frames take another path now. */
  restarted(route: Route, now: number): boolean {
    const before = this.#current;
    if (before !== undefined && sameRoute(before.route, route)) return false;
    if (!this.admits(route)) return false;
    const path = route.via === "relay" ? this.#relay : this.add("observed", route.endpoint);
    if (path === undefined) return false;
    path.heard(route, now, true, 0);
    this.#use(path, now);
    return true;
  }

  /** Our own network is another one: nothing that was measured still holds. */
  networkChanged(now: number): void {
    for (const path of this.all) path.reset();
    this.check(now);
    this.#relay?.probe(CHECK_PROBES_MS, now);
    if (this.isRelayed && this.#canSearch) this.#searches.begin(now);
    this.needsReschedule = true;
  }

  /**
   * Frames that should have been answered have gone out for {@linkcode PATH_DOUBT_MS} and nothing came back, or the peer
   * comes by the relay and the path in use does not answer.
   */
  isDoubtful(now: number): boolean {
    return this.#isDisputed || now < this.#untestedMs ||
      now - this.#unansweredMs > PATH_DOUBT_MS;
  }

  /** When the next search for a direct path is, ms; Infinity when none is planned. */
  get nextSearchMs(): number {
    return this.#searches.nextMs;
  }

  get #canSearch(): boolean {
    return this.mode !== "relay-only";
  }

  #traffic(now: number): void {
    if (this.#searches.onTraffic(now)) this.needsReschedule = true;
  }

  #heardElsewhere(route: Route, now: number, isTraffic: boolean, bytes: number): boolean {
    if (!this.admits(route)) return false;
    const path = route.via === "relay" ? this.#relay : this.add("observed", route.endpoint);
    if (path === undefined) return false;
    path.heard(route, now, isTraffic, bytes);
    const current = this.#current;
    if (current === undefined) {
      this.#use(path, now);
      return true;
    }
    if (!path.isRelay) this.#ask(path, OBSERVED_PROBES_MS, now);
    // The peer has its reasons to come by another path: is ours still good?
    if (!current.isRelay) {
      this.#ask(current, CHECK_PROBES_MS, now);
      this.#isDisputed = path.isRelay &&
        (current.probeMs <= now || current.unansweredMs !== Infinity);
    }
    return this.#choose(now);
  }

  /** Probes a path unless that is being done or has brought nothing lately. */
  #ask(path: Path, times: readonly number[], now: number): void {
    const pauseMs = Math.min(MAX_OBSERVED_PAUSE_MS, OBSERVED_PAUSE_MS * 2 ** path.vainBursts);
    if (path.probeMs !== Infinity || now - path.probedMs < pauseMs) return;
    // What works is not asked at every frame.
    if (path.isConfirmed(now)) {
      if (path !== this.#current || now - path.answeredMs < CURRENT_PAUSE_MS) return;
    }
    path.probe(times, now);
    this.needsReschedule = true;
  }

  /** Heard again after probes that nobody answered, all of them sent long ago: what they showed no longer holds. */
  #askAgain(current: Path, now: number): void {
    if (current.probeMs !== Infinity || now < current.failsMs) return;
    current.forget();
    current.probe(CHECK_PROBES_MS, now);
    this.needsReschedule = true;
  }

  #suspect(current: Path, now: number): void {
    if (this.#isSuspect || now - this.#unansweredMs < PATH_SUSPECT_MS) return;
    this.#isSuspect = true;
    if (current.probeMs === Infinity) current.probe(CHECK_PROBES_MS, now);
    // Whether the peer lives at all, and the path that would be taken if this one is dead.
    if (!current.isRelay) this.#relay?.probe(CHECK_PROBES_MS, now);
    else this.#announce = true;
  }

  /** After data, silence: either there is nothing to say, or what is said does not reach us. */
  #listen(current: Path, now: number, { hasConns }: PathDemand): void {
    if (this.#isQuietAsked || now - this.heardMs < PATH_QUIET_MS) return;
    this.#isQuietAsked = true;
    if (hasConns && current.probeMs === Infinity) current.probe(CHECK_PROBES_MS, now);
  }

  /** Takes a better path, if there is one. */
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
      current.switchLocal(now);
      const other = best ?? this.#proofOfRelay(current);
      if (other === undefined) {
        if (this.#relay !== undefined) this.#ask(this.#relay, CHECK_PROBES_MS, now);
        if (this.#searches.nextMs === Infinity && this.#canSearch) this.#searches.begin(now);
        return false;
      }
      current.noteFailure();
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
  #proofOfRelay(current: Path): Path | undefined {
    const relay = this.#relay;
    if (relay === undefined) return undefined;
    return Math.max(relay.heardMs, relay.answeredMs) > current.unansweredMs ? relay : undefined;
  }

  #best(now: number): Path | undefined {
    let best: Path | undefined;
    for (const path of this.#paths) {
      if (!path.isConfirmed(now) || path.isFailing(now, this.#hasAnswers)) continue;
      if (best === undefined || cost(path) < cost(best)) best = path;
    }
    return best;
  }

  #use(path: Path, now: number): void {
    const wasRelayed = this.#current?.isRelay;
    this.#current = path;
    this.sinceMs = now;
    this.isRepaired = false;
    this.#unansweredMs = Infinity;
    this.#isSuspect = this.#isDisputed = false;
    this.#untestedMs = -Infinity;
    this.needsReschedule = true;
    if (path.isRelay) {
      if (!this.#canSearch) return;
      this.#searches.begin(wasRelayed === undefined ? now : now + AFTER_FAILURE_MS);
      return;
    }
    this.#searches.stop();
    this.#relay?.stopProbes();
    // Of several paths that work the fastest is wanted, which takes the round trip of each, and of this one.
    const others = this.#paths.filter((other) => other !== path);
    if (others.length === 0 || wasRelayed === false) return;
    for (const other of this.#paths) {
      if (other.probeMs === Infinity) other.probe(SEARCH_PROBES_MS, now);
    }
  }

  /** Makes room: what never answered and is known from a frame only goes first. */
  #evict(): void {
    let worst: Path | undefined;
    for (const path of this.#paths) {
      if (path === this.#current) continue;
      if (worst === undefined || retention(path) < retention(worst)) worst = path;
    }
    if (worst !== undefined) this.#paths.splice(this.#paths.indexOf(worst), 1);
  }
}
