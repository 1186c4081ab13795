/**
 * The form of a request of the local socket: what it can use and what it answers.
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import type { Backend } from "./backend.ts";
import type { ClientEvents } from "./client_events.ts";

/** What a command can use. */
export interface CommandContext {
  /** The daemon. */
  readonly backend: Backend;
  /** Fires when the client cancels the request or goes away. */
  readonly signal: AbortSignal;
  /**
   * This client's subscriptions to lifecycle events.
   *
   * @throws {PilotError} `invalid_state` for a client that would not understand what is pushed.
   */
  readonly events: ClientEvents;
  /** Listens in this client's name. */
  bind(port: number): void;
  /** Stops listening. */
  unbind(port: number): void;
  /**
   * Opens a connection that then belongs to this client, and answers the request itself: the answer must leave
   * before the first data of the connection.
   */
  dial(address: Address, port: number): Promise<void>;
}

/** Command number and payload of an answer. */
export interface Reply {
  /** The answering command. */
  readonly cmd: number;
  /** Its payload. */
  readonly payload: Uint8Array;
}

/**
 * Carries out one request; throws {@linkcode PilotError} or {@linkcode CommandError}. Undefined: there is no answer,
 * or it has been given.
 */
export type Command = (
  context: CommandContext,
  payload: Uint8Array,
) => Reply | Promise<Reply | undefined>;
