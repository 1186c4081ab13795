/**
 * Deadlines of many things under one timer: no timer is set or cleared per packet.
 *
 * @module
 */

import { DeadlineQueue, type Timed } from "../../protocol/deadline_queue.ts";
import { Alarm } from "../../platform/alarm.ts";
import type { Clock } from "../../platform/clock.ts";

/** A {@linkcode DeadlineQueue} that is polled by a timer. */
export class TimerQueue {
  readonly #queue = new DeadlineQueue();
  readonly #alarm: Alarm;

  constructor(clock: Clock) {
    this.#alarm = new Alarm(clock, (now) => {
      this.#queue.poll(now);
      this.#alarm.by(this.#queue.deadline);
    });
  }

  /** Items with a time in the queue. */
  get size(): number {
    return this.#queue.size;
  }

  /** Entries in the heap, stale ones included; for tests. */
  get entries(): number {
    return this.#queue.entries;
  }

  /** Notes that an item's deadline may have changed. */
  touch(item: Timed): void {
    this.#queue.touch(item);
    this.#alarm.by(this.#queue.deadline);
  }

  /** Forgets an item; its entries go when their time comes. */
  delete(item: Timed): void {
    this.#queue.delete(item);
    if (this.#queue.size === 0) this.#alarm.cancel();
  }

  /** Forgets everything and stops the timer. */
  clear(): void {
    this.#queue.clear();
    this.#alarm.cancel();
  }
}
