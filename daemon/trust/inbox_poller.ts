/**
 * When the registry's inbox is read: regularly, soon on request, and at once when the beacon says
 * that something waits there (docs/protocol/trust.md §4).
 *
 * @module
 */

import { type Clock, TimerSet } from "../../platform/clock.ts";

/** Shortest time between two polls, whatever requests them. */
export const POLL_MIN_MS = 250;
/** Shortest time between two polls that the beacon causes: its address can be forged. */
export const WAKE_MIN_MS = 1_000;
/** When a poll that the beacon caused and that failed is tried again. */
const WAKE_RETRY_MS = 2_000;

/** What the poller needs. */
export interface InboxPollerDeps {
  readonly clock: Clock;
  /** Reads the inbox; false when that failed. Never rejects. */
  readonly poll: () => Promise<boolean>;
  /** Milliseconds until the next regular poll. */
  readonly intervalMs: () => number;
}

/** Decides when to poll. One poll at a time; what is asked for meanwhile follows it. */
export class InboxPoller {
  readonly #deps: InboxPollerDeps;
  readonly #timers: TimerSet;
  #dueMs = Infinity;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  /** A poll was requested while one was in flight, whose reply may predate the new message. */
  #again = false;
  #polledMs = -Infinity;
  /** When the last poll caused by the beacon ran or will run. */
  #wokenMs = -Infinity;
  #isWakeOpen = false;
  #stopped = false;

  constructor(deps: InboxPollerDeps) {
    this.#deps = deps;
    this.#timers = new TimerSet(deps.clock);
  }

  /** Begins to poll, first after `ms`. */
  start(ms: number): void {
    this.#schedule(this.#deps.clock.now() + ms);
  }

  /** Polls soon. */
  soon(): void {
    this.#schedule(Math.max(this.#deps.clock.now(), this.#polledMs + POLL_MIN_MS));
  }

  /** Polls at once, but for the beacon at most once in {@linkcode WAKE_MIN_MS}; more wakes count as one. */
  wake(): void {
    const now = this.#deps.clock.now();
    if (this.#wokenMs > now) return;
    this.#wokenMs = Math.max(now, this.#wokenMs + WAKE_MIN_MS, this.#polledMs + POLL_MIN_MS);
    this.#isWakeOpen = true;
    this.#schedule(this.#wokenMs);
  }

  /** Ends polling and waits for the poll under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timers.close();
    await this.#running;
  }

  #schedule(atMs: number): void {
    if (this.#stopped || this.#dueMs <= atMs) return;
    this.#cancel?.();
    this.#dueMs = atMs;
    this.#cancel = this.#timers.after(atMs - this.#deps.clock.now(), () => {
      this.#dueMs = Infinity;
      this.#cancel = undefined;
      if (this.#running === undefined) this.#running = this.#run();
      else this.#again = true;
    });
  }

  async #run(): Promise<void> {
    const { clock, poll, intervalMs } = this.#deps;
    this.#polledMs = clock.now();
    const isAnsweringWake = this.#isWakeOpen;
    this.#isWakeOpen = false;
    const isRead = await poll();
    this.#running = undefined;
    if (this.#again) {
      this.#again = false;
      this.soon();
    } else if (isAnsweringWake && !isRead) {
      this.#schedule(clock.now() + WAKE_RETRY_MS);
    }
    this.#schedule(clock.now() + intervalMs());
  }
}
