/**
 * {@linkcode Transport} over a Unix socket in Deno.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import type { Transport } from "./transport.ts";

/** Bytes asked of the socket at once; large enough that a bulk stream costs few system calls. */
const READ_BUFFER_BYTES = 256 * 1024;

/**
 * Connects to the daemon's Unix socket.
 *
 * @param path Path of the socket.
 * @returns The connected stream.
 * @throws {PilotError} `not_running` when nothing listens there, `denied` when permissions forbid it.
 */
export async function connectUnix(path: string): Promise<Transport> {
  let conn: Deno.UnixConn;
  try {
    conn = await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    throw connectError(path, cause);
  }
  return new UnixTransport(conn);
}

function connectError(path: string, cause: unknown): PilotError {
  if (
    cause instanceof Deno.errors.PermissionDenied ||
    cause instanceof Deno.errors.NotCapable
  ) {
    return new PilotError(
      "denied",
      `No permission to open the daemon's socket ${path}`,
      {
        hint: "Run as the user who started the daemon.",
        cause,
      },
    );
  }
  if (
    cause instanceof Deno.errors.NotFound ||
    cause instanceof Deno.errors.ConnectionRefused
  ) {
    return new PilotError("not_running", `No daemon answers at ${path}`, {
      advice: { id: "start_daemon" },
      cause,
    });
  }
  return PilotError.from(cause, "io_error", `Connecting to ${path}`);
}

class UnixTransport implements Transport {
  readonly #conn: Deno.UnixConn;
  readonly #buffer = new Uint8Array(READ_BUFFER_BYTES);
  #closed = false;

  constructor(conn: Deno.UnixConn) {
    this.#conn = conn;
  }

  async read(): Promise<Uint8Array | undefined> {
    const count = await this.#conn.read(this.#buffer);
    return count === null ? undefined : this.#buffer.subarray(0, count);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += await this.#conn.write(done === 0 ? bytes : bytes.subarray(done));
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}
