/**
 * What the servers print when they are ready.
 *
 * @module
 */

import { GATEWAY } from "../../platform/settings/server_table.ts";
import type { GatewayReady, RendezvousReady } from "../roles.ts";
import { lines, safe, type SafeText } from "../terminal_text.ts";

/**
 * The command by which others join.
 *
 * @param uri The `pilot://` URI.
 */
export function joinLine(uri: string): SafeText {
  return safe`pilotctl join '${uri}'`;
}

/** Two lines or three: where it answers, the command by which others join, and what is missing of that. */
export function rendezvousText(ready: RendezvousReady): SafeText {
  const { registry, beacon, store, http, registry_key, tls_fingerprint, join_uri, join_hint } =
    ready;
  const parts = [
    safe`rendezvous ready: registry ${registry}`,
    safe`beacon ${beacon}`,
    safe`store ${store ?? "(memory)"}`,
    ...(http === null ? [] : [safe`http ${http}`]),
    safe`key ${registry_key}`,
    ...(tls_fingerprint === null ? [] : [safe`tls ${tls_fingerprint}`]),
  ];
  return lines([lines(parts, ", "), joinLine(join_uri), join_hint ?? undefined]);
}

/** One line, and one or two for each peer. */
export function gatewayText({ subnet, mappings }: GatewayReady): SafeText {
  return lines([
    safe`gateway ready: ${subnet}`,
    ...mappings.flatMap(({ local_ip, pilot_addr, ports, skipped }) => [
      safe`  ${local_ip} -> ${pilot_addr}  ports ${ports.join(", ")}`,
      skipped.length === 0
        ? undefined
        : safe`  without ports ${
          skipped.join(", ")
        }, which need more privileges: see --${GATEWAY.ports.flag}`,
    ]),
  ]);
}
