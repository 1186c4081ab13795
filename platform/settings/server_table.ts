/**
 * The settings of the servers that people run, rendezvous and gateway, and the variables that hold secrets. None of
 * them is in `config.json`, which belongs to a daemon's home.
 *
 * @module
 */

import type { TableOf } from "./setting.ts";
import { DAEMON, type LogSettings, type UdpKind } from "./setting_table.ts";
import { parseJoinUri, parseServerHost } from "../join_uri.ts";
import {
  ENDPOINT,
  FINGERPRINT,
  HOST_NAME,
  integer,
  LISTEN_ENDPOINT,
  path,
  type SettingType,
  SWITCH,
  TEXT,
  TOGGLE,
} from "./setting_type.ts";

/** How a rendezvous runs. */
export interface RendezvousSettings extends LogSettings {
  /** TCP address of the registry. */
  registryAddr: string;
  /** UDP address of the beacon. */
  beaconAddr: string;
  /** Host by which others reach this machine. */
  advertise?: string | undefined;
  /** Other beacons, `host:port`. */
  beaconPeers?: readonly string[] | undefined;
  /** Number among the beacons. */
  beaconId?: number | undefined;
  /** Registry that lists the beacons, or its `pilot://` URI. */
  beaconRegistry?: string | undefined;
  /** SHA-256 of its certificate. */
  beaconRegistryFingerprint?: string | undefined;
  /** File with the token of the cluster. */
  beaconTokenFile?: string | undefined;
  /** Where other beacons reach this one. */
  beaconAdvertise?: string | undefined;
  /** Bytes per second relayed for one source address. */
  relayRate?: number | undefined;
  /** UDP port that reports its endpoint to netcheck a second time; 0: none. */
  beaconProbePort?: number | undefined;
  /** Implementation of the beacon's UDP socket. */
  udp?: UdpKind | undefined;
  /** Directory of the store. */
  store?: string | undefined;
  /** Start over where the database is lost. */
  newStore: boolean;
  /** Keep everything in memory. */
  memory: boolean;
  /** File with the admin token. */
  adminTokenFile?: string | undefined;
  /** Take unsigned role claims and scores. */
  noStrict: boolean;
  /** TLS only, or no TLS. */
  tls?: boolean | undefined;
  /** PEM certificate chain. */
  tlsCert?: string | undefined;
  /** PEM private key. */
  tlsKey?: string | undefined;
  /** TCP address of `/healthz` and `/metrics`. */
  http?: string | undefined;
  /** Names by which it may be asked there. */
  httpHost?: readonly string[] | undefined;
  /** Trust what a proxy on this machine says of its clients. */
  httpBehindProxy: boolean;
}

/** Several values of one type, comma separated. */
function listOf<T>(type: SettingType<T>): SettingType<readonly T[]> {
  const parse = (text: string) => text.split(",").map((part) => type.parse(part.trim()));
  return {
    metavar: "list",
    expects: `must be a comma separated list: each ${type.expects}`,
    parse,
    fromJson: (value) => parse(String(value)),
    format: (values) => values.map((value) => type.format(value)).join(","),
  };
}

const HOST: SettingType<string> = { ...TEXT, metavar: "host", parse: parseServerHost };

const REGISTRY_OR_URI: SettingType<string> = {
  ...ENDPOINT,
  parse: (text) => {
    if (!text.startsWith("pilot:")) return ENDPOINT.parse(text);
    parseJoinUri(text);
    return text;
  },
};

const COUNT = (metavar: string) => integer(metavar, 1, Number.MAX_SAFE_INTEGER);
const PORT = integer("port", 0, 65_535);

