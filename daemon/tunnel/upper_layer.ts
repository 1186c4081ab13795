/**
 * What the parts of the tunnel layer tell and ask the layer above, once it has started.
 *
 * @module
 */

import { formatRoute } from "../../protocol/path/mod.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { TunnelDeps, TunnelUser } from "./types.ts";

/** Until the layer above starts. */
const NOBODY: TunnelUser = {
  onPacket() {},
  onPeerRestarted() {},
  onPathChanged() {},
  hasConns: () => false,
  beacon: { observed() {} },
};

/** The layer above as the tunnel layer sees it. */
export class UpperLayer {
  /** Who has started the tunnel layer. */
  user: TunnelUser = NOBODY;
  readonly #deps: Pick<TunnelDeps, "consent" | "emit">;

  constructor(deps: Pick<TunnelDeps, "consent" | "emit">) {
    this.#deps = deps;
  }

  /** The tunnel to a node should be kept up. */
  isWanted(node: number): boolean {
    return this.#deps.consent.hasConsent(node) || this.user.hasConns(node);
  }

  /** Frames to a peer take another path from now on. */
  pathChanged(peer: PeerTunnel): void {
    this.#deps.emit("tunnel.path_changed", {
      peer_node_id: peer.node,
      relay: peer.viaRelay,
      endpoint: formatRoute(peer.paths.current?.route),
    });
    this.user.onPathChanged(peer.node, peer.paths.isRepaired);
  }

  /** The path to a peer carries other sizes from now on. */
  sizesChanged(peer: PeerTunnel): void {
    this.user.onPathChanged(peer.node, false);
  }

  /** A peer has proven a key. */
  proven(peer: PeerTunnel, rekeyed: boolean): void {
    this.#deps.emit("tunnel.established", {
      peer_node_id: peer.node,
      authenticated: true,
      relay: peer.viaRelay,
      rekeyed,
    });
    if (rekeyed) this.user.onPeerRestarted(peer.node);
  }

  /** Somebody has offered a key that is not the node's. */
  keyMismatch(node: number): void {
    this.#deps.emit("security.key_mismatch", { peer_node_id: node });
  }
}
