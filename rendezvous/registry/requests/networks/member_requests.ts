/**
 * Members of a network, their roles and tags (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import type { ReadFields } from "../../../../protocol/registry/request_schema.ts";
import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../../platform/clock.ts";
import type { RequestContext } from "../../context.ts";
import type { RegistryCore } from "../../core.ts";
import { nodeNotFound, RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { MAX_LISTED_NODES } from "../../networks/network_limits.ts";
import { checkMemberTags } from "../../networks/network_names.ts";
import { BACKBONE, type NetworkRecord, NO_TAGS, ownerOf } from "../../networks/network.ts";
import { notAMember } from "../../networks/network_table.ts";
import { changeByRole, checkReader, readByRole } from "../../networks/role_rights.ts";

/**
 * `kick_member`: any member but the owner, by an owner or admin, which may thus also kick itself. With `ban`, our
 * extension, the node cannot join again either until `unban_member`; one that has just left can be banned as well.
 */
const kickMember = serve(requests.kickMember, (context, fields) => {
  const { core } = context;
  const { target_node_id: target, ban: isBan } = fields;
  return changeByRole(context, requests.kickMember, fields, {
    action: "network.kick",
    member: target,
    roles: ["owner", "admin"],
    enterprise: true,
    backbone: "cannot kick from the backbone network",
  }, (network) => {
    const isGone = isBan && !network.members.has(target);
    if (isGone && core.nodes.known(target) === undefined) throw nodeNotFound(target);
    const role = isGone ? "" : core.networks.member(network, target).role;
    if (role === "owner") throw new RegistryFailure("denied", "cannot kick the network owner");
    if (isBan) {
      core.bans.checkRoom(network.id, target);
      core.bans.add({ network: network.id, node: target, created: unixSeconds(core.clock) });
    }
    if (!isGone) core.networks.leave(network, target);
    core.invites.removeNode(target, network.id);
    return { network_id: network.id, target_node_id: target };
  });
});

/** `unban_member`, our extension: a banned node may join again, where the network's rule lets it. */
const unbanMember = serve(requests.unbanMember, (context, fields) => {
  const { target_node_id: target } = fields;
  return changeByRole(context, requests.unbanMember, fields, {
    action: "network.unban",
    member: target,
    roles: ["owner", "admin"],
  }, (network) => {
    if (!context.core.bans.remove(network.id, target)) {
      throw new RegistryFailure(
        "not_found",
        `ban of node ${target} not found in network ${network.id}`,
      );
    }
    return { network_id: network.id, target_node_id: target };
  });
});

/** `list_bans`, our extension. */
const listBans = serve(
  requests.listBans,
  (context, fields) =>
    readByRole(context, requests.listBans, fields, { roles: ["owner", "admin"] }, ({ id }) => ({
      network_id: id,
      bans: context.core.bans.of(id).map(({ node, created }) => ({
        node_id: node,
        timestamp: created,
      })),
    })),
);

/** `promote_member`: a member becomes admin. */
const promoteMember = serve(requests.promoteMember, (context, fields) =>
  setRole(context, fields, {
    request: requests.promoteMember,
    action: "network.promote",
    role: "admin",
    toOwner: "cannot promote the owner",
    already: "an admin",
  }));

/** `demote_member`: an admin becomes a member, and its invitations end with its right to invite. */
const demoteMember = serve(requests.demoteMember, (context, fields) =>
  setRole(context, fields, {
    request: requests.demoteMember,
    action: "network.demote",
    role: "member",
    toOwner: "cannot demote the owner",
    already: "a member",
  }));

