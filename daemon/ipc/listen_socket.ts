/**
 * Makes the daemon's Unix socket: private from the moment it exists, and never in the place of a living one
 * (docs/protocol/local-socket.md §1).
 *
 * @module
 */

import { dirname, join } from "node:path";
import type { Clock } from "../../platform/clock.ts";
import { inTime } from "../../platform/waiting.ts";
import { PilotError } from "../../protocol/errors.ts";

/** Mode of the socket: its owner only. */
const SOCKET_MODE = 0o600;
/** Mode of the directory it is made in. */
const PRIVATE_DIR_MODE = 0o700;
/** How long a daemon may take to accept before its socket counts as alive anyway, milliseconds. */
const PROBE_TIMEOUT_MS = 1_000;

/** A listening socket and how to take it away again. */
export interface ListeningSocket {
  /** Accepts clients. */
  readonly listener: Deno.UnixListener;
  /** Removes the socket file, when it is still this one. Does not close the listener. */
  remove(): void;
}

/**
 * Listens on a path. The socket is made in a private directory beside it and linked into place, so that nobody
 * else could connect before its mode was set.
 *
 * @param path Where clients will look; its directory must exist.
 * @param clock Whose time limits the wait for a daemon that may be there.
 * @returns The listening socket.
 * @throws {PilotError} `already_exists` when a daemon answers there or a file is in the way, `invalid_argument` for
 * a path that is too long for a socket, else `io_error`.
 */
export async function listenSocket(path: string, clock: Clock): Promise<ListeningSocket> {
  let home: string | undefined;
  try {
    home = makePrivateDir(dirname(path));
    await removeStale(path, home, clock);
    const temporary = join(home, "s");
    const listener = bindAt(temporary, path);
    try {
      Deno.chmodSync(temporary, SOCKET_MODE);
      const inode = Deno.statSync(temporary).ino;
      place(temporary, path);
      return { listener, remove: () => removeOwn(path, inode) };
    } catch (error) {
      listener.close();
      throw error;
    }
  } catch (error) {
    throw PilotError.from(error, "io_error", `Cannot listen on ${path}`);
  } finally {
    if (home !== undefined) Deno.removeSync(home, { recursive: true });
  }
}

/** A short name, since a socket's whole path has about 100 bytes. */
function makePrivateDir(parent: string): string {
  for (;;) {
    const name = "." + crypto.randomUUID().slice(0, 6);
    const path = join(parent, name);
    try {
      Deno.mkdirSync(path, { mode: PRIVATE_DIR_MODE });
      return path;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

function bindAt(temporary: string, path: string): Deno.UnixListener {
  try {
    return Deno.listen({ transport: "unix", path: temporary });
  } catch (error) {
    if (new TextEncoder().encode(temporary).length > 100) {
      throw new PilotError(
        "invalid_argument",
        `The socket path is too long: ${path}`,
        { advice: { id: "shorten_socket" }, cause: error },
      );
    }
    throw error;
  }
}

/** Puts the socket in place without replacing anything. */
function place(temporary: string, path: string): void {
  try {
    Deno.linkSync(temporary, path);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw inUse(path);
    // Some systems have no hard links to sockets; there the race of two daemons starting is open.
    Deno.renameSync(temporary, path);
  }
}

function inUse(path: string): PilotError {
  return new PilotError(
    "already_exists",
    `A daemon is already listening on ${path}`,
    { advice: { id: "stop_daemon_or_move" } },
  );
}

async function removeStale(path: string, home: string, clock: Clock): Promise<void> {
  const before = inodeOf(path);
  if (before === undefined) return;
  if (!before.isSocket) {
    throw new PilotError("already_exists", `${path} exists and is not a socket`, {
      advice: { id: "move_socket" },
    });
  }
  if (await answers(path, clock)) throw inUse(path);
  // Moved away first: if another daemon has put its own there meanwhile, that one goes back.
  const moved = join(home, "old");
  Deno.renameSync(path, moved);
  if (inodeOf(moved)?.ino !== before.ino) {
    Deno.linkSync(moved, path);
    throw inUse(path);
  }
}

function inodeOf(
  path: string,
): { ino: number | null; isSocket: boolean } | undefined {
  try {
    const { ino, isSocket } = Deno.lstatSync(path);
    return { ino, isSocket: isSocket === true };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function answers(path: string, clock: Clock): Promise<boolean> {
  const connecting = Deno.connect({ transport: "unix", path });
  try {
    const conn = await inTime(clock, connecting, PROBE_TIMEOUT_MS);
    if (conn !== undefined) conn.close();
    // Its queue is full, so a process holds it open.
    else connecting.then((conn) => conn.close(), () => {});
    return true;
  } catch (error) {
    // Gone meanwhile counts as nobody there; anything else (no permission) must not look like a stale file.
    if (
      error instanceof Deno.errors.ConnectionRefused ||
      error instanceof Deno.errors.NotFound
    ) return false;
    throw error;
  }
}

function removeOwn(path: string, inode: number | null): void {
  if (inodeOf(path)?.ino !== inode) return;
  try {
    Deno.removeSync(path);
  } catch (error) {
    // Another process removed it, which is what was wanted.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
