/**
 * What of the sent bytes has arrived: cumulative and selective acknowledgements, round-trip samples, losses
 * (docs/protocol/streams.md §5.3, RFC 6675, RFC 8985).
 *
 * @module
 */

import { InFlight, type SentSegment } from "./in_flight.ts";
import { LossDetector } from "./loss.ts";
import { RttEstimator, type RttLimits } from "./rtt.ts";
import { RangeSet, type SackBlock } from "./sack.ts";
import type { SeqSpace } from "./seq.ts";

/** Sent segments and everything acknowledgements say about them. */
export class Scoreboard {
  /** The sent segments. */
  readonly flight: InFlight = new InFlight();
  /** Round-trip estimate. */
  readonly rtt: RttEstimator;
  readonly #space: SeqSpace;
  readonly #reported = new RangeSet();
  readonly #loss = new LossDetector();
  #una = 0;
  #next = 0;
  #needless = 0;
  #originals = 0;
  /** When the newest segment was sent that this acknowledgement delivered at the first attempt. */
  #sampleAt = -Infinity;
  /** The cumulative acknowledgement covers a repeated segment, so its delay may be that of the repetition. */
  #ambiguous = false;

  /**
   * @param space Our sequence space.
   * @param limits Bounds of the retransmission timeout.
   * @param seed Spreads the timeouts of different streams.
   */
  constructor(space: SeqSpace, limits: RttLimits, seed: number) {
    this.#space = space;
    this.rtt = new RttEstimator(limits, seed);
  }

  /** Offset of the first unacknowledged byte. */
  get una(): number {
    return this.#una;
  }

  /** Offset of the next byte to send for the first time. */
  get next(): number {
    return this.#next;
  }

  /** Retransmissions that were proven needless since the last {@linkcode startRecovery}. */
  get needless(): number {
    return this.#needless;
  }

  /** Segments that were deemed lost and arrived without being repeated, since {@linkcode startRecovery}. */
  get originals(): number {
    return this.#originals;
  }

  /** Offset after the highest segment found lost so far; those of earlier recoveries lie lower. */
  get lostEnd(): number {
    return this.#loss.lostEnd;
  }

  /** When {@linkcode detect} should run again, milliseconds. */
  get deadline(): number {
    return this.#loss.deadline;
  }

  /**
   * Records the first transmission of the next bytes.
   *
   * @param length How many.
   * @param now Milliseconds.
   */
  sent(length: number, now: number): void {
    const offset = this.#next;
    this.#next += length;
    this.flight.push(offset, this.#next, now);
  }

  /**
   * Takes a cumulative acknowledgement.
   *
   * @param ack Offset, `una` < ack <= `next`.
   * @param now Milliseconds.
   * @returns Bytes newly known to have arrived; at least 1.
   */
  acknowledge(ack: number, now: number): number {
    const flight = this.flight;
    let delivered = 0;
    for (let s = flight.first; s !== undefined && s.end <= ack;) {
      if (!s.sacked) {
        if (s.transmissions > 1) this.#ambiguous = true;
        delivered += this.#delivered(s, now);
      }
      flight.shift();
      s = flight.first;
    }
    this.#una = ack;
    if (this.#reported.size > 0) this.#reported.trim(ack);
    // One inside a segment moves nothing out of the table, yet it is progress.
    return Math.max(delivered, 1);
  }

  /**
   * Takes a selective acknowledgement. Each byte counts once, however often it is reported.
   *
   * @param blocks Valid blocks.
   * @param now Milliseconds.
   * @returns Bytes newly known to have arrived.
   */
  report(blocks: readonly SackBlock[], now: number): number {
    const { flight } = this;
    let delivered = 0;
    const fresh = (from: number, to: number) => {
      for (let i = flight.lowerBound(from);; i++) {
        const s = flight.at(i);
        if (s === undefined || s.end > to) break;
        if (s.sacked) continue;
        delivered += this.#delivered(s, now, true);
        flight.markSacked(s);
      }
    };
    for (const block of blocks) {
      const left = this.#space.toOffset(block.left, this.#una);
      const right = this.#space.toOffset(block.right, this.#una);
      if (right <= this.#una || left >= right || right > this.#next) continue;
      this.#reported.add(Math.max(left, this.#una), right, fresh);
    }
    return delivered;
  }

  /**
   * Takes the round trip of an acknowledgement that was taken completely: one sample at most, and none that a
   * repetition may have delayed (Karn's rule).
   *
   * @param now Milliseconds.
   * @returns Whether there was a sample.
   */
  measure(now: number): boolean {
    const valid = !this.#ambiguous && this.#sampleAt !== -Infinity;
    if (valid) this.rtt.sample(now - this.#sampleAt, now);
    this.#sampleAt = -Infinity;
    this.#ambiguous = false;
    return valid;
  }

  /**
   * Marks as lost what must be.
   *
   * @param now Milliseconds.
   * @param recovering Whether a recovery is under way.
   * @returns Segments marked.
   */
  detect(now: number, recovering: boolean): number {
    return this.#loss.detect(this.flight, now, this.rtt, recovering);
  }

  /** The retransmission timer fired: everything not reported is lost. */
  loseAll(): void {
    // The peer must still need the first segment; if it reported that before, it dropped what it reported.
    if (this.flight.first?.sacked) this.forgetReports();
    this.flight.markAllLost();
  }

  /** The peer may have dropped what it reported (RFC 2018 §8). */
  forgetReports(): void {
    this.flight.forgetSacked();
    this.#reported.clear();
  }

  /** A recovery begins. */
  startRecovery(): void {
    this.#needless = this.#originals = 0;
  }

  /** A recovery ended. */
  endRecovery(): void {
    this.#loss.onRecovered();
  }

  /** Nothing is in flight: no loss can be found. */
  rest(): void {
    this.#loss.stop();
  }

  /**
   * Forgets everything sent.
   *
   * @param end New position of `una` and `next`.
   */
  clear(end: number): void {
    this.#una = this.#next = end;
    this.flight.clear();
    this.#reported.clear();
    this.#loss.stop();
  }

  #delivered(s: SentSegment, now: number, isReported = false): number {
    if (s.lost && s.transmissions === 1) this.#originals++;
    const needless = this.#loss.onDelivered(s, now, this.rtt.min);
    // A peer with many gaps reports few of them: what was deemed lost, or was cut from a longer one, may have been there
    // since long ago.
    const isLate = s.isPiece || (isReported && s.lost);
    if (s.transmissions === 1) {
      if (!isLate) this.#sampleAt = Math.max(this.#sampleAt, s.sentAt);
    } else if (needless) this.#needless++;
    return s.end - s.offset;
  }
}
