/**
 * Looking through the directories of stored messages and files.
 *
 * @module
 */

import { join } from "node:path";
import { PilotError } from "../../protocol/errors.ts";

/** A file that was found. */
export interface StoredFile {
  /** Name within the directory. */
  readonly name: string;
  /** Its bytes. */
  readonly size: number;
  /** Last change, milliseconds since 1970. */
  readonly changedAt: number;
  /** Removes it; not there any more is as good. */
  remove(): Promise<void>;
}

/** A temporary file this old was left by a crash, milliseconds. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Lists the plain files of a directory, oldest first. Temporary files left by a crash are removed on the way.
 *
 * @param dir The directory; one that does not exist is empty.
 * @returns Its files, without hidden ones.
 * @throws {PilotError} `io_error`.
 */
export async function listFiles(dir: string): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(dir)) {
      if (!isFile) continue;
      const path = join(dir, name);
      const info = await statOf(path);
      if (info === undefined) continue;
      const changedAt = info.mtime?.getTime() ?? 0;
      if (name.startsWith(".")) {
        const age = Date.now() - changedAt;
        if (name.endsWith(".tmp") && age > ABANDONED_MS) await removeFile(path);
        continue;
      }
      files.push({
        name,
        size: info.size,
        changedAt,
        remove: () => removeFile(path),
      });
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw PilotError.from(error, "io_error", `Cannot look through ${dir}`);
  }
  return files.sort((a, b) => a.changedAt - b.changedAt || (a.name < b.name ? -1 : 1));
}

async function statOf(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined; // removed meanwhile
    throw error;
  }
}

async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return; // removed meanwhile
    throw PilotError.from(error, "io_error", `Cannot remove ${path}`);
  }
}
