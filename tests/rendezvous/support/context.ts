/** Requests and changes of a registry without sockets. */

import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import type { ChangeRecord } from "../../../rendezvous/registry/change_record.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import { contextOf, type Peer, type RequestContext } from "../../../rendezvous/registry/context.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";

/** A change that no test looks at. */
export const CHANGE: ChangeRecord = {
  actor: { kind: "admin" },
  action: "registry.pass_time",
  target: { kind: "registry" },
};

/** A connection of its own, from a documentation address. */
export function newPeer(ip: string = "192.0.2.1"): Peer {
  return { ip, key: ip, port: 1, loopback: false, auth: new ConnectionAuth() };
}

/** A request as it comes in, by default on a new connection. */
export function contextFor(
  core: RegistryCore,
  request: JsonObject,
  peer: Peer = newPeer(),
): RequestContext {
  return contextOf(core, request, peer);
}
