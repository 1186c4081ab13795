/**
 * Loss detection by time and order of sending: RACK with its adaptive reordering window (RFC 8985 §6).
 *
 * @module
 */

import type { InFlight, SentSegment } from "./in_flight.ts";
import type { RttEstimator } from "./rtt.ts";

/** Sacked segments that settle a loss without waiting for reordering. */
const DUPLICATE_THRESHOLD = 3;
/** Largest reordering window, in quarters of the smallest round trip. */
const MAX_REORDER_STEPS = 16;
/** Recoveries after which a widened reordering window falls back. */
const REORDER_KEEP_RECOVERIES = 16;
/** Shortest reordering window that a timer is armed for, milliseconds: what timers can resolve. */
const MIN_REORDER_MS = 1;

/** Remembers the latest delivery and derives losses from it. */
export class LossDetector {
  #sentAt = -Infinity;
  #end = -1;
  #rtt = 0;
  /** Highest offset delivered. */
  #highest = 0;
  #reordering = false;
  #steps = 1;
  #keep = 0;
  #deadline = Infinity;
  #lostEnd = 0;

  /** When {@linkcode detect} should run again, milliseconds. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Offset after the highest segment marked lost. */
  get lostEnd(): number {
    return this.#lostEnd;
  }

  /** Whether segments were seen to overtake each other. */
  get reordering(): boolean {
    return this.#reordering;
  }

  /**
   * A segment was delivered.
   *
   * @param s The segment.
   * @param now Milliseconds.
   * @param minRtt Smallest round trip, milliseconds.
   * @returns Whether the acknowledgement belongs to an earlier copy than the latest, so that the latest was needless.
   */
  onDelivered(s: SentSegment, now: number, minRtt: number): boolean {
    const rtt = now - s.sentAt;
    if (s.transmissions > 1 && rtt < minRtt * 0.75) {
      if (s.transmissions === 2) this.#spurious();
      return true;
    }
    if (s.transmissions === 1 && s.end < this.#highest) this.#reordering = true;
    this.#highest = Math.max(this.#highest, s.end);
    if (later(s.sentAt, s.end, this.#sentAt, this.#end)) {
      this.#sentAt = s.sentAt;
      this.#end = s.end;
      this.#rtt = rtt;
    }
    return false;
  }

  /**
   * Marks as lost what was sent long enough before something that arrived, and arms the timer for the rest.
   *
   * @param flight The sent segments.
   * @param now Milliseconds.
   * @param rtt The estimator.
   * @param recovering Whether a recovery is under way.
   * @returns Segments marked.
   */
  detect(
    flight: InFlight,
    now: number,
    rtt: RttEstimator,
    recovering: boolean,
  ): number {
    this.#deadline = Infinity;
    if (this.#end < 0) return 0;
    const wait = this.#rtt + this.#window(flight, rtt, recovering);
    let marked = 0;
    for (let s = flight.oldest; s !== undefined;) {
      if (!later(this.#sentAt, this.#end, s.sentAt, s.end)) break;
      const due = s.sentAt + wait;
      if (due > now) {
        this.#deadline = due;
        break;
      }
      const next = s.next;
      flight.markLost(s);
      if (s.end > this.#lostEnd) this.#lostEnd = s.end;
      marked++;
      s = next;
    }
    return marked;
  }

  /** A recovery ended. */
  onRecovered(): void {
    if (this.#steps > 1 && --this.#keep <= 0) this.#steps = 1;
  }

  /** Nothing is in flight any more. */
  stop(): void {
    this.#deadline = Infinity;
  }

  #spurious(): void {
    this.#reordering = true;
    this.#steps = Math.min(this.#steps + 1, MAX_REORDER_STEPS);
    this.#keep = REORDER_KEEP_RECOVERIES;
  }

  #window(flight: InFlight, rtt: RttEstimator, recovering: boolean): number {
    if (
      !this.#reordering &&
      (recovering || flight.sacked >= DUPLICATE_THRESHOLD)
    ) return 0;
    return Math.max(
      Math.min(this.#steps * rtt.min / 4, rtt.srtt),
      MIN_REORDER_MS,
    );
  }
}

/** Whether transmission a came after transmission b; the offset decides within one instant. */
function later(aAt: number, aEnd: number, bAt: number, bEnd: number): boolean {
  return aAt > bAt || aAt === bAt && aEnd > bEnd;
}
