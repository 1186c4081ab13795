/**
 * Every setting of every program, once: its type, option, variable, default and help. Command lines, `config.json`,
 * `context`, docs/SETTINGS.md and the options of the roles follow from these tables.
 *
 * @module
 */

import { PLAIN_REGISTRY, type PlainRegistry } from "../registry_exposure.ts";
import type { Setting, TableOf } from "./setting.ts";
import {
  BASE64,
  choice,
  DURATION,
  ENDPOINT,
  FINGERPRINT,
  HOSTNAME,
  integer,
  LISTEN_ENDPOINT,
  path,
  SWITCH,
  TEXT,
  TOGGLE,
} from "./setting_type.ts";

/** Levels of the log. */
export type LogLevel = "debug" | "info" | "warn" | "error";
/** Shapes of the log: `key=value` lines or JSON lines. */
export type LogFormat = "text" | "json";
/** Forms of the daemon's UDP socket; "auto" is the fastest that works. */
export type UdpKind = "auto" | "portable" | "linux";
/** Implementations of AES-256-GCM; "auto" is the fastest that works. */
export type AeadKind = "auto" | "libcrypto" | "wasm" | "node" | "noble";

/** Values of {@linkcode LogLevel}. */
export const LOG_LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
/** Values of {@linkcode LogFormat}. */
export const LOG_FORMATS: readonly LogFormat[] = ["text", "json"];
/** Values of {@linkcode UdpKind}. */
export const UDP_KINDS: readonly UdpKind[] = ["auto", "portable", "linux"];
/** Values of {@linkcode AeadKind}. */
export const AEAD_KINDS: readonly AeadKind[] = ["auto", "libcrypto", "wasm", "node", "noble"];

/** Registry when nothing is configured: this machine, so that no stray start talks to the outside. */
export const DEFAULT_REGISTRY = "127.0.0.1:9000";
/** Beacon when nothing is configured. */
export const DEFAULT_BEACON = "127.0.0.1:9001";
/** Registry heartbeat interval when nothing is configured, milliseconds (docs/protocol/registry.md §5.2). */
export const DEFAULT_KEEPALIVE_MS = 60_000;

/** In place of a path: no common socket. */
export const NO_SOCKET = "none";

/** Where things are; every program takes these. */
export interface PlaceSettings {
  /** Home directory. */
  home?: string | undefined;
  /** Path of the config file. */
  config?: string | undefined;
  /** Path of the daemon's socket. */
  socket?: string | undefined;
  /** Registry, `host:port`. */
  registry?: string | undefined;
  /** Beacon, `host:port`. */
  beacon?: string | undefined;
}

/** The table of {@linkcode PlaceSettings}. */
export const PLACES: TableOf<PlaceSettings> = {
  home: {
    ...{ type: path("dir"), flag: "home", env: "PILOT_HOME" },
    ...{ help: "Home directory", defaultText: "~/.pilot" },
  },
  config: {
    ...{ type: path("file"), flag: "config" },
    ...{ help: "Config file", defaultText: "<home>/config.json" },
  },
  socket: {
    ...{ type: path(), flag: "socket", env: "PILOT_SOCKET", inConfig: true },
    ...{ help: "The daemon's socket", defaultText: "<home>/pilot.sock" },
  },
  registry: {
    ...{ type: ENDPOINT, flag: "registry", env: "PILOT_REGISTRY", inConfig: true },
    ...{ help: "Registry", default: DEFAULT_REGISTRY },
  },
  beacon: {
    ...{ type: ENDPOINT, flag: "beacon", env: "PILOT_BEACON", inConfig: true },
    ...{ help: "Beacon", default: DEFAULT_BEACON },
  },
};

/** How a program logs. */
export interface LogSettings {
  /** Minimum level to log. */
  logLevel: LogLevel;
  /** Shape of the log. */
  logFormat: LogFormat;
  /** File for the log, bounded and reopened at SIGHUP; default stderr. */
  logFile?: string | undefined;
}

const LOG: TableOf<LogSettings> = {
  logLevel: {
    ...{ type: choice("level", LOG_LEVELS), flag: "log-level", inConfig: true },
    ...{ help: "Minimum level to log", default: "info" },
  },
  logFormat: {
    ...{ type: choice("format", LOG_FORMATS), flag: "log-format", inConfig: true },
    ...{ help: "Format of the log", default: "text" },
  },
  logFile: {
    ...{ type: path("file"), flag: "log-file", inConfig: true },
    ...{ help: "Log to this file, bounded in size, reopened at SIGHUP", defaultText: "stderr" },
  },
};

/** How a daemon runs, besides where things are. */
export interface DaemonSettings extends LogSettings {
  /** UDP address of the tunnel. */
  listen: string;
  /** Fixed public UDP endpoint, `host:port`; undefined asks the beacon. */
  endpoint: string | undefined;
  /** Reach peers through the beacon only, and show our address to none. */
  relayOnly?: boolean | undefined;
  /** Send nothing through the beacon's relay. */
  noRelay?: boolean | undefined;
  /** Speak TLS with the registry; needs `registryFingerprint`, which alone implies it. */
  registryTls?: boolean | undefined;
  /** SHA-256 of the registry's certificate, 64 lowercase hex digits. */
  registryFingerprint?: string | undefined;
  /** The registry's public key, base64: its answers must be signed with it. */
  registryKey?: string | undefined;
  /** Whether a remote registry over plain TCP causes a warning. */
  registryPlain?: PlainRegistry | undefined;
  /** Identity file. */
  identity: string;
  /** Another socket to listen on unless another daemon does, for programs that look only there. */
  commonSocket?: string | undefined;
  /** Name to register; undefined keeps the registry's. */
  hostname: string | undefined;
  /** Contact address sent with the registration. */
  email: string | undefined;
  /** Visibility to set; undefined keeps the registry's. */
  public: boolean | undefined;
  /** Accept every handshake request. */
  trustAutoApprove: boolean;
  /** Switch the echo service off. */
  noEcho: boolean;
  /** Switch messages and files off. */
  noDataExchange: boolean;
  /** Switch the event stream off. */
  noEventStream: boolean;
  /** Serve names on port 53. */
  nameserver: boolean;
  /** Registry heartbeat interval, milliseconds. */
  keepaliveMs: number;
  /** Address of `/healthz` and `/metrics`; undefined serves none. */
  http?: string | undefined;
  /** Implementation of the UDP socket. */
  udp?: UdpKind | undefined;
  /** Implementation of AES-256-GCM. */
  aead?: AeadKind | undefined;
  /** Largest stream segment that path MTU discovery goes for, 1152..65437 bytes; default 32 400. */
  mss?: number | undefined;
}

