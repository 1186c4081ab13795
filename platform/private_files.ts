/**
 * Small private files on disk: written whole or not at all, readable by their owner only.
 *
 * @module
 */

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  access,
  type FileHandle,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { PilotError } from "../protocol/errors.ts";

/** Mode of files that belong to one user. */
export const PRIVATE_FILE_MODE = 0o600;
/** Mode of directories that belong to one user. */
export const PRIVATE_DIR_MODE = 0o700;
/** Permission bits that let others than the owner in. */
const GROUP_AND_OTHERS = 0o077;
/** Largest file {@linkcode readPrivateFile} and {@linkcode readTextFile} take in, bytes: state files are small, a larger one is a mistake. */
export const MAX_STATE_FILE_BYTES = 64 * 1024 * 1024;

/** How {@linkcode writeFileAtomic} writes. */
export interface WriteOptions {
  /** Permission bits of the file; default {@linkcode PRIVATE_FILE_MODE}. */
  mode?: number;
}

/**
 * The `code` of a system error ("ENOENT"), whatever was thrown.
 *
 * @param thrown What was caught.
 * @returns The code, or undefined when it has none.
 */
export function errorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) {
    return undefined;
  }
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

/**
 * Replaces a file: after a crash at any moment the old or the new content is there, never a mixture. Writes a
 * temporary file beside it, flushes it, renames it and flushes the directory. A symbolic link stays one.
 *
 * @param path The file; its directory must exist.
 * @param data New content; text is written as UTF-8.
 * @param options Permission bits.
 * @throws {PilotError} `io_error` naming the file.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const mode = options.mode ?? PRIVATE_FILE_MODE;
  let temporary: string | undefined;
  try {
    const target = await realpath(path).catch((error) => {
      if (errorCode(error) === "ENOENT") return path;
      throw error;
    });
    const suffix = randomBytes(6).toString("hex");
    temporary = join(dirname(target), `.${basename(target)}.${suffix}.tmp`);
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(data);
      await file.chmod(mode); // the umask may have removed bits that were asked for
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    temporary = undefined;
    await syncDirectory(dirname(target));
  } catch (error) {
    // The write has failed already; a leftover temporary file is the smaller problem.
    if (temporary !== undefined) {
      await rm(temporary, { force: true }).catch(() => {});
    }
    throw PilotError.from(error, "io_error", `Cannot write ${path}`);
  }
}

/**
 * Makes the names in a directory durable, after a rename.
 *
 * @param path The directory.
 */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return; // directories cannot be opened there
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } catch (error) {
    // Some file systems (network, FUSE) refuse fsync on directories; the rename itself was atomic.
    if (errorCode(error) !== "EINVAL" && errorCode(error) !== "ENOTSUP") {
      throw error;
    }
  } finally {
    await directory.close();
  }
}

/**
 * Makes sure a directory exists; a new one gets mode 0700. The mode of an existing one is left alone; whether others
 * may write there is `checkPrivateDir`'s to say.
 *
 * @param path The directory; missing parents are created too, with the same mode.
 * @throws {PilotError} `io_error` naming the directory.
 */
export async function ensurePrivateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: PRIVATE_DIR_MODE });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PilotError("io_error", `Cannot use directory ${path}: ${reason}`, {
      cause: error,
      hint: "Choose another one, or check its permissions.",
    });
  }
}

/**
 * Reads a file that holds a secret and refuses it when others may read it too.
 *
 * @param path The file.
 * @returns Its text, or undefined when there is no such file.
 * @throws {PilotError} `denied` when group or others have any access, `limit_exceeded` above
 * {@linkcode MAX_STATE_FILE_BYTES}, else `io_error`.
 */
export async function readPrivateFile(
  path: string,
): Promise<string | undefined> {
  return await readState(path, true);
}

/**
 * Reads a small text file that holds no secret.
 *
 * @param path The file.
 * @returns Its text, or undefined when there is no such file.
 * @throws {PilotError} `limit_exceeded` above {@linkcode MAX_STATE_FILE_BYTES}, else `io_error`.
 */
export async function readTextFile(path: string): Promise<string | undefined> {
  return await readState(path, false);
}

async function readState(
  path: string,
  secret: boolean,
): Promise<string | undefined> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const info = await file.stat(); // of the open file, so that nobody can swap it in between
    if (secret && hasPosixModes() && (info.mode & GROUP_AND_OTHERS) !== 0) {
      throw new PilotError(
        "denied",
        `${path} is readable by other users (mode ${(info.mode & 0o777).toString(8)})`,
        { hint: `Run: chmod 600 ${path}` },
      );
    }
    if (info.size > MAX_STATE_FILE_BYTES) {
      throw new PilotError(
        "limit_exceeded",
        `${path} is too large for a state file (${info.size} bytes)`,
      );
    }
    return await readFile(file, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw PilotError.from(error, "io_error", `Cannot read ${path}`);
  } finally {
    await file?.close();
  }
}

/**
 * Whether something (file, directory, socket) is at a path.
 *
 * @param path The path.
 * @returns False when nothing is there or its directory does not exist.
 */
export async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch {
    return false; // the question is only whether it can be found
  }
}

/** Windows knows no group and other bits: its mode is made up from the read-only flag. */
function hasPosixModes(): boolean {
  return process.platform !== "win32";
}
