/**
 * Pacing: a token bucket that spreads a window over the round trip, so that no burst overruns a queue.
 *
 * @module
 */

/** Segments that may leave back to back, the initial window (RFC 6928) among them. */
const BURST_SEGMENTS = 10;
/** Time's worth that may leave at once, milliseconds: what timers resolve, and what makes a batch for one system call. */
const BURST_MS = 1;
/** Oversleeping of a timer that is made up for, milliseconds; more would be a burst of its own. */
const MAX_LATE_MS = 4;
/** Faster than the window per round trip, so that pacing never limits on its own (RFC 9002 §7.7). */
const GAIN = 1.25;
/** In slow start the window doubles per round trip. */
const SLOW_START_GAIN = 2;
/** Shortest pause, milliseconds. */
const MIN_PAUSE_MS = 1;

/** Token bucket in bytes. */
export class Pacer {
  #tokens = Infinity;
  #at = 0;
  #rate = Infinity;
  /** When sending could continue after a refusal; Infinity when nothing was refused. */
  #readyAt = Infinity;

  /** When sending may continue after {@linkcode take} refused, milliseconds. */
  get readyAt(): number {
    return this.#readyAt;
  }

  /**
   * Asks to send one segment.
   *
   * @param bytes Its size.
   * @param now Milliseconds.
   * @param window Congestion window, bytes.
   * @param slowStart Whether it is still doubling.
   * @param srtt Smoothed round trip, milliseconds; 0 when unknown.
   * @param mss Segment size, bytes.
   * @returns Whether it may leave now; when it may, it is counted.
   */
  take(
    bytes: number,
    now: number,
    window: number,
    slowStart: boolean,
    srtt: number,
    mss: number,
  ): boolean {
    // Before the first round trip is known the initial window is the only limit.
    if (srtt <= 0) return true;
    if (now !== this.#at || this.#tokens === Infinity) {
      this.#rate = window * (slowStart ? SLOW_START_GAIN : GAIN) / srtt;
      const late = Math.min(Math.max(0, now - this.#readyAt), MAX_LATE_MS);
      const room = Math.max(BURST_SEGMENTS * mss, BURST_MS * this.#rate) + late * this.#rate;
      this.#tokens = Math.min(room, this.#tokens + (now - this.#at) * this.#rate);
      this.#at = now;
    }
    if (this.#tokens <= 0) {
      this.#readyAt = now + Math.max(MIN_PAUSE_MS, -this.#tokens / this.#rate);
      return false;
    }
    this.#readyAt = Infinity;
    this.#tokens -= bytes;
    return true;
  }
}
