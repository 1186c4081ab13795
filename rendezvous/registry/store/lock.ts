/**
 * One server per store: an advisory lock on a file beside the database. The kernel releases it when the
 * process dies, however it dies, so there is no stale lock.
 *
 * @module
 */

import { join } from "node:path";
import process from "node:process";
import { PilotError } from "../../../protocol/errors.ts";

/** Name of the lock file in the store directory. It stays there; only the lock on it counts. */
export const LOCK_FILE = "registry.lock";
/** Bytes of the lock file that are looked at: one process number. */
const MAX_PID_BYTES = 16;

/** A held lock. */
export interface DirectoryLock {
  /** Releases the lock. Must be called once. */
  release(): void;
}

/**
 * Locks a store directory for this process.
 *
 * @param directory An existing directory.
 * @returns The lock.
 * @throws {PilotError} `invalid_state` when another process has it, `io_error` when the lock file cannot be made.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, LOCK_FILE);
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path, {
      create: true,
      read: true,
      write: true,
      mode: 0o600,
    });
    if (!await file.tryLock(true)) {
      const holder = await readHolder(file);
      throw new PilotError(
        "invalid_state",
        `The registry store ${directory} is in use by another server${holder}`,
        { advice: { id: "stop_server" } },
      );
    }
    await file.truncate(0);
    await file.write(new TextEncoder().encode(`${process.pid}\n`));
  } catch (error) {
    file?.close();
    throw PilotError.from(
      error,
      "io_error",
      `Cannot lock the registry store ${directory}`,
    );
  }
  const held = file;
  return { release: () => held.close() };
}

/**
 * Does a server hold the lock of a store directory?
 *
 * @param directory The directory.
 * @returns True while one does. Looking takes a shared lock for an instant.
 * @throws {PilotError} `io_error` when the lock file cannot be opened.
 */
export async function isLocked(directory: string): Promise<boolean> {
  try {
    using file = await Deno.open(join(directory, LOCK_FILE), { read: true });
    return !await file.tryLock(false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw PilotError.from(error, "io_error", `Cannot look at the lock of ${directory}`);
  }
}

/** " (process 123)" if the lock file says so. */
async function readHolder(file: Deno.FsFile): Promise<string> {
  const bytes = new Uint8Array(MAX_PID_BYTES);
  const count = await file.read(bytes);
  const pid = new TextDecoder().decode(bytes.subarray(0, count ?? 0)).trim();
  return /^\d+$/.test(pid) ? ` (process ${pid})` : "";
}
