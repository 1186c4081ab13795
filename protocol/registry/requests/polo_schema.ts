/**
 * Polo scores (docs/protocol/registry.md §4.7). The signatures are ours: the wire has none here.
 *
 * @module
 */

import { ANYTHING, SIGNED, TEXT } from "../registry_fields.ts";
import type { RegistryRequest, ReplyKinds } from "../request_schema.ts";
import { NODE_FIELDS, type NodeFields } from "./common_schema.ts";

/** Reply to all of these. */
export interface PoloReply extends NodeFields {
  /** Address on network 0. */
  address: string;
  /** The score, -1,000,000 to 1,000,000. */
  polo_score: number;
}

const POLO_REPLY: ReplyKinds<PoloReply> = { ...NODE_FIELDS, address: TEXT, polo_score: SIGNED };

/** Fields of {@linkcode updatePoloScore}. */
export interface UpdatePoloFields extends NodeFields {
  /** A number to be added, at most 1,000,000 either way; anything else is refused. */
  delta: unknown;
}

/** Adds to a score. */
export const updatePoloScore: RegistryRequest<UpdatePoloFields, PoloReply> = {
  type: "update_polo_score",
  fields: { ...NODE_FIELDS, delta: ANYTHING },
  reply: POLO_REPLY,
  asker: "node_id",
  text: ({ node_id, delta }) => `update_polo_score:${node_id}:${scoreOf(delta)}`,
};

/** Fields of {@linkcode setPoloScore}. */
export interface SetPoloFields extends NodeFields {
  /** A number within 1,000,000 of 0; anything else is refused. */
  polo_score: unknown;
}

/** Sets a score. */
export const setPoloScore: RegistryRequest<SetPoloFields, PoloReply> = {
  type: "set_polo_score",
  fields: { ...NODE_FIELDS, polo_score: ANYTHING },
  reply: POLO_REPLY,
  asker: "node_id",
  text: ({ node_id, polo_score }) => `set_polo_score:${node_id}:${scoreOf(polo_score)}`,
};

/** Reads a score; anyone may. */
export const getPoloScore: RegistryRequest<NodeFields, PoloReply> = {
  type: "get_polo_score",
  fields: NODE_FIELDS,
  reply: POLO_REPLY,
};

/** A score as it counts: fractions are cut. */
function scoreOf(value: unknown): number {
  return SIGNED.read(value) ?? SIGNED.missing;
}
