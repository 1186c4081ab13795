/**
 * Looking through the directories of stored messages and files.
 *
 * @module
 */

import { readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { errorCode } from "../../platform/private_files.ts";
import { PilotError } from "../../protocol/errors.ts";

/** A file that was found. */
export interface FoundFile {
  /** Its bytes. */
  readonly size: number;
  /** Last change, milliseconds since 1970. */
  readonly changedAt: number;
}

/** A temporary file this old was left by a crash, milliseconds. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Names of the plain files of a directory, without hidden ones. Temporary files left by a crash are removed on the way.
 *
 * @param dir The directory; one that does not exist is empty.
 * @param clock Whose calendar tells how old a file is.
 * @returns The names, in no order.
 * @throws {PilotError} `io_error`.
 */
export async function namesIn(dir: string, clock: Clock): Promise<string[]> {
  const names: string[] = [];
  try {
    for (const entry of await readdir(dir, { withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const { name } = entry;
      if (!name.startsWith(".")) names.push(name);
      else if (name.endsWith(".tmp")) await removeIfAbandoned(join(dir, name), clock);
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw PilotError.from(error, "io_error", `Cannot look through ${dir}`);
  }
  return names;
}

/**
 * Looks at one file.
 *
 * @param path The file.
 * @returns Size and age, or undefined when it is gone.
 * @throws {PilotError} `io_error`.
 */
export async function findFile(path: string): Promise<FoundFile | undefined> {
  try {
    const { size, mtime } = await Deno.lstat(path);
    return { size, changedAt: mtime?.getTime() ?? 0 };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // removed meanwhile
    throw PilotError.from(error, "io_error", `Cannot look at ${path}`);
  }
}

/**
 * Removes a file; not there any more is as good.
 *
 * @param path The file.
 * @throws {PilotError} `io_error`.
 */
export async function removeFile(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot remove ${path}`);
  }
}

/**
 * Space that is left on a disk.
 *
 * @param dir A directory on it.
 * @returns Bytes that this user may still write.
 */
export async function freeBytesOf(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

async function removeIfAbandoned(path: string, clock: Clock): Promise<void> {
  const found = await findFile(path);
  if (found !== undefined && clock.unixNow() - found.changedAt > ABANDONED_MS) {
    await removeFile(path);
  }
}
