/**
 * Where frames in the name of a node come from, as far as can be told before they are authenticated.
 *
 * @module
 */

import type { Route } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Lane } from "./key_exchange.ts";
import { addResolution } from "./path_driver.ts";
import type { PeerTable } from "./peer_table.ts";
import { KeyedRateLimit, TokenBucket } from "./rate_limit.ts";
import {
  LEARN_RATE,
  LEARN_RATE_PER_NODE,
  MAX_PEERS,
  type Resolution,
  type TunnelDeps,
} from "./types.ts";

/** What telling lanes needs. */
export interface LanesDeps {
  readonly clock: Clock;
  readonly peers: PeerTable;
  readonly resolve: (node: number) => Promise<Resolution>;
  readonly log: TunnelDeps["log"];
}

/** Tells lanes, and learns where peers are. */
export class Lanes {
  readonly #deps: LanesDeps;
  readonly #learning: TokenBucket;
  readonly #learningPerNode = new KeyedRateLimit<number>(LEARN_RATE_PER_NODE, MAX_PEERS);

  constructor(deps: LanesDeps) {
    this.#deps = deps;
    this.#learning = new TokenBucket(LEARN_RATE, deps.clock.now());
  }

  /** The lane of a frame. A host counts, not its port: a restarted process has another. */
  of(node: number, route: Route): Lane {
    if (route.via === "relay") return "relay";
    const isKnown = this.#deps.peers.get(node)?.paths.all.some((candidate) =>
      candidate.route.via === "direct" && candidate.route.endpoint.host === route.endpoint.host
    );
    return isKnown === true ? "known" : "other";
  }

  /** Frames in a peer's name come from everywhere: the registry knows from where its own may come. */
  learn(node: number): void {
    const { clock, peers, resolve, log } = this.#deps;
    const now = clock.now();
    if (!this.#learningPerNode.take(node, now) || !this.#learning.take(now)) return;
    resolve(node).then((found) => {
      const peer = peers.make(node);
      if (peer !== undefined) addResolution(peer, found);
    }).catch((error) =>
      log("debug", "peer not resolved", { peer_node_id: node, error: String(error) })
    );
  }
}
