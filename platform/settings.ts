/**
 * Where things are: home directory, socket, registry, beacon. One order of precedence for every program:
 * flag, environment, config.json, built-in default (services-cli.md §6.3).
 *
 * @module
 */

import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { type CommonSocket, commonSocketPath, SOCKET_NAME } from "./common_socket.ts";
import {
  type Config,
  type LogFormat,
  type LogLevel,
  parseConfig,
  type RawConfig,
  readRawConfig,
  updateConfigFile,
} from "./config.ts";
import { PilotError } from "../protocol/errors.ts";
import type { PathMode } from "../protocol/path/route.ts";
import { parseDuration } from "./duration.ts";
import { parseFingerprint } from "./fingerprint.ts";
import { PLAIN_REGISTRY, type PlainRegistry } from "./registry_exposure.ts";

/** Registry when nothing is configured: this machine, so that no stray start talks to the outside. */
export const DEFAULT_REGISTRY = "127.0.0.1:9000";
/** Beacon when nothing is configured. */
export const DEFAULT_BEACON = "127.0.0.1:9001";
export { type CommonSocket, SOCKET_NAME } from "./common_socket.ts";

/** Where a value came from. */
export type SettingSource = "flag" | "environment" | "config" | "default";

/** The environment, as a function so that tests need not change the real one. */
export type Env = (name: string) => string | undefined;

/** Values given on the command line or by a program. */
export interface SettingFlags {
  /** Home directory. */
  home?: string | undefined;
  /** Path of the config file, default `<home>/config.json`. */
  config?: string | undefined;
  /** Path of the daemon's socket. */
  socket?: string | undefined;
  /** Registry, `host:port`. */
  registry?: string | undefined;
  /** Beacon, `host:port`. */
  beacon?: string | undefined;
}

/** What {@linkcode resolveSettings} works from. */
export interface SettingInput {
  /** Explicit values; they win. */
  flags?: SettingFlags;
  /** The environment; default the process's own. */
  env?: Env;
  /** In place of the config file's content, for those who look into why that cannot be used. */
  rawConfig?: RawConfig;
  /** The user's home directory as the system knows it, asked when `HOME` is not set; null when there is none. */
  systemHome?: () => string | null;
}

/**
 * Resolved places. All paths are absolute. Without any home directory, but with a socket given, those within the home
 * throw `invalid_argument` when they are read: what needs only the socket works.
 */
export interface Settings {
  /** Home directory, default `~/.pilot`. */
  readonly home: string;
  /** The daemon's Unix socket. */
  readonly socket: string;
  /** Where a daemon of the default home listens too, and is looked for when none answers; undefined with a given socket or home. */
  readonly commonSocket: CommonSocket | undefined;
  /** What is odd about the environment, one sentence each. */
  readonly warnings: readonly string[];
  /** Registry, `host:port`. */
  readonly registry: string;
  /** Beacon, `host:port`. */
  readonly beacon: string;
  /** The config file, which need not exist. */
  readonly configPath: string;
  /** The daemon's pid file. */
  readonly pidPath: string;
  /** The log of a daemon started in the background. */
  readonly logPath: string;
  /** The known keys of the config file. */
  readonly config: Config;
  /** The config file as it is, unknown keys included. */
  readonly rawConfig: RawConfig;
  /** Where each value came from. */
  readonly sources: Readonly<
    Record<"home" | "socket" | "registry" | "beacon", SettingSource>
  >;
}

/** What a daemon that has come up tells {@linkcode DaemonOptions.ready}. */
export interface DaemonReady {
  /** Its socket. */
  readonly socket: string;
  /** Its process id. */
  readonly pid: number;
}

/** Forms of the daemon's UDP socket; "auto" is the fastest that works. */
export type UdpKind = "auto" | "portable" | "linux";
/** Forms of the daemon's AES-256-GCM; "auto" is the fastest that works. */
export type AeadKind = "auto" | "libcrypto" | "wasm" | "node" | "noble";

/** Values of {@linkcode UdpKind}. */
export const UDP_KINDS: readonly UdpKind[] = ["auto", "portable", "linux"];
/** Values of {@linkcode AeadKind}. */
export const AEAD_KINDS: readonly AeadKind[] = ["auto", "libcrypto", "wasm", "node", "noble"];

