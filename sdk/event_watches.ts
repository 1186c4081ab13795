/**
 * A driver's subscriptions to its daemon's lifecycle events.
 *
 * @module
 */

import { DecodeError, PilotError } from "../protocol/errors.ts";
import {
  decodeEventPush,
  decodeEventsMissed,
  EVENTS,
  SUBSCRIBE_EVENTS,
  UNSUBSCRIBE_EVENTS,
} from "../protocol/ipc/mod.ts";
import type { LifecycleEventName } from "../protocol/lifecycle_events.ts";
import type { DaemonLink } from "./daemon_link.ts";
import { DaemonEvents, type EventsOptions } from "./daemon_events.ts";
import { decodeObject } from "./requester.ts";

const WHAT = "Watching the daemon's events";

/** What takes pushes, whatever events it is for. */
type Watch = Pick<DaemonEvents, "offer" | "offerMissed" | "end">;

/** The subscriptions by the numbers that the daemon gave them. */
export class EventWatches {
  readonly #link: DaemonLink;
  readonly #watches = new Map<number, Watch>();

  /** @param link The conversation with the daemon. */
  constructor(link: DaemonLink) {
    this.#link = link;
  }

  /** See `Driver.events`. */
  async open<K extends LifecycleEventName>(options: EventsOptions<K>): Promise<DaemonEvents<K>> {
    const { names = [], signal } = options;
    if (!this.#link.features.includes(EVENTS)) {
      throw new PilotError("unavailable", `${WHAT}: this daemon does not report events`, {
        advice: { id: "use_this_daemon" },
      });
    }
    return await this.#link.request<DaemonEvents<K>>({
      what: WHAT,
      cmd: SUBSCRIBE_EVENTS.cmd,
      expect: SUBSCRIBE_EVENTS.cmd + 1,
      payload: SUBSCRIBE_EVENTS.encode({ names }),
      signal,
      // Made while the answer is read, so that events right behind it find it.
      decode: (payload) => {
        const reply = decodeObject<{ subscription?: unknown }>(payload);
        if (reply instanceof DecodeError) return reply;
        const { subscription } = reply;
        if (typeof subscription !== "number") {
          return new DecodeError("malformed", "no subscription in the answer");
        }
        const events = new DaemonEvents<K>(options, () => this.#close(subscription));
        this.#watches.set(subscription, events);
        return events;
      },
      onLate: (events) => {
        events.close().catch(() => {
          // The caller has gone on; what stays subscribed ends with the driver.
        });
      },
    });
  }

  /** Takes a push; what is wrong with it, if something is. */
  onEvent(payload: Uint8Array): DecodeError | undefined {
    const push = decodeEventPush(payload);
    if (push instanceof DecodeError) return push;
    // None: it was closed while the event was under way.
    this.#watches.get(push.subscription)?.offer(push.event, payload.length);
    return undefined;
  }

  /** Takes the count of a gap; what is wrong with it, if something is. */
  onMissed(payload: Uint8Array): DecodeError | undefined {
    const missed = decodeEventsMissed(payload);
    if (missed instanceof DecodeError) return missed;
    this.#watches.get(missed.subscription)?.offerMissed(missed.count);
    return undefined;
  }

  /** The daemon is gone. */
  onLost(error: PilotError): void {
    for (const watch of this.#watches.values()) watch.end(error);
    this.#watches.clear();
  }

  async #close(subscription: number): Promise<void> {
    if (!this.#watches.delete(subscription)) return; // the daemon is gone
    try {
      await this.#link.request({
        what: "Closing a subscription to events",
        cmd: UNSUBSCRIBE_EVENTS.cmd,
        expect: UNSUBSCRIBE_EVENTS.cmd + 1,
        payload: UNSUBSCRIBE_EVENTS.encode({ subscription }),
        decode: decodeObject,
      });
    } catch (error) {
      // Nothing is left to be closed.
      if (!(error instanceof PilotError) || error.code !== "connection_closed") throw error;
    }
  }
}
