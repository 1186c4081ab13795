/**
 * The two kinds of failure of this project: {@linkcode PilotError}, thrown to callers and shown to people, and
 * {@linkcode DecodeError}, returned as a value by every wire decoder.
 *
 * @module
 */

import type { Advice } from "./advice.ts";

/**
 * Stable, machine-readable kinds of failure. The CLI prints them, `--json` carries them and the exit code
 * follows them, so a code once published keeps its meaning.
 */
export type ErrorCode =
  /** A value given by the caller has the wrong shape or range. */
  | "invalid_argument"
  /** The named thing does not exist, or may not be seen by the caller. */
  | "not_found"
  /** The thing to create is there already (port, daemon, hostname). */
  | "already_exists"
  /** The local daemon cannot be reached. */
  | "not_running"
  /** A remote party could not be reached, or the link to it broke. */
  | "connection_failed"
  /** The peer answered that nothing listens there. */
  | "connection_refused"
  /** The connection ended while it was still needed. */
  | "connection_closed"
  /** No answer in time. */
  | "timeout"
  /** Mutual trust with the peer is missing. */
  | "untrusted"
  /** The other side understood and refused: signature, policy, ownership. */
  | "denied"
  /** A documented bound was reached (docs/LIMITS.md). */
  | "limit_exceeded"
  /** The operation does not fit the present state. */
  | "invalid_state"
  /** The service needed for this is switched off or not reachable now. */
  | "unavailable"
  /** The other side violated the protocol. */
  | "protocol_error"
  /** Disk or local socket failure. */
  | "io_error"
  /** The caller's `AbortSignal` fired. */
  | "aborted"
  /** Internal error: a bug of ours. */
  | "internal";

/** Every {@linkcode ErrorCode}; the type makes sure that none is missing. */
const ERROR_CODES: Readonly<Record<ErrorCode, true>> = {
  invalid_argument: true,
  not_found: true,
  already_exists: true,
  not_running: true,
  connection_failed: true,
  connection_refused: true,
  connection_closed: true,
  timeout: true,
  untrusted: true,
  denied: true,
  limit_exceeded: true,
  invalid_state: true,
  unavailable: true,
  protocol_error: true,
  io_error: true,
  aborted: true,
  internal: true,
};

/**
 * Is this text one of our error codes?
 *
 * @param text Any value.
 * @returns True for an {@linkcode ErrorCode}.
 */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(ERROR_CODES, text);
}

/** What may accompany a {@linkcode PilotError}. */
export interface PilotErrorOptions {
  /** What the person or agent can do next, one sentence; it names neither commands nor options. */
  hint?: string;
  /** In place of a hint, where the words depend on who shows the error. */
  advice?: Advice;
  /** The error underneath. */
  cause?: unknown;
}

/**
 * The one error class thrown by this package.
 *
 * @example What to do next, by kind of failure
 * ```ts
 * import { connect, PilotError } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * try {
 *   await using conn = await driver.dial("alice", 4999);
 * } catch (error) {
 *   if (!(error instanceof PilotError)) throw error;
 *   if (error.code === "connection_refused") console.log("nothing listens there");
 *   else console.error(`${error.code}: ${error.message}`, error.hint ?? error.advice?.id ?? "");
 * }
 * ```
 */
export class PilotError extends Error {
  /** Stable kind of failure. */
  readonly code: ErrorCode;
  /** What to do next, where that is the same for everybody. */
  declare readonly hint?: string;
  /** What to do next, put into words by the program that shows the error: the CLI names its commands and options. */
  declare readonly advice?: Advice;

  /**
   * Makes an error.
   *
   * @param code Stable kind of failure.
   * @param message Names the thing and the cause, for people.
   * @param options Hint or advice, and cause.
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: PilotErrorOptions = {},
  ) {
    super(
      message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = "PilotError";
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.advice !== undefined) this.advice = options.advice;
  }

  /**
   * Turns anything thrown into a {@linkcode PilotError}, keeping those that are one already.
   *
   * @param thrown What was caught.
   * @param code Kind to use when `thrown` is not a {@linkcode PilotError}.
   * @param what What was being attempted; put before the original message.
   * @returns The same error, or a new one with `thrown` as its cause.
   */
  static from(thrown: unknown, code: ErrorCode, what?: string): PilotError {
    if (thrown instanceof PilotError) return thrown;
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new PilotError(
      code,
      what === undefined ? text : `${what}: ${text}`,
      { cause: thrown },
    );
  }
}

/**
 * What an error says about what to do next, for another one that takes its place.
 *
 * @param error The error.
 * @returns Its hint and its advice, without those that it has not.
 */
export function remedyOf(
  { hint, advice }: Pick<PilotError, "hint" | "advice">,
): Pick<PilotErrorOptions, "hint" | "advice"> {
  return {
    ...(hint === undefined ? {} : { hint }),
    ...(advice === undefined ? {} : { advice }),
  };
}

/** Why bytes could not be decoded. */
export type DecodeErrorKind =
  /** Fewer bytes than the fixed part of the format needs. */
  | "too_short"
  /** A length field points past the end. */
  | "truncated"
  /** A length or count above its limit. */
  | "too_long"
  /** The checksum does not fit the content. */
  | "checksum"
  /** A version this implementation does not speak. */
  | "version"
  /** A type or magic nobody defined. */
  | "unknown_type"
  /** Any other violation of the format. */
  | "malformed";

/**
 * A failed decode, as a value: hostile bytes are ordinary input on the packet path, so they must not cost an
 * exception. Instances are shared constants; compare `kind`, show `message`.
 */
export class DecodeError {
  /** Kind of violation. */
  readonly kind: DecodeErrorKind;
  /** One phrase for logs. */
  readonly message: string;

  /**
   * Makes a constant.
   *
   * @param kind Kind of violation.
   * @param message One phrase for logs.
   */
  constructor(kind: DecodeErrorKind, message: string) {
    this.kind = kind;
    this.message = message;
  }
}

/** Result of a total decoder: the value, or why there is none. */
export type Decoded<T> = T | DecodeError;
