/**
 * When in-order data is acknowledged: at once at the start, then every second segment, and more rarely while segments
 * come fast, because an acknowledgement costs as much as a segment (RFC 9000 §13.2.2 discusses the same trade).
 *
 * @module
 */

import { QUICK_ACK_SEGMENTS } from "./stream_config.ts";

/** Segments an acknowledgement waits for when they come slowly (docs/protocol/streams.md §5.2). */
const FEW_SEGMENTS = 2;
/** Segments it waits for at most: few enough that the sender's window keeps moving evenly. */
const MANY_SEGMENTS = 8;
/** Time for each segment within which they come fast, milliseconds. */
const FAST_SEGMENT_MS = 0.125;
/**
 * Segments after which acknowledgements may become rare. Slow start is over by then on all but the longest paths, and
 * it needs every round-trip sample to end in time.
 */
const STEADY_SEGMENTS = 4096;
/** Longest wait for more segments while they come fast, milliseconds: the sender may have run out of window. */
const FAST_WAIT_MS = 2;

/** Decides for one stream. */
export class AckPolicy {
  readonly #delayMs: number;
  readonly #most: number;
  /** Segments to acknowledge at once, still. */
  #quick = QUICK_ACK_SEGMENTS;
  /** Segments in order since the last acknowledgement. */
  #count = 0;
  #every = FEW_SEGMENTS;
  #total = 0;
  #firstAt = 0;
  #deadline = Infinity;

  /**
   * @param delayMs Longest wait of an acknowledgement.
   * @param isReference The peer is an older one, whose window grows by the number of acknowledgements.
   */
  constructor(delayMs: number, isReference: boolean) {
    this.#delayMs = delayMs;
    this.#most = isReference ? FEW_SEGMENTS : MANY_SEGMENTS;
  }

  /** When the acknowledgement falls due on its own; Infinity when none waits. */
  get deadline(): number {
    return this.#deadline;
  }

  /**
   * A segment arrived in order.
   *
   * @param now Milliseconds.
   * @returns Whether to acknowledge at once.
   */
  onSegment(now: number): boolean {
    if (this.#count++ === 0) this.#firstAt = now;
    this.#total++;
    if (this.#quick > 0) {
      this.#quick--;
      return true;
    }
    if (this.#count < this.#every) {
      if (this.#deadline === Infinity) {
        const wait = this.#every > FEW_SEGMENTS ? FAST_WAIT_MS : this.#delayMs;
        this.#deadline = now + Math.min(wait, this.#delayMs);
      }
      return false;
    }
    const isFast = this.#total > STEADY_SEGMENTS &&
      now - this.#firstAt <= this.#count * FAST_SEGMENT_MS;
    this.#every = isFast ? Math.min(this.#every * 2, this.#most) : FEW_SEGMENTS;
    return true;
  }

  /**
   * An acknowledgement left.
   *
   * @param now Milliseconds.
   */
  acknowledged(now: number): void {
    if (now >= this.#deadline && this.#every > FEW_SEGMENTS) {
      // The wait was useless: the sender's window is smaller than what we waited for.
      this.#every = FEW_SEGMENTS;
      this.#quick = QUICK_ACK_SEGMENTS;
    }
    this.#count = 0;
    this.#deadline = Infinity;
  }

  /** No acknowledgement waits any more. */
  stop(): void {
    this.#deadline = Infinity;
  }
}
