/**
 * This node as the registry sees it: what it registers with, and what follows from being registered.
 *
 * @module
 */

import { formatAddress } from "../protocol/address.ts";
import type { Emit } from "../protocol/lifecycle_events.ts";
import type { DaemonOptions } from "../platform/settings/mod.ts";
import { VERSION } from "../platform/version.ts";
import type { BeaconFinder } from "./beacon_finder.ts";
import type { NetworkChange } from "./network_change.ts";
import type { NetworkStack } from "./network_stack.ts";
import type { Invites } from "./registry/invite_watch.ts";
import type { NodeRegistry } from "./registry/node_registry.ts";
import type { Registrant } from "./registry/registration.ts";
import type { Directory } from "./registry_entry.ts";
import type { TrustService } from "./trust/trust_service.ts";

/** The parts that a registration concerns. */
export interface RegistrantParts {
  readonly options: Pick<DaemonOptions, "email">;
  readonly registry: NodeRegistry;
  readonly directory: Directory;
  readonly stack: NetworkStack;
  readonly trust: TrustService;
  readonly invites: Invites;
  readonly finder: BeaconFinder | undefined;
  readonly change: NetworkChange;
  readonly emit: Emit;
}

/** Registers a node and brings its parts up to date. */
export class NodeRegistrant implements Registrant {
  readonly #parts: RegistrantParts;

  constructor(parts: RegistrantParts) {
    this.#parts = parts;
  }

  async register(): Promise<void> {
    const { directory, registry, finder, change, options } = this.#parts;
    finder?.look();
    const lanAddrs = directory.lanAddrs();
    change.registered(lanAddrs);
    await registry.register({
      listenAddr: directory.listenAddr(),
      owner: options.email ?? "",
      version: VERSION,
      lanAddrs,
      isHidden: directory.isHidden,
    });
  }

  async registered(isFirst: boolean): Promise<void> {
    const { directory, registry, stack, trust, invites, emit } = this.#parts;
    await stack.setSelf(registry.node, registry.identity);
    await directory.onRegistered();
    await trust.onRegistered();
    invites.look();
    emit(isFirst ? "node.registered" : "node.reregistered", {
      address: formatAddress({ network: 0, node: registry.node }),
      endpoint: directory.listenAddr(),
    });
  }

  heartbeat(): Promise<unknown> {
    return this.#parts.registry.heartbeat();
  }
}
