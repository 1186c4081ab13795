/**
 * Where things are: home directory, socket, registry, beacon. One order of precedence for every program:
 * flag, environment, config.json, built-in default (docs/protocol/command-line.md §2).
 *
 * @module
 */

import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { PilotError } from "../../protocol/errors.ts";
import { type CommonSocket, commonSocketPath, SOCKET_NAME } from "../common_socket.ts";
import { type Config, parseConfig, type RawConfig, readRawConfig } from "./config.ts";
import {
  type Env,
  type SettingSource,
  type SettingTable,
  type Sources,
  valueOf,
} from "./setting.ts";
import { DAEMON, NO_SOCKET, PLACES, type PlaceSettings } from "./setting_table.ts";

export { type CommonSocket, SOCKET_NAME } from "../common_socket.ts";
export type { Env, SettingSource } from "./setting.ts";
export { DEFAULT_BEACON, DEFAULT_REGISTRY } from "./setting_table.ts";

/** What {@linkcode resolveSettings} works from. */
export interface SettingInput {
  /** Explicit values; they win. */
  flags?: PlaceSettings;
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
  /** The environment that they were found with. */
  readonly env: Env;
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
  const place = (name: keyof PlaceSettings, config: Config = {}) =>
    valueOf(PLACES, name, { flags, env, config });
  const given = place("home");
  const socketGiven = place("socket").value;
  let home: string;
  try {
    home = given.value === undefined
      ? resolve(userHome(), ".pilot")
      : absolute(given.value, userHome);
  } catch (error) {
    if (socketGiven === undefined) throw error;
    return homeless(input, absolute(socketGiven, userHome), error);
  }
  const configPath = flags.config === undefined
    ? join(home, "config.json")
    : absolute(flags.config, userHome);
  const rawConfig = input.rawConfig ?? readRawConfig(configPath);
  const config = withPaths(parseConfig(rawConfig, configPath), configPath, userHome);
  const socket = place("socket", config);
  const isCommon = given.source === "default" && socket.source === "default";
  const common = isCommon ? commonSocketPath(env) : undefined;
  return {
    env,
    home,
    socket: socket.value === undefined ? join(home, SOCKET_NAME) : absolute(socket.value, userHome),
    commonSocket: common && {
      path: common.path,
      home,
      identity: config.identity ?? join(home, "identity.json"),
    },
    warnings: common?.warning === undefined ? [] : [common.warning],
    configPath,
    pidPath: join(home, "pilot.pid"),
    logPath: join(home, "pilot.log"),
    config,
    rawConfig,
    ...servers({ flags, env, config }, { home: given.source, socket: socket.source }),
  };
}

/** Registry and beacon, and where they and the other values came from. */
function servers(
  sources: Sources<PlaceSettings>,
  others: Pick<Settings["sources"], "home" | "socket">,
): Pick<Settings, "registry" | "beacon" | "sources"> {
  const registry = valueOf(PLACES, "registry", sources);
  const beacon = valueOf(PLACES, "beacon", sources);
  return {
    registry: registry.value!,
    beacon: beacon.value!,
    sources: { ...others, registry: registry.source, beacon: beacon.source },
  };
}

/** Settings of a program that has a socket and no home: a request for one gets the reason why there is none. */
function homeless(input: SettingInput, socket: string, reason: unknown): Settings {
  const missing = (): never => {
    throw reason;
  };
  const { flags = {}, env = processEnv } = input;
  const { source } = valueOf(PLACES, "socket", { flags, env, config: {} });
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
    env,
    socket,
    commonSocket: undefined,
    warnings: [],
    config: {},
    rawConfig: {},
    ...servers({ flags, env, config: {} }, { home: "default", socket: source }),
  };
}

/** The user's home directory; a user without an entry in the system's list has none. */
export function userHomeOf(env: Env, systemHome: () => string | null = homedir): string {
  const found = env("HOME") || systemHome();
  if (found) return found;
  throw new PilotError("invalid_argument", "There is no home directory: HOME is not set", {
    advice: { id: "give_setting", setting: "home" },
  });
}

/** A path in a config file starts from there, wherever the program that reads it was started. */
function withPaths(config: Config, configPath: string, userHome: () => string): Config {
  const places: Record<string, unknown> = { ...config };
  for (const [name, { type }] of Object.entries({ ...PLACES, ...DAEMON } as SettingTable)) {
    const path = places[name];
    if (type.isPath !== true || typeof path !== "string" || path === NO_SOCKET) continue;
    places[name] = path.startsWith("~/")
      ? absolute(path, userHome)
      : resolve(dirname(configPath), path);
  }
  return places;
}

/** Config files are not read by a shell: `~/` is expanded here. */
export function absolute(path: string, userHome: () => string): string {
  return path.startsWith("~/") ? join(userHome(), path.slice(2)) : resolve(path);
}
