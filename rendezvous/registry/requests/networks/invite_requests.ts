/**
 * `invite_to_network`, `poll_invites` and `respond_invite` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../../platform/clock.ts";
import { adminOfNetwork, authenticate } from "../../authenticate.ts";
import { memberTarget } from "../../change_record.ts";
import type { RegistryCore } from "../../core.ts";
import { nodeNotFound, RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { BACKBONE, type NetworkRecord } from "../../networks/network.ts";
import { requireEnterprise } from "../../networks/role_rights.ts";

/** A network whose members are invited. */
function inviteNetwork(core: RegistryCore, id: number): NetworkRecord {
  if (id === BACKBONE) requireEnterprise(undefined);
  const network = core.networks.get(id);
  requireEnterprise(network);
  return network;
}

/** `invite_to_network`, by an owner or admin of an invite-only network. */
const inviteToNetwork = serve(requests.inviteToNetwork, async (context, fields) => {
  const { core } = context;
  const { network_id: id, inviter_id: inviter, target_node_id: target } = fields;
  const options = { admin: true };
  const { actor } = await authenticate(context, requests.inviteToNetwork, fields, options);
  const record = { actor, action: "network.invite", target: memberTarget(id, target) } as const;
  return await core.change(record, () => {
    const network = inviteNetwork(core, id);
    if (network.joinRule !== "invite") {
      throw new RegistryFailure("denied", `network ${id} is not invite-only`);
    }
    if (adminOfNetwork(context, network) === undefined) checkInviter(network, inviter);
    checkTarget(core, network, { inviter, target });
    const reply = { network_id: id, target_node_id: target };
    const now = unixSeconds(core.clock);
    const waiting = core.invites.get(target, id);
    if (waiting !== undefined && !core.invites.expired(waiting, now)) {
      return { ...reply, status: "already_invited" };
    }
    core.invites.put({ target, network: id, inviter, created: now });
    core.inboxWatch.waiting(target);
    return reply;
  });
});

function checkInviter({ id, members }: NetworkRecord, inviter: number): void {
  const membership = members.get(inviter);
  if (membership === undefined) {
    throw new RegistryFailure("denied", `inviter ${inviter} is not a member of network ${id}`);
  }
  if (membership.role !== "owner" && membership.role !== "admin") {
    throw new RegistryFailure("denied", "rbac: needs the role owner or admin");
  }
}

function checkTarget(
  core: RegistryCore,
  network: NetworkRecord,
  { inviter, target }: { inviter: number; target: number },
): void {
  if (inviter === target) throw new RegistryFailure("invalid_argument", "cannot invite yourself");
  const node = core.nodes.known(target);
  if (node === undefined || node.state === "left") throw nodeNotFound(target);
  if (network.members.has(target)) {
    throw new RegistryFailure(
      "already_exists",
      `node ${target} is already a member of network ${network.id}`,
    );
  }
  if (core.bans.has(network.id, target)) {
    throw new RegistryFailure(
      "denied",
      `cannot invite node ${target}: it is banned from the network`,
    );
  }
}

/** `poll_invites`; they wait until they are answered or expire. */
const pollInvites = serve(requests.pollInvites, async (context, fields) => {
  const { core } = context;
  const { node_id: id } = fields;
  await authenticate(context, requests.pollInvites, fields);
  // An invitation is handed out only when it is sure to exist, as everything else that is answered.
  return await core.settled(() => {
    core.inboxWatch.fetched(id);
    return {
      invites: core.invites.waiting(id, unixSeconds(core.clock)).map((invite) => ({
        network_id: invite.network,
        inviter_id: invite.inviter,
        timestamp: invite.created,
      })),
    };
  });
});

/** `respond_invite`. */
const respondInvite = serve(requests.respondInvite, async (context, fields) => {
  const { core } = context;
  const { network_id: id, node_id: node, accept: accepted } = fields;
  const { actor } = await authenticate(context, requests.respondInvite, fields);
  const target = memberTarget(id, node);
  const reply = await core.change({ actor, action: "network.respond_invite", target }, () => {
    const network = inviteNetwork(core, id);
    const invite = core.invites.get(node, id);
    if (invite === undefined) throw new RegistryFailure("not_found", "no pending invite");
    if (core.invites.expired(invite, unixSeconds(core.clock))) {
      throw new RegistryFailure(
        "invalid_state",
        `invite for node ${node} to network ${id} has expired`,
      );
    }
    if (accepted) {
      if (network.members.has(node)) {
        throw new RegistryFailure(
          "already_exists",
          `node ${node} is already a member of network ${id}`,
        );
      }
      core.networks.checkRoom(network, node); // a full network keeps the invitation
      core.networks.join(network, node, "member");
    }
    core.invites.remove(node, id);
    return { accepted, network_id: id };
  });
  core.counters.invites[accepted ? "accepted" : "rejected"]++; // now that it is durable
  return reply;
});

/** All of these. */
export const INVITE_REQUESTS: readonly Served[] = [inviteToNetwork, pollInvites, respondInvite];
