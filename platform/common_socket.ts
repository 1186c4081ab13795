/**
 * The place where programs look for the daemon that know nothing of homes (docs/protocol/local-socket.md §8): one for
 * all of them, and in `/tmp` for all users.
 *
 * A daemon of the default home listens there besides its own socket, when nobody else does. Ours look there only when
 * nobody answers in the home, and trust what they find only when it is this user's or root's.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { PilotError } from "../protocol/errors.ts";
import { errorCode } from "./private_files.ts";
import { checkPrivateDir } from "./private_dir.ts";

/** Socket file within a home directory or run-time directory. */
export const SOCKET_NAME = "pilot.sock";

/** Where it is, and whose daemon is looked for there. */
export interface CommonSocket {
  /** Its path. */
  readonly path: string;
  /** Home of the agent that is meant. */
  readonly home: string;
  /** File with the key of that agent; it need not exist. */
  readonly identity: string;
}

/**
 * Finds the place.
 *
 * @param env The environment.
 * @returns Its path, and what is odd about how it was found.
 */
export function commonSocketPath(
  env: (name: string) => string | undefined,
): { path: string; warning: string | undefined } {
  const runtimeDir = env("XDG_RUNTIME_DIR");
  const isThere = runtimeDir !== undefined && runtimeDir !== "" && existsSync(runtimeDir);
  const path = join(isThere ? runtimeDir : "/tmp", SOCKET_NAME);
  const warning = runtimeDir && !isThere
    ? `XDG_RUNTIME_DIR is ${runtimeDir}, which does not exist: the common socket is ${path}`
    : undefined;
  return { path, warning };
}

/** A socket that has been looked at: the same one as long as nobody has put another in its place. */
export type SocketMark = string;

/**
 * Makes sure that a socket at the common place was made by this user or by root, and that nobody else can put one of
 * theirs in its place. To be asked before connecting and, since there is a moment between, again before the first
 * byte: the marks must be equal.
 *
 * @param path The place.
 * @returns What marks this socket; undefined when there is none.
 * @throws {PilotError} `denied` for a socket, link or directory of another user, `io_error`.
 */
export async function checkCommonSocket(path: string): Promise<SocketMark | undefined> {
  await checkPrivateDir({
    what: "Directory of the common socket",
    path: dirname(path),
    allowSticky: true,
  });
  try {
    const { uid, dev, ino, isSocket } = await look(path);
    const self = process.geteuid?.();
    if (self !== undefined && uid !== self && uid !== 0) {
      throw new PilotError("denied", `${path} belongs to another user (uid ${uid})`, {
        advice: { id: "name_socket", socket: path },
      });
    }
    if (!isSocket) throw new PilotError("denied", `${path} is not a socket`);
    return `${dev}:${ino}`;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw PilotError.from(error, "io_error", `Cannot look at ${path}`);
  }
}

async function look(path: string) {
  const found = await lstat(path); // a symbolic link is none: who made it need not own what it points to
  return { uid: found.uid, dev: found.dev, ino: found.ino, isSocket: found.isSocket() };
}
