/**
 * The long-running programs behind the CLI. The executable injects them, so that the CLI itself depends on
 * neither the daemon nor the servers.
 *
 * @module
 */

import type { Advise } from "../protocol/advice.ts";
import type { PilotError } from "../protocol/errors.ts";
import type {
  DaemonOptions,
  LogFormat,
  LogLevel,
  Settings,
  UdpKind,
} from "../platform/settings/mod.ts";

/** Other beacons (`host:port`; a number and a registry to find them, its pinned certificate; the cluster's token), the relay's rate by source, the probe port. */
export interface BeaconRoleOptions {
  peers?: readonly string[] | undefined;
  id?: number | undefined;
  registry?: string | undefined;
  registryFingerprint?: string | undefined;
  token?: string | undefined;
  advertise?: string | undefined;
  relayBytesPerSecond?: number | undefined;
  probePort?: number | undefined;
  /** Implementation of its UDP socket. */
  udp?: UdpKind | undefined;
}

/** What a rendezvous says of itself when it is ready. */
export interface RendezvousReady {
  registry: string;
  beacon: string;
  store: string | null;
  pid: number;
  http: string | null;
  registry_key: string;
  tls_fingerprint: string | null;
  join_uri: string;
  join_hint: string | null;
}

/** What the rendezvous role is started with. */
export interface RendezvousRoleOptions {
  /** TCP address of the registry; port 0 takes a free one. */
  registryAddr: string;
  /** UDP address of the beacon; port 0 takes a free one. */
  beaconAddr: string;
  /** Directory of the store; undefined keeps everything in memory. */
  store: string | undefined;
  /** Start over where the database is lost. */
  newStore: boolean;
  /** Its beacon. */
  beacon?: BeaconRoleOptions;
  /** Global admin token; without one every admin request is refused. */
  adminToken?: string | undefined;
  /** Close the holes of the wire that existing clients do not need, see `CoreOptions.strict`. */
  strict: boolean;
  /** TLS for the registry: a generated certificate (default), PEM files, or none. */
  tls?: "auto" | "none" | { certFile: string; keyFile: string } | undefined;
  /** TLS only, no plain TCP. */
  tlsOnly?: boolean | undefined;
  /** Host by which others reach this machine. */
  advertise?: string | undefined;
  /** TCP address of health and metrics over HTTP. */
  http?: string | undefined;
  /** Names by which it may be asked, and whether a proxy on this machine names its clients. */
  httpAccess?: { names: readonly string[]; behindProxy: boolean } | undefined;
  /** The log of the process. */
  log: { level: LogLevel; format: LogFormat; advise: Advise };
  /** File for the log; default stderr. */
  logFile?: string | undefined;
  /** Called once when it answers. */
  ready: (ready: RendezvousReady) => void;
}

/** What a gateway says of itself when it is ready. */
export interface GatewayReady {
  pid: number;
  subnet: string;
  /** Peers as they are reached through it. */
  mappings: readonly {
    local_ip: string;
    pilot_addr: string;
    ports: readonly number[];
    skipped: readonly number[];
  }[];
}

/** What the gateway role is started with. */
export interface GatewayRoleOptions {
  /** The daemon's socket. */
  socket: string;
  /** Where it may be as well. */
  common?: Settings["commonSocket"];
  /** Subnet of the local addresses, CIDR. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports: readonly number[];
  /** Leave out those that this user may not listen on. */
  skipDenied: boolean;
  /** Peers to map at once: address, node id or hostname, optionally `=local-ip`. */
  targets: readonly string[];
  /** Called once when its targets are mapped. */
  ready: (ready: GatewayReady) => void;
  /** Called with errors of a connection or a port. */
  onError: (error: PilotError) => void;
}

/** How the store of a rendezvous is copied. */
export interface BackupRoleOptions {
  /** Directory of the store. */
  store: string;
  /** The file to make. */
  file: string;
  /** Replace a file that is there. */
  force: boolean;
}

/** What a backup holds. */
export interface BackupSummary {
  /** Bytes of the file. */
  bytes: number;
  /** Nodes in it, in any state. */
  nodes: number;
  /** Schema version of the database. */
  schema: number;
}

/** How a registry snapshot is taken over. */
export interface ImportRoleOptions {
  /** Directory of the store; it must be new or empty. */
  store: string;
  /** The snapshot, JSON. */
  file: string;
  /** Refuse a snapshot whose checksum is missing or wrong. */
  requireChecksum: boolean;
}

/** What was taken over. */
export interface ImportSummary {
  /** Records taken over, by kind. */
  counts: Record<string, number>;
  /** What was left out or changed, one sentence each. */
  warnings: string[];
}

/** Work on the store of a rendezvous that is done by a short command. */
export interface RendezvousStoreRole {
  /** Copies a store whose server may be running. */
  backup(options: BackupRoleOptions): Promise<BackupSummary>;
  /** Fills an empty store from a snapshot of an existing registry. */
  import(options: ImportRoleOptions): Promise<ImportSummary>;
}

/** Which rendezvous to ask for its status. */
export interface StatusRoleOptions {
  /** Directory of the store. */
  store: string;
  /** HTTP endpoint of the server, asked instead of the directory. */
  http: string | undefined;
}

/** Loaders of the roles: each runs in the foreground until it is stopped and returns the exit code. */
export interface Roles {
  /** The daemon. */
  daemon(): Promise<(options: DaemonOptions) => Promise<number>>;
  /** Registry and beacon. */
  rendezvous(): Promise<(options: RendezvousRoleOptions) => Promise<number>>;
  /** The status of a rendezvous in another process. */
  rendezvousStatus(): Promise<(options: StatusRoleOptions) => Promise<Record<string, unknown>>>;
  /** Backup and import of a registry's store. */
  rendezvousStore(): Promise<RendezvousStoreRole>;
  /** The TCP gateway. */
  gateway(): Promise<(options: GatewayRoleOptions) => Promise<number>>;
}
