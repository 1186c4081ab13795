/**
 * Packets to ourselves: a short, bounded, lossy link, like any other.
 *
 * @module
 */

import type { Packet } from "../../protocol/packet.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";

/** Packets under way; more are lost. */
export const MAX_LOOPBACK_PACKETS = 4_096;

/** Delivers packets to this daemon itself, in a later turn. */
export class Loopback {
  readonly #timers: TimerSet;
  #deliver: (packet: Packet) => void = () => {};
  #queue: Packet[] = [];

  constructor(clock: Clock) {
    this.#timers = new TimerSet(clock);
  }

  /** Begins to deliver. */
  start(deliver: (packet: Packet) => void): void {
    this.#deliver = deliver;
  }

  /** Sends a packet; its payload is copied. */
  send(packet: Packet): void {
    if (this.#queue.length >= MAX_LOOPBACK_PACKETS) return;
    this.#queue.push({ ...packet, payload: packet.payload.slice() });
    if (this.#queue.length === 1) this.#timers.after(0, () => this.#flush());
  }

  /** Drops what is under way. */
  close(): void {
    this.#timers.close();
    this.#queue = [];
  }

  #flush(): void {
    const packets = this.#queue;
    this.#queue = [];
    for (const packet of packets) this.#deliver(packet);
  }
}
