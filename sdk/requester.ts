/**
 * Requests that are answered with one JSON object.
 *
 * @module
 */

import { DecodeError, type ErrorCode, PilotError } from "../protocol/errors.ts";
import { decodeJson } from "../protocol/ipc/mod.ts";
import type { WaitOptions } from "./abort.ts";
import type { Session } from "./daemon_session.ts";

/** A JSON object as the daemon or the registry sent it, keys unchanged. */
export type JsonObject = Record<string, unknown>;

/** What a request may carry. */
export interface RequestOptions extends WaitOptions {
  /** Its payload. */
  payload?: Uint8Array;
  /** Code for failures an old daemon reports by a text that does not tell. */
  failure?: ErrorCode;
}

/** Asks the daemon. */
export class Requester {
  readonly #session: Session;

  /** @param session The conversation with the daemon. */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Whether the daemon has our extensions. */
  get tagged(): boolean {
    return this.#session.tagged;
  }

  /**
   * A request whose answer, under the next command number, is a JSON object.
   *
   * @param what Names it in errors.
   * @param cmd Command number.
   * @param options Payload, signal, limit.
   * @returns The object. The daemon is trusted to keep the types of its own answers.
   */
  json<T>(what: string, cmd: number, options: RequestOptions): Promise<T> {
    return this.#session.request<T>({
      ...options,
      what,
      cmd,
      expect: cmd + 1,
      decode: decodeObject<T>,
    });
  }

  /**
   * As {@linkcode json}, for commands only our daemon has.
   *
   * @param what Names it in errors.
   * @param cmd Command number.
   * @param options Payload, signal, limit.
   * @returns The object.
   * @throws {PilotError} `unavailable` with another daemon.
   */
  extended<T>(what: string, cmd: number, options: RequestOptions): Promise<T> {
    if (this.tagged) return this.json(what, cmd, options);
    return Promise.reject(
      new PilotError(
        "unavailable",
        `${what}: this daemon does not have that command`,
        { hint: "Use the daemon of this package: pilotctl daemon run" },
      ),
    );
  }
}

const NOT_AN_OBJECT = new DecodeError("malformed", "not a JSON object");

function decodeObject<T>(payload: Uint8Array): T | DecodeError {
  const value = decodeJson(payload);
  if (value instanceof DecodeError) return value;
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as T
    : NOT_AN_OBJECT;
}
