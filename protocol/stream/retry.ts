/**
 * Repetition of the segments that are not data: SYN, SYN-ACK and FIN.
 *
 * @module
 */

/** Doubling timer that counts how often its segment was sent. */
export class Retry {
  #at = Infinity;
  #ms = 0;
  #maxMs = 0;
  #count = 0;

  /** How often the segment was sent. */
  get count(): number {
    return this.#count;
  }

  /** When it is due next, milliseconds; Infinity when stopped. */
  get deadline(): number {
    return this.#at;
  }

  /**
   * Due at once, then after `firstMs`, doubling up to `maxMs`.
   *
   * @param now Milliseconds.
   * @param firstMs First pause.
   * @param maxMs Longest pause.
   */
  start(now: number, firstMs: number, maxMs: number): void {
    this.#at = now;
    this.#ms = firstMs;
    this.#maxMs = maxMs;
    this.#count = 0;
  }

  /** @param now Milliseconds; due again then, without changing the rhythm. */
  hasten(now: number): void {
    if (this.#at !== Infinity) this.#at = Math.min(this.#at, now);
  }

  /** Nothing is due any more. */
  stop(): void {
    this.#at = Infinity;
  }

  /** @param now Milliseconds; the segment left. */
  sent(now: number): void {
    this.#count++;
    this.#at = now + this.#ms;
    this.#ms = Math.min(this.#ms * 2, this.#maxMs);
  }
}
