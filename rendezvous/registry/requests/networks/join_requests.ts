/**
 * `join_network` and `leave_network` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import {
  challenges,
  type JsonObject,
  numberField,
} from "../../../../protocol/registry/registry_message.ts";
import { authenticate, mayJoinByToken } from "../../authenticate.ts";
import type { RegistryCore } from "../../core.ts";
import { RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { addressOn, BACKBONE, type NetworkRecord } from "../../networks/network.ts";
import { networkField } from "../../networks/role_rights.ts";

/**
 * `join_network`. On the wire the admin token stands in for the node's signature; a strict registry wants the node's own
 * word, as being in a network opens a node to its other members.
 */
export const joinNetwork: Handler = async (core, request) => {
  const id = networkField(request);
  if (id === BACKBONE) throw new RegistryFailure("cannot join the backbone network");
  const node = numberField(request, "node_id");
  const challenge = challenges.joinNetwork(node, id);
  await authenticate(core, node, request, challenge, { admin: !core.strict });
  return core.change(() => {
    const network = core.networks.get(id);
    // First: a member needs neither token nor invitation, and learns nothing new.
    if (network.members.has(node)) {
      throw new RegistryFailure(`node ${node} already in network ${id}`);
    }
    checkJoinRule(core, request, network);
    if (core.bans.has(id, node)) {
      throw new RegistryFailure(`cannot join network ${id}: node ${node} is banned from it`);
    }
    core.networks.checkRoom(network, node);
    core.networks.join(network, node, "member");
    core.invites.remove(node, id);
    const reply: JsonObject = { network_id: id, address: addressOn(id, node) };
    if (network.rules !== "") reply["rules"] = JSON.parse(network.rules);
    if (network.exprPolicy !== "") reply["expr_policy"] = JSON.parse(network.exprPolicy);
    return reply;
  });
};

function checkJoinRule(core: RegistryCore, request: JsonObject, network: NetworkRecord): void {
  const { id, joinRule } = network;
  switch (joinRule) {
    case "open":
      return;
    case "token":
      if (mayJoinByToken(core, request, network)) return;
      throw new RegistryFailure(`invalid token for network ${id}`);
    case "invite":
      throw new RegistryFailure(`network ${id} is invite-only`);
    default:
      throw new RegistryFailure(`network ${id} has an unknown join rule`);
  }
}

/** `leave_network`. The owner of an enterprise network hands it over first; any other one goes to its heir. */
export const leaveNetwork: Handler = async (core, request) => {
  const id = networkField(request);
  if (id === BACKBONE) throw new RegistryFailure("cannot leave the backbone network");
  const node = numberField(request, "node_id");
  const challenge = challenges.leaveNetwork(node, id);
  await authenticate(core, node, request, challenge, { admin: true });
  return core.change(() => {
    const network = core.networks.get(id);
    const { role } = core.networks.member(network, node);
    if (network.enterprise && role === "owner") {
      throw new RegistryFailure("cannot leave network: owner must transfer ownership first");
    }
    core.networks.leave(network, node);
    core.invites.removeNode(node, id);
    return { network_id: id };
  });
};
