/**
 * The daemon's lifecycle events on their way from where something happens to all listeners.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";
import type {
  Emit,
  LifecycleEvent,
  LifecycleEventName,
  LifecycleEvents,
} from "../protocol/lifecycle_events.ts";

/** Gets each event during the call that emits it: it must only note or queue. */
export type EventListener = (event: LifecycleEvent) => void;

/** Hands events to their subscribers. */
export class EventBus {
  readonly #clock: Pick<Clock, "unixNow">;
  readonly #failed: (error: unknown) => void;
  readonly #listeners = new Set<EventListener>();
  #lastId = 0;

  /**
   * @param options.clock Where the time of an event comes from.
   * @param options.failed Called with what a listener threw; the emitting part and the other listeners continue.
   */
  constructor(options: { clock: Pick<Clock, "unixNow">; failed: (error: unknown) => void }) {
    this.#clock = options.clock;
    this.#failed = options.failed;
  }

  /** Number of the last event; 0 before the first. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Emits an event; bound, so that it can be handed to parts. */
  readonly emit: Emit = <K extends LifecycleEventName>(name: K, data: LifecycleEvents[K]): void => {
    const event: LifecycleEvent = { id: ++this.#lastId, name, atMs: this.#clock.unixNow(), data };
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#failed(error);
      }
    }
  };

  /**
   * Subscribes to all events from now on.
   *
   * @returns Ends the subscription.
   */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
