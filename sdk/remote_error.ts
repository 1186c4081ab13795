/**
 * Errors reported by the daemon, as {@linkcode PilotError}s: the JSON form of tagged replies and the bare texts of
 * daemons without it (docs/protocol/local-socket.md §3).
 *
 * @module
 */

import { DecodeError, type ErrorCode, PilotError } from "../protocol/errors.ts";
import { decodeTaggedError } from "../protocol/ipc/mod.ts";

/** Texts of docs/protocol/local-socket.md §3 that say what kind of failure it was; the first match decides. */
const TEXTS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/unknown (sub-)?command|not supported by this daemon/, "unavailable"],
  [/too many clients/, "limit_exceeded"],
  [/connection refused/, "connection_refused"],
  [/timeout|timed out|deadline/, "timeout"],
  [/already bound|already (in use|taken|exists)/, "already_exists"],
  [/not trusted|untrusted|trust required|no trust/, "untrusted"],
  [/not found|was not trusted|unknown node/, "not_found"],
  [/not allowed|denied|permission|unauthorized|forbidden/, "denied"],
  [/missing|invalid|maximum|malformed/, "invalid_argument"],
  [/connection clos|closing/, "connection_closed"],
];

/**
 * Reads the payload of a tagged error.
 *
 * @param payload JSON `{code, message, hint?}`.
 * @param what What was being done.
 * @returns The error the daemon meant, or `protocol_error` when the payload is none.
 */
export function errorFromJson(payload: Uint8Array, what: string): PilotError {
  const error = decodeTaggedError(payload);
  return error instanceof DecodeError ? protocolError(`${what}: ${error.message}`) : error;
}

/**
 * The daemon broke the protocol.
 *
 * @param message How.
 * @returns The error.
 */
export function protocolError(message: string): PilotError {
  return new PilotError("protocol_error", `From the daemon: ${message}`);
}

/**
 * Makes an error of a bare text.
 *
 * @param text What the daemon said.
 * @param what What was being done; put before the text.
 * @param otherwise Code for texts that do not show the kind.
 * @returns The error.
 */
export function errorFromText(
  text: string,
  what: string,
  otherwise: ErrorCode,
): PilotError {
  const code = TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? otherwise;
  return new PilotError(code, `${what}: ${text}`);
}
