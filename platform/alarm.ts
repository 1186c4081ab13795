/**
 * One timer for the earliest of many deadlines: what drives a sans-I/O state machine.
 *
 * @module
 */

import type { Clock } from "./clock.ts";

/** Rings at the earliest time that it was set to, and is then unset. */
export class Alarm {
  readonly #clock: Clock;
  readonly #onTime: (now: number) => void;
  #atMs = Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, onTime: (now: number) => void) {
    this.#clock = clock;
    this.#onTime = onTime;
  }

  /** Rings at `atMs` of the clock at the latest; Infinity changes nothing. Cheap when it rings earlier anyway. */
  by(atMs: number): void {
    if (atMs >= this.#atMs) return;
    this.#cancel?.();
    this.#atMs = atMs;
    const inMs = Math.max(0, atMs - this.#clock.now());
    this.#cancel = this.#clock.after(inMs, () => {
      this.#atMs = Infinity;
      this.#cancel = undefined;
      this.#onTime(this.#clock.now());
    });
  }

  /** Does not ring until it is set again. */
  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#atMs = Infinity;
  }
}
