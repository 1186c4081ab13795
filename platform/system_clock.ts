/**
 * The clock of a daemon and of a rendezvous.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { setGuardedTimeout } from "./timers.ts";

let turnMs = 0;
let isTurn = false;

function endTurn(): void {
  isTurn = false;
}

/**
 * The process's own clock. It is read once a turn of the event loop: a batch of packets asks for the time several
 * times each, and asking costs as much as decoding a header.
 */
export const systemClock: Clock = {
  now() {
    if (!isTurn) {
      turnMs = performance.now();
      isTurn = true;
      queueMicrotask(endTurn);
    }
    return turnMs;
  },
  unixNow: () => Date.now(),
  after(ms, fn) {
    const timer = setGuardedTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
