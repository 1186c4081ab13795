/**
 * The daemon's lifecycle events for one client. They go out among its replies, so that their order is that in which
 * things happened. A client that does not read gets what waits for it and then how many it has missed: nothing grows,
 * nobody waits for it, and no gap goes unseen.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  encodeEventPush,
  encodeEventsMissed,
  encodeIpcFrame,
  IPC_MAX_FRAME_BYTES,
} from "../../protocol/ipc/mod.ts";
import type { LifecycleEvent } from "../../protocol/lifecycle_events.ts";
import type { EventListener } from "../event_bus.ts";
import { EVENT_QUEUE_BYTES, MAX_EVENT_SUBSCRIPTIONS } from "./ipc_limits.ts";
import type { FrameSource, Outgoing } from "./outgoing.ts";

/** One subscription. */
interface Subscription {
  /** Names of the events; empty for all. */
  readonly names: ReadonlySet<string>;
  /** Events that it has missed without notice so far. */
  missed: number;
}

/** The subscriptions of one client. */
export class ClientEvents implements FrameSource {
  queued = false;
  readonly #out: Pick<Outgoing, "push" | "offer" | "replyBytes">;
  readonly #onEvent: (listener: EventListener) => () => void;
  readonly #subscriptions = new Map<number, Subscription>();
  #lastNumber = 0;
  #stop: (() => void) | undefined;

  /**
   * @param out Where frames go.
   * @param onEvent Subscribes at the daemon; gives what ends it.
   */
  constructor(
    out: Pick<Outgoing, "push" | "offer" | "replyBytes">,
    onEvent: (listener: EventListener) => () => void,
  ) {
    this.#out = out;
    this.#onEvent = onEvent;
  }

  /** There is a gap to report. */
  get ready(): boolean {
    for (const { missed } of this.#subscriptions.values()) if (missed > 0) return true;
    return false;
  }

  /**
   * Begins a subscription.
   *
   * @param names Names of the events; empty for all.
   * @returns Its number.
   * @throws {PilotError} `limit_exceeded`.
   */
  subscribe(names: readonly string[]): number {
    if (this.#subscriptions.size >= MAX_EVENT_SUBSCRIPTIONS) {
      throw new PilotError(
        "limit_exceeded",
        `A client may have ${MAX_EVENT_SUBSCRIPTIONS} subscriptions to events at most`,
      );
    }
    const number = ++this.#lastNumber;
    this.#subscriptions.set(number, { names: new Set(names), missed: 0 });
    this.#stop ??= this.#onEvent((event) => this.#take(event));
    return number;
  }

  /**
   * Ends a subscription.
   *
   * @param number Its number.
   * @throws {PilotError} `not_found`.
   */
  unsubscribe(number: number): void {
    if (!this.#subscriptions.delete(number)) {
      throw new PilotError("not_found", `There is no subscription ${number} to events`);
    }
    if (this.#subscriptions.size === 0) this.end();
  }

  /** Ends all of them. */
  end(): void {
    this.#subscriptions.clear();
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Reports gaps; called when everything before them has been written. */
  pull(out: Uint8Array, start: number): number {
    let offset = start;
    for (const [number, subscription] of this.#subscriptions) {
      if (subscription.missed === 0) continue;
      const payload = encodeEventsMissed({ subscription: number, count: subscription.missed });
      const frame = encodeIpcFrame(Cmd.EventsMissed, payload);
      out.set(frame, offset);
      offset += frame.length;
      subscription.missed = 0;
    }
    return offset;
  }

  #take(event: LifecycleEvent): void {
    for (const [number, subscription] of this.#subscriptions) {
      const { names, missed } = subscription;
      if (names.size > 0 && !names.has(event.name)) continue;
      // After a gap nothing before its end is reported: one long gap is easier to deal with than many.
      if (missed > 0 || !this.#push(number, event)) {
        subscription.missed++;
        this.#out.offer(this);
      }
    }
  }

  #push(number: number, event: LifecycleEvent): boolean {
    const payload = encodeEventPush({ subscription: number, event });
    const bytes = this.#out.replyBytes + payload.length;
    if (bytes > EVENT_QUEUE_BYTES || payload.length >= IPC_MAX_FRAME_BYTES) return false;
    this.#out.push(encodeIpcFrame(Cmd.EventPush, payload));
    return true;
  }
}
