/**
 * The daemon as a process: log, pid file, signals, exit.
 *
 * @module
 */

import { join } from "node:path";
import type { DaemonHealth, DaemonInfo } from "../protocol/ipc/mod.ts";
import { onHangup } from "../platform/hangup.ts";
import { LogFile } from "../platform/log_file.ts";
import { acquirePidFile } from "../platform/pidfile.ts";
import { configureLog, getLogger, LOG_CATEGORY } from "../platform/log.ts";
import { PIN_REGISTRY, registryWarning } from "../platform/registry_exposure.ts";
import type { DaemonOptions } from "../platform/settings/mod.ts";
import { Daemon } from "./daemon.ts";
import { openHome } from "./home.ts";

/** A daemon that runs in this process. */
export interface RunningDaemon extends AsyncDisposable {
  /** Everything about it, as `pilotctl info --json` shows it (docs/protocol/local-socket.md §7). */
  info(): DaemonInfo;
  /** The short form. */
  health(): DaemonHealth;
  /** Ends it in order: what open connections hold is delivered first, within two seconds. */
  stop(): Promise<void>;
}

const STOP_SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK"]
  : ["SIGINT", "SIGTERM"];

/**
 * Starts a daemon within this process. When it resolves, its socket answers; registration continues in the background.
 * The log is the caller's to set up.
 *
 * @param options See {@linkcode DaemonOptions}.
 * @returns The running daemon.
 * @throws {PilotError} `already_exists` when another daemon serves the socket or the UDP port is taken,
 * `invalid_argument` for damaged state files, `denied` for files that others may read, `io_error`.
 */
export async function startDaemon(options: DaemonOptions): Promise<RunningDaemon> {
  return await start(options);
}

async function start(options: DaemonOptions): Promise<Daemon> {
  const daemon = await Daemon.start(options);
  const warning = registryWarning(options);
  if (warning !== undefined) {
    getLogger([LOG_CATEGORY, "daemon"]).warn(warning, { advice: PIN_REGISTRY });
  }
  return daemon;
}

/**
 * Runs a daemon in the foreground until it is stopped by SIGINT, SIGTERM or the end of its terminal. SIGHUP makes
 * one without a terminal reopen its log file.
 *
 * @param options See {@linkcode DaemonOptions}.
 * @returns The exit code, 0 after an orderly stop.
 * @throws {PilotError} When it cannot start, as {@linkcode startDaemon}.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const { foreignOwner } = await openHome(options); // before anything is written there, the log and the pid file too
  const logFile = options.logFile === undefined
    ? undefined
    : new LogFile({ path: options.logFile });
  configureLog({
    level: options.logLevel,
    format: options.logFormat,
    advise: options.advise,
    write: logFile && ((line) => logFile.write(line.slice(0, -1))),
  });
  const log = getLogger([LOG_CATEGORY, "daemon"]);
  if (foreignOwner !== undefined) {
    log.warn("the home belongs to another user, who can change what this process does as root", {
      home: options.home,
      uid: foreignOwner,
    });
  }
  await using _pidFile = await acquirePidFile(join(options.home, "pilot.pid"));
  const stop = Promise.withResolvers<string>();
  const listeners = STOP_SIGNALS.map((signal) => {
    const listener = () => stop.resolve(signal);
    Deno.addSignalListener(signal, listener);
    return () => Deno.removeSignalListener(signal, listener);
  });
  listeners.push(onHangup({
    stop: () => stop.resolve("SIGHUP"),
    reopen: logFile && (() => {
      logFile.reopen();
      log.info("log reopened", { signal: "SIGHUP" });
    }),
  }));
  try {
    await using daemon = await start(options);
    log.info("daemon running", { socket: options.socket, udp: daemon.socket.local.port });
    log.info("daemon stopping", { signal: await stop.promise });
  } finally {
    for (const remove of listeners) remove();
  }
  return 0;
}
