/**
 * What a token, or a role in a network, permits (docs/protocol/registry.md §2.3), and the reading of
 * the same. The wire lets anyone claim to be `node_id`; our registry asks for a signature over the whole request
 * (whole_signature.ts). Older ones of ours asked for one over `<type>:<node>:<network>`, and with the node that it is
 * about where there is one, so that is sent, too.
 *
 * @module
 */

import {
  ANYTHING,
  COUNT,
  FLAG,
  listOf,
  NETWORK,
  NODE,
  optional,
  orNull,
  TEXT,
  TEXTS,
} from "../registry_fields.ts";
import { record, type RegistryRequest } from "../request_schema.ts";
import type { NodeFields } from "./common_schema.ts";
import type { NetworkFields, NetworkReply } from "./network_schema.ts";

/** Types of the requests by role. */
export type NetworkAction =
  | "delete_network"
  | "rename_network"
  | "set_join_token"
  | "list_bans"
  | "set_network_policy"
  | "set_expr_policy"
  | "set_member_tags"
  | "kick_member"
  | "unban_member"
  | "promote_member"
  | "demote_member"
  | "transfer_ownership";

/** A request by role. */
export interface RoleRequest<F extends NetworkFields = NetworkFields, R extends object = object>
  extends RegistryRequest<F, R> {
  /** Field `type`. */
  readonly type: NetworkAction;
}

/** About a member of a network. */
export interface MemberFields extends NetworkFields {
  /** The member. */
  target_node_id: number;
}

/** Reply about a member of a network. */
export interface MemberReply extends NetworkReply {
  /** The member. */
  target_node_id: number;
}

const NETWORK_REPLY = { network_id: NETWORK };
const NETWORK_FIELDS = { network_id: NETWORK, node_id: NODE };
const MEMBER_REPLY = { network_id: NETWORK, target_node_id: NODE };
const MEMBER_FIELDS = { ...NETWORK_FIELDS, target_node_id: NODE };

/** What is signed for a request about a network. */
function ofNetwork(type: NetworkAction) {
  return {
    type,
    asker: "node_id",
    text: ({ node_id, network_id }: Required<NetworkFields>) => `${type}:${node_id}:${network_id}`,
  } as const;
}

/** What is signed for a request about a member. */
function ofMember(type: NetworkAction) {
  return {
    type,
    asker: "node_id",
    text: ({ node_id, network_id, target_node_id }: Required<MemberFields>) =>
      `${type}:${node_id}:${network_id}:${target_node_id}`,
  } as const;
}

/** Deletes a network; the owner may. */
export const deleteNetwork: RoleRequest<NetworkFields, NetworkReply> = {
  ...ofNetwork("delete_network"),
  fields: NETWORK_FIELDS,
  reply: NETWORK_REPLY,
};

/** Fields of {@linkcode renameNetwork}. */
export interface RenameNetworkFields extends NetworkFields {
  /** The new name. */
  name: string;
}

/** Reply to {@linkcode renameNetwork}. */
export interface RenameNetworkReply extends NetworkReply {
  /** The new name. */
  name: string;
}

/** Gives a network another name. */
export const renameNetwork: RoleRequest<RenameNetworkFields, RenameNetworkReply> = {
  ...ofNetwork("rename_network"),
  fields: { ...NETWORK_FIELDS, name: TEXT },
  reply: { ...NETWORK_REPLY, name: TEXT },
};

/** Fields of {@linkcode setJoinToken}. */
export interface SetJoinTokenFields extends NetworkFields {
  /** The new token. */
  token: string;
}

/** Ours: another token for a network that is joined by one. */
export const setJoinToken: RoleRequest<SetJoinTokenFields, NetworkReply> = {
  ...ofNetwork("set_join_token"),
  fields: { ...NETWORK_FIELDS, token: TEXT },
  reply: NETWORK_REPLY,
};

