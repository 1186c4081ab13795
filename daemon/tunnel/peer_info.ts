/**
 * Peers as `info` and `path` show them.
 *
 * @module
 */

import { formatRoute, type PathReport, pathTimes, reportPath } from "../../protocol/path/mod.ts";
import type { PathMtuDriver } from "../../protocol/tunnel/path_mtu.ts";
import type { PeerTunnel } from "../../protocol/tunnel/peer_tunnel.ts";
import type { PeerInfo } from "./types.ts";

/** A peer in the list of `info`. */
export function describePeer(peer: PeerTunnel, mtu: PathMtuDriver, now: number): PeerInfo {
  return {
    node_id: peer.node,
    endpoint: formatRoute(peer.paths.current?.route),
    encrypted: peer.session !== undefined,
    authenticated: peer.live !== undefined,
    relay: peer.viaRelay,
    path_mtu: mtu.pathMtu(peer),
    mss: mtu.segmentBytes(peer),
    ...pathTimes(peer.paths, now),
  };
}

/** The paths to a peer. */
export function describePaths(peer: PeerTunnel, mtu: PathMtuDriver, now: number): PathReport {
  const facts = { node: peer.node, pathMtu: mtu.pathMtu(peer), mss: mtu.segmentBytes(peer) };
  return reportPath(peer.paths, facts, now);
}
