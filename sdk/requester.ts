/**
 * Calls that are answered with one JSON object.
 *
 * @module
 */

import { DecodeError, type ErrorCode, PilotError } from "../protocol/errors.ts";
import { decodeJson, type IpcCall } from "../protocol/ipc/mod.ts";
import type { WaitOptions } from "./abort.ts";
import type { DaemonLink } from "./daemon_link.ts";
import { isJsonObject } from "../protocol/json_object.ts";

/** How to ask. */
export interface CallOptions extends WaitOptions {
  /** Code for failures an old daemon reports by a text that does not show the kind. */
  failure?: ErrorCode;
}

/** Asks the daemon. */
export class Requester {
  readonly #link: DaemonLink;

  /** @param link The conversation with the daemon. */
  constructor(link: DaemonLink) {
    this.#link = link;
  }

  /** Whether the daemon has our extensions. */
  get tagged(): boolean {
    return this.#link.tagged;
  }

  /**
   * Makes a call.
   *
   * @param call Which one.
   * @param fields What it carries.
   * @param what Names it in errors.
   * @param options Signal, limit.
   * @returns The answer. The daemon is trusted to keep the types of its own answers.
   * @throws {PilotError} The daemon's refusal; `unavailable` with another daemon, when only ours has the call.
   */
  call<Fields, Reply>(
    call: IpcCall<Fields, Reply>,
    fields: Fields,
    what: string,
    options: CallOptions,
  ): Promise<Reply> {
    if (call.isExtension === true && !this.tagged) {
      return Promise.reject(
        new PilotError(
          "unavailable",
          `${what}: this daemon does not have that command`,
          { advice: { id: "use_this_daemon" } },
        ),
      );
    }
    return this.#link.request<Reply>({
      ...options,
      what,
      cmd: call.cmd,
      expect: call.cmd + 1,
      payload: call.encode(fields),
      decode: decodeObject<Reply>,
    });
  }
}

const NOT_AN_OBJECT = new DecodeError("malformed", "not a JSON object");

/**
 * Reads an answer.
 *
 * @param payload JSON.
 * @returns The object. The daemon is trusted to keep the types of its own answers.
 */
export function decodeObject<T>(payload: Uint8Array): T | DecodeError {
  const value = decodeJson(payload);
  if (value instanceof DecodeError) return value;
  return isJsonObject(value) ? value as T : NOT_AN_OBJECT;
}
