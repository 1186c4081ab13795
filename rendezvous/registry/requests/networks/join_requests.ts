/**
 * `join_network` and `leave_network` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { authenticate, mayJoinByToken } from "../../authenticate.ts";
import { memberTarget } from "../../change_record.ts";
import type { RequestContext } from "../../context.ts";
import { RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { addressOn, BACKBONE, type NetworkRecord } from "../../networks/network.ts";

/**
 * `join_network`. On the wire the admin token stands in for the node's signature; a strict registry wants the node's own
 * statement, as being in a network opens a node to its other members.
 */
const joinNetwork = serve(requests.joinNetwork, async (context, fields) => {
  const { core } = context;
  const { network_id: id, node_id: node } = fields;
  if (id === BACKBONE) throw new RegistryFailure("denied", "cannot join the backbone network");
  const options = { admin: !core.strict };
  const { actor } = await authenticate(context, requests.joinNetwork, fields, options);
  const target = memberTarget(id, node);
  return await core.change({ actor, action: "network.join", target }, () => {
    const network = core.networks.get(id);
    // First: a member needs neither token nor invitation, and learns nothing new.
    if (network.members.has(node)) {
      throw new RegistryFailure("already_exists", `node ${node} already in network ${id}`);
    }
    checkJoinRule(context, fields.token, network);
    if (core.bans.has(id, node)) {
      throw new RegistryFailure(
        "denied",
        `cannot join network ${id}: node ${node} is banned from it`,
      );
    }
    core.networks.checkRoom(network, node);
    core.networks.join(network, node, "member");
    core.invites.remove(node, id);
    const reply: requests.JoinNetworkReply = { network_id: id, address: addressOn(id, node) };
    if (network.rules !== "") reply.rules = JSON.parse(network.rules);
    if (network.exprPolicy !== "") reply.expr_policy = JSON.parse(network.exprPolicy);
    return reply;
  });
});

function checkJoinRule(context: RequestContext, token: string, network: NetworkRecord): void {
  const { id, joinRule } = network;
  switch (joinRule) {
    case "open":
      return;
    case "token":
      if (mayJoinByToken(context, token, network)) return;
      throw new RegistryFailure("denied", `invalid token for network ${id}`);
    case "invite":
      throw new RegistryFailure("denied", `network ${id} is invite-only`);
    default:
      throw new RegistryFailure("denied", `network ${id} has an unknown join rule`);
  }
}

/** `leave_network`. The owner of an enterprise network hands it over first; any other one goes to its heir. */
const leaveNetwork = serve(requests.leaveNetwork, async (context, fields) => {
  const { core } = context;
  const { network_id: id, node_id: node } = fields;
  if (id === BACKBONE) throw new RegistryFailure("denied", "cannot leave the backbone network");
  const options = { admin: true };
  const { actor } = await authenticate(context, requests.leaveNetwork, fields, options);
  const target = memberTarget(id, node);
  return await core.change({ actor, action: "network.leave", target }, () => {
    const network = core.networks.get(id);
    const { role } = core.networks.member(network, node);
    if (network.enterprise && role === "owner") {
      throw new RegistryFailure(
        "invalid_state",
        "cannot leave network: owner must transfer ownership first",
      );
    }
    core.networks.leave(network, node);
    core.invites.removeNode(node, id);
    return { network_id: id };
  });
});

/** All of these. */
export const JOIN_REQUESTS: readonly Served[] = [joinNetwork, leaveNetwork];
