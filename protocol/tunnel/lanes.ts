/**
 * Where frames in the name of a node come from, as far as is known before they are authenticated.
 *
 * @module
 */

import { hostOf, type Route } from "../path/mod.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";

/**
 * Where frames in the name of a node come from: an address where it is known to be, the beacon, or anywhere. Each has
 * its own limits, so that no flood from elsewhere keeps the node itself out.
 */
export type Lane = "known" | "relay" | "other";

/** The lane of a frame in a peer's name. A host counts, not its port: a restarted process has another. */
export function laneOf(peer: PeerTunnel | undefined, route: Route): Lane {
  const host = hostOf(route);
  if (host === undefined) return "relay";
  return peer?.paths.knowsHost(host) === true ? "known" : "other";
}