/** Everything that decides how a daemon runs; made by `resolveDaemonOptions`. Paths are absolute. */
export interface DaemonOptions {
  /** Home directory. */
  home: string;
  /** The Unix socket to serve. */
  socket: string;
  /** Another place to listen at unless somebody else does, for programs that look only there. */
  commonSocket?: string | undefined;
  /** Registry, `host:port`. */
  registry: string;
  /** Beacon, `host:port`. */
  beacon: string;
  /** UDP address of the tunnel, default `:0` (all interfaces, any port). */
  listen: string;
  /** Identity file, default `<home>/identity.json`. */
  identity: string;
  /** Name to register; undefined keeps the registry's. */
  hostname: string | undefined;
  /** Visibility to set; undefined keeps the registry's. */
  public: boolean | undefined;
  /** Contact address sent with the registration. */
  email: string | undefined;
  /** Accept every handshake request. */
  trustAutoApprove: boolean;
  /** Switch the echo service off. */
  noEcho: boolean;
  /** Switch messages and files off. */
  noDataExchange: boolean;
  /** Switch the event stream off. */
  noEventStream: boolean;
  /** Serve names on port 53; default off. */
  nameserver: boolean;
  /** Registry heartbeat interval, milliseconds; default 60 000. */
  keepaliveMs: number;
  /** Fixed public UDP endpoint, `host:port`; undefined asks the beacon. */
  endpoint: string | undefined;
  /**
   * Which ways to peers may be taken; default "auto". "relay-only" shows our address to no peer, "no-relay" sends
   * nothing through the beacon.
   */
  pathMode?: PathMode | undefined;
  /** Least level that is logged. */
  logLevel: LogLevel;
  /** Shape of the log. */
  logFormat: LogFormat;
  /** File for the log, bounded and opened anew at SIGHUP; default stderr. */
  logFile?: string | undefined;
  /** Speak TLS with the registry; needs `registryFingerprint`, which alone implies it. */
  registryTls?: boolean | undefined;
  /** SHA-256 of the registry's certificate, 64 lowercase hex digits; default environment `PILOT_REGISTRY_FINGERPRINT`. */
  registryFingerprint?: string | undefined;
  /** The registry's public key, base64: its answers must be signed with it; default environment `PILOT_REGISTRY_KEY`. */
  registryKey?: string | undefined;
  /** Whether a plain registry off this machine is worth a warning; default environment `PILOT_REGISTRY_PLAIN`, then "warn". */
  registryPlain?: PlainRegistry | undefined;
  /** Form of the UDP socket; default environment `PILOT_UDP`, then "auto". */
  udp?: UdpKind | undefined;
  /** Form of AES-256-GCM; default environment `PILOT_AEAD`, then "auto". */
  aead?: AeadKind | undefined;
  /** Largest stream segment that path MTU discovery goes for, 1152..65437 bytes; default 32 400. */
  mss?: number | undefined;
  /** How often the registry's inbox is read, milliseconds; default 2 s while a handshake is open, else 15 s. */
  pollMs?: number | undefined;
  /** Called once when the socket answers. */
  ready?: (ready: DaemonReady) => void;
}

/** Values of {@linkcode DaemonOptions} given on the command line; what is undefined comes from the config. */
export type DaemonFlags = {
  [
    K in Exclude<
      keyof DaemonOptions,
      "home" | "socket" | "registry" | "beacon" | "ready"
    >
  ]?:
    | DaemonOptions[K]
    | undefined;
};

/** Heartbeat interval when nothing is configured, milliseconds (daemon.md §4.4). */
export const DEFAULT_KEEPALIVE_MS = 60_000;

const processEnv: Env = (name) => process.env[name];

/**
 * Finds out where everything is.
 *
 * @param input Flags and environment.
 * @returns The places, each with its source.
 * @throws {PilotError} `invalid_argument` when the config file is not valid or there is no home directory, `io_error`
 * when the file cannot be read.
 */
export function resolveSettings(input: SettingInput = {}): Settings {
  const flags = input.flags ?? {};
  const env = input.env ?? processEnv;
  const userHome = () => userHomeOf(env, input.systemHome);
  const [homeText, homeSource] = pick(
    flags.home,
    env("PILOT_HOME"),
    undefined,
    "",
  );
  const [given] = pick(flags.socket, env("PILOT_SOCKET"), undefined, "");
  let home: string;
  try {
    home = homeSource === "default" ? resolve(userHome(), ".pilot") : absolute(homeText, userHome);
  } catch (error) {
    if (given === "") throw error;
    return homeless(input, absolute(given, userHome), error);
  }
  const configPath = flags.config === undefined
    ? join(home, "config.json")
    : absolute(flags.config, userHome);
  const rawConfig = input.rawConfig ?? readRawConfig(configPath);
  const config = parseConfig(rawConfig, configPath);
  const [socket, socketSource] = pick(
    flags.socket,
    env("PILOT_SOCKET"),
    inConfig(config.socket, configPath, userHome),
    join(home, SOCKET_NAME),
  );
  const isCommon = homeSource === "default" && socketSource === "default";
  const common = isCommon ? commonSocketPath(env) : undefined;
  return {
    home,
    socket: absolute(socket, userHome),
    commonSocket: common && {
      path: common.path,
      home,
      identity: identityPath(config, configPath, home, userHome),
    },
    warnings: common?.warning === undefined ? [] : [common.warning],
    configPath,
    pidPath: join(home, "pilot.pid"),
    logPath: join(home, "pilot.log"),
    config,
    rawConfig,
    ...servers(flags, env, config, { home: homeSource, socket: socketSource }),
  };
}

