/**
 * Packetization-layer path MTU discovery for one path (RFC 8899), sans-I/O: sizes to probe come out, answers and
 * suspicions go in. Sizes are bytes of UDP payload. A lost probe is no sign of congestion and is not reported.
 *
 * @module
 */

/**
 * Datagram of a default segment (1152 B) with its 70 B of headers: passes every path (docs/protocol/tunnel.md §5.1,
 * docs/protocol/paths.md §4).
 */
export const PATH_BASE_BYTES = 1222;
/** Largest UDP payload over IPv4; one of IPv6 is not smaller. */
export const PATH_MAX_BYTES = 65_507;
/** Probes of one size before it is believed not to pass (RFC 8899 §5.1.2). */
export const PMTU_MAX_PROBES = 3;
/** A larger size is looked for again after this time (RFC 8899 §5.1.1). */
export const PMTU_RAISE_MS = 600_000;
/** The same while a path that once answered does not answer at all: it is down rather than narrow. */
export const PMTU_RETRY_MS = 5_000;
/** Wait for an answer before the round trip is known (RFC 8899 §5.1.1). */
export const PMTU_FIRST_WAIT_MS = 1_000;
/** Shortest wait once it is known: a busy event loop answers that late. */
export const PMTU_MIN_WAIT_MS = 300;
/** Longest wait. */
export const PMTU_MAX_WAIT_MS = 5_000;
/**
 * After a suspicion turned out to be unfounded others are not heard for this time, doubled each time up to the
 * maximum: under heavy loss large segments vanish although the path carries them.
 */
export const PMTU_TRUST_MS = 1_000;
/** Longest such time: a path that does become narrower then stalls no stream to death. */
export const PMTU_MAX_TRUST_MS = 8_000;
/** An unfounded suspicion is forgotten after this time. */
export const PMTU_TRUST_MEMORY_MS = 60_000;

/** Bytes of the IP and UDP headers around a datagram. */
export const IPV4_UDP_BYTES = 28;
/** The same of IPv6. */
export const IPV6_UDP_BYTES = 48;

/** MTUs that exist: tunnels, PPPoE, Ethernet, jumbo frames, loopback. */
const COMMON_MTUS: readonly number[] = [
  ...[1280, 1400, 1420, 1452, 1472, 1492, 1500, 2048, 4096, 8192, 9000, 16_384, 32_768, 65_535],
];
/** What most paths have; tried first. */
const LIKELY_MTU = 1500;

/** How a path is to be explored. */
export interface PathMtuOptions {
  /** IP version of the path. Default 4. */
  readonly ipVersion?: 4 | 6;
  /** Largest useful datagram, 1222..65507 bytes. Default 65507. */
  readonly maxBytes?: number;
}

/** `idle`: not needed yet. `base`: checking that probes are answered. `search`, `done`, `unanswered`: no answers. */
export type PathMtuState = "idle" | "base" | "search" | "done" | "unanswered";

/**
 * The state machine of one path. Its owner calls {@linkcode PathMtu.poll} after every other call and at
 * {@linkcode PathMtu.deadline}, and sends a probe of the size it gives.
 */
export class PathMtu {
  readonly #max: number;
  readonly #rungs: readonly number[];
  readonly #likely: number;
  #state: PathMtuState = "idle";
  #bytes = PATH_BASE_BYTES;
  /** Smallest size believed not to pass. */
  #bad: number;
  /** Size in use before it fell under suspicion; 0 for none. */
  #resume = 0;
  #candidate = 0;
  #tries = 0;
  #dueAt = Infinity;
  /** When demand starts another search. */
  #againAt = Infinity;
  #waitMs = PMTU_FIRST_WAIT_MS;
  #hasAnswered = false;
  #trustMs = PMTU_TRUST_MS;
  #trustedUntil = -Infinity;

