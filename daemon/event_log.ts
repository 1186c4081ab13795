/**
 * Lifecycle events (daemon.md §9.4) in the log, each at the level it deserves.
 *
 * @module
 */

import { getLogger, LOG_CATEGORY } from "../platform/log.ts";
import type { Clock } from "../platform/clock.ts";
import { type Rate, TokenBucket } from "./tunnel/rate_limit.ts";

/** Events that are logged as warnings; the others of a burst only at debug level. */
const WARNING_RATE: Rate = { perSecond: 0.2, burst: 10 };

/** Writes events. */
export class EventLog {
  readonly #log = getLogger([LOG_CATEGORY, "daemon"]);
  readonly #clock: Clock;
  readonly #warnings: TokenBucket;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#warnings = new TokenBucket(WARNING_RATE, clock.now());
  }

  /** Writes what is not an event: level, message, fields. */
  readonly logger = (
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Record<string, unknown> = {},
  ): void => this.#log[level](message, fields);

  /** Writes one event. */
  write(event: string, data: Record<string, unknown>): void {
    const isNews = /^(node|handshake|trust|tunnel|network)\./.test(event);
    if (isNews) this.#log.info(event, data);
    // What an attacker causes must be seen, but must not fill the disk.
    else if (
      /^(security\.|pubsub\.overrun$)/.test(event) && this.#warnings.take(this.#clock.now())
    ) {
      this.#log.warn(event, data);
    } else this.#log.debug(event, data);
  }
}
