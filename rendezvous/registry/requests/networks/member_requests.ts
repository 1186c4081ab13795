/**
 * Members of a network, their roles and tags (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import {
  flagField,
  type JsonObject,
  numberField,
  textListField,
} from "../../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../../server_clock.ts";
import type { RegistryCore } from "../../core.ts";
import { nodeNotFound, RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { MAX_LISTED_NODES } from "../../networks/network_limits.ts";
import { checkMemberTags } from "../../networks/network_names.ts";
import { BACKBONE, type NetworkRecord, NO_TAGS, ownerOf } from "../../networks/network.ts";
import { notAMember } from "../../networks/network_table.ts";
import { changeByRole, checkReader, networkField } from "../../networks/role_rights.ts";

function targetField(request: JsonObject): number {
  return numberField(request, "target_node_id");
}

/**
 * `kick_member`: anybody but the owner, by an owner or admin, who may thus also kick himself. With `ban`, our extension,
 * the node cannot join again either until `unban_member`; one that has just left can be banned as well.
 */
export const kickMember: Handler = (core, request) => {
  const target = targetField(request);
  return changeByRole(core, request, {
    action: "kick_member",
    roles: ["owner", "admin"],
    enterprise: true,
    backbone: "cannot kick from the backbone network",
    target,
  }, (network) => {
    const isBan = flagField(request, "ban");
    const isGone = isBan && !network.members.has(target);
    if (isGone && core.directory.known(target) === undefined) throw nodeNotFound(target);
    const role = isGone ? "" : core.networks.member(network, target).role;
    if (role === "owner") throw new RegistryFailure("cannot kick the network owner");
    if (isBan) {
      core.bans.checkRoom(network.id, target);
      core.bans.add({ network: network.id, node: target, created: unixSeconds(core.clock) });
    }
    if (!isGone) core.networks.leave(network, target);
    core.invites.removeNode(target, network.id);
    return { network_id: network.id, target_node_id: target };
  });
};

/** `unban_member`, our extension: a banned node may join again, where the network's rule lets it. */
export const unbanMember: Handler = (core, request) => {
  const target = targetField(request);
  return changeByRole(core, request, {
    action: "unban_member",
    roles: ["owner", "admin"],
    target,
  }, (network) => {
    if (!core.bans.remove(network.id, target)) {
      throw new RegistryFailure(`ban of node ${target} not found in network ${network.id}`);
    }
    return { network_id: network.id, target_node_id: target };
  });
};

/** `list_bans`, our extension. */
export const listBans: Handler = (core, request) =>
  changeByRole(core, request, { action: "list_bans", roles: ["owner", "admin"] }, ({ id }) => ({
    network_id: id,
    bans: core.bans.of(id).map(({ node, created }) => ({ node_id: node, timestamp: created })),
  }));

/** `promote_member`: a member becomes admin. */
export const promoteMember: Handler = (core, request) =>
  setRole(core, request, {
    action: "promote_member",
    role: "admin",
    toOwner: "cannot promote the owner",
    already: "an admin",
  });

/** `demote_member`: an admin becomes a member, and his invitations end with his right to invite. */
export const demoteMember: Handler = (core, request) =>
  setRole(core, request, {
    action: "demote_member",
    role: "member",
    toOwner: "cannot demote the owner",
    already: "a member",
  });

function setRole(
  core: RegistryCore,
  request: JsonObject,
  { action, role, toOwner, already }: {
    action: "promote_member" | "demote_member";
    role: "admin" | "member";
    toOwner: string;
    already: string;
  },
): Promise<JsonObject> {
  const target = targetField(request);
  const rights = { action, roles: ["owner"], enterprise: true, target } as const;
  return changeByRole(core, request, rights, (network) => {
    const before = core.networks.member(network, target).role;
    if (before === "owner") throw new RegistryFailure(toOwner);
    if (before === role) throw new RegistryFailure(`node ${target} is already ${already}`);
    core.networks.update(network, target, { role });
    if (role === "member") core.invites.removeSent(target, network.id);
    return { network_id: network.id, target_node_id: target, role };
  });
}

/** `transfer_ownership` to a member; whoever was owner becomes admin. */
export const transferOwnership: Handler = (core, request) => {
  const target = numberField(request, "new_owner_id");
  if (target === 0) throw new RegistryFailure("new_owner_id is required");
  return changeByRole(core, request, {
    action: "transfer_ownership",
    roles: ["owner"],
    enterprise: true,
    target,
  }, (network) => {
    if (core.networks.member(network, target).role === "owner") {
      throw new RegistryFailure(`node ${target} is already the owner`);
    }
    const old = ownerOf(network);
    if (old !== undefined) core.networks.update(network, old, { role: "admin" });
    core.networks.update(network, target, { role: "owner" });
    return { network_id: network.id, old_owner: old ?? 0, new_owner: target };
  });
};

/** `get_member_role`; open to everyone. Where roles were dropped, and on the backbone, everybody is a member. */
export const getMemberRole: Handler = (core, request) => {
  const id = networkField(request);
  const target = targetField(request);
  const role = id === BACKBONE
    ? backboneRole(core, target)
    : core.networks.member(core.networks.get(id), target).role || "member";
  return { network_id: id, target_node_id: target, role };
};

function backboneRole(core: RegistryCore, node: number): "member" {
  if (core.directory.known(node)?.state !== "live") throw notAMember(node, BACKBONE);
  return "member";
}

/** `set_member_tags`; replaces the whole set. */
export const setMemberTags: Handler = (core, request) => {
  const target = targetField(request);
  return changeByRole(core, request, {
    action: "set_member_tags",
    roles: ["owner", "admin"],
    backbone: "cannot set member tags on the backbone network",
    target,
  }, (network) => {
    const tags = textListField(request, "tags");
    core.networks.member(network, target);
    checkMemberTags(tags);
    core.networks.update(network, target, { tags: tags.length === 0 ? NO_TAGS : tags });
    return {
      network_id: network.id,
      target_node_id: target,
      tags: tags.length === 0 ? null : tags,
    };
  });
};

/** `get_member_tags` of one member, or of all that have any; see `checkReader`. */
export const getMemberTags: Handler = (core, request) => {
  const id = networkField(request);
  const target = targetField(request);
  const network = id === BACKBONE ? undefined : core.networks.get(id);
  if (network !== undefined) checkReader(core, request, network);
  if (target === 0) return { network_id: id, members: network === undefined ? {} : all(network) };
  if (network === undefined) backboneRole(core, target);
  const tags = network === undefined ? NO_TAGS : core.networks.member(network, target).tags;
  return { network_id: id, target_node_id: target, tags };
};

function all(network: NetworkRecord): JsonObject {
  const tagged = [...network.members].filter(([, { tags }]) => tags.length > 0);
  if (tagged.length > MAX_LISTED_NODES) {
    throw new RegistryFailure(`too many members to list (max ${MAX_LISTED_NODES})`);
  }
  return Object.fromEntries(tagged.map(([node, { tags }]) => [node, tags]));
}
