/**
 * The timer of zero-window probing (docs/protocol/streams.md §2.4).
 *
 * @module
 */

import { MAX_RETRANSMISSIONS, PERSIST_MAX_MS, PERSIST_MIN_MS } from "./stream_config.ts";

/** Says when a real segment is to be pushed against a closed window. */
export class Persist {
  #at = Infinity;
  #ms = PERSIST_MIN_MS;
  #due = false;
  #unanswered = 0;
  #probed = false;

  /** When the next probe is due, milliseconds; Infinity when stopped. */
  get deadline(): number {
    return this.#at;
  }

  /** Whether the peer left every probe unanswered: probing must end (docs/protocol/streams.md §2.4). */
  get failed(): boolean {
    return this.#unanswered > MAX_RETRANSMISSIONS;
  }

  /** @param now Milliseconds; starts the timer unless it runs. */
  arm(now: number): void {
    if (this.#at === Infinity) this.#at = now + this.#ms;
  }

  /**
   * @param now Milliseconds.
   * @returns Whether the timer fired.
   */
  onTimer(now: number): boolean {
    if (now < this.#at) return false;
    this.#due = true;
    this.#unanswered++;
    this.#ms = Math.min(this.#ms * 2, PERSIST_MAX_MS);
    this.#at = now + this.#ms;
    return true;
  }

  /** Whether a probe is to leave now; asking uses it up. */
  takeDue(): boolean {
    const due = this.#due;
    this.#due = false;
    this.#probed ||= due;
    return due;
  }

  /** The peer answered, if only to say that its window is still closed. */
  answered(): void {
    this.#unanswered = 0;
  }

  /** @param now Milliseconds; a probe was taken: the next comes soon. */
  progress(now: number): void {
    this.#ms = PERSIST_MIN_MS;
    this.#at = now + this.#ms;
  }

  /**
   * The window opened, or nothing is left to send.
   *
   * @returns Whether a probe had been sent: it was most likely dropped.
   */
  stop(): boolean {
    const probed = this.#probed;
    this.#at = Infinity;
    this.#ms = PERSIST_MIN_MS;
    this.#due = this.#probed = false;
    this.#unanswered = 0;
    return probed;
  }
}
