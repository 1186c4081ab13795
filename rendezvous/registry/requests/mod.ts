/**
 * All requests that are served, by type. Everything else is answered like an unknown type.
 *
 * @module
 */

import type { Handler } from "../handler.ts";
import * as directory from "./directory.ts";
import * as identity from "./identity.ts";
import * as network from "./network.ts";
import * as trust from "./trust.ts";

/** Handlers by the `type` of the request. */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map([
  ["register", identity.register],
  ["heartbeat", identity.heartbeat],
  ["deregister", identity.deregister],
  ["rotate_key", identity.rotateKey],
  ["get_key_info", identity.getKeyInfo],
  ["lookup", directory.lookup],
  ["resolve", directory.resolve],
  ["resolve_hostname", directory.resolveHostname],
  ["set_hostname", directory.setHostname],
  ["set_visibility", directory.setVisibility],
  ["set_tags", directory.setTags],
  ["set_task_exec", directory.setTaskExec],
  ["report_trust", trust.reportTrust],
  ["revoke_trust", trust.revokeTrust],
  ["check_trust", trust.checkTrust],
  ["request_handshake", trust.requestHandshake],
  ["poll_handshakes", trust.pollHandshakes],
  ["respond_handshake", trust.respondHandshake],
  ["list_networks", network.listNetworks],
  ["list_nodes", network.listNodes],
  ["beacon_register", network.beaconRegister],
  ["beacon_list", network.beaconList],
  ["punch", network.punch],
]);
