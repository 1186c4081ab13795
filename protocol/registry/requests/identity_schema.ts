/**
 * Registration and keys (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import {
  COUNT,
  type FieldKind,
  FLAG,
  isJsonObject,
  NETWORK,
  NODE,
  optional,
  readField,
  TEXT,
  TEXTS,
} from "../registry_fields.ts";
import type { RegistryRequest } from "../request_schema.ts";
import { NODE_FIELDS, type NodeFields, type NoFields } from "./common_schema.ts";

/** Fields of {@linkcode register}. */
export interface RegisterFields {
  /** Base64 Ed25519 key. */
  public_key: string;
  /** `host:port` of the tunnel socket; the registry replaces the host by the TCP source. */
  listen_addr: string;
  /** Contact or account, free text. */
  owner?: string;
  /** Software version. */
  version?: string;
  /** Registry protocol version, 1. */
  protocol_version?: number;
  /** `host:port` in the local network. */
  lan_addrs?: readonly string[];
  /** Ours: the run of the process, 16 random hex digits. */
  instance?: string;
  /** Hide the real address from peers. */
  relay_only?: boolean;
  /** Wished hostname. */
  hostname?: string;
}

/** Ours: a process that uses the same key as the one that asks. */
export interface IdentityClash {
  /** Its address, as the registry sees it. */
  addr: string;
  /** Unix seconds since which it is known. */
  since: number;
}

/** Reply to {@linkcode register}. */
export interface RegisterReply {
  /** The node's number. */
  node_id: number;
  /** Always 0. */
  network_id: number;
  /** Address on network 0. */
  address: string;
  /** The key, echoed. */
  public_key: string;
  /** Endpoint as the registry stored it. */
  observed_addr?: string;
  /** Registry protocol version. */
  protocol_version?: number;
  /** The hostname in force. */
  hostname?: string;
  /** Id of an external identity. */
  external_id?: string;
  /** Why the wished hostname was not given. */
  hostname_error?: string;
  /** Ours: another process uses the same key. */
  clash?: IdentityClash;
}

/** One that makes no sense is none: people are warned of it. */
const CLASH: FieldKind<IdentityClash | undefined> = {
  read: (value) => {
    if (!isJsonObject(value)) return undefined;
    const addr = readField(value, "addr", optional(TEXT));
    const since = readField(value, "since", optional(COUNT));
    return addr === undefined || since === undefined ? undefined : { addr, since };
  },
  missing: undefined,
};

/** Asks for a node number, or renews a registration. Signed by the key that registers, which is the requester's. */
export const register: RegistryRequest<RegisterFields, RegisterReply> = {
  type: "register",
  fields: {
    public_key: TEXT,
    listen_addr: TEXT,
    owner: TEXT,
    version: TEXT,
    protocol_version: NODE,
    lan_addrs: TEXTS,
    instance: TEXT,
    relay_only: FLAG,
    hostname: TEXT,
  },
  reply: {
    node_id: NODE,
    network_id: NETWORK,
    address: TEXT,
    public_key: TEXT,
    observed_addr: optional(TEXT),
    protocol_version: optional(NODE),
    hostname: optional(TEXT),
    external_id: optional(TEXT),
    hostname_error: optional(TEXT),
    clash: CLASH,
  },
  text: ({ listen_addr, public_key }) => `register:${listen_addr}:${public_key}`,
};

/** Fields of {@linkcode heartbeat}. */
export interface HeartbeatFields extends NodeFields {
  /** Ours: the run of the process, 16 random hex digits. */
  instance?: string;
}

/** Reply to {@linkcode heartbeat}. */
export interface HeartbeatReply {
  /** The registry's clock, unix seconds. */
  time: number;
  /** Ours: another process uses the same key. */
  clash?: IdentityClash;
  /** The key expires within 24 h. */
  key_expiry_warning?: boolean;
}

/** Keeps a registration alive. */
export const heartbeat: RegistryRequest<HeartbeatFields, HeartbeatReply> = {
  type: "heartbeat",
  fields: { ...NODE_FIELDS, instance: TEXT },
  reply: { time: COUNT, clash: CLASH, key_expiry_warning: optional(FLAG) },
  asker: "node_id",
  text: ({ node_id }) => `heartbeat:${node_id}`,
};

/** Removes a node. */
export const deregister: RegistryRequest<NodeFields, NoFields> = {
  type: "deregister",
  fields: NODE_FIELDS,
  reply: {},
  asker: "node_id",
  text: ({ node_id }) => `deregister:${node_id}`,
};

/** Ours: the wire's signatures count again for a node that was held to whole ones (docs/protocol/registry.md §2.4). */
export const releaseHold: RegistryRequest<NodeFields, NodeFields> = {
  type: "release_hold",
  fields: NODE_FIELDS,
  reply: NODE_FIELDS,
  asker: "node_id",
  text: ({ node_id }) => `release_hold:${node_id}`,
};

/** Fields of {@linkcode rotateKey}. */
export interface RotateKeyFields extends NodeFields {
  /** Base64 Ed25519 key. */
  new_public_key: string;
}

/** Reply to {@linkcode rotateKey}. */
export interface RotateKeyReply extends NodeFields {
  /** Address on network 0. */
  address: string;
  /** The new key. */
  public_key: string;
}

/** Replaces the identity key, signed by the present one; the older text does not bind the new one. */
export const rotateKey: RegistryRequest<RotateKeyFields, RotateKeyReply> = {
  type: "rotate_key",
  fields: { ...NODE_FIELDS, new_public_key: TEXT },
  reply: { ...NODE_FIELDS, address: TEXT, public_key: TEXT },
  asker: "node_id",
  text: ({ node_id, new_public_key }) => `rotate:${node_id}:${new_public_key}`,
  olderText: ({ node_id }) => `rotate:${node_id}`,
};

/** Fields of {@linkcode setKeyExpiry}. */
export interface SetKeyExpiryFields extends NodeFields {
  /** RFC 3339; empty or `never` clears. */
  expires_at: string;
}

/** Reply to {@linkcode setKeyExpiry}. */
export interface SetKeyExpiryReply extends NodeFields {
  /** RFC 3339; absent when the key does not expire. */
  expires_at?: string;
}

/** Sets when the key stops being good. */
export const setKeyExpiry: RegistryRequest<SetKeyExpiryFields, SetKeyExpiryReply> = {
  type: "set_key_expiry",
  fields: { ...NODE_FIELDS, expires_at: TEXT },
  reply: { ...NODE_FIELDS, expires_at: optional(TEXT) },
  asker: "node_id",
  text: ({ node_id }) => `set_key_expiry:${node_id}`,
};

/** Reply to {@linkcode getKeyInfo}. */
export interface KeyInfoReply extends NodeFields {
  /** RFC 3339. */
  created_at: string;
  /** Rotations so far. */
  rotate_count: number;
  /** Whole days since the key was made or rotated. */
  key_age_days: number;
  /** RFC 3339; absent when it never was. */
  rotated_at?: string;
  /** RFC 3339; absent when the key does not expire. */
  expires_at?: string;
}

/** Asks for the dates of a key; anyone may. */
export const getKeyInfo: RegistryRequest<NodeFields, KeyInfoReply> = {
  type: "get_key_info",
  fields: NODE_FIELDS,
  reply: {
    ...NODE_FIELDS,
    created_at: TEXT,
    rotate_count: COUNT,
    key_age_days: COUNT,
    rotated_at: optional(TEXT),
    expires_at: optional(TEXT),
  },
};
