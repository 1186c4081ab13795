/**
 * What a peer learns when something it sent was not stored: a stable code and a short reason. Paths and the system's
 * own words stay in our log.
 *
 * @module
 */

import { errorCode } from "../../platform/private_files.ts";
import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { type ErrorCode, PilotError } from "../../protocol/errors.ts";
import type { Clock } from "../../platform/clock.ts";

/** An internal error is logged at most this often, milliseconds: peers can cause it at will. */
const LOG_INTERVAL_MS = 10_000;
/** What the system says when a disk or a user's share of it is full. */
const NO_SPACE_CODES: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

const log = getLogger([LOG_CATEGORY, "data-exchange"]);

/** An error whose message is made for the peer: it names nothing of this machine. */
export class Refusal extends PilotError {}

/**
 * The refusal for a full disk.
 *
 * @returns `limit_exceeded`.
 */
export function noSpace(): Refusal {
  return new Refusal("limit_exceeded", "no space left on the receiver's disk");
}

/** Turns faults into what a peer may read. */
export class Refusals {
  readonly #clock: Clock;
  #loggedAtMs = -Infinity;
  #unlogged = 0;

  /**
   * @param clock Whose time limits the lines in the log.
   */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The reason for an answer. What is not a {@linkcode Refusal} is an internal error: it is logged as it is and
   * reported in general words.
   *
   * @param thrown What was caught.
   * @param from Who sent it, for the log.
   * @returns `<code>: <reason>`.
   */
  reason(thrown: unknown, from: string): string {
    if (thrown instanceof Refusal) return text(thrown.code, thrown.message);
    this.#log(PilotError.from(thrown, "io_error"), from);
    if (isNoSpace(thrown)) {
      const { code, message } = noSpace();
      return text(code, message);
    }
    return text("io_error", "the receiver cannot store it");
  }

  #log({ code, message }: PilotError, from: string): void {
    const now = this.#clock.now();
    if (now - this.#loggedAtMs < LOG_INTERVAL_MS) {
      this.#unlogged++;
      return;
    }
    log.warn("Cannot store what {from} sent: {code}: {message} ({before} more before)", {
      from,
      code,
      message,
      before: this.#unlogged,
    });
    this.#loggedAtMs = now;
    this.#unlogged = 0;
  }
}

function text(code: ErrorCode, message: string): string {
  return `${code}: ${message}`;
}

function isNoSpace(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (NO_SPACE_CODES.has(errorCode(error) ?? "")) return true;
  }
  return false;
}
