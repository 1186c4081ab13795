/**
 * Everything that decides how a daemon runs: the settings of the table, completed and checked against each other.
 *
 * @module
 */

import type { Advise } from "../../protocol/advice.ts";
import { join } from "node:path";
import { PilotError } from "../../protocol/errors.ts";
import type { PathMode } from "../../protocol/path/route.ts";
import { type Sources, valuesOf } from "./setting.ts";
import {
  DAEMON,
  type DaemonSettings,
  DEFAULT_KEEPALIVE_MS,
  NO_SOCKET,
  type PlaceSettings,
} from "./setting_table.ts";
import { absolute, resolveSettings, type Settings, userHomeOf } from "./resolve_settings.ts";

/** What a daemon that has come up reports to {@linkcode DaemonOptions.ready}. */
export interface DaemonReady {
  /** Its socket. */
  readonly socket: string;
  /** Its process id. */
  readonly pid: number;
}

/** Everything that decides how a daemon runs; made by `resolveDaemonOptions`. Paths are absolute. */
export interface DaemonOptions extends Omit<DaemonSettings, "relayOnly" | "noRelay"> {
  /** Home directory. */
  home: string;
  /** The Unix socket to serve. */
  socket: string;
  /** Registry, `host:port`. */
  registry: string;
  /** Beacon, `host:port`. */
  beacon: string;
  /**
   * Which paths to peers may be taken; default "auto". "relay-only" shows our address to no peer, "no-relay" sends
   * nothing through the beacon.
   */
  pathMode?: PathMode | undefined;
  /** How often the registry's inbox is read, milliseconds; default 2 s while a handshake is open, else 15 s. */
  pollMs?: number | undefined;
  /** Called once when the socket answers. */
  ready?: (ready: DaemonReady) => void;
  /** Puts advice into words for the log; default its id with its fields. */
  advise?: Advise;
}

/** Values of {@linkcode DaemonSettings} given on the command line; what is undefined comes from elsewhere. */
export type DaemonFlags = { [K in keyof DaemonSettings]?: DaemonSettings[K] | undefined };

/**
 * Options of a daemon within a program, as the command line would have them.
 *
 * @param given Places and settings; what is undefined comes from the environment, the config file of the home or the
 * defaults.
 * @returns Everything the daemon needs.
 * @throws {PilotError} `invalid_argument` for values that are none, `io_error` when the config file cannot be read.
 */
export function daemonOptions(given: PlaceSettings & DaemonFlags = {}): DaemonOptions {
  return resolveDaemonOptions(resolveSettings({ flags: given }), given);
}

/**
 * Completes daemon flags with the environment, the config file and the defaults.
 *
 * @param settings Resolved places.
 * @param flags What was given explicitly.
 * @returns Everything the daemon needs.
 * @throws {PilotError} `invalid_argument` when a variable holds what is no value, or what is known of the registry's
 * certificate does not suffice.
 */
export function resolveDaemonOptions(
  settings: Settings,
  flags: DaemonFlags = {},
): DaemonOptions {
  const { config, home, env } = settings;
  const sources: Sources<DaemonSettings> = { flags, env, config };
  const { relayOnly: _relayOnly, noRelay: _noRelay, ...values } = valuesOf<DaemonSettings>(
    DAEMON,
    sources,
  );
  const from = (path: string) => absolute(path, () => userHomeOf(env));
  return {
    ...values as Omit<DaemonSettings, "relayOnly" | "noRelay">,
    home,
    socket: settings.socket,
    registry: settings.registry,
    beacon: settings.beacon,
    identity: values.identity === undefined ? join(home, "identity.json") : from(values.identity),
    commonSocket: commonSocketOf(settings, values.commonSocket, from),
    keepaliveMs: values.keepaliveMs || DEFAULT_KEEPALIVE_MS, // 0 means "the default", as in existing configs
    pathMode: pathModeOf(
      flags,
      `--${DAEMON.relayOnly.flag} and --${DAEMON.noRelay.flag}`,
      "Set only one of them",
    ) ??
      pathModeOf(config, "relay_only and no_relay", "Remove one of them from config.json"),
    logFile: values.logFile && from(values.logFile),
    registryTls: registryTlsOf(values),
  };
}

/** `none` switches it off; a path of one's own is for a home that is not the default. */
function commonSocketOf(
  settings: Settings,
  given: string | undefined,
  from: (path: string) => string,
): string | undefined {
  if (given === NO_SOCKET) return undefined;
  return given === undefined ? settings.commonSocket?.path : from(given);
}

function pathModeOf(
  { relayOnly, noRelay }: {
    readonly relayOnly?: boolean | undefined;
    readonly noRelay?: boolean | undefined;
  },
  names: string,
  remedy: string,
): PathMode | undefined {
  if (relayOnly === true && noRelay === true) {
    throw new PilotError("invalid_argument", `${names} exclude each other`, { hint: `${remedy}.` });
  }
  return relayOnly === true ? "relay-only" : noRelay === true ? "no-relay" : undefined;
}

/** TLS goes without saying where a certificate is pinned, and not without one. */
function registryTlsOf(
  { registryTls, registryFingerprint }: Pick<DaemonSettings, "registryTls" | "registryFingerprint">,
): boolean {
  const isWanted = registryTls ?? registryFingerprint !== undefined;
  if (isWanted && registryFingerprint === undefined) {
    throw new PilotError(
      "invalid_argument",
      "TLS with the registry needs the fingerprint of its certificate",
      { advice: { id: "add_fingerprint" } },
    );
  }
  return isWanted;
}
