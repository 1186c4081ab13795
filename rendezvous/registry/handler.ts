/**
 * The shape of a request handler.
 *
 * @module
 */

import type { ConnectionAuth } from "./connection_auth.ts";
import type { RegistryCore } from "./core.ts";
import type { JsonObject } from "../../protocol/registry/registry_message.ts";

/** Where a request came from. */
export interface Peer {
  /** Source IP, IPv4-mapped addresses as IPv4. */
  readonly ip: string;
  /** What limits count by, see `sourceOf`. */
  readonly key: string;
  /** TCP source port. */
  readonly port: number;
  /** The source is this machine. */
  readonly loopback: boolean;
  /** What its connection has shown of who is behind it. */
  readonly auth: ConnectionAuth;
}

/** Answers one type of request: the reply without its `type`, or a thrown `RegistryFailure`. */
export type Handler = (
  core: RegistryCore,
  request: JsonObject,
  peer: Peer,
) => JsonObject | Promise<JsonObject>;