function setRole(
  context: RequestContext,
  fields: ReadFields<requests.MemberFields>,
  { request, action, role, toOwner, already }: {
    request: requests.RoleRequest<requests.MemberFields, requests.RoleReply>;
    action: "network.promote" | "network.demote";
    role: "admin" | "member";
    toOwner: string;
    already: string;
  },
): Promise<requests.RoleReply> {
  const { core } = context;
  const { target_node_id: target } = fields;
  const rights = { action, member: target, roles: ["owner"], enterprise: true } as const;
  return changeByRole(context, request, fields, rights, (network) => {
    const before = core.networks.member(network, target).role;
    if (before === "owner") throw new RegistryFailure("denied", toOwner);
    if (before === role) {
      throw new RegistryFailure("already_exists", `node ${target} is already ${already}`);
    }
    core.networks.update(network, target, { role });
    if (role === "member") core.invites.removeSent(target, network.id);
    return { network_id: network.id, target_node_id: target, role };
  });
}

/** `transfer_ownership` to a member; the old owner becomes an admin. */
const transferOwnership = serve(requests.transferOwnership, (context, fields) => {
  const { core } = context;
  const { new_owner_id: target } = fields;
  if (target === 0) throw new RegistryFailure("invalid_argument", "new_owner_id is required");
  return changeByRole(context, requests.transferOwnership, fields, {
    action: "network.transfer",
    member: target,
    roles: ["owner"],
    enterprise: true,
  }, (network) => {
    if (core.networks.member(network, target).role === "owner") {
      throw new RegistryFailure("already_exists", `node ${target} is already the owner`);
    }
    const old = ownerOf(network);
    if (old !== undefined) core.networks.update(network, old, { role: "admin" });
    core.networks.update(network, target, { role: "owner" });
    return { network_id: network.id, old_owner: old ?? 0, new_owner: target };
  });
});

/** `get_member_role`; open to everyone. Where roles were dropped, and on the backbone, everybody is a member. */
const getMemberRole = serve(requests.getMemberRole, ({ core }, fields) => {
  const { network_id: id, target_node_id: target } = fields;
  const role = id === BACKBONE
    ? backboneRole(core, target)
    : core.networks.member(core.networks.get(id), target).role || "member";
  return { network_id: id, target_node_id: target, role };
});

function backboneRole(core: RegistryCore, node: number): "member" {
  if (core.nodes.known(node)?.state !== "live") throw notAMember(node, BACKBONE);
  return "member";
}

/** `set_member_tags`; replaces the whole set. */
const setMemberTags = serve(requests.setMemberTags, (context, fields) => {
  const { core } = context;
  const { target_node_id: target, tags } = fields;
  return changeByRole(context, requests.setMemberTags, fields, {
    action: "network.set_member_tags",
    member: target,
    roles: ["owner", "admin"],
    backbone: "cannot set member tags on the backbone network",
  }, (network) => {
    core.networks.member(network, target);
    checkMemberTags(tags);
    core.networks.update(network, target, { tags: tags.length === 0 ? NO_TAGS : tags });
    return {
      network_id: network.id,
      target_node_id: target,
      tags: tags.length === 0 ? null : tags,
    };
  });
});

/** `get_member_tags` of one member, or of all that have any; see `checkReader`. */
const getMemberTags = serve(requests.getMemberTags, (context, fields) => {
  const { core } = context;
  const { network_id: id, target_node_id: target } = fields;
  const network = id === BACKBONE ? undefined : core.networks.get(id);
  if (network !== undefined) checkReader(context, network);
  if (target === 0) return { network_id: id, members: network === undefined ? {} : all(network) };
  if (network === undefined) backboneRole(core, target);
  const tags = network === undefined ? NO_TAGS : core.networks.member(network, target).tags;
  return { network_id: id, target_node_id: target, tags };
});

function all(network: NetworkRecord): Record<string, readonly string[]> {
  const tagged = [...network.members].filter(([, { tags }]) => tags.length > 0);
  if (tagged.length > MAX_LISTED_NODES) {
    throw new RegistryFailure(
      "limit_exceeded",
      `too many members to list (max ${MAX_LISTED_NODES})`,
    );
  }
  return Object.fromEntries(tagged.map(([node, { tags }]) => [node, tags]));
}

/** All of these. */
export const MEMBER_REQUESTS: readonly Served[] = [
  kickMember,
  unbanMember,
  listBans,
  promoteMember,
  demoteMember,
  transferOwnership,
  getMemberRole,
  setMemberTags,
  getMemberTags,
];
