/**
 * Finds the paths to a peer through the registry and starts the key exchange on them.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Resolution } from "../../protocol/tunnel/tunnel_host.ts";
import type { TunnelCore } from "../../protocol/tunnel/tunnel_core.ts";
import { addResolution } from "../../protocol/tunnel/path_upkeep.ts";
import type { Clock } from "../../platform/clock.ts";
import type { BeaconLink } from "./beacon_link.ts";
import { noAddress, noRoom, tooManyExchanges } from "./failures.ts";
import type { TunnelDeps } from "./types.ts";

/** What the resolver needs. */
export interface ResolverDeps {
  readonly clock: Clock;
  readonly core: TunnelCore;
  readonly beacon: BeaconLink;
  readonly resolve: (node: number) => Promise<Resolution>;
  readonly log: TunnelDeps["log"];
}

/** Asks the registry about a peer once at a time. */
export class Resolver {
  readonly #deps: ResolverDeps;
  readonly #resolving = new Map<number, Promise<void>>();

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
  }

  /**
   * Finds the paths to a peer and starts the key exchange.
   *
   * @throws {PilotError} As `Tunnels.ensure`.
   */
  async find(node: number): Promise<void> {
    let resolving = this.#resolving.get(node);
    if (resolving === undefined) {
      resolving = this.#resolve(node).finally(() => this.#resolving.delete(node));
      this.#resolving.set(node, resolving);
    }
    await resolving;
  }

  /** Resolves again a peer that does not answer; part of an exchange, which this does not prolong. */
  again(node: number): void {
    this.#resolve(node, true).catch((error) =>
      this.#deps.log("debug", "re-resolving failed", { peer_node_id: node, error: String(error) })
    );
  }

  async #resolve(node: number, isAgain: boolean = false): Promise<void> {
    const { clock, core, beacon } = this.#deps;
    const { peers } = core;
    const known = peers.get(node);
    let found;
    try {
      found = await this.#deps.resolve(node);
    } catch (error) {
      // Without the registry a known path is still better than none.
      const isKnown = known?.paths.direct !== undefined || known?.session !== undefined;
      if (isKnown && error instanceof PilotError && error.code === "unavailable") return;
      throw error;
    }
    if (peers.isClosed) throw new PilotError("not_running", "The daemon is stopping");
    const now = clock.now();
    const peer = peers.make(node, now);
    if (peer === undefined) throw noRoom(node);
    if (peer.live !== undefined) {
      // A live session that has gone silent: the peer may have a new process or address. Ask there, change nothing yet.
      if (found.endpoint !== undefined && peer.isDoubtful(now)) core.askAt(peer, found.endpoint);
      return;
    }
    if (found.endpoint === undefined && beacon.endpoint === undefined) throw noAddress(node);
    if (!core.isExchanging(peer) && core.isFull) throw tooManyExchanges(node);
    addResolution(peer, found);
    beacon.requestPunch(node);
    if (!isAgain) core.startExchange(peer, now);
  }
}