/** The form of a UDP socket; daemon, beacon and netcheck have one. */
const UDP: Setting<UdpKind> = {
  ...{ type: choice("kind", UDP_KINDS), flag: "udp", env: "PILOT_UDP", inConfig: true },
  ...{ help: "UDP socket", default: "auto" },
};

/** The table of {@linkcode DaemonSettings}. */
export const DAEMON: TableOf<DaemonSettings> = {
  listen: {
    ...{ type: LISTEN_ENDPOINT, flag: "listen", inConfig: true },
    ...{ help: "UDP address of the tunnel", default: ":0" },
  },
  endpoint: {
    ...{ type: ENDPOINT, flag: "endpoint", inConfig: true },
    ...{ help: "Fixed public UDP endpoint", defaultText: "as the beacon sees it" },
  },
  relayOnly: {
    ...{ type: SWITCH, flag: "relay-only", inConfig: true },
    help: "Reach peers through the beacon only; no peer learns our address",
  },
  noRelay: {
    ...{ type: SWITCH, flag: "no-relay", inConfig: true },
    help: "Never go through the beacon's relay",
  },
  registryTls: {
    ...{ type: SWITCH, flag: "registry-tls", inConfig: true },
    help: "Speak TLS with the registry; needs its fingerprint",
  },
  registryFingerprint: {
    ...{ type: FINGERPRINT, flag: "registry-fingerprint", inConfig: true },
    ...{ env: "PILOT_REGISTRY_FINGERPRINT" },
    help: "SHA-256 of the registry's certificate; implies TLS",
  },
  registryKey: {
    ...{ type: BASE64, flag: "registry-key", env: "PILOT_REGISTRY_KEY", inConfig: true },
    help: "Refuse answers not signed with this public key of the registry",
  },
  registryPlain: {
    ...{ type: choice("what", PLAIN_REGISTRY), flag: "registry-plain", inConfig: true },
    ...{ env: "PILOT_REGISTRY_PLAIN", default: "warn" },
    help: "What to do about a remote registry that has neither TLS nor a pinned key",
  },
  identity: {
    ...{ type: path("file"), flag: "identity", inConfig: true },
    ...{ help: "Identity file", defaultText: "<home>/identity.json" },
  },
  commonSocket: {
    ...{ type: path(), flag: "common-socket", inConfig: true },
    help: "Second socket to listen on when no other daemon does, or none",
    defaultText: "$XDG_RUNTIME_DIR/pilot.sock or /tmp/pilot.sock for the default home",
  },
  hostname: {
    ...{ type: HOSTNAME, flag: "hostname", inConfig: true },
    help: "Hostname to register",
  },
  email: {
    ...{ type: { ...TEXT, metavar: "address" }, flag: "email", inConfig: true },
    help: "Contact address sent with the registration",
  },
  public: {
    ...{ type: TOGGLE, flag: "public", inConfig: true },
    ...{ help: "Be visible to strangers", helpOff: "Be visible to trusted peers only" },
    defaultText: "as the registry has it",
  },
  trustAutoApprove: {
    ...{ type: SWITCH, flag: "trust-auto-approve", inConfig: true },
    ...{ help: "Accept every handshake request", default: false },
  },
  noEcho: {
    ...{ type: SWITCH, flag: "no-echo", inConfig: true },
    ...{ help: "Switch the echo service (port 7) off", default: false },
  },
  noDataExchange: {
    ...{ type: SWITCH, flag: "no-dataexchange", inConfig: true },
    ...{ help: "Switch messages and files (port 1001) off", default: false },
  },
  noEventStream: {
    ...{ type: SWITCH, flag: "no-eventstream", inConfig: true },
    ...{ help: "Switch the event stream (port 1002) off", default: false },
  },
  nameserver: {
    ...{ type: SWITCH, flag: "nameserver", inConfig: true },
    ...{ help: "Serve names on port 53", default: false },
  },
  keepaliveMs: {
    ...{ type: DURATION, flag: "keepalive", inConfig: true },
    ...{ help: "Registry heartbeat interval", default: DEFAULT_KEEPALIVE_MS },
  },
  ...LOG,
  http: {
    ...{ type: LISTEN_ENDPOINT, flag: "http", inConfig: true },
    ...{
      help: "TCP address of /healthz and /metrics; /metrics answers loopback only",
      defaultText: "none",
    },
  },
  udp: UDP,
  aead: {
    ...{ type: choice("kind", AEAD_KINDS), flag: "aead", env: "PILOT_AEAD", inConfig: true },
    ...{ help: "AES-256-GCM", default: "auto" },
  },
  mss: {
    ...{ type: integer("bytes", 1_152, 65_437), flag: "mss", inConfig: true },
    ...{ help: "Largest stream segment to discover", defaultText: "32400" },
  },
};
