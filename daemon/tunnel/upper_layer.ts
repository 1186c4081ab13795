/**
 * What the tunnel layer reports to and asks of the layer above, once that has started.
 *
 * @module
 */

import type { Packet } from "../../protocol/packet.ts";
import { formatRoute, type Route } from "../../protocol/path/mod.ts";
import type { TunnelAction, TunnelHost } from "../../protocol/tunnel/tunnel_host.ts";
import type { TunnelDeps, TunnelUser } from "./types.ts";

/** Until the layer above starts. */
const NOBODY: TunnelUser = {
  onPacket() {},
  onPeerRestarted() {},
  onPathChanged() {},
  hasConns: () => false,
  beacon: { observed() {} },
};

/** Something that has happened to a tunnel. */
export type TunnelNews = Extract<
  TunnelAction,
  { readonly type: "path_changed" | "sizes_changed" | "proven" | "key_mismatch" }
>;

/** The layer above as the tunnel layer sees it. */
export class UpperLayer implements TunnelHost {
  #user: TunnelUser = NOBODY;
  readonly #deps: Pick<TunnelDeps, "consent" | "visibility" | "emit">;

  constructor(deps: Pick<TunnelDeps, "consent" | "visibility" | "emit">) {
    this.#deps = deps;
  }

  /** Begins to report to it. */
  start(user: TunnelUser): void {
    this.#user = user;
  }

  onPacket(packet: Packet, route: Route, isBatch: boolean): void {
    this.#user.onPacket(packet, route, isBatch);
  }

  hasConns(node: number): boolean {
    return this.#user.hasConns(node);
  }

  isWanted(node: number): boolean {
    return this.#deps.consent.hasConsent(node) || this.#user.hasConns(node);
  }

  pinnedKey(node: number): Uint8Array | undefined {
    return this.#deps.consent.pinnedKey(node);
  }

  isFormer(node: number): boolean {
    return this.#deps.consent.isFormer(node);
  }

  mayKnow(node: number): boolean | undefined {
    return this.#deps.visibility.mayKnow(node);
  }

  /** Reports to it, and to listeners of lifecycle events, what has happened. */
  tell(news: TunnelNews): void {
    const { emit } = this.#deps;
    const { node } = news;
    switch (news.type) {
      case "path_changed":
        emit("tunnel.path_changed", {
          peer_node_id: node,
          relay: news.isRelayed,
          endpoint: formatRoute(news.route),
        });
        this.#user.onPathChanged(node, news.isRepaired);
        break;
      case "sizes_changed":
        this.#user.onPathChanged(node, false);
        break;
      case "proven":
        emit("tunnel.established", {
          peer_node_id: node,
          authenticated: true,
          relay: news.isRelayed,
          rekeyed: news.isRekeyed,
        });
        if (news.isRekeyed) this.#user.onPeerRestarted(node);
        break;
      case "key_mismatch":
        emit("security.key_mismatch", { peer_node_id: node });
    }
  }
}
