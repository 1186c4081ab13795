/**
 * Consent (docs/protocol/registry.md §4.3) and the relay of handshakes (§4.4).
 *
 * @module
 */

import { COUNT, FLAG, listOf, NODE, optional, orNull, TEXT } from "../registry_fields.ts";
import { record, type RegistryRequest } from "../request_schema.ts";
import {
  NODE_FIELDS,
  type NodeFields,
  type NoFields,
  PAIR_FIELDS,
  type PairFields,
} from "./common_schema.ts";

/** Reply to {@linkcode reportTrust}. */
export interface ReportTrustReply {
  /** Ours: the other side has ended it. */
  ended?: boolean;
}

/** Says that a node trusts another one. */
export const reportTrust: RegistryRequest<PairFields, ReportTrustReply> = {
  type: "report_trust",
  fields: PAIR_FIELDS,
  reply: { ended: optional(FLAG) },
  asker: "node_id",
  text: ({ node_id, peer_id }) => `report_trust:${node_id}:${peer_id}`,
};

/** Fields of {@linkcode revokeTrust}. */
export interface RevokeTrustFields extends PairFields {
  /** Ours: the signed handshake message as JSON, for the peer. */
  message?: string;
}

/** Says that a node trusts another one no more. */
export const revokeTrust: RegistryRequest<RevokeTrustFields, NoFields> = {
  type: "revoke_trust",
  fields: { ...PAIR_FIELDS, message: TEXT },
  reply: {},
  asker: "node_id",
  text: ({ node_id, peer_id }) => `revoke_trust:${node_id}:${peer_id}`,
};

/** Fields of {@linkcode checkTrust}. */
export interface CheckTrustFields extends PairFields {
  /** Ours: who asks and signs, one of the two. */
  requester_id?: number;
}

/** Reply to {@linkcode checkTrust}. */
export interface CheckTrustReply {
  /** The pair exists, or both share a network. */
  trusted: boolean;
}

/** Asks whether two nodes have a reason to talk. The signature is ours. */
export const checkTrust: RegistryRequest<CheckTrustFields, CheckTrustReply> = {
  type: "check_trust",
  fields: { ...PAIR_FIELDS, requester_id: NODE },
  reply: { trusted: FLAG },
  asker: "requester_id",
  text: ({ requester_id, node_id, peer_id }) => `check_trust:${requester_id}:${node_id}:${peer_id}`,
};

/** Fields of {@linkcode requestHandshake}. */
export interface RequestHandshakeFields {
  /** Who asks. */
  from_node_id: number;
  /** The node concerned. */
  to_node_id: number;
  /** Why, at most 1024 bytes. */
  justification: string;
  /** Ours: the signed handshake message as JSON. */
  message?: string;
}

/** Reply to {@linkcode requestHandshake}. */
export interface RequestHandshakeReply {
  /** `delivered`. */
  status: string;
}

/** Leaves a trust request at the registry. */
export const requestHandshake: RegistryRequest<RequestHandshakeFields, RequestHandshakeReply> = {
  type: "request_handshake",
  fields: { from_node_id: NODE, to_node_id: NODE, justification: TEXT, message: TEXT },
  reply: { status: TEXT },
  asker: "from_node_id",
  text: ({ from_node_id, to_node_id }) => `handshake:${from_node_id}:${to_node_id}`,
};

/** Fields of {@linkcode pollHandshakes}. */
export interface PollHandshakesFields extends NodeFields {
  /** Ours: what the last reply named, empty at first; without it what is handed over is forgotten. */
  ack: string | undefined;
}

/** What others have left for a node. */
export interface RelayedEntry {
  /** Who. */
  from_node_id: number;
  /** When, unix seconds. */
  timestamp: number;
  /** Its base64 Ed25519 key, where the registry gives it; for answers our extension. */
  public_key?: string;
  /** Ours: the signed handshake message as JSON. */
  message?: string;
}

/** A relayed trust request. */
export interface RelayedHandshakeRequest extends RelayedEntry {
  /** Why. */
  justification: string;
  /** Ours: where it registered from, as a name that is the same for nodes of one host. */
  source?: string;
}

/** A relayed answer to a trust request. */
export interface RelayedHandshakeResponse extends RelayedEntry {
  /** Consent. */
  accept: boolean;
  /** Ours: the request was dropped unseen, as too many waited. */
  dropped?: boolean;
}

/** Reply to {@linkcode pollHandshakes}. */
export interface PollHandshakesReply {
  /** Requests for us; null means none. */
  requests: readonly RelayedHandshakeRequest[] | null;
  /** Answers to ours; null means none. */
  responses: readonly RelayedHandshakeResponse[] | null;
  /** Ours: trust that others have ended; only for requests with `ack`. */
  revocations?: readonly RelayedEntry[];
  /** Ours: what the next poll repeats as `ack` when all of this has been taken. */
  ack?: string;
}

const ENTRY = {
  from_node_id: NODE,
  timestamp: COUNT,
  public_key: optional(TEXT),
  message: optional(TEXT),
};

/** Fetches what others left for a node. */
export const pollHandshakes: RegistryRequest<PollHandshakesFields, PollHandshakesReply> = {
  type: "poll_handshakes",
  fields: { ...NODE_FIELDS, ack: optional(TEXT) },
  reply: {
    requests: orNull(listOf(record<RelayedHandshakeRequest>({
      ...ENTRY,
      justification: TEXT,
      source: optional(TEXT),
    }))),
    responses: orNull(listOf(record<RelayedHandshakeResponse>({
      ...ENTRY,
      accept: FLAG,
      dropped: optional(FLAG),
    }))),
    revocations: optional(listOf(record<RelayedEntry>(ENTRY))),
    ack: optional(TEXT),
  },
  asker: "node_id",
  text: ({ node_id }) => `poll_handshakes:${node_id}`,
};

/** Fields of {@linkcode respondHandshake}. */
export interface RespondHandshakeFields extends PairFields {
  /** Consent. */
  accept: boolean;
  /** Ours: the signed handshake message as JSON. */
  message?: string;
}

/** Reply to {@linkcode respondHandshake}. */
export interface RespondHandshakeReply {
  /** Consent, echoed. */
  accept: boolean;
  /** Who asked, echoed. */
  peer_id: number;
}

/** Leaves the answer to a trust request at the registry. */
export const respondHandshake: RegistryRequest<RespondHandshakeFields, RespondHandshakeReply> = {
  type: "respond_handshake",
  fields: { ...PAIR_FIELDS, accept: FLAG, message: TEXT },
  reply: { accept: FLAG, peer_id: NODE },
  asker: "node_id",
  text: ({ node_id, peer_id }) => `respond:${node_id}:${peer_id}`,
};
