/**
 * Whether directories belong to us alone: who may write into one can put other files in the place of ours.
 *
 * Parents are not looked at: `/tmp` with its sticky bit is harmless, and containers mount volumes below directories
 * that are open to all.
 *
 * @module
 */

import type { Stats } from "node:fs";
import { lstat, stat } from "node:fs/promises";
import process from "node:process";
import { PilotError } from "../protocol/errors.ts";
import { errorCode } from "./private_files.ts";

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const ROOT = 0;

/** A directory that should be private. */
export interface PrivateDir {
  /** What it is, for people: `Home directory`. */
  readonly what: string;
  /** Where. */
  readonly path: string;
  /**
   * Others may put files of their own there, but not touch ours (`/tmp`): right for a place of which one file is used
   * that is checked separately.
   */
  readonly allowSticky?: boolean;
}

/**
 * Makes sure that nobody else can change what is in a directory, nor what it is: it and a symbolic link to it belong to
 * this user or to root, and neither group nor others may write there. One that does not exist is fine.
 *
 * Root may use a directory of another user, as containers do that run as root on a volume of the host's user: refusing
 * would end them, and protect root from a user whose directory it was configured with.
 *
 * @param dir The directory.
 * @param owner Another user that may own it.
 * @returns The user it belongs to; undefined when there is none, or the system knows no users.
 * @throws {PilotError} `denied` with what to do, `io_error` when it cannot be looked at.
 */
export async function checkPrivateDir(
  { what, path, allowSticky = false }: PrivateDir,
  owner?: number,
): Promise<number | undefined> {
  const self = process.geteuid?.();
  if (self === undefined) return undefined; // Windows: access lists of the user's profile
  const link = await look(path, lstat);
  const found = link?.isSymbolicLink() ? await look(path, stat) : link;
  if (link === undefined || found === undefined) return undefined;
  if (!found.isDirectory()) return undefined; // its user reports it
  const isOurs = ({ uid }: Stats) => uid === self || uid === ROOT || uid === owner;
  for (const one of new Set([link, found])) {
    if (isOurs(one)) continue;
    if (self === ROOT && owner === undefined && !link.isSymbolicLink()) continue;
    const thing = one === found ? `${what} ${path}` : `The symbolic link ${path}`;
    throw new PilotError("denied", `${thing} belongs to another user (uid ${one.uid})`, {
      hint: `Use a directory of your own, or: chown ${self} ${path}`,
    });
  }
  const isOpen = (found.mode & OTHERS_WRITE) !== 0;
  if (isOpen && !(allowSticky && (found.mode & STICKY) !== 0)) {
    const mode = (found.mode & 0o7777).toString(8);
    throw new PilotError("denied", `${what} ${path} is writable by other users (mode ${mode})`, {
      hint: (found.mode & STICKY) === 0
        ? `Run: chmod go-w ${path}`
        : `Use a directory of your own in it: ${path}/pilot`,
    });
  }
  return found.uid;
}

async function look(
  path: string,
  how: (path: string) => Promise<Stats>,
): Promise<Stats | undefined> {
  try {
    return await how(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw PilotError.from(error, "io_error", `Cannot look at ${path}`);
  }
}
