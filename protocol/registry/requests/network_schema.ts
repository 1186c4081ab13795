/**
 * Networks: making and joining them, and reading who is in them (docs/protocol/registry.md §4.5). Changes by role are
 * in role_schema.ts.
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
  SIGNED,
  TEXT,
  TEXTS,
} from "../registry_fields.ts";
import { record, type RegistryRequest } from "../request_schema.ts";
import { NODE_FIELDS, type NodeFields, type NoFields } from "./common_schema.ts";
import { NODE_FACTS, type NodeFacts } from "./directory_schema.ts";

/** About a network. */
export interface NetworkReply {
  /** Its number. */
  network_id: number;
}

const NETWORK_REPLY = { network_id: NETWORK };

/** About a network, in a node's name. */
export interface NetworkFields extends NetworkReply {
  /** Who asks. */
  node_id?: number;
}

const NETWORK_FIELDS = { network_id: NETWORK, node_id: NODE };

/** Fields of {@linkcode createNetwork}; the admin token goes with them. */
export interface CreateNetworkFields extends NodeFields {
  /** Its name. */
  name: string;
  /** `open`, `token` or `invite`. */
  join_rule?: string;
  /** Token to join it. */
  token?: string;
  /** With roles, policies and key expiry. */
  enterprise?: boolean;
  /** Its own admin token. */
  network_admin_token?: string;
  /** Rules of a managed network, an object or JSON in a text. */
  rules?: unknown;
  /** Policy document, an object or JSON in a text. */
  expr_policy?: unknown;
}

/** Reply to {@linkcode createNetwork}. */
export interface CreateNetworkReply extends NetworkReply {
  /** Its name. */
  name: string;
  /** As asked. */
  enterprise: boolean;
  /** It has rules. */
  managed?: boolean;
}

/** Makes a network, whose owner is `node_id`. */
export const createNetwork: RegistryRequest<CreateNetworkFields, CreateNetworkReply> = {
  type: "create_network",
  fields: {
    ...NODE_FIELDS,
    name: TEXT,
    join_rule: TEXT,
    token: TEXT,
    enterprise: FLAG,
    network_admin_token: TEXT,
    rules: ANYTHING,
    expr_policy: ANYTHING,
  },
  reply: { ...NETWORK_REPLY, name: TEXT, enterprise: FLAG, managed: optional(FLAG) },
};

/** Fields of {@linkcode joinNetwork}. */
export interface JoinNetworkFields extends NetworkFields {
  /** Its token, where it wants one. */
  token?: string;
}

/** Reply to {@linkcode joinNetwork}. */
export interface JoinNetworkReply extends NetworkReply {
  /** The node's address in it. */
  address: string;
  /** Rules of a managed network. */
  rules?: unknown;
  /** Policy document. */
  expr_policy?: unknown;
}

/** Joins a network. */
export const joinNetwork: RegistryRequest<JoinNetworkFields, JoinNetworkReply> = {
  type: "join_network",
  fields: { ...NETWORK_FIELDS, token: TEXT },
  reply: { ...NETWORK_REPLY, address: TEXT, rules: ANYTHING, expr_policy: ANYTHING },
  asker: "node_id",
  text: ({ node_id, network_id }) => `join_network:${node_id}:${network_id}`,
};

/** Leaves a network. */
export const leaveNetwork: RegistryRequest<NetworkFields, NetworkReply> = {
  type: "leave_network",
  fields: NETWORK_FIELDS,
  reply: NETWORK_REPLY,
  asker: "node_id",
  text: ({ node_id, network_id }) => `leave_network:${node_id}:${network_id}`,
};

/** Fields of {@linkcode setNetworkEnterprise}; the admin token goes with them. */
export interface SetEnterpriseFields extends NetworkReply {
  /** On or off. */
  enterprise: boolean;
}

/** Makes an enterprise network of another one, or vice versa. */
export const setNetworkEnterprise: RegistryRequest<SetEnterpriseFields, SetEnterpriseFields> = {
  type: "set_network_enterprise",
  fields: { ...NETWORK_REPLY, enterprise: FLAG },
  reply: { ...NETWORK_REPLY, enterprise: FLAG },
};

/** A network in a list. */
export interface ListedNetwork {
  /** Its number. */
  id: number;
  /** Its name. */
  name: string;
  /** How many are in it. */
  members: number;
  /** `open`, `token` or `invite`. */
  join_rule: string;
  /** With roles, policies and key expiry. */
  enterprise: boolean;
  /** Unix seconds; 0 for the backbone. */
  created: number;
  /** Most members; absent where only the registry's own limit counts. */
  max_members?: number;
  /** What it is for. */
  description?: string;
  /** It has rules. */
  managed?: boolean;
  /** They. */
  rules?: unknown;
  /** It has a policy document. */
  has_expr_policy?: boolean;
}

