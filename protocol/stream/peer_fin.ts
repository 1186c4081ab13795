/**
 * The peer's FIN, which older peers send before all data has arrived, or with a wrong number
 * (docs/protocol/streams.md §6.2).
 *
 * @module
 */

import { EARLY_FIN_MIN_MS } from "./stream_config.ts";
import type { Receiver } from "./stream_receiver.ts";

/** Decides when the peer's side of the stream has ended, and whether anything is missing. */
export class PeerFin {
  #offset: number | undefined;
  #until = Infinity;
  #waitMs = EARLY_FIN_MIN_MS;
  #ended = false;

  /** Whether the peer's side has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** When the wait for missing data ends, milliseconds; Infinity when none is under way. */
  get deadline(): number {
    return this.#until;
  }

  /**
   * A FIN arrived.
   *
   * @param offset Its place in the peer's stream.
   * @param receiver The receive side.
   * @param now Milliseconds.
   * @param rtoMs Retransmission timeout: twice that is how long in-flight data may still come.
   * @returns Whether the peer's side ended by it, with nothing missing.
   */
  onFin(
    offset: number,
    receiver: Receiver,
    now: number,
    rtoMs: number,
  ): boolean {
    if (this.#ended) return false;
    // A repeated FIN of an older peer names its first unacknowledged byte, which is too low: data held beyond it,
    // or an earlier FIN, know better.
    const end = Math.max(offset, receiver.highest, this.#offset ?? 0);
    if (end <= receiver.next) return this.#end();
    if (this.#offset === undefined) {
      this.#waitMs = Math.max(2 * rtoMs, EARLY_FIN_MIN_MS);
      this.#until = now + this.#waitMs;
    }
    this.#offset = end;
    return false;
  }

  /**
   * Data arrived in order.
   *
   * @param next Offset received up to.
   * @param now Milliseconds.
   * @returns Whether a FIN that waited for it is now complete.
   */
  onProgress(next: number, now: number): boolean {
    if (this.#offset === undefined || this.#ended) return false;
    if (next >= this.#offset) return this.#end();
    this.#until = now + this.#waitMs;
    return false;
  }

  /**
   * Gives up waiting.
   *
   * @param now Milliseconds.
   * @param receiver The receive side; moved to the end of the peer's stream.
   * @returns Whether the peer's side ended by it, with data missing.
   */
  onTimer(now: number, receiver: Receiver): boolean {
    if (now < this.#until || this.#offset === undefined) return false;
    receiver.skipTo(this.#offset);
    return this.#end();
  }

  /** Stops waiting. */
  stop(): void {
    this.#until = Infinity;
  }

  #end(): boolean {
    this.#ended = true;
    this.#until = Infinity;
    return true;
  }
}
