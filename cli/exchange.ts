/**
 * One exchange over a stream connection: send something, then take the answer until it is complete.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import type { Conn } from "../sdk/mod.ts";
import { Deadline } from "./wait.ts";

/** What the exchange uses of a connection. */
export type ExchangeConn = Pick<Conn, "read" | "write">;

/** An answer has no border on a stream: it counts as complete after this silence, milliseconds. */
export const QUIET_MS = 150;

/** How to exchange. */
export interface ExchangeOptions {
  /** What to send. */
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Gets each chunk of the answer. */
  sink: (chunk: Uint8Array) => void;
  /** Longest wait for the first byte after everything was sent, milliseconds; 0 for no limit. */
  timeoutMs: number;
  /** Gives up. */
  signal: AbortSignal;
}

/** What was exchanged. */
export interface Exchanged {
  /** Bytes sent. */
  sent: number;
  /** Bytes received. */
  received: number;
  /** The peer has closed. */
  ended: boolean;
}

/**
 * Sends everything and takes the answer at the same time, until the peer closes or falls silent.
 *
 * @param conn The connection; it stays open.
 * @param options What and how.
 * @returns The counts. Nothing received and not ended means that the time was up.
 * @throws {PilotError} Why the connection failed, or `aborted`.
 */
export async function exchange(
  conn: ExchangeConn,
  options: ExchangeOptions,
): Promise<Exchanged> {
  const result: Exchanged = { sent: 0, received: 0, ended: false };
  const firstByteMs = options.timeoutMs === 0 ? Infinity : options.timeoutMs;
  const deadline = new Deadline(Infinity, options.signal);
  let allSent = false;
  const receive = async () => {
    try {
      for (;;) {
        const chunk = await conn.read({ signal: deadline.signal });
        if (chunk === undefined) break;
        result.received += chunk.length;
        options.sink(chunk);
        if (allSent) deadline.move(QUIET_MS);
      }
      result.ended = true;
    } catch (error) {
      const isQuiet = error instanceof PilotError && error.code === "aborted" && deadline.isPast;
      if (!isQuiet) throw error;
    }
  };
  const receiving = receive();
  receiving.catch(() => {}); // awaited below; a failure while we still send must not count as unhandled
  try {
    for await (const chunk of options.source) {
      await conn.write(chunk, { signal: options.signal });
      result.sent += chunk.length;
    }
    allSent = true;
    deadline.move(result.received > 0 ? QUIET_MS : firstByteMs);
    await receiving;
    return result;
  } finally {
    deadline.clear();
  }
}
