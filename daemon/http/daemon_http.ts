/**
 * Health and metrics of a daemon over HTTP. Off unless an address is given.
 *
 * @module
 */

import { type Clock, every } from "../../platform/clock.ts";
import { HttpServer } from "../../platform/http/http_server.ts";
import { metricsRoute } from "../../platform/http/metric_set.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { VERSION } from "../../platform/version.ts";
import type { EventBus } from "../event_bus.ts";
import { daemonHealth, type InfoParts } from "../info.ts";
import { EventCounts } from "./event_counts.ts";

/** How often connections that have lasted too long are looked for, milliseconds. */
const SWEEP_INTERVAL_MS = 1_000;

/** Serves `/healthz` and `/metrics`. */
export class DaemonHttp {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly #server: HttpServer;
  readonly #counts: EventCounts;
  readonly #endSweeps: () => void;

  /**
   * Listens.
   *
   * @throws {PilotError} `invalid_argument`, `already_exists`, `io_error`, as `listenOn`.
   */
  constructor(options: {
    readonly addr: string;
    readonly clock: Clock;
    readonly events: EventBus;
    /** What is read, for each request again. */
    readonly parts: () => InfoParts;
  }) {
    const { addr, clock, events, parts } = options;
    const log = getLogger([LOG_CATEGORY, "http"]);
    this.#server = new HttpServer({ addr, now: () => clock.now(), log });
    this.addr = this.#server.addr;
    this.#counts = new EventCounts(events);
    this.#server.show({
      "/healthz": {
        answer: (isLocal) => {
          const { status, ...details } = daemonHealth(parts());
          const body = { status, version: VERSION, ...(isLocal ? details : {}) };
          const code = status === "ok" ? 200 : 503;
          return { status: code, body: JSON.stringify(body), type: "application/json" };
        },
      },
      "/metrics": metricsRoute(async () =>
        new (await import("./daemon_metrics.ts")).DaemonMetrics(parts, this.#counts)
      ),
    });
    this.#endSweeps = every(clock, SWEEP_INTERVAL_MS, () => this.#server.sweep());
  }

  /** Stops listening. */
  async close(): Promise<void> {
    this.#endSweeps();
    this.#counts.close();
    await this.#server.close();
  }
}