/** A node that may not come back. */
export interface ListedBan extends NodeFields {
  /** Since when, unix seconds. */
  timestamp: number;
}

/** Reply to {@linkcode listBans}. */
export interface ListBansReply extends NetworkReply {
  /** All of them. */
  bans: readonly ListedBan[];
}

/** Ours: lists who is banned. */
export const listBans: RoleRequest<NetworkFields, ListBansReply> = {
  ...ofNetwork("list_bans"),
  fields: NETWORK_FIELDS,
  reply: {
    ...NETWORK_REPLY,
    bans: listOf(record<ListedBan>({ node_id: NODE, timestamp: COUNT })),
  },
};

/** Fields of {@linkcode setNetworkPolicy}: only what is there changes, and what is wrong is refused. */
export interface SetPolicyFields extends NetworkFields {
  /** Most members, 0..10,000; 0 for no limit. */
  max_members?: unknown;
  /** Ports that members may reach, at most 100; none for all. */
  allowed_ports?: unknown;
  /** At most 256 bytes. */
  description?: unknown;
}

/** A network's policy. */
export interface PolicyReply extends NetworkReply {
  /** Most members; 0 for no limit of its own. */
  max_members: number;
  /** Ports that members may reach; none, or null, for all. */
  allowed_ports: readonly number[] | null;
  /** What it is for. */
  description: string;
}

const POLICY_REPLY = {
  ...NETWORK_REPLY,
  max_members: COUNT,
  allowed_ports: orNull(listOf(NETWORK)),
  description: TEXT,
};

/** Changes the policy of an enterprise network. */
export const setNetworkPolicy: RoleRequest<SetPolicyFields, PolicyReply> = {
  ...ofNetwork("set_network_policy"),
  fields: {
    ...NETWORK_FIELDS,
    max_members: ANYTHING,
    allowed_ports: ANYTHING,
    description: ANYTHING,
  },
  reply: POLICY_REPLY,
};

/** Reads the policy. Not signed on the wire; an invite-only network shows it to its members only. */
export const getNetworkPolicy: RegistryRequest<NetworkFields, PolicyReply> = {
  type: "get_network_policy",
  fields: NETWORK_FIELDS,
  reply: POLICY_REPLY,
  asker: "node_id",
};

/** Fields of {@linkcode setExprPolicy}. */
export interface SetExprPolicyFields extends NetworkFields {
  /** An object, or JSON in a text; empty clears. */
  expr_policy: unknown;
}

/** Reply to {@linkcode setExprPolicy}. */
export interface SetExprPolicyReply extends NetworkReply {
  /** There is none any more. */
  cleared?: boolean;
}

/** Sets or clears the policy document. */
export const setExprPolicy: RoleRequest<SetExprPolicyFields, SetExprPolicyReply> = {
  ...ofNetwork("set_expr_policy"),
  fields: { ...NETWORK_FIELDS, expr_policy: ANYTHING },
  reply: { ...NETWORK_REPLY, cleared: optional(FLAG) },
};

/** Reply to {@linkcode getExprPolicy}. */
export interface ExprPolicyReply extends NetworkReply {
  /** The document; absent when there is none. */
  expr_policy?: unknown;
}

/** Reads the policy document; anyone may. */
export const getExprPolicy: RegistryRequest<NetworkReply, ExprPolicyReply> = {
  type: "get_expr_policy",
  fields: NETWORK_REPLY,
  reply: { ...NETWORK_REPLY, expr_policy: ANYTHING },
};

/** Fields of {@linkcode kickMember}. */
export interface KickMemberFields extends MemberFields {
  /** Ours: it may not come back. */
  ban?: boolean;
}

/** Puts a member out of an enterprise network. */
export const kickMember: RoleRequest<KickMemberFields, MemberReply> = {
  ...ofMember("kick_member"),
  fields: { ...MEMBER_FIELDS, ban: FLAG },
  reply: MEMBER_REPLY,
};

