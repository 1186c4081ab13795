/**
 * Exit codes: one per kind of failure, so that scripts need not read messages.
 *
 * @module
 */

import type { ErrorCode } from "../protocol/errors.ts";

/** Everything went well. */
export const EXIT_OK = 0;
/** Wrong usage: unknown command or flag, missing or unfit argument. */
export const EXIT_USAGE = 2;

/** The exit code of each {@linkcode ErrorCode}. Published: numbers keep their meaning. */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  internal: 1,
  invalid_argument: EXIT_USAGE,
  not_found: 3,
  already_exists: 4,
  not_running: 5,
  connection_failed: 6,
  connection_refused: 7,
  connection_closed: 8,
  timeout: 9,
  untrusted: 10,
  denied: 11,
  limit_exceeded: 12,
  invalid_state: 13,
  unavailable: 14,
  protocol_error: 15,
  io_error: 16,
  aborted: 130, // what shells report for a program ended by Ctrl-C
};

/** What each code means, and whether doing the same again can help. */
export const ERROR_MEANINGS: Readonly<
  Record<ErrorCode, { meaning: string; retry: boolean }>
> = {
  internal: {
    meaning: "Internal error (a bug); doctor: a check failed; daemon status --check: no answer",
    retry: false,
  },
  invalid_argument: { meaning: "Wrong usage or an invalid value", retry: false },
  not_found: { meaning: "The named thing does not exist or is hidden", retry: false },
  already_exists: { meaning: "It already exists", retry: false },
  not_running: { meaning: "The local daemon cannot be reached", retry: false },
  connection_failed: { meaning: "The remote side could not be reached", retry: true },
  connection_refused: { meaning: "Nothing listens on that port", retry: true },
  connection_closed: { meaning: "The connection ended too early", retry: true },
  timeout: { meaning: "No answer in time", retry: true },
  untrusted: { meaning: "Mutual trust is missing", retry: false },
  denied: { meaning: "Understood but refused", retry: false },
  limit_exceeded: { meaning: "A documented bound was reached", retry: true },
  invalid_state: { meaning: "Not possible in the current state", retry: false },
  unavailable: { meaning: "A required service is off or unreachable", retry: true },
  protocol_error: { meaning: "The other side violated the protocol", retry: false },
  io_error: { meaning: "Disk or local socket failure", retry: false },
  aborted: { meaning: "Interrupted", retry: true },
};

/**
 * Finds the kind of failure behind the exit code of a child process of ours.
 *
 * @param exitCode What the child ended with.
 * @returns Its kind; `internal` for codes we never give.
 */
export function errorCodeOfExit(exitCode: number): ErrorCode {
  for (const [code, value] of Object.entries(EXIT_CODES)) {
    if (value === exitCode) return code as ErrorCode;
  }
  return "internal";
}
