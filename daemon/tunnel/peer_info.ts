/**
 * Peers as `info` and `path` show them.
 *
 * @module
 */

import { formatRoute, type PathReport, pathTimes, reportPath } from "../../protocol/path/mod.ts";
import type { PathSizes } from "../../protocol/tunnel/path_sizes.ts";
import type { PeerTunnel } from "../../protocol/tunnel/peer_tunnel.ts";
import type { PeerInfo } from "./types.ts";

/** A peer in the list of `info`. */
export function describePeer(peer: PeerTunnel, sizes: PathSizes, now: number): PeerInfo {
  return {
    node_id: peer.node,
    endpoint: formatRoute(peer.paths.current?.route),
    encrypted: peer.session !== undefined,
    authenticated: peer.live !== undefined,
    relay: peer.viaRelay,
    path_mtu: sizes.pathMtu(peer),
    mss: sizes.segmentBytes(peer),
    ...pathTimes(peer.paths, now),
  };
}

/** The paths to a peer. */
export function describePaths(peer: PeerTunnel, sizes: PathSizes, now: number): PathReport {
  const facts = { node: peer.node, pathMtu: sizes.pathMtu(peer), mss: sizes.segmentBytes(peer) };
  return reportPath(peer.paths, facts, now);
}