/** Ours: a banned node may join again. */
export const unbanMember: RoleRequest<MemberFields, MemberReply> = {
  ...ofMember("unban_member"),
  fields: MEMBER_FIELDS,
  reply: MEMBER_REPLY,
};

/** A member's role. */
export interface RoleReply extends MemberReply {
  /** `owner`, `admin` or `member`. */
  role: string;
}

const ROLE_REPLY = { ...MEMBER_REPLY, role: TEXT };

/** Makes a member an admin. */
export const promoteMember: RoleRequest<MemberFields, RoleReply> = {
  ...ofMember("promote_member"),
  fields: MEMBER_FIELDS,
  reply: ROLE_REPLY,
};

/** Makes an admin a member. */
export const demoteMember: RoleRequest<MemberFields, RoleReply> = {
  ...ofMember("demote_member"),
  fields: MEMBER_FIELDS,
  reply: ROLE_REPLY,
};

/** Reads a member's role; anyone may. */
export const getMemberRole: RegistryRequest<MemberFields, RoleReply> = {
  type: "get_member_role",
  fields: MEMBER_FIELDS,
  reply: ROLE_REPLY,
};

/** Fields of {@linkcode transferOwnership}. */
export interface TransferFields extends NetworkFields {
  /** A member. */
  new_owner_id: number;
}

/** Reply to {@linkcode transferOwnership}. */
export interface TransferReply extends NetworkReply {
  /** Now an admin; 0 when there was none. */
  old_owner: number;
  /** The owner now. */
  new_owner: number;
}

/** Makes a member the owner. */
export const transferOwnership: RoleRequest<TransferFields, TransferReply> = {
  type: "transfer_ownership",
  fields: { ...NETWORK_FIELDS, new_owner_id: NODE },
  reply: { ...NETWORK_REPLY, old_owner: NODE, new_owner: NODE },
  asker: "node_id",
  text: ({ node_id, network_id, new_owner_id }) =>
    `transfer_ownership:${node_id}:${network_id}:${new_owner_id}`,
};

/** Fields of {@linkcode setMemberTags}. */
export interface SetMemberTagsFields extends MemberFields {
  /** All of them. */
  tags: readonly string[];
}

/** Reply to {@linkcode setMemberTags}. */
export interface SetMemberTagsReply extends MemberReply {
  /** In force now; null when emptied. */
  tags: readonly string[] | null;
}

/** Replaces a member's tags in a network. */
export const setMemberTags: RoleRequest<SetMemberTagsFields, SetMemberTagsReply> = {
  ...ofMember("set_member_tags"),
  fields: { ...MEMBER_FIELDS, tags: TEXTS },
  reply: { ...MEMBER_REPLY, tags: orNull(TEXTS) },
};

/** Reply to {@linkcode getMemberTags}. */
export interface MemberTagsReply extends NetworkReply {
  /** Who was asked about. */
  target_node_id?: number;
  /** Its tags. */
  tags?: readonly string[];
  /** Tags by node number, when nobody was named. */
  members?: unknown;
}

/** Reads the tags of a member, or of all. Not signed on the wire; an invite-only network shows them to its members. */
export const getMemberTags: RegistryRequest<MemberFields, MemberTagsReply> = {
  type: "get_member_tags",
  fields: MEMBER_FIELDS,
  reply: {
    ...NETWORK_REPLY,
    target_node_id: optional(NODE),
    tags: optional(TEXTS),
    members: ANYTHING,
  },
  asker: "node_id",
};

/** Types of all requests by role. */
export const NETWORK_ACTIONS: readonly NetworkAction[] = [
  deleteNetwork,
  renameNetwork,
  setJoinToken,
  listBans,
  setNetworkPolicy,
  setExprPolicy,
  setMemberTags,
  kickMember,
  unbanMember,
  promoteMember,
  demoteMember,
  transferOwnership,
].map(({ type }) => type);
