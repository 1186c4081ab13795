/**
 * CUBIC (RFC 9438) with HyStart++, and a smaller step back when a loss came without any queue.
 *
 * @module
 */

import {
  type CongestionControl,
  INITIAL_WINDOW_SEGMENTS,
  MAX_CONGESTION_WINDOW_BYTES,
} from "./congestion.ts";
import { HyStart, type RoundTrips } from "./hystart.ts";

/** Steepness of the cubic, segments per second cubed (RFC 9438 §5.1). */
const C = 0.4;
/** Part of the window kept after a loss (RFC 9438 §4.6). */
const BETA = 0.7;
/**
 * Part kept when the round trip shows no queue (cf. TCP Veno, RFC 8511): on such a path a full link is not what lost
 * the segment. Beside a plain CUBIC flow on a link too short of buffer to show it, this still leaves a fair share.
 */
const BETA_UNQUEUED = 0.85;
/** Growth that is as fast as NewReno's on average, segments per round trip (RFC 9438 §4.3). */
const ALPHA = 3 * (1 - BETA) / (1 + BETA);
/** Most that the window grows within a round trip outside of slow start (RFC 9438 §4.2). */
const MAX_GROWTH = 1.5;
/**
 * Segment that growth is counted in, bytes: that of TCP on an Ethernet path. Counted in our smaller ones we would lose
 * out against it.
 */
const GROWTH_SEGMENT_BYTES = 1448;

/** What one reduction changes, for its undoing. */
interface Curve {
  window: number;
  threshold: number;
  max: number;
  prior: number;
  estimate: number;
  k: number;
  startedAt: number;
}

/** How a {@linkcode Cubic} differs from the default. */
export interface CubicOptions {
  /** Reduce by RFC 9438's 0.7 whatever the round trip says. Default false. */
  plain?: boolean;
}

/** CUBIC congestion control. */
export class Cubic implements CongestionControl {
  readonly #plain: boolean;
  readonly #start = new HyStart();
  #mss: number;
  /** Segment that growth is counted in. */
  #unit: number;
  #window: number;
  #threshold = Infinity;
  /** Window before the last reduction, lowered when it came early: the plateau of the cubic. */
  #max = 0;
  /** Window before the last reduction, as it was. */
  #prior = 0;
  /** What NewReno would have. */
  #estimate = 0;
  /** Seconds until the plateau. */
  #k = 0;
  /** When congestion avoidance began, ms; -1 before its first acknowledgement. */
  #startedAt = -1;
  #ackedAt = 0;
  #before: Curve | undefined;

  /**
   * Starts with the initial window.
   *
   * @param mss Segment size in bytes.
   * @param options See {@linkcode CubicOptions}.
   */
  constructor(mss: number, options: CubicOptions = {}) {
    this.#plain = options.plain ?? false;
    this.#mss = mss;
    this.#unit = this.#plain ? mss : Math.max(mss, GROWTH_SEGMENT_BYTES);
    this.#window = INITIAL_WINDOW_SEGMENTS * mss;
  }

  get window(): number {
    return this.#window;
  }

  get threshold(): number {
    return this.#threshold;
  }

  onRtt(rtt: RoundTrips, una: number, next: number): void {
    this.#start.onRtt(rtt, una, next);
    if (this.#threshold === Infinity && this.#start.over) this.#threshold = this.#window;
  }

  onAck(bytes: number, inFlight: number, now: number, rttMs: number): void {
    const since = now - this.#ackedAt;
    this.#ackedAt = now;
    if (this.#window < this.#threshold) {
      if (inFlight * 2 < this.#window) return;
      // Slow start after a timeout has a threshold to mark its end; only the first needs the round trip.
      const growth = this.#threshold === Infinity ? bytes / this.#start.divisor : bytes;
      this.#window = Math.min(this.#window + growth, this.#threshold);
    } else if (inFlight + 2 * this.#mss < this.#window) {
      // Time in which the window was not used is no time to grow in (RFC 9438 §5.8).
      if (this.#startedAt >= 0) this.#startedAt += since;
      return;
    } else this.#grow(bytes, now, rttMs);
    this.#window = Math.min(this.#window, MAX_CONGESTION_WINDOW_BYTES);
  }

  onLoss(inFlight: number): void {
    const clear = !this.#plain && !this.#start.queued;
    this.#reduce(inFlight, clear ? BETA_UNQUEUED : BETA, !clear);
    this.#window = this.#threshold;
  }

  onTimeout(inFlight: number): void {
    this.#reduce(inFlight, BETA, false);
    this.#window = this.#mss;
    // The next plateau is wherever slow start ends (RFC 9438 §4.8).
    this.#max = 0;
  }

  undo(): void {
    const before = this.#before;
    if (before === undefined) return;
    this.#before = undefined;
    this.#window = Math.max(this.#window, before.window);
    this.#threshold = Math.max(this.#threshold, before.threshold);
    this.#max = before.max;
    this.#prior = before.prior;
    this.#estimate = before.estimate;
    this.#k = before.k;
    this.#startedAt = before.startedAt;
  }

  onIdle(): void {
    // The path had room for most of this before the pause (RFC 7661 §4.3); slow start finds out whether it still has.
    if (this.#threshold !== Infinity) {
      this.#threshold = Math.max(this.#threshold, this.#window * 3 / 4);
    }
    this.#window = Math.min(this.#window, INITIAL_WINDOW_SEGMENTS * this.#mss);
    this.#startedAt = -1;
  }

  /** The segment size changed; `mss` is the new one in bytes. */
  setMss(mss: number): void {
    this.#mss = mss;
    this.#unit = this.#plain ? mss : Math.max(mss, GROWTH_SEGMENT_BYTES);
    this.#window = Math.max(this.#window, 2 * mss);
  }

  #grow(bytes: number, now: number, rttMs: number): void {
    const window = this.#window;
    if (this.#startedAt < 0) this.#startCurve(now);
    const t = (now - this.#startedAt) / 1000 - this.#k;
    const alpha = this.#estimate < this.#prior ? ALPHA : 1;
    this.#estimate += alpha * this.#unit * bytes / window;
    if (this.#at(t) < this.#estimate) {
      this.#window = Math.max(window, this.#estimate);
      return;
    }
    const target = Math.min(Math.max(this.#at(t + rttMs / 1000), window), window * MAX_GROWTH);
    this.#window = window + (target - window) * bytes / window;
  }

  #startCurve(now: number): void {
    this.#startedAt = now;
    this.#estimate = this.#window;
    if (this.#window < this.#max) {
      this.#k = Math.cbrt((this.#max - this.#window) / this.#unit / C);
    } else {
      this.#k = 0;
      this.#max = this.#window;
    }
  }

  /** The cubic, `t` seconds after its plateau. */
  #at(t: number): number {
    return C * t * t * t * this.#unit + this.#max;
  }

  #reduce(inFlight: number, beta: number, yielding: boolean): void {
    this.#before = {
      window: this.#window,
      threshold: this.#threshold,
      max: this.#max,
      prior: this.#prior,
      estimate: this.#estimate,
      k: this.#k,
      startedAt: this.#startedAt,
    };
    const used = Math.min(this.#window, inFlight + this.#mss);
    // Losing before the last plateau means that another flow needs room: give more of it (RFC 9438 §4.7).
    this.#max = yielding && used < this.#max ? used * (1 + beta) / 2 : used;
    this.#prior = used;
    this.#threshold = Math.max(used * beta, 2 * this.#mss);
    this.#startedAt = -1;
  }
}
