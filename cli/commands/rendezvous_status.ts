/**
 * `rendezvous status`.
 *
 * @module
 */

import { join } from "node:path";
import { usageError } from "../command_failure.ts";
import type { Invocation } from "../invocation.ts";
import { fields, formatBytes, formatUptime, type Outcome } from "../output.ts";
import { lines, safe, type SafeText } from "../terminal_text.ts";
import { RENDEZVOUS } from "../../platform/settings/server_table.ts";
import { LISTEN_ENDPOINT } from "../../platform/settings/setting_type.ts";
import { settingOption } from "../setting_options.ts";
import type { CommandSpec } from "../spec.ts";
import { joinLine } from "./ready_text.ts";

async function status(call: Invocation): Promise<Outcome> {
  const { options } = call;
  if (options.flag("memory") === true) {
    throw usageError("--memory has no store", "Start the server with --http and query it there.");
  }
  const http = options.text("http");
  const given = options.text("store");
  if (http !== undefined && given !== undefined) {
    throw usageError("--http and --store exclude each other");
  }
  const store = given ?? join((await call.settings()).home, "rendezvous");
  const rendezvousStatus = await call.host.roles.rendezvousStatus();
  const data = await rendezvousStatus({ store, http });
  return { data, text: describe(call, data) };
}

function describe(call: Invocation, data: Record<string, unknown>): SafeText {
  const state = data.running !== true
    ? call.style.dim("stopped")
    : data.healthy === false
    ? call.style.bad("running, unhealthy")
    : call.style.good("running");
  const number = (value: unknown) => typeof value === "number" ? value : undefined;
  const uptime = number(data.uptime_seconds);
  const bytes = number(data.store_bytes);
  const online = number(data.nodes_online);
  const total = number(data.nodes_total);
  const list = fields([
    ["Reason", data.reason],
    ["PID", data.pid],
    ["Version", data.version],
    ["Uptime", uptime === undefined ? undefined : formatUptime(uptime)],
    ["Registry", data.registry],
    ["Beacon", data.beacon],
    ["UDP socket", data.udp],
    ["HTTP", data.http],
    ["Nodes", total === undefined ? online : `${online ?? "?"} online, ${total} known`],
    ["Trust pairs", data.trust_links],
    ["Store", data.store],
    ["Store size", bytes === undefined ? undefined : formatBytes(bytes)],
    ["Registry key", data.registry_key],
    ["TLS fingerprint", data.tls_fingerprint],
  ]);
  if (typeof data.join_uri !== "string") return safe`Rendezvous: ${state}\n${list}`;
  const join = joinLine(data.join_uri);
  return lines([safe`Rendezvous: ${state}`, list, "", join, data.join_hint ?? undefined]);
}

/** Looks at a server, running or not. */
export const rendezvousStatusCommand: CommandSpec = {
  name: "status",
  summary: "Show whether the server is running, its addresses, keys and figures",
  options: [
    ...settingOption(RENDEZVOUS.store),
    ...settingOption({
      ...{ type: LISTEN_ENDPOINT, flag: "http" },
      help: "Query the server's HTTP endpoint instead",
    }),
  ],
  examples: ["rendezvous status", "rendezvous status --http 127.0.0.1:9100 --json"],
  returns:
    "running, healthy, reason, pid, version, started, uptime_seconds, registry, beacon, udp, http, " +
    "nodes_online, nodes_total, trust_links, connections, beacon_nodes, store, store_bytes, registry_key, " +
    "tls_fingerprint, join_uri, join_hint",
  run: status,
};
