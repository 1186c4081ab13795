/**
 * What a rendezvous serves over HTTP (docs/protocol/registry.md §7).
 *
 * @module
 */

import type { HttpRoutes } from "../../platform/http/http_server.ts";
import { metricsRoute } from "../../platform/http/metric_set.ts";
import type { View } from "../view.ts";
import { health } from "./healthz.ts";

/** The paths of a rendezvous. */
export function routes(view: View): HttpRoutes {
  return {
    "/healthz": {
      answer: async (isLocal) => {
        const { status, body } = await health(view, isLocal);
        return { status, body: JSON.stringify(body), type: "application/json" };
      },
    },
    "/metrics": metricsRoute(async () =>
      new (await import("./rendezvous_metrics.ts")).RendezvousMetrics(view)
    ),
  };
}
