/**
 * Notices that this machine is on another network, or was asleep: what was measured and mapped before is useless
 * then.
 *
 * @module
 */

import { type Clock, every } from "../platform/clock.ts";

/** How often the addresses are looked at: asking the system costs about 50 us. */
export const WATCH_MS = 5_000;
/** A look that comes this much too late by the calendar: the machine slept (monotonic time may not have gone on). */
export const SLEEP_MS = 10_000;

/** What the watch needs. */
export interface NetworkWatchDeps {
  readonly clock: Clock;
  /** The addresses of this machine. */
  readonly addresses: () => readonly string[];
  /** There are other addresses, there are some again, or the machine has slept. */
  readonly changed: (reason: "addresses" | "back" | "sleep") => void;
}

/** Watches until it is closed. */
export class NetworkWatch {
  readonly #deps: NetworkWatchDeps;
  readonly #end: () => void;
  #seen: string;
  #lookedMs: number;

  constructor(deps: NetworkWatchDeps) {
    this.#deps = deps;
    this.#seen = deps.addresses().join(" ");
    this.#lookedMs = deps.clock.unixNow();
    this.#end = every(deps.clock, WATCH_MS, () => this.#look());
  }

  /** Ends it. */
  close(): void {
    this.#end();
  }

  #look(): void {
    const { clock, addresses, changed } = this.#deps;
    const seen = addresses().join(" ");
    const now = clock.unixNow();
    const hasSlept = now - this.#lookedMs > WATCH_MS + SLEEP_MS;
    const isElsewhere = seen !== this.#seen;
    const reason = hasSlept ? "sleep" : this.#seen === "" ? "back" : "addresses";
    this.#seen = seen;
    this.#lookedMs = now;
    // Without any address nobody can be notified; the next one that comes is news.
    if (hasSlept || (isElsewhere && seen !== "")) changed(reason);
  }
}
