/**
 * Finding nodes, and what they say of themselves (docs/protocol/registry.md §4.2).
 *
 * @module
 */

import {
  COUNT,
  FLAG,
  listOf,
  NETWORK,
  NODE,
  optional,
  orNull,
  SIGNED,
  TEXT,
  TEXTS,
} from "../registry_fields.ts";
import type { RegistryRequest, ReplyKinds } from "../request_schema.ts";
import { NODE_FIELDS, type NodeFields } from "./common_schema.ts";

/** Fields of {@linkcode lookup}. */
export interface LookupFields extends NodeFields {
  /** Ours: who asks and signs. */
  requester_id?: number;
}

/** What a registry discloses of a node to those that may see it. */
export interface NodeFacts extends NodeFields {
  /** Address on network 0. */
  address: string;
  /** Anyone may resolve it. */
  public: boolean;
  /** Reputation from tasks, -1,000,000 to 1,000,000; 0 where a registry keeps none. */
  polo_score: number;
  /** Its hostname. */
  hostname?: string;
  /** Its tags. */
  tags?: readonly string[] | null;
  /** It takes tasks. */
  task_exec?: boolean;
  /** Id of an external identity. */
  external_id?: string;
  /** Software version. */
  version?: string;
  /** `host:port`, only of public nodes. */
  real_addr?: string;
}

/** Kinds of {@linkcode NodeFacts}. */
export const NODE_FACTS: ReplyKinds<NodeFacts> = {
  ...NODE_FIELDS,
  address: TEXT,
  public: FLAG,
  polo_score: SIGNED,
  hostname: optional(TEXT),
  tags: optional(orNull(TEXTS)),
  task_exec: optional(FLAG),
  external_id: optional(TEXT),
  version: optional(TEXT),
  real_addr: optional(TEXT),
};

/** Reply to {@linkcode lookup}. */
export interface LookupReply extends NodeFacts {
  /** Networks it is in, 0 included; null means none. */
  networks: readonly number[] | null;
  /** Base64 Ed25519 key. */
  public_key: string;
}

/** Asks for what is known of a node. Needs no signature; with ours it discloses more. */
export const lookup: RegistryRequest<LookupFields, LookupReply> = {
  type: "lookup",
  fields: { ...NODE_FIELDS, requester_id: NODE },
  reply: { ...NODE_FACTS, networks: orNull(listOf(NETWORK)), public_key: TEXT },
  asker: "requester_id",
  text: ({ requester_id, node_id }) => `lookup:${requester_id}:${node_id}`,
};

/** Fields of {@linkcode resolve}. */
export interface ResolveFields extends NodeFields {
  /** Who asks. */
  requester_id: number;
}

/** Reply to {@linkcode resolve}. */
export interface ResolveReply extends NodeFields {
  /** `host:port`, may be empty. */
  real_addr: string;
  /** `host:port` in its local network. */
  lan_addrs?: readonly string[] | null;
  /** Whole days since the key was made or rotated. */
  key_age_days?: number;
  /** Base64 Ed25519 key, where the registry gives it. */
  public_key?: string;
}

/** Asks where a node can be reached. */
export const resolve: RegistryRequest<ResolveFields, ResolveReply> = {
  type: "resolve",
  fields: { ...NODE_FIELDS, requester_id: NODE },
  reply: {
    ...NODE_FIELDS,
    real_addr: TEXT,
    lan_addrs: optional(orNull(TEXTS)),
    key_age_days: optional(COUNT),
    public_key: optional(TEXT),
  },
  asker: "requester_id",
  text: ({ requester_id, node_id }) => `resolve:${requester_id}:${node_id}`,
};

/** Fields of {@linkcode resolveHostname}. */
export interface ResolveHostnameFields {
  /** Exact hostname. */
  hostname: string;
  /** Who asks. */
  requester_id?: number;
  /** Ours: a signed request with the purpose `handshake` also finds private nodes. */
  purpose?: string;
}

/** Reply to {@linkcode resolveHostname}. */
export interface ResolveHostnameReply extends NodeFields {
  /** Its address on network 0. */
  address: string;
  /** Anyone may resolve it. */
  public: boolean;
  /** The hostname. */
  hostname: string;
}

/** Finds a node by its hostname. The signature is ours. */
export const resolveHostname: RegistryRequest<ResolveHostnameFields, ResolveHostnameReply> = {
  type: "resolve_hostname",
  fields: { hostname: TEXT, requester_id: NODE, purpose: TEXT },
  reply: { ...NODE_FIELDS, address: TEXT, public: FLAG, hostname: TEXT },
  asker: "requester_id",
  text: ({ requester_id, hostname }) => `resolve_hostname:${requester_id}:${hostname}`,
};

/** Fields of {@linkcode setHostname}, and of its reply. */
export interface HostnameFields extends NodeFields {
  /** The hostname; empty for none. */
  hostname: string;
}

/** Sets or clears the hostname. */
export const setHostname: RegistryRequest<HostnameFields, HostnameFields> = {
  type: "set_hostname",
  fields: { ...NODE_FIELDS, hostname: TEXT },
  reply: { ...NODE_FIELDS, hostname: TEXT },
  asker: "node_id",
  text: ({ node_id }) => `set_hostname:${node_id}`,
};

/** Fields of {@linkcode setVisibility}. */
export interface SetVisibilityFields extends NodeFields {
  /** True for public. */
  public: boolean;
}

/** Reply to {@linkcode setVisibility}. */
export interface SetVisibilityReply extends NodeFields {
  /** In force now: `public` or `private`. */
  visibility: string;
}

/** Makes a node public or private. */
export const setVisibility: RegistryRequest<SetVisibilityFields, SetVisibilityReply> = {
  type: "set_visibility",
  fields: { ...NODE_FIELDS, public: FLAG },
  reply: { ...NODE_FIELDS, visibility: TEXT },
  asker: "node_id",
  text: ({ node_id }) => `set_visibility:${node_id}`,
};

/** Fields of {@linkcode setTags}. */
export interface SetTagsFields extends NodeFields {
  /** All of them. */
  tags: readonly string[];
}

/** Reply to {@linkcode setTags}. */
export interface SetTagsReply extends NodeFields {
  /** In force now; null when emptied. */
  tags: readonly string[] | null;
}

/** Replaces the tags. */
export const setTags: RegistryRequest<SetTagsFields, SetTagsReply> = {
  type: "set_tags",
  fields: { ...NODE_FIELDS, tags: TEXTS },
  reply: { ...NODE_FIELDS, tags: orNull(TEXTS) },
  asker: "node_id",
  text: ({ node_id }) => `set_tags:${node_id}`,
};

/** Fields of {@linkcode setTaskExec}. */
export interface SetTaskExecFields extends NodeFields {
  /** Whether it takes tasks. */
  enabled: boolean;
}

/** Reply to {@linkcode setTaskExec}. */
export interface SetTaskExecReply extends NodeFields {
  /** In force now. */
  task_exec: boolean;
}

/** Says whether a node takes tasks. */
export const setTaskExec: RegistryRequest<SetTaskExecFields, SetTaskExecReply> = {
  type: "set_task_exec",
  fields: { ...NODE_FIELDS, enabled: FLAG },
  reply: { ...NODE_FIELDS, task_exec: FLAG },
  asker: "node_id",
  text: ({ node_id }) => `set_task_exec:${node_id}`,
};
