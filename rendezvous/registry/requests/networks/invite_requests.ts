/**
 * `invite_to_network`, `poll_invites` and `respond_invite` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import {
  challenges,
  flagField,
  type JsonObject,
  numberField,
} from "../../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../../server_clock.ts";
import { authenticate, isAdminOf } from "../../authenticate.ts";
import type { RegistryCore } from "../../core.ts";
import { nodeNotFound, RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { BACKBONE, type NetworkRecord } from "../../networks/network.ts";
import { networkField, requireEnterprise } from "../../networks/role_rights.ts";

/** A network whose members are invited. */
function inviteNetwork(core: RegistryCore, id: number): NetworkRecord {
  if (id === BACKBONE) requireEnterprise(undefined);
  const network = core.networks.get(id);
  requireEnterprise(network);
  return network;
}

/** `invite_to_network`, by an owner or admin of an invite-only network. */
export const inviteToNetwork: Handler = async (core, request) => {
  const id = networkField(request);
  const inviter = numberField(request, "inviter_id");
  const target = numberField(request, "target_node_id");
  const challenge = challenges.invite(inviter, id, target);
  await authenticate(core, inviter, request, challenge, { admin: true });
  return core.change(() => {
    const network = inviteNetwork(core, id);
    if (network.joinRule !== "invite") {
      throw new RegistryFailure(`network ${id} is not invite-only`);
    }
    if (!isAdminOf(core, request, network)) checkInviter(network, inviter);
    checkTarget(core, network, { inviter, target });
    const reply: JsonObject = { network_id: id, target_node_id: target };
    const now = unixSeconds(core.clock);
    const waiting = core.invites.get(target, id);
    if (waiting !== undefined && !core.invites.expired(waiting, now)) {
      return { ...reply, status: "already_invited" };
    }
    core.invites.put({ target, network: id, inviter, created: now });
    core.inboxWatch.waiting(target);
    return reply;
  });
};

function checkInviter({ id, members }: NetworkRecord, inviter: number): void {
  const membership = members.get(inviter);
  if (membership === undefined) {
    throw new RegistryFailure(`inviter ${inviter} is not a member of network ${id}`);
  }
  if (membership.role !== "owner" && membership.role !== "admin") {
    throw new RegistryFailure("rbac: needs the role owner or admin");
  }
}

function checkTarget(
  core: RegistryCore,
  network: NetworkRecord,
  { inviter, target }: { inviter: number; target: number },
): void {
  if (inviter === target) throw new RegistryFailure("cannot invite yourself");
  const node = core.directory.known(target);
  if (node === undefined || node.state === "left") throw nodeNotFound(target);
  if (network.members.has(target)) {
    throw new RegistryFailure(`node ${target} is already a member of network ${network.id}`);
  }
  if (core.bans.has(network.id, target)) {
    throw new RegistryFailure(`cannot invite node ${target}: it is banned from the network`);
  }
}

/** `poll_invites`; they wait until they are answered or expire. */
export const pollInvites: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  await authenticate(core, id, request, challenges.pollInvites(id));
  // An invitation is handed out only when it is sure to exist, as everything else that is answered.
  return core.change(() => {
    core.inboxWatch.fetched(id);
    return {
      invites: core.invites.waiting(id, unixSeconds(core.clock)).map((invite) => ({
        network_id: invite.network,
        inviter_id: invite.inviter,
        timestamp: invite.created,
      })),
    };
  });
};

/** `respond_invite`. */
export const respondInvite: Handler = async (core, request) => {
  const id = networkField(request);
  const node = numberField(request, "node_id");
  const accepted = flagField(request, "accept");
  await authenticate(core, node, request, challenges.respondInvite(node, id));
  const reply = await core.change(() => {
    const network = inviteNetwork(core, id);
    const invite = core.invites.get(node, id);
    if (invite === undefined) throw new RegistryFailure("no pending invite");
    if (core.invites.expired(invite, unixSeconds(core.clock))) {
      throw new RegistryFailure(`invite for node ${node} to network ${id} has expired`);
    }
    if (accepted) {
      if (network.members.has(node)) {
        throw new RegistryFailure(`node ${node} is already a member of network ${id}`);
      }
      core.networks.checkRoom(network, node); // a full network keeps the invitation
      core.networks.join(network, node, "member");
    }
    core.invites.remove(node, id);
    return { accepted, network_id: id };
  });
  core.counters.invites[accepted ? "accepted" : "rejected"]++; // now that it is durable
  return reply;
};
