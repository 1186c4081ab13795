/**
 * Errors of a dial, in words for the one who dials.
 *
 * @module
 */

import { formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { Conn } from "./stream_conn.ts";

/**
 * Why a dial did not succeed.
 *
 * @param conn The connection, which has ended.
 * @returns The error for the caller.
 */
export function dialError(conn: Conn): PilotError {
  const where = `${formatAddress(conn.remoteAddress)} port ${conn.remotePort}`;
  const code = conn.error?.code ?? "connection_closed";
  if (code === "connection_refused") {
    return new PilotError(code, `Connection refused: nothing listens on ${where}`, {
      hint: "Start a listener on that port, or choose another port.",
      cause: conn.error,
    });
  }
  if (code === "timeout") {
    return new PilotError(code, `No answer from ${where}`, {
      advice: { id: "check_trust" },
      cause: conn.error,
    });
  }
  return new PilotError(code, `Dial of ${where} failed: ${conn.error?.message ?? "closed"}`, {
    cause: conn.error,
  });
}

/**
 * The error of a cancelled dial.
 *
 * @param signal What cancelled it.
 * @returns `aborted`.
 */
export function abortedError(signal: AbortSignal | undefined): PilotError {
  return new PilotError("aborted", "The dial was cancelled", { cause: signal?.reason });
}

/**
 * Ends a dial that is cancelled already.
 *
 * @param signal May have fired.
 * @throws {PilotError} `aborted`.
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}
