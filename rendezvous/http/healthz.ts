/**
 * `GET /healthz` (docs/protocol/registry.md §7).
 *
 * @module
 */

import { publicFacts } from "../status_file.ts";
import type { View } from "../view.ts";

/** The answer to a health check. */
export interface HealthAnswer {
  /** 200, or 503 while the registry cannot do its work. */
  readonly status: 200 | 503;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Looks whether a rendezvous is well.
 *
 * @param view The rendezvous.
 * @param detailed With all that `rendezvous status` shows: for askers on this machine.
 * @returns Status and body.
 */
export async function health(view: View, detailed: boolean): Promise<HealthAnswer> {
  const { core } = view;
  const isWell = core.isWritable;
  const body = {
    ...(isWell
      ? { status: "ok" }
      : { status: "unhealthy", reason: "the store cannot be written, changes are refused" }),
    version: view.version,
    uptime_seconds: Math.floor(view.uptimeSeconds),
    nodes_online: core.nodes.liveCount,
    ...(detailed ? await details(view) : {}),
  };
  return { status: isWell ? 200 : 503, body };
}

async function details(view: View): Promise<Record<string, unknown>> {
  const { core, facts } = view;
  return {
    ...publicFacts(facts),
    nodes_total: core.nodes.size,
    trust_links: core.trust.size,
    connections: view.connections,
    beacon_nodes: view.beacon().nodes,
    store_bytes: await view.storeBytes() ?? null,
  };
}