/** Reply to {@linkcode listNetworks}. */
export interface ListNetworksReply {
  /** All of them, the backbone first. */
  networks: readonly ListedNetwork[];
}

/** Lists networks; anyone may. */
export const listNetworks: RegistryRequest<NoFields, ListNetworksReply> = {
  type: "list_networks",
  fields: {},
  reply: {
    networks: listOf(record<ListedNetwork>({
      id: NETWORK,
      name: TEXT,
      members: COUNT,
      join_rule: TEXT,
      enterprise: FLAG,
      created: COUNT,
      max_members: optional(COUNT),
      description: optional(TEXT),
      managed: optional(FLAG),
      rules: ANYTHING,
      has_expr_policy: optional(FLAG),
    })),
  },
};

/** A node in a list: of one that is not there only number, address and membership. */
export interface ListedNode extends Partial<Omit<NodeFacts, "node_id">>, NodeFields {
  /** RFC 3339. */
  last_seen?: string;
  /** It is not there at the moment. */
  offline?: boolean;
  /** Role in the network. */
  role?: string;
  /** Tags in the network. */
  member_tags?: readonly string[];
}

/** Reply to {@linkcode listNodes}. */
export interface ListNodesReply {
  /** Its members. */
  nodes: readonly ListedNode[];
}

/** Lists the members of a network. Not signed on the wire; an invite-only network shows this to its members only. */
export const listNodes: RegistryRequest<NetworkFields, ListNodesReply> = {
  type: "list_nodes",
  fields: NETWORK_FIELDS,
  reply: {
    nodes: listOf(record<ListedNode>({
      ...NODE_FACTS,
      address: optional(TEXT),
      public: optional(FLAG),
      polo_score: optional(SIGNED),
      last_seen: optional(TEXT),
      offline: optional(FLAG),
      role: optional(TEXT),
      member_tags: optional(TEXTS),
    })),
  },
  asker: "node_id",
};

/** Fields of {@linkcode inviteToNetwork}. */
export interface InviteFields extends NetworkReply {
  /** Who invites. */
  inviter_id: number;
  /** The node concerned. */
  target_node_id: number;
}

/** Reply to {@linkcode inviteToNetwork}. */
export interface InviteReply extends NetworkReply {
  /** Who is invited. */
  target_node_id: number;
  /** `already_invited`. */
  status?: string;
}

/** Invites a node into an invite-only network. */
export const inviteToNetwork: RegistryRequest<InviteFields, InviteReply> = {
  type: "invite_to_network",
  fields: { ...NETWORK_REPLY, inviter_id: NODE, target_node_id: NODE },
  reply: { ...NETWORK_REPLY, target_node_id: NODE, status: optional(TEXT) },
  asker: "inviter_id",
  text: ({ inviter_id, network_id, target_node_id }) =>
    `invite:${inviter_id}:${network_id}:${target_node_id}`,
};

/** An invitation. */
export interface WaitingInvite extends NetworkReply {
  /** Who invites. */
  inviter_id: number;
  /** When, unix seconds. */
  timestamp: number;
}

/** Reply to {@linkcode pollInvites}. */
export interface PollInvitesReply {
  /** They stay until they are answered. */
  invites: readonly WaitingInvite[];
}

/** Asks for a node's invitations. */
export const pollInvites: RegistryRequest<NodeFields, PollInvitesReply> = {
  type: "poll_invites",
  fields: NODE_FIELDS,
  reply: {
    invites: listOf(record<WaitingInvite>({
      ...NETWORK_REPLY,
      inviter_id: NODE,
      timestamp: COUNT,
    })),
  },
  asker: "node_id",
  text: ({ node_id }) => `poll_invites:${node_id}`,
};

/** Fields of {@linkcode respondInvite}. */
export interface RespondInviteFields extends NetworkFields {
  /** Whether it joins. */
  accept: boolean;
}

/** Reply to {@linkcode respondInvite}. */
export interface RespondInviteReply extends NetworkReply {
  /** As asked. */
  accepted: boolean;
}

/** Answers an invitation. */
export const respondInvite: RegistryRequest<RespondInviteFields, RespondInviteReply> = {
  type: "respond_invite",
  fields: { ...NETWORK_FIELDS, accept: FLAG },
  reply: { ...NETWORK_REPLY, accepted: FLAG },
  asker: "node_id",
  text: ({ node_id, network_id }) => `respond_invite:${node_id}:${network_id}`,
};