/** Registry and beacon, and where they and the other values came from. */
function servers(
  flags: SettingFlags,
  env: Env,
  config: Config,
  others: Pick<Settings["sources"], "home" | "socket">,
): Pick<Settings, "registry" | "beacon" | "sources"> {
  const [registry, registrySource] = pick(
    flags.registry,
    env("PILOT_REGISTRY"),
    config.registry,
    DEFAULT_REGISTRY,
  );
  const [beacon, beaconSource] = pick(
    flags.beacon,
    env("PILOT_BEACON"),
    config.beacon,
    DEFAULT_BEACON,
  );
  return {
    registry,
    beacon,
    sources: { ...others, registry: registrySource, beacon: beaconSource },
  };
}

/** Settings of a program that has a socket and no home: whoever asks for one hears why there is none. */
function homeless(input: SettingInput, socket: string, reason: unknown): Settings {
  const missing = (): never => {
    throw reason;
  };
  const { flags = {}, env = processEnv } = input;
  const source = flags.socket ? "flag" : "environment";
  return {
    get home() {
      return missing();
    },
    get configPath() {
      return missing();
    },
    get pidPath() {
      return missing();
    },
    get logPath() {
      return missing();
    },
    socket,
    commonSocket: undefined,
    warnings: [],
    config: {},
    rawConfig: {},
    ...servers(flags, env, {}, { home: "default", socket: source }),
  };
}

/** The user's home directory; a user without an entry in the system's list has none. */
function userHomeOf(env: Env, systemHome: () => string | null = homedir): string {
  const found = env("HOME") || systemHome();
  if (found) return found;
  throw new PilotError("invalid_argument", "There is no home directory: HOME is not set", {
    hint: "Give --home DIR, or set PILOT_HOME.",
  });
}

function identityPath(
  config: Config,
  configPath: string,
  home: string,
  userHome: () => string,
): string {
  return absolute(
    inConfig(config.identity, configPath, userHome) || join(home, "identity.json"),
    userHome,
  );
}

/**
 * Completes daemon flags with the config file and the defaults.
 *
 * @param settings Resolved places.
 * @param flags What was given explicitly.
 * @returns Everything the daemon needs.
 * @throws {PilotError} `invalid_argument` when `PILOT_UDP`, `PILOT_AEAD` or `PILOT_REGISTRY_PLAIN` is not a known kind, or what is known of the
 * registry's certificate does not suffice.
 */
export function resolveDaemonOptions(
  settings: Settings,
  flags: DaemonFlags = {},
): DaemonOptions {
  const { config, home } = settings;
  const userHome = () => userHomeOf(processEnv);
  const keepalive = config.keepalive;
  return {
    home,
    socket: settings.socket,
    registry: settings.registry,
    beacon: settings.beacon,
    listen: flags.listen ?? config.listen ?? ":0",
    commonSocket: commonSocketOf(settings, flags.commonSocket),
    identity: flags.identity
      ? absolute(flags.identity, userHome)
      : identityPath(config, settings.configPath, home, userHome),
    hostname: flags.hostname ?? config.hostname,
    public: flags.public ?? config.public,
    email: flags.email ?? config.email,
    trustAutoApprove: flags.trustAutoApprove ?? config.trust_auto_approve ??
      false,
    noEcho: flags.noEcho ?? config.no_echo ?? false,
    noDataExchange: flags.noDataExchange ?? config.no_dataexchange ?? false,
    noEventStream: flags.noEventStream ?? config.no_eventstream ?? false,
    nameserver: flags.nameserver ?? config.nameserver ?? false,
    keepaliveMs: (flags.keepaliveMs ??
      (keepalive === undefined ? 0 : parseDuration(String(keepalive)))) ||
      DEFAULT_KEEPALIVE_MS, // 0 means "the default", as in existing configs
    endpoint: flags.endpoint ?? config.endpoint,
    pathMode: flags.pathMode ?? configPathMode(config),
    logLevel: flags.logLevel ?? config.log_level ?? "info",
    logFormat: flags.logFormat ?? config.log_format ?? "text",
    logFile: flags.logFile && absolute(flags.logFile, userHome),
    ...registryPins(config, flags),
    udp: udpKind(flags.udp),
    aead: flags.aead ?? envChoice("PILOT_AEAD", AEAD_KINDS, "auto"),
    mss: flags.mss,
  };
}