  /**
   * Starts at the base size; nothing is known of the path yet.
   *
   * @param options See {@linkcode PathMtuOptions}.
   */
  constructor(options: PathMtuOptions = {}) {
    const headers = options.ipVersion === 6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES;
    this.#max = Math.min(
      Math.max(options.maxBytes ?? PATH_MAX_BYTES, PATH_BASE_BYTES),
      PATH_MAX_BYTES,
    );
    this.#bad = this.#max + 1;
    const sizes = COMMON_MTUS.map((mtu) => mtu - headers);
    // A step that leaves less than the tolerance is none.
    this.#rungs = [
      ...sizes.filter((size) => size > PATH_BASE_BYTES && size + pmtuTolerance(size) < this.#max),
      this.#max,
    ];
    this.#likely = Math.min(LIKELY_MTU - headers, this.#max);
  }

  /** Largest datagram known to pass. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the search is. */
  get state(): PathMtuState {
    return this.#state;
  }

  /** When to call {@linkcode PathMtu.poll} next, milliseconds; Infinity while there is nothing to do. */
  get deadline(): number {
    return this.#dueAt;
  }

  /** Full-size data is being sent, so larger datagrams would help; cheap enough for every packet. */
  demand(now: number): void {
    if (this.#state === "idle") this.#startBase(now);
    else if (now >= this.#againAt) this.#startAgain(now);
  }

  /**
   * Gives the next probe.
   *
   * @param now Milliseconds.
   * @returns Its size, or undefined when none is due.
   */
  poll(now: number): number | undefined {
    if (now < this.#dueAt) return undefined;
    if (this.#tries >= PMTU_MAX_PROBES && !this.#giveUp(now)) return undefined;
    this.#tries++;
    this.#dueAt = now + this.#waitMs;
    return this.#candidate;
  }

  /**
   * A probe was answered.
   *
   * @param bytes Size of that probe, which must have been sent since the last suspicion.
   * @param rttMs How long the answer took.
   * @param now Milliseconds.
   * @returns Whether {@linkcode PathMtu.bytes} is another one now.
   */
  onAnswer(bytes: number, rttMs: number, now: number): boolean {
    if (this.#state === "idle" || bytes < PATH_BASE_BYTES || bytes > this.#max) return false;
    this.#hasAnswered = true;
    this.#waitMs = Math.min(Math.max(4 * rttMs, PMTU_MIN_WAIT_MS), PMTU_MAX_WAIT_MS);
    // An answer later than the wait: the size does pass, and what is above it is open again.
    if (bytes >= this.#bad) this.#bad = this.#max + 1;
    const isLarger = bytes > this.#bytes;
    if (isLarger) this.#bytes = bytes;
    if (this.#resume > 0 && bytes >= this.#resume) this.#refute(now);
    // An answer to an earlier probe of another size leaves the present one outstanding.
    if (this.#state === "base" || this.#state === "unanswered" || isLarger) this.#next(now);
    return isLarger;
  }

  /**
   * Large datagrams seem to vanish: falls back to the base at once, and finds out by probes what still passes. When
   * that is the size as before, it is in use again a round trip or two later.
   *
   * @param now Milliseconds.
   * @returns Whether {@linkcode PathMtu.bytes} is another one now; probes sent before do not count any more then.
   */
  suspect(now: number): boolean {
    if (this.#bytes <= PATH_BASE_BYTES || now < this.#trustedUntil) return false;
    this.#resume = this.#bytes;
    this.#bytes = PATH_BASE_BYTES;
    this.#startBase(now);
    return true;
  }

  /** The size under suspicion passes. */
  #refute(now: number): void {
    this.#resume = 0;
    if (now - this.#trustedUntil > PMTU_TRUST_MEMORY_MS) this.#trustMs = PMTU_TRUST_MS;
    this.#trustedUntil = now + this.#trustMs;
    this.#trustMs = Math.min(2 * this.#trustMs, PMTU_MAX_TRUST_MS);
  }

  #startBase(now: number): void {
    this.#state = "base";
    this.#againAt = Infinity;
    this.#try(PATH_BASE_BYTES, now);
  }

  #startAgain(now: number): void {
    if (this.#state === "unanswered") {
      this.#startBase(now);
      return;
    }
    this.#bad = this.#max + 1;
    this.#next(now);
  }

  /** The candidate did not pass. Whether there is another one. */
  #giveUp(now: number): boolean {
    if (this.#state === "base") {
      this.#rest("unanswered", now + (this.#hasAnswered ? PMTU_RETRY_MS : PMTU_RAISE_MS));
      return false;
    }
    this.#bad = Math.min(this.#bad, this.#candidate);
    if (this.#resume >= this.#bad) this.#resume = 0;
    this.#next(now);
    return this.#state === "search";
  }

  #next(now: number): void {
    const candidate = this.#choose();
    if (candidate === undefined) {
      this.#rest("done", this.#bytes < this.#max ? now + PMTU_RAISE_MS : Infinity);
      return;
    }
    this.#state = "search";
    this.#againAt = Infinity;
    this.#try(candidate, now);
  }

  #choose(): number | undefined {
    const low = this.#bytes;
    const bad = this.#bad;
    if (this.#resume > low && this.#resume < bad) return this.#resume;
    if (low < this.#likely && this.#likely < bad) return this.#likely;
    const rungs = this.#rungs.filter((size) => size > low && size < bad);
    // Upwards step by step, so that the usual search loses probes of one size only; between two bounds by halves.
    if (rungs.length > 0) return bad > this.#max ? rungs[0] : rungs[rungs.length >> 1];
    return bad - low > pmtuTolerance(low) ? (low + bad) >> 1 : undefined;
  }

  #try(candidate: number, now: number): void {
    this.#candidate = candidate;
    this.#tries = 0;
    this.#dueAt = now;
  }

  #rest(state: "done" | "unanswered", againAt: number): void {
    this.#state = state;
    this.#dueAt = Infinity;
    this.#againAt = againAt;
  }
}

/** Gap between what passes and what does not at which the search ends: 3 %. */
export function pmtuTolerance(bytes: number): number {
  return bytes >> 5;
}
