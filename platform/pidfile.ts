/**
 * Pid files that cannot lie: the running process holds a lock on its file, so a file left behind by a crash, or
 * a number that another program has got since, is recognized (docs/protocol/command-line.md §5).
 *
 * @module
 */

import { rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { PilotError } from "../protocol/errors.ts";
import { ensurePrivateDir, errorCode, PRIVATE_FILE_MODE } from "./private_files.ts";
import { plainClock } from "./clock.ts";
import { pause } from "./waiting.ts";

/** A pid file held by this process. */
export interface PidFile extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  /** Removes the file and releases its lock. Harmless when called twice. */
  remove(): Promise<void>;
}

/** Attempts to lock a file that a reader holds for an instant or that is replaced under our hands. */
const LOCK_ATTEMPTS = 20;
/** Pause between those attempts, milliseconds. */
const LOCK_RETRY_MS = 5;
/** A pid file holds one number; more than this is not ours. */
const MAX_PID_TEXT = 32;

/**
 * Writes this process's id to a file and holds it until {@linkcode PidFile.remove} or the end of the process.
 *
 * @param path The file; its directory is created when missing. A stale file is taken over.
 * @returns The held file.
 * @throws {PilotError} `already_exists` when a living process holds it, else `io_error`.
 */
export async function acquirePidFile(path: string): Promise<PidFile> {
  await ensurePrivateDir(dirname(path));
  for (let attempt = 0;; attempt++) {
    const file = await tryAcquire(path);
    if (file !== undefined) return new HeldPidFile(path, file);
    if (attempt < LOCK_ATTEMPTS) {
      await pause(plainClock, LOCK_RETRY_MS);
      continue;
    }
    const pid = await readPidFile(path);
    throw new PilotError(
      "already_exists",
      `A daemon is already running${pid === undefined ? "" : ` (pid ${pid})`}: ${path} is in use`,
      { advice: { id: "stop_daemon" } },
    );
  }
}

/** The open, locked file with our pid in it, or undefined when another holds it or removed it meanwhile. */
async function tryAcquire(path: string): Promise<Deno.FsFile | undefined> {
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, {
      read: true,
      write: true,
      create: true,
      mode: PRIVATE_FILE_MODE,
    });
    if (!(await file.tryLock(true)) || !(await isSameFile(file, path))) {
      file.close();
      return undefined;
    }
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
    await file.syncData();
    return file;
  } catch (error) {
    file?.close();
    throw PilotError.from(error, "io_error", `Cannot write ${path}`);
  }
}

/** Whether the open file is still the one at `path`: its holder may have removed it just before we got the lock. */
async function isSameFile(file: Deno.FsFile, path: string): Promise<boolean> {
  const open = await file.stat();
  if (open.ino === null) return true; // no inode numbers on this platform
  try {
    return BigInt(open.ino) === (await stat(path, { bigint: true })).ino;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

class HeldPidFile implements PidFile {
  readonly path: string;
  #file: Deno.FsFile | undefined;

  constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#file = file;
  }

  async remove(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      // Removed while the lock is held, so that a successor's file cannot be hit.
      if (await isSameFile(file, this.path)) {
        await rm(this.path, { force: true });
      }
    } catch (error) {
      throw PilotError.from(error, "io_error", `Cannot remove ${this.path}`);
    } finally {
      file.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}

/**
 * Finds which process holds a pid file.
 *
 * @param path The file.
 * @returns Its process id; undefined when there is no file or nobody holds it (a stale file).
 * @throws {PilotError} `io_error` when the file cannot be read.
 */
export async function readPidFile(path: string): Promise<number | undefined> {
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, { read: true });
    } catch (error) {
      if (
        error instanceof Deno.errors.NotFound || errorCode(error) === "ENOTDIR"
      ) return undefined;
      throw PilotError.from(error, "io_error", `Cannot read ${path}`);
    }
    try {
      if (await file.tryLock(false)) return undefined; // closing unlocks
      const bytes = new Uint8Array(MAX_PID_TEXT);
      const length = await file.read(bytes) ?? 0;
      const text = new TextDecoder().decode(bytes.subarray(0, length));
      if (/^\d+\n/.test(text)) return parseInt(text, 10);
    } catch (error) {
      throw PilotError.from(error, "io_error", `Cannot read ${path}`);
    } finally {
      file.close();
    }
    await pause(plainClock, LOCK_RETRY_MS); // locked but not yet written: its holder is starting
  }
  return undefined;
}

/**
 * Removes a pid file that nobody holds; one in use is left alone.
 *
 * @param path The file.
 * @returns Whether there is no pid file at `path` any more.
 * @throws {PilotError} `io_error`.
 */
export async function removePidFile(path: string): Promise<boolean> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path, { read: true, write: true });
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound || errorCode(error) === "ENOTDIR"
    ) return true;
    throw PilotError.from(error, "io_error", `Cannot read ${path}`);
  }
  try {
    if (!(await file.tryLock(true))) return false;
    if (await isSameFile(file, path)) await rm(path, { force: true });
    return true;
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot remove ${path}`);
  } finally {
    file.close();
  }
}
