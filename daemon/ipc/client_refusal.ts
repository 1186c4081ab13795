/**
 * Telling a client why it is not served.
 *
 * @module
 */

import type { PilotError } from "../../protocol/errors.ts";
import { encodeFailure } from "./replies.ts";
import { REFUSAL_LINGER_MS } from "./ipc_limits.ts";
import type { Clock } from "../../platform/clock.ts";

/**
 * Refuses a client: an error frame, which answers whatever it asks first, then the end. Reads on for a moment, since a
 * client that finds the socket closed while it writes its first request never reads why. Never rejects.
 *
 * @param conn The client; owned from now on.
 * @param error Why.
 * @param clock Whose time limits the reading on.
 */
export async function refuse(
  conn: Deno.UnixConn,
  error: PilotError,
  clock: Clock,
): Promise<void> {
  // Ends the read below.
  const cancel = clock.after(REFUSAL_LINGER_MS, () => closeQuietly(conn));
  try {
    await conn.write(encodeFailure(undefined, error)); // a frame fits into an empty socket buffer
    await conn.closeWrite();
    const buffer = new Uint8Array(1024);
    while (await conn.read(buffer) !== null);
  } catch {
    // It has gone, or the time is up: either way nobody is left to notify.
  } finally {
    cancel();
    closeQuietly(conn);
  }
}

function closeQuietly(conn: Deno.UnixConn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error; // closed before: what was wanted
  }
}
