/**
 * The long-running programs behind the CLI. The executable injects them, so that the CLI itself depends on
 * neither the daemon nor the servers.
 *
 * @module
 */

import type { DaemonOptions } from "../platform/settings.ts";

/** What the rendezvous role is started with. */
export interface RendezvousRoleOptions {
  /** TCP address of the registry; port 0 takes a free one. */
  registryAddr: string;
  /** UDP address of the beacon; port 0 takes a free one. */
  beaconAddr: string;
  /** Directory of the store; undefined keeps everything in memory. */
  store: string | undefined;
  /** Print the ready line as JSON. */
  json: boolean;
}

/** What the gateway role is started with. */
export interface GatewayRoleOptions {
  /** The daemon's socket. */
  socket: string;
  /** Subnet of the local addresses, CIDR. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports: readonly number[];
  /** Peers to map at once: address, node id or hostname, optionally `=local-ip`. */
  targets: readonly string[];
  /** Print the ready line as JSON. */
  json: boolean;
}

/** Loaders of the roles: each runs in the foreground until it is stopped and returns the exit code. */
export interface Roles {
  /** The daemon. */
  daemon(): Promise<(options: DaemonOptions) => Promise<number>>;
  /** Registry and beacon. */
  rendezvous(): Promise<(options: RendezvousRoleOptions) => Promise<number>>;
  /** The TCP gateway. */
  gateway(): Promise<(options: GatewayRoleOptions) => Promise<number>>;
}
