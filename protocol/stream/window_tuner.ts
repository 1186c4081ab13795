/**
 * Size of the receive window, grown with what the application takes per round trip (dynamic right-sizing, as in
 * Fisk and Feng 2001): a window of twice that never holds a sender up while its congestion window doubles.
 *
 * @module
 */

/** Round trip assumed while none was measured, milliseconds: generous, for too long only makes the window larger. */
const UNKNOWN_RTT_MS = 100;
/** Windows wanted per round trip's worth of data. */
const HEADROOM = 2;
/** Most that an accelerating sender multiplies this by. */
const MAX_RAMP = 2;
/** Growth per window's worth of data, as a divisor, for paths whose round trip became longer since it was measured. */
const CREEP_DIVISOR = 8;

/** Decides how many bytes a receiver may hold. Never shrinks. */
export class WindowTuner {
  readonly #max: number;
  #limit: number;
  #startedAt = -1;
  #startedWith = 0;
  #perRtt = 0;
  #creepTo: number;

  /**
   * @param start First size, bytes.
   * @param max Largest size, bytes.
   */
  constructor(start: number, max: number) {
    this.#max = max;
    this.#limit = Math.min(start, max);
    this.#creepTo = this.#limit;
  }

  /** Bytes that may be held. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Data arrived.
   *
   * @param consumed Bytes that the application has read so far.
   * @param now Milliseconds.
   * @param rttMs Smoothed round trip; 0 when unknown.
   */
  onData(consumed: number, now: number, rttMs: number): void {
    if (this.#limit === this.#max) return;
    if (this.#startedAt < 0) {
      this.#startedAt = now;
      this.#startedWith = consumed;
    }
    if (consumed >= this.#creepTo) {
      this.#raise(this.#limit + this.#limit / CREEP_DIVISOR);
      this.#creepTo = consumed + this.#limit;
    }
    const rtt = rttMs > 0 ? rttMs : UNKNOWN_RTT_MS;
    const elapsed = now - this.#startedAt;
    if (elapsed < rtt) return;
    const perRtt = (consumed - this.#startedWith) * rtt / elapsed;
    const ramp = Math.min(MAX_RAMP, Math.max(1, perRtt / Math.max(1, this.#perRtt)));
    this.#raise(HEADROOM * ramp * perRtt);
    this.#perRtt = perRtt;
    this.#startedAt = now;
    this.#startedWith = consumed;
  }

  #raise(bytes: number): void {
    this.#limit = Math.min(this.#max, Math.max(this.#limit, Math.floor(bytes)));
  }
}
