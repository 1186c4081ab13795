/**
 * The daemon as a process of its own: start it in the background, find it, stop it (docs/protocol/command-line.md §5).
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import process from "node:process";
import type { ErrorCode } from "../protocol/errors.ts";
import { PilotError } from "../protocol/errors.ts";
import { ensurePrivateDir, errorCode, exists } from "../platform/private_files.ts";
import { checkPrivateDir } from "../platform/private_dir.ts";
import { readPidFile, removePidFile } from "../platform/pidfile.ts";
import type { Settings } from "../platform/settings/mod.ts";
import { CommandFailure } from "./command_failure.ts";
import { launch, type ProcessEnd } from "./launch.ts";
import { lines as textLines } from "./terminal_text.ts";
import { plainClock } from "../platform/clock.ts";
import { Deadline, pause, unlessAborted } from "../platform/waiting.ts";
import { ERROR_MEANINGS, errorCodeOfExit } from "./exit_codes.ts";
import type { Invocation } from "./invocation.ts";

/** Pause between looks at a daemon that comes up or goes down, milliseconds: a tenth of what starting takes. */
const POLL_MS = 20;
/** Longest wait for an answer of a socket that accepts, milliseconds. */
const PROBE_TIMEOUT_MS = 2000;
/** After SIGTERM this long, milliseconds, a daemon is killed. */
export const STOP_TIMEOUT_MS = 10_000;
/** A killed process is gone within this, milliseconds, or never. */
const KILL_TIMEOUT_MS = 2000;
/** Bytes of the log's end that are looked at after a failed start. */
const LOG_TAIL_BYTES = 64 * 1024;
/** Log lines shown after a failed start. */
const LOG_TAIL_LINES = 10;

/** A JSON object of the daemon. */
type Json = Record<string, unknown>;

/** Where a daemon is looked for. */
export type DaemonPlace = Pick<Settings, "socket"> & Partial<Pick<Settings, "commonSocket">>;

/**
 * Asks the daemon for its info.
 *
 * @param call The running command.
 * @param place Its socket, and the common one when that may be its as well.
 * @returns Its answer; undefined when nobody answers who is meant.
 */
export async function probeInfo(
  call: Invocation,
  { socket, commonSocket: common }: DaemonPlace,
): Promise<Json | undefined> {
  const connect = call.host.connect ?? (await import("../sdk/mod.ts")).connect;
  const limit = new Deadline(plainClock, PROBE_TIMEOUT_MS);
  try {
    const driver = await connect({ socket, common, signal: limit.signal });
    try {
      return { ...await unlessAborted(limit.signal, driver.info()) };
    } finally {
      await driver.close();
    }
  } catch {
    return undefined; // absent, starting, stopping or wedged: all mean that nobody answers now
  } finally {
    limit.clear();
  }
}

/** A daemon that has come up. */
export interface StartedDaemon {
  /** Its process id. */
  pid: number;
  /** Its first `info`. */
  info: Json;
}

/**
 * Starts the daemon in its own session, with its output in the log file, and waits until its socket answers.
 *
 * @param call The running command.
 * @param settings Where everything is.
 * @param args Arguments of `daemon run`; they hold no secrets.
 * @param timeoutMs Longest wait.
 * @returns The daemon.
 * @throws {PilotError} `already_exists`; the child's own error when it dies; `timeout`.
 */
export async function startDaemon(
  call: Invocation,
  settings: Settings,
  args: readonly string[],
  timeoutMs: number,
): Promise<StartedDaemon> {
  const running = await readPidFile(settings.pidPath);
  const socket = running === undefined ? await servedSocket(call, settings) : settings.socket;
  if (socket !== undefined) {
    throw new PilotError(
      "already_exists",
      `A daemon is already running${running === undefined ? "" : ` (pid ${running})`} on ${socket}`,
      {
        hint: "See: pilotctl daemon status. To run another agent, give it its own home: --home DIR",
      },
    );
  }
  await ensurePrivateDir(settings.home);
  await checkPrivateDir({ what: "Home directory", path: settings.home }); // before a log is written there
  const logStart = await fileSize(settings.logPath);
  const child = (call.host.launch ?? launch)([...call.host.self, ...args], settings.logPath);
  let end: ProcessEnd | undefined;
  const wake = new AbortController();
  child.ended.then((value) => {
    end = value;
    wake.abort();
  });
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline && !call.signal.aborted) {
    await pause(plainClock, POLL_MS, wake.signal);
    if (end !== undefined) throw await startFailure(end, settings, logStart);
    const info = await probeInfo(call, { socket: settings.socket });
    // Another daemon, which may report no pid, may just have taken the socket; ours will say so and end.
    if (info !== undefined && child.pid !== undefined && info.pid === child.pid) {
      child.unref();
      return { pid: child.pid, info };
    }
  }
  child.kill();
  await child.ended;
  await removePidFile(settings.pidPath);
  throw new PilotError(
    call.signal.aborted ? "aborted" : "timeout",
    call.signal.aborted
      ? "Interrupted while the daemon was starting"
      : `The daemon did not answer on ${settings.socket} within ${timeoutMs / 1000} s`,
    { hint: `See ${settings.logPath}` },
  );
}

