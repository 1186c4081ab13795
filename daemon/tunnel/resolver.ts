/**
 * Finds the ways to a peer through the registry and starts the key exchange on them.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Route } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { BeaconLink } from "./beacon_link.ts";
import type { ExchangeDriver } from "./exchange_driver.ts";
import { noAddress, noRoom, tooManyExchanges } from "./failures.ts";
import { addResolution } from "./path_driver.ts";
import type { PeerTable } from "./peer_table.ts";
import type { Resolution, TunnelDeps } from "./types.ts";

/** What the resolver needs. */
export interface ResolverDeps {
  readonly clock: Clock;
  readonly driver: ExchangeDriver;
  readonly beacon: BeaconLink;
  readonly resolve: (node: number) => Promise<Resolution>;
  readonly peers: PeerTable;
  readonly log: TunnelDeps["log"];
}

/** Asks the registry about a peer once at a time. */
export class Resolver {
  readonly #deps: ResolverDeps;
  readonly #resolving = new Map<number, Promise<void>>();

  constructor(deps: ResolverDeps) {
    this.#deps = deps;
    deps.driver.onUnanswered((node) => this.#again(node));
  }

  /**
   * Finds the ways to a peer and starts the key exchange.
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

  /** Looks anew for a peer that does not answer; part of an exchange that nobody prolongs by it. */
  #again(node: number): void {
    this.#resolve(node, true).catch((error) =>
      this.#deps.log("debug", "re-resolving failed", { peer_node_id: node, error: String(error) })
    );
  }

  async #resolve(node: number, isAgain: boolean = false): Promise<void> {
    const { clock, driver, beacon, peers } = this.#deps;
    const known = peers.get(node);
    let found;
    try {
      found = await this.#deps.resolve(node);
    } catch (error) {
      // Without the registry a known path is still better than none.
      const isKnown = known?.direct !== undefined || known?.session !== undefined;
      if (isKnown && error instanceof PilotError && error.code === "unavailable") return;
      throw error;
    }
    if (peers.isClosed) throw new PilotError("not_running", "The daemon is stopping");
    const peer = peers.make(node);
    if (peer === undefined) throw noRoom(node);
    if (peer.live !== undefined) {
      // A live session that has gone silent: the peer may have a new process or address. Ask there, change nothing yet.
      if (found.endpoint !== undefined && peer.isDoubtful(clock.now())) {
        const route: Route = { via: "direct", endpoint: found.endpoint };
        if (peer.paths.admits(route)) driver.send(node, "request", route);
      }
      return;
    }
    if (found.endpoint === undefined && beacon.endpoint === undefined) throw noAddress(node);
    if (peer.cancelTimer === undefined && driver.isFull) throw tooManyExchanges(node);
    addResolution(peer, found);
    beacon.requestPunch(node);
    if (!isAgain) driver.want(peer);
  }
}
