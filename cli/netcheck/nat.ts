/**
 * What several views of one socket show about the NAT in front of it (RFC 4787 §4.1).
 *
 * @module
 */

import { type Endpoint, sameEndpoint } from "../../protocol/ip.ts";
import type { NatMapping } from "./netcheck_report.ts";

/** Our endpoint as one server sees it. */
export interface View {
  readonly server: Endpoint;
  readonly seen: Endpoint;
}

/**
 * How a NAT maps a socket.
 *
 * @param views What servers saw, all of the same socket.
 * @returns The mapping; "unknown" for fewer than two views.
 */
export function natMapping(views: readonly View[]): Exclude<NatMapping, "none"> {
  const [first] = views;
  if (first === undefined || views.length < 2) return "unknown";
  const isOneAddress = views.every(({ server }) => server.host === first.server.host);
  if (views.every(({ seen }) => sameEndpoint(seen, first.seen))) {
    return isOneAddress ? "not_port_dependent" : "endpoint_independent";
  }
  const byPort = views.some((a) =>
    views.some((b) => a.server.host === b.server.host && !sameEndpoint(a.seen, b.seen))
  );
  return byPort ? "address_and_port_dependent" : "address_dependent";
}