/** The table of {@linkcode RendezvousSettings}. */
export const RENDEZVOUS: TableOf<RendezvousSettings> = {
  registryAddr: {
    ...{ type: LISTEN_ENDPOINT, flag: "registry-addr", default: "127.0.0.1:9000" },
    help: "TCP address of the registry; port 0 takes a free one",
  },
  beaconAddr: {
    ...{ type: LISTEN_ENDPOINT, flag: "beacon-addr", default: "127.0.0.1:9001" },
    help: "UDP address of the beacon; port 0 takes a free one",
  },
  advertise: {
    ...{ type: HOST, flag: "advertise" },
    help: "Name or address by which others reach this machine, for the command to join",
  },
  beaconPeers: {
    ...{ type: listOf(ENDPOINT), flag: "beacon-peers" },
    help: "host:port of other beacons, comma separated; they relay for each other",
  },
  beaconId: {
    ...{ type: COUNT("n"), flag: "beacon-id" },
    help: "Number of this beacon; with it, all beacons that a registry lists are peers",
  },
  beaconRegistry: {
    ...{ type: REGISTRY_OR_URI, flag: "beacon-registry" },
    help: "Registry that lists the beacons, or its pilot:// URI",
    defaultText: "the one of this process",
  },
  beaconRegistryFingerprint: {
    ...{ type: FINGERPRINT, flag: "beacon-registry-fingerprint" },
    help: "SHA-256 of its certificate, for TLS",
    defaultText: "from the config file if it was joined",
  },
  beaconTokenFile: {
    ...{ type: path("file"), flag: "beacon-token-file" },
    help: "Token of the cluster, mode 0600: only beacons that have it are listed and peers",
  },
  beaconAdvertise: {
    ...{ type: ENDPOINT, flag: "beacon-advertise" },
    ...{ help: "Where other beacons reach this one", defaultText: "the listen address" },
  },
  relayRate: {
    ...{ type: COUNT("bytes"), flag: "relay-rate" },
    ...{ help: "Bytes per second relayed for one source address", defaultText: "60000000" },
  },
  beaconProbePort: {
    ...{ type: PORT, flag: "beacon-probe-port" },
    help: "UDP port that reports netcheck's endpoint a second time, 0: none",
    defaultText: "beacon port + 1",
  },
  udp: { ...DAEMON.udp, help: "UDP socket of the beacon" },
  store: {
    ...{ type: path("dir"), flag: "store" },
    ...{ help: "Directory of the store", defaultText: "<home>/rendezvous" },
  },
  newStore: {
    ...{ type: SWITCH, flag: "new-store", default: false },
    help:
      "Start once with an empty database, where the old one is lost but the registry's key is not",
  },
  memory: {
    ...{ type: SWITCH, flag: "memory", default: false },
    help: "Keep everything in memory; nothing is stored",
  },
  adminTokenFile: {
    ...{ type: path("file"), flag: "admin-token-file" },
    help: "Admin token, in a file with mode 0600; without one no admin request is served",
    defaultText: "PILOT_ADMIN_TOKEN",
  },
  noStrict: {
    ...{ type: SWITCH, flag: "no-strict", default: false },
    help: "Accept unsigned role claims and scores, as existing clients send them",
  },
  tls: {
    ...{ type: TOGGLE, flag: "tls" },
    help:
      "Serve the registry over TLS only; generates and stores a certificate unless --tls-cert is given",
    ...{ helpOff: "Serve the registry over plain TCP only", defaultText: "both" },
  },
  tlsCert: {
    ...{ type: path("file"), flag: "tls-cert" },
    help: "PEM certificate chain, the server's own first; implies --tls",
  },
  tlsKey: { ...{ type: path("file"), flag: "tls-key" }, help: "Its PEM private key" },
  http: DAEMON.http,
  httpHost: {
    ...{ type: listOf(HOST_NAME), flag: "http-host" },
    help: "Host names accepted in HTTP requests, comma separated",
    defaultText: "IP addresses, localhost",
  },
  httpBehindProxy: {
    ...{ type: SWITCH, flag: "http-behind-proxy", default: false },
    help: "Trust X-Real-IP, X-Forwarded-For and Forwarded of a proxy on this machine",
  },
  logLevel: DAEMON.logLevel,
  logFormat: DAEMON.logFormat,
  logFile: DAEMON.logFile,
};

/** How a gateway runs. */
export interface GatewaySettings {
  /** Subnet of the local addresses, CIDR. */
  subnet: string;
  /** TCP ports forwarded for every mapping. */
  ports?: readonly number[] | undefined;
}

/** Ports forwarded when none are named, those of them that the user may listen on. */
export const DEFAULT_GATEWAY_PORTS: readonly number[] = [80, 443, 1000, 1001, 1002, 7, 8080, 8443];

/** The table of {@linkcode GatewaySettings}. */
export const GATEWAY: TableOf<GatewaySettings> = {
  // Loopback addresses need neither set-up nor rights on Linux (docs/protocol/command-line.md §6).
  subnet: {
    ...{ type: { ...TEXT, metavar: "cidr" }, flag: "subnet", default: "127.77.0.0/16" },
    help: "Local addresses",
  },
  ports: {
    ...{ type: listOf(PORT), flag: "ports" },
    help: "TCP ports, comma separated",
    defaultText: `those of ${DEFAULT_GATEWAY_PORTS.join(",")} that this user may listen on`,
  },
};

/** What is read from variables only, as command lines can be read by every user of a machine. */
export interface SecretSettings {
  /** Admin token of the rendezvous that is run. */
  adminToken?: string | undefined;
  /** Token of a network. */
  networkToken?: string | undefined;
}

/** The table of {@linkcode SecretSettings}. */
export const SECRETS: TableOf<SecretSettings> = {
  adminToken: {
    ...{ type: TEXT, env: "PILOT_ADMIN_TOKEN", isSecret: true },
    help: "Admin token of the rendezvous that is run",
  },
  networkToken: {
    ...{ type: TEXT, env: "PILOT_NETWORK_TOKEN", isSecret: true },
    help: "Token of a network, for the network commands",
  },
};