/** `none` switches it off; a path of one's own is for a home that is not the default. */
function commonSocketOf(settings: Settings, flag: string | undefined): string | undefined {
  if (flag === "none") return undefined;
  return flag === undefined
    ? settings.commonSocket?.path
    : absolute(flag, () => userHomeOf(processEnv));
}

function configPathMode({ relay_only, no_relay }: Config): PathMode | undefined {
  if (relay_only === true && no_relay === true) {
    throw new PilotError("invalid_argument", "relay_only and no_relay exclude each other", {
      hint: "Take one of them out of config.json.",
    });
  }
  return relay_only === true ? "relay-only" : no_relay === true ? "no-relay" : undefined;
}

/** What must be true of the registry, besides its address. */
function registryPins(
  config: Config,
  flags: DaemonFlags,
): Pick<DaemonOptions, "registryTls" | "registryFingerprint" | "registryKey" | "registryPlain"> {
  const [key] = pick(flags.registryKey, processEnv("PILOT_REGISTRY_KEY"), config.registry_key, "");
  const [fingerprint] = pick(
    flags.registryFingerprint,
    processEnv("PILOT_REGISTRY_FINGERPRINT"),
    config.registry_fingerprint,
    "",
  );
  const registryTls = flags.registryTls ?? config.registry_tls ?? fingerprint !== "";
  if (registryTls && fingerprint === "") {
    throw new PilotError(
      "invalid_argument",
      "TLS with the registry needs the fingerprint of its certificate",
      { hint: "Give --registry-fingerprint; `pilotctl rendezvous status` shows it on the server." },
    );
  }
  return {
    registryTls,
    registryFingerprint: fingerprint === "" ? undefined : parseFingerprint(fingerprint),
    registryKey: key === "" ? undefined : key,
    registryPlain: flags.registryPlain ??
      envChoice("PILOT_REGISTRY_PLAIN", PLAIN_REGISTRY, config.registry_plain ?? "warn"),
  };
}

/**
 * The form of UDP socket that is wanted.
 *
 * @param flag As given on the command line; default the environment's `PILOT_UDP`, then "auto".
 * @returns The form.
 * @throws {PilotError} `invalid_argument` when `PILOT_UDP` is none.
 */
export function udpKind(flag: UdpKind | undefined): UdpKind {
  return flag ?? envChoice("PILOT_UDP", UDP_KINDS, "auto");
}

/** A variable that must be one of `kinds`, when it is set. */
function envChoice<T extends string>(name: string, kinds: readonly T[], otherwise: T): T {
  const value = processEnv(name) || otherwise;
  const kind = kinds.find((known) => known === value);
  if (kind === undefined) {
    throw new PilotError("invalid_argument", `${name} is "${value}"`, {
      hint: `It must be one of ${kinds.join(", ")}.`,
    });
  }
  return kind;
}

/**
 * Changes keys of a home's `config.json`, atomically and with mode 0600.
 *
 * @param home Home directory.
 * @param patch New values; undefined removes a key.
 * @returns The whole object now in the file.
 * @throws {PilotError} `invalid_argument` or `io_error`.
 */
export function updateConfig(
  home: string,
  patch: RawConfig,
): Promise<RawConfig> {
  return updateConfigFile(join(home, "config.json"), patch);
}

/** First of flag, environment, config, default that is there; empty strings count as not there. */
function pick(
  flag: string | undefined,
  env: string | undefined,
  config: string | undefined,
  fallback: string,
): [string, SettingSource] {
  if (flag) return [flag, "flag"];
  if (env) return [env, "environment"];
  if (config) return [config, "config"];
  return [fallback, "default"];
}

/** A path in a config file starts from there, wherever the program that reads it was started. */
function inConfig(
  path: string | undefined,
  configPath: string,
  userHome: () => string,
): string | undefined {
  if (path === undefined || path === "") return path;
  return path.startsWith("~/") ? absolute(path, userHome) : resolve(dirname(configPath), path);
}

/** Config files are not read by a shell: `~/` is expanded here. */
function absolute(path: string, userHome: () => string): string {
  return path.startsWith("~/") ? join(userHome(), path.slice(2)) : resolve(path);
}
