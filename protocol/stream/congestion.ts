/**
 * Congestion control behind one interface, and NewReno (RFC 5681, RFC 6582).
 *
 * @module
 */

import type { RoundTrips } from "./hystart.ts";

/** Largest congestion window, in bytes: what the largest send buffer can fill. */
export const MAX_CONGESTION_WINDOW_BYTES = 16 << 20;
/** Initial window in segments (RFC 6928). */
export const INITIAL_WINDOW_SEGMENTS = 10;

/** Decides how many bytes may be in flight. Knows nothing of segments, timers or the wire. */
export interface CongestionControl {
  /** Bytes that may be in flight. */
  readonly window: number;
  /** Bytes above which growth is careful; Infinity before the first loss. */
  readonly threshold: number;
  /**
   * A round trip was measured; comes before the {@linkcode onAck} of the same acknowledgement.
   *
   * @param rtt The estimator, which holds it.
   * @param una Offset acknowledged up to.
   * @param next Offset sent up to.
   */
  onRtt?(rtt: RoundTrips, una: number, next: number): void;
  /**
   * New data was delivered outside of fast recovery.
   *
   * @param bytes Bytes newly acknowledged, selectively or not.
   * @param inFlight Most bytes in flight during the last round trip: the window grows only when it was used.
   * @param now Milliseconds.
   * @param rttMs Smoothed round trip, milliseconds; 0 when unknown.
   */
  onAck(bytes: number, inFlight: number, now: number, rttMs: number): void;
  /**
   * A loss was found by acknowledgements, once per round of loss.
   *
   * @param inFlight Bytes in flight.
   * @param now Milliseconds.
   */
  onLoss(inFlight: number, now: number): void;
  /**
   * The retransmission timer fired.
   *
   * @param inFlight Bytes in flight.
   * @param now Milliseconds.
   */
  onTimeout(inFlight: number, now: number): void;
  /** The last `onLoss` or `onTimeout` was a false alarm. */
  undo(): void;
  /** The sender was idle for longer than a retransmission timeout. */
  onIdle(): void;
  /** The segment size changed; `mss` is the new one in bytes. */
  setMss(mss: number): void;
}

/** NewReno: slow start, congestion avoidance, halving on loss, one segment after a timeout. */
export class NewReno implements CongestionControl {
  #mss: number;
  #window: number;
  #threshold = Infinity;
  /** Acknowledged bytes not yet turned into growth. */
  #credit = 0;
  #before: { window: number; threshold: number } | undefined;

  /**
   * Starts with the initial window.
   *
   * @param mss Segment size in bytes.
   */
  constructor(mss: number) {
    this.#mss = mss;
    this.#window = INITIAL_WINDOW_SEGMENTS * mss;
  }

  get window(): number {
    return this.#window;
  }

  get threshold(): number {
    return this.#threshold;
  }

  onAck(bytes: number, inFlight: number): void {
    const slowStart = this.#window < this.#threshold;
    // A window that was not used says nothing about the path, so it does not grow (RFC 7661).
    const used = slowStart ? inFlight * 2 : inFlight + 2 * this.#mss;
    if (used < this.#window) return;
    if (slowStart) {
      this.#window = Math.min(
        this.#window + bytes,
        Math.max(this.#threshold, this.#window),
      );
    } else {
      this.#credit += bytes;
      if (this.#credit >= this.#window) {
        this.#credit -= this.#window;
        this.#window += this.#mss;
      }
    }
    this.#window = Math.min(this.#window, MAX_CONGESTION_WINDOW_BYTES);
  }

  onLoss(inFlight: number): void {
    this.#remember();
    this.#threshold = Math.max(
      Math.min(this.#window, inFlight + this.#mss) / 2,
      2 * this.#mss,
    );
    this.#window = this.#threshold;
    this.#credit = 0;
  }

  onTimeout(inFlight: number): void {
    this.#remember();
    this.#threshold = Math.max(
      Math.min(this.#window, inFlight + this.#mss) / 2,
      2 * this.#mss,
    );
    this.#window = this.#mss;
    this.#credit = 0;
  }

  undo(): void {
    if (this.#before === undefined) return;
    this.#window = Math.max(this.#window, this.#before.window);
    this.#threshold = Math.max(this.#threshold, this.#before.threshold);
    this.#before = undefined;
  }

  onIdle(): void {
    this.#window = Math.min(
      this.#window,
      INITIAL_WINDOW_SEGMENTS * this.#mss,
    );
  }

  /** The segment size changed; `mss` is the new one in bytes. */
  setMss(mss: number): void {
    // The window is in bytes and stays, but never below what a start would give two segments of the new size.
    this.#mss = mss;
    this.#window = Math.max(this.#window, 2 * mss);
  }

  #remember(): void {
    this.#before = { window: this.#window, threshold: this.#threshold };
  }
}
