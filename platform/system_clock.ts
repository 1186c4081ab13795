/**
 * The clocks of this machine, for programs with a log.
 *
 * @module
 */

import { type Clock, plainClock } from "./clock.ts";
import { setGuardedTimeout } from "./timers.ts";

let turnMs = 0;
let isTurn = false;

function endTurn(): void {
  isTurn = false;
}

/** The machine's clock. What a timer's task throws is logged, and ends nothing. */
export const systemClock: Clock = {
  ...plainClock,
  after(ms, fn) {
    const timer = setGuardedTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * The same, read once a turn of the event loop: for a daemon, in which a batch of packets asks for the time several
 * times each, and asking costs as much as decoding a header. It cannot measure what happens within a turn.
 */
export const turnClock: Clock = {
  ...systemClock,
  now() {
    if (!isTurn) {
      turnMs = performance.now();
      isTurn = true;
      queueMicrotask(endTurn);
    }
    return turnMs;
  },
};
