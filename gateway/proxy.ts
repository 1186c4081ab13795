/**
 * One TCP connection carried over one stream connection, bytes both ways with back-pressure.
 *
 * @module
 */

import type { Conn } from "../sdk/mod.ts";

/**
 * How long a peer may stay silent after the TCP client has finished sending. Streams have no half-close, so the
 * connection is kept until the answer is complete, but not for ever.
 */
export const HALF_CLOSE_IDLE_MS = 60_000;

/** Copies until both directions are done; never throws: a broken side resets the other. */
export async function proxy(tcp: Deno.TcpConn, conn: Conn): Promise<void> {
  let isClientDone = false;
  let idle: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    clearTimeout(idle);
    if (isClientDone) idle = setTimeout(() => conn.abort(), HALF_CLOSE_IDLE_MS);
  };
  const upward = async () => {
    for await (const chunk of tcp.readable.values({ preventCancel: true })) await conn.write(chunk);
    isClientDone = true;
    watch();
  };
  const downward = async () => {
    const writer = tcp.writable.getWriter();
    for await (const chunk of conn) {
      watch();
      await writer.write(chunk);
    }
    await writer.close();
  };
  const both = [upward(), downward()];
  try {
    // The peer's end is the end of the answer; what the client might still send has no receiver.
    await Promise.race([both[1], both[0]!.then(() => both[1])]);
    await conn.close();
  } catch {
    // One side is gone; the other learns it by the reset below.
    conn.abort();
  } finally {
    clearTimeout(idle);
    try {
      tcp.close();
    } catch {
      // Closed by its own stream already.
    }
    await Promise.allSettled(both);
  }
}
