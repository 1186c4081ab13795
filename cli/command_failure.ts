/**
 * Failures that carry more than a message to the output.
 *
 * @module
 */

import type { SafeText } from "./terminal_text.ts";
import { type ErrorCode, PilotError, type PilotErrorOptions } from "../protocol/errors.ts";

/** What may accompany a {@linkcode CommandFailure}. */
export interface CommandFailureOptions extends PilotErrorOptions {
  /** Results gathered before the failure; `data` of the JSON envelope. */
  data?: Record<string, unknown>;
  /** Text for people, printed on stdout before the error. */
  text?: SafeText | string;
  /** More lines for people, printed on stderr after the error. */
  notes?: SafeText | string;
}

/** A command that failed and still has results to show, such as a ping that nobody answered. */
export class CommandFailure extends PilotError {
  /** Results gathered before the failure. */
  readonly data?: Record<string, unknown>;
  /** The same for people. */
  readonly text?: SafeText | string;
  /** More lines for people on stderr. */
  readonly notes?: SafeText | string;

  /**
   * @param code Kind of failure; decides the exit code.
   * @param message What failed.
   * @param options Results, hint, cause.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: CommandFailureOptions = {},
  ) {
    super(code, message, options);
    if (options.data !== undefined) this.data = options.data;
    if (options.text !== undefined) this.text = options.text;
    if (options.notes !== undefined) this.notes = options.notes;
  }
}

/** The reader of our stdout has gone (`pilotctl subscribe ... | head -1`): end quietly. */
export class OutputClosed extends Error {
  /** Exit code of a program ended by SIGPIPE. */
  static readonly exitCode = 141;
}

/**
 * A usage error.
 *
 * @param message What is wrong.
 * @param hint What to do instead.
 * @returns The error to throw.
 */
export function usageError(message: string, hint?: string): PilotError {
  return new PilotError(
    "invalid_argument",
    message,
    hint === undefined ? {} : { hint },
  );
}
