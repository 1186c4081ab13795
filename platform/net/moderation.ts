/**
 * When a socket that receives steadily, but not fast, is better looked at every millisecond than for each datagram: what
 * network cards call interrupt moderation. A wake-up of the processes on the way costs tens of microseconds, a datagram
 * a few; a stream of 100 Mbit/s brings one every 0.12 ms. For sockets with a receive buffer of some size: what the
 * runtime's own has (208 KB on Linux) is full after 10 ms of this, which a busy machine needs for itself.
 *
 * @module
 */

import type { UdpStats } from "./udp.ts";

/** How long the socket is left alone, milliseconds: little beside the round trip of a path that is no faster. */
export const MODERATION_MS = 1;
/** How long is watched before it is decided again, milliseconds. */
const WINDOW_MS = 20;
/**
 * How long a stream must have been like that, milliseconds: a sender that still looks for the speed of the path needs
 * acknowledgements one by one, and finds it within some round trips. With pauses from the start the queue of a slow link
 * ran over.
 */
const STEADY_MS = 2_000;
/** Datagrams a millisecond below which a pause would collect nothing. */
const LEAST_RATE = 2;
/** Datagrams a millisecond above which wake-ups bring many anyway, and the sender's window should not wait. */
const MOST_RATE = 30;
/** Bytes of a datagram on average from which it is bulk: acknowledgements are short, and a sender waits for them. */
const BULK_BYTES = 1000;
/** Bulk is answered by one datagram in so many at most; question and answer are one to one, and must not wait. */
const DATAGRAMS_PER_ANSWER = 3;

/** Watches one socket. */
export class Moderation {
  #sinceMs = 0;
  #received = 0;
  #receivedBytes = 0;
  #sent = 0;
  /** Since when it is steady bulk; Infinity while it is not. */
  #steadyMs = Infinity;

  /**
   * All that the kernel had has been taken.
   *
   * @param nowMs Monotonic time, milliseconds.
   * @param stats Of the socket.
   * @returns Whether to leave the socket alone for {@linkcode MODERATION_MS} before waiting for more.
   */
  drained(nowMs: number, stats: Readonly<UdpStats>): boolean {
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < WINDOW_MS) return nowMs - this.#steadyMs >= STEADY_MS;
    const received = stats.received - this.#received;
    const rate = received / elapsedMs;
    const isSteadyBulk = rate >= LEAST_RATE && rate <= MOST_RATE &&
      stats.receivedBytes - this.#receivedBytes >= received * BULK_BYTES &&
      (stats.sent - this.#sent) * DATAGRAMS_PER_ANSWER <= received;
    this.#steadyMs = isSteadyBulk ? Math.min(this.#steadyMs, nowMs) : Infinity;
    this.#sinceMs = nowMs;
    this.#received = stats.received;
    this.#receivedBytes = stats.receivedBytes;
    this.#sent = stats.sent;
    return nowMs - this.#steadyMs >= STEADY_MS;
  }
}
