/**
 * How often each lifecycle event has happened.
 *
 * @module
 */

import { LIFECYCLE_EVENT_NAMES, type LifecycleEventName } from "../../protocol/lifecycle_events.ts";
import type { EventBus } from "../event_bus.ts";

/** Counts events from when it is made until it is closed. */
export class EventCounts {
  readonly #counts = new Map<LifecycleEventName, number>(
    LIFECYCLE_EVENT_NAMES.map((name) => [name, 0]),
  );
  /** Counts no more. */
  readonly close: () => void;

  constructor(events: EventBus) {
    this.close = events.subscribe(({ name }) =>
      void this.#counts.set(name, this.#counts.get(name)! + 1)
    );
  }

  /** Every event with its count. */
  entries(): Iterable<readonly [LifecycleEventName, number]> {
    return this.#counts;
  }
}