/** Where a daemon answers that is in the way of this home's: at its socket, or with its key at the common one. */
async function servedSocket(call: Invocation, settings: Settings): Promise<string | undefined> {
  if (await probeInfo(call, { socket: settings.socket }) !== undefined) return settings.socket;
  const { commonSocket: common } = settings;
  if (common === undefined || !await exists(common.identity)) return undefined;
  return await probeInfo(call, settings) === undefined ? undefined : common.path;
}

async function startFailure(
  end: ProcessEnd,
  settings: Settings,
  logStart: number,
): Promise<PilotError> {
  await removePidFile(settings.pidPath); // only when nobody holds it
  const lines = await logTail(settings.logPath, logStart);
  const said = finalError(lines);
  const code: ErrorCode = end.code === null || end.code === 0
    ? "internal"
    : errorCodeOfExit(end.code);
  // A process that could not even write its log usually has a full disk: only its exit code is left.
  const isSilent = said.message === undefined && said.others.length === 0;
  const how = end.error !== undefined
    ? end.error.message
    : end.signal !== null
    ? `ended by ${end.signal}`
    : isSilent && code !== "internal"
    ? `${ERROR_MEANINGS[code].meaning} (exit code ${end.code}), and it could not write its log`
    : `exit code ${end.code}`;
  const elsewhere = isSilent
    ? "Run it in the foreground to see why: pilotctl daemon run. Is the disk full? See: pilotctl doctor"
    : `The whole log is in ${settings.logPath}`;
  const log = said.others.slice(-LOG_TAIL_LINES);
  return new CommandFailure(code, `The daemon did not start: ${said.message ?? how}`, {
    hint: said.hint ?? elsewhere,
    data: { log_file: settings.logPath, log },
    ...(log.length === 0 ? {} : { notes: textLines(["last log lines:", ...log], "\n  ") }),
  });
}

/** Finds the `error:` and `hint:` lines with which every failing command of ours ends. */
function finalError(lines: readonly string[]): {
  message: string | undefined;
  hint: string | undefined;
  others: string[];
} {
  let message: string | undefined;
  let hint: string | undefined;
  const others: string[] = [];
  for (const line of lines) {
    if (line.startsWith("error: ")) message = line.slice("error: ".length).trim();
    else if (line.startsWith("hint: ")) hint = line.slice("hint: ".length).trim();
    else if (line.trim() !== "") others.push(line);
  }
  return { message, hint, others };
}

async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0; // no log yet
  }
}

async function logTail(path: string, start: number): Promise<string[]> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const from = Math.max(start > size ? 0 : start, size - LOG_TAIL_BYTES); // smaller: a new one was begun
      const buffer = new Uint8Array(Math.max(0, size - from));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
      return new TextDecoder().decode(buffer.subarray(0, bytesRead)).split("\n");
    } finally {
      await file.close();
    }
  } catch {
    return []; // the start has failed already; a missing log is not the news
  }
}

/**
 * Ends a daemon: SIGTERM, and SIGKILL when that does not help.
 *
 * @param settings Where its pid file is.
 * @param pid Its process id.
 * @param timeoutMs How long it may take after SIGTERM.
 * @returns Whether it had to be killed.
 * @throws {PilotError} `denied` when it belongs to another user, `timeout` when even SIGKILL does not end it.
 */
export async function stopDaemon(
  settings: Settings,
  pid: number,
  timeoutMs: number,
): Promise<{ forced: boolean }> {
  signalProcess(pid, "SIGTERM");
  let forced = false;
  if (!await waitForEnd(pid, timeoutMs)) {
    forced = true;
    signalProcess(pid, "SIGKILL");
    if (!await waitForEnd(pid, KILL_TIMEOUT_MS)) {
      throw new PilotError("timeout", `The daemon (pid ${pid}) does not exit`);
    }
  }
  // A killed one cannot do it itself, and its last threads may hold the file a moment longer than its number lives.
  const deadline = performance.now() + KILL_TIMEOUT_MS;
  while (!await removePidFile(settings.pidPath) && performance.now() < deadline) {
    await pause(plainClock, POLL_MS);
  }
  return { forced };
}

async function waitForEnd(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isAlive(pid)) {
    if (performance.now() >= deadline) return false;
    await pause(plainClock, POLL_MS);
  }
  return true;
}

function signalProcess(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === "ESRCH") return; // it has ended meanwhile: what we wanted
    throw new PilotError("denied", `Cannot stop the daemon (pid ${pid})`, {
      hint: "It runs as another user.",
      cause: error,
    });
  }
}

/** Whether a process runs; one that has ended and only waits to be collected by its parent does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
  if (process.platform !== "linux") return true;
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    return !/^Z/.test(status.slice(status.lastIndexOf(")") + 2));
  } catch (error) {
    // It ended between the two looks; or Deno's permissions do not let us look, and then the signal's result counts.
    return !["ENOENT", "ESRCH"].includes(errorCode(error) ?? "");
  }
}
