/**
 * Fields that many requests to the registry have, and many replies.
 *
 * @module
 */

import { NODE } from "../registry_fields.ts";
import type { FieldKinds, ReplyKinds } from "../request_schema.ts";

/** About a node, or by it. */
export interface NodeFields {
  /** The node. */
  node_id: number;
}

/** Kinds of {@linkcode NodeFields}. */
export const NODE_FIELDS: FieldKinds<NodeFields> & ReplyKinds<NodeFields> = { node_id: NODE };

/** What one node says of another. */
export interface PairFields {
  /** Who says it. */
  node_id: number;
  /** The node concerned. */
  peer_id: number;
}

/** Kinds of {@linkcode PairFields}. */
export const PAIR_FIELDS: FieldKinds<PairFields> = { node_id: NODE, peer_id: NODE };

/** A request or a reply without fields. */
export type NoFields = Record<never, never>;
