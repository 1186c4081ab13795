/**
 * Round-trip estimation and the retransmission timeout (RFC 6298, docs/protocol/streams.md §5.6).
 *
 * @module
 */

/** Timeout before the first sample, milliseconds (RFC 6298 §2). */
export const INITIAL_RTO_MS = 1_000;
/** Clock granularity G, milliseconds (docs/protocol/streams.md §1). */
const GRANULARITY_MS = 10;
/** Time after which an old smallest round trip is forgotten: paths change. */
const MIN_RTT_WINDOW_MS = 60_000;

/** Limits of the timeout, milliseconds. */
export interface RttLimits {
  /** Smallest timeout. */
  minRtoMs: number;
  /** Largest timeout, backoff included. */
  maxRtoMs: number;
}

/** Smoothed round trip, its variation, the timeout with backoff, and the smallest recent round trip. */
export class RttEstimator {
  readonly #limits: RttLimits;
  #srtt = 0;
  #rttvar = 0;
  #backoff = 0;
  /** Part of a tenth by which timeouts are stretched: streams that lost together must not repeat together. */
  #spread = 0;
  #seed: number;
  #min = Infinity;
  #minAt = 0;
  #latest = 0;

  /**
   * @param limits Bounds of the timeout.
   * @param seed Makes the timeouts of different streams differ; the initial sequence number will do.
   */
  constructor(limits: RttLimits, seed: number) {
    this.#limits = limits;
    this.#seed = seed >>> 0;
  }

  /** Smoothed round trip, milliseconds; 0 before the first sample. */
  get srtt(): number {
    return this.#srtt;
  }

  /** Round-trip variation, milliseconds. */
  get rttvar(): number {
    return this.#rttvar;
  }

  /** Smallest round trip of about the last minute; Infinity before the first sample. */
  get min(): number {
    return this.#min;
  }

  /** Latest sample; 0 before the first. */
  get latest(): number {
    return this.#latest;
  }

  /** Timeout without backoff, milliseconds. */
  get base(): number {
    if (this.#srtt === 0) return INITIAL_RTO_MS;
    const rto = this.#srtt + Math.max(GRANULARITY_MS, 4 * this.#rttvar);
    return Math.min(
      Math.max(rto, this.#limits.minRtoMs),
      this.#limits.maxRtoMs,
    );
  }

  /** Timeout with backoff, milliseconds. */
  get rto(): number {
    return Math.min(
      this.base * 2 ** this.#backoff * (1 + this.#spread / 10),
      this.#limits.maxRtoMs,
    );
  }

  /**
   * Takes a sample; ends the backoff (Karn's rule: samples come only from segments sent once).
   *
   * @param ms Measured round trip, milliseconds.
   * @param now Milliseconds.
   */
  sample(ms: number, now: number): void {
    // A round trip of nothing happens with a coarse clock; 0 would read as "no sample yet".
    const rtt = Math.max(ms, 0.01);
    this.#latest = rtt;
    this.#backoff = this.#spread = 0;
    if (rtt <= this.#min || now - this.#minAt > MIN_RTT_WINDOW_MS) {
      this.#min = rtt;
      this.#minAt = now;
    }
    if (this.#srtt === 0) {
      this.#srtt = rtt;
      this.#rttvar = rtt / 2;
      return;
    }
    this.#rttvar += (Math.abs(this.#srtt - rtt) - this.#rttvar) / 4;
    this.#srtt += (rtt - this.#srtt) / 8;
  }

  /** The path is another one: what it cost to find that out says nothing about it. */
  endBackoff(): void {
    this.#backoff = this.#spread = 0;
  }

  /** The timer fired: doubles the timeout, and a little more. */
  back(): void {
    // 16 doublings exceed every limit; more would only lose precision.
    if (this.#backoff < 16) this.#backoff++;
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    this.#spread = this.#seed / 2 ** 32;
  }
}
