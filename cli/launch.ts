/**
 * A process in the background with its output in a file.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { PilotError } from "../protocol/errors.ts";
import { keepInheritedFds } from "../platform/inherited_fds.ts";
import { writeAnyway } from "../platform/log.ts";
import { PRIVATE_FILE_MODE } from "../platform/private_files.ts";

/** How a process ended. */
export interface ProcessEnd {
  /** Exit code; null when a signal ended it or it could not be started. */
  code: number | null;
  /** The signal that ended it. */
  signal: string | null;
  /** Why it could not be started. */
  error?: Error;
}

/** A process that was started. */
export interface LaunchedProcess {
  /** Its id; undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** Ends it at once. */
  kill(): void;
  /** Lets this program end before it. */
  unref(): void;
}

/** What its command line begins with: existing tools find a daemon by that (docs/protocol/command-line.md §5). */
const ARGV0 = "pilot-daemon";

/** Starts a process: program and arguments, file for its output. */
export type Launch = (command: readonly string[], logPath: string) => LaunchedProcess;

/**
 * Starts a process in a session of its own, so that it outlives this program and its terminal. It gets none of the
 * descriptors that this program was started with.
 *
 * @param command Program and arguments.
 * @param logPath File that gets its output at the end; created with mode 0600.
 * @returns The process.
 * @throws {PilotError} `io_error` when the file cannot be opened.
 */
export function launch(command: readonly string[], logPath: string): LaunchedProcess {
  let log: number | undefined;
  try {
    log = openSync(logPath, "a", PRIVATE_FILE_MODE);
    const trouble = keepInheritedFds();
    if (trouble !== undefined) {
      writeAnyway(log, `warning: descriptors of the caller stay open in the daemon: ${trouble}`);
    }
    const child = spawn(command[0]!, command.slice(1), {
      argv0: ARGV0,
      detached: true,
      stdio: ["ignore", log, log],
      cwd: "/", // keeps no directory busy; every path it gets is absolute
    });
    return {
      pid: child.pid,
      ended: new Promise((resolve) => {
        child.once("exit", (code, signal) => resolve({ code, signal }));
        child.once("error", (error) => resolve({ code: null, signal: null, error }));
      }),
      kill: () => void child.kill("SIGKILL"),
      unref: () => child.unref(),
    };
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot start a process with its log in ${logPath}`);
  } finally {
    if (log !== undefined) closeSync(log);
  }
}
