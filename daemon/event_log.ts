/**
 * Lifecycle events in the log, each at its level.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { LIFECYCLE_EVENTS } from "../protocol/lifecycle_events.ts";
import type { EventListener } from "./event_bus.ts";
import { type Rate, TokenBucket } from "../protocol/rate_limit.ts";

/** Events that are logged as warnings; the others of a burst only at debug level: strangers must not fill the disk. */
const WARNING_RATE: Rate = { perSecond: 0.2, burst: 10 };

/** A subscriber that writes every event to the log. */
export function logEvents(clock: Clock, log: Log): EventListener {
  const warnings = new TokenBucket(WARNING_RATE, clock.now());
  return ({ name, data }) => {
    const level = LIFECYCLE_EVENTS[name];
    const isTold = level !== "warn" || warnings.take(clock.now());
    log(isTold ? level : "debug", name, { ...data });
  };
}
