/**
 * trust.json (docs/protocol/trust.md §6). `source`, `revoked`, `outgoing`, `owed`, `seen` and `last_order` are
 * additions that older daemons ignore.
 *
 * @module
 */

import * as v from "valibot";
import { decodeBase64, encodeBase64 } from "../crypto/base64.ts";
import { PUBLIC_KEY_BYTES } from "../crypto/verify_signature.ts";
import { PilotError } from "../errors.ts";
import { HANDSHAKE_TYPES } from "./message.ts";
import {
  cleanText,
  OUTGOING_MAX,
  type OutgoingRequest,
  OWED_MAX,
  PENDING_MAX,
  type PendingRequest,
  REVOKED_MAX,
  SEEN_MAX,
  SOURCE_MAX_CHARS,
  type Statement,
  TRUSTED_MAX,
  type TrustedPeer,
} from "./trust_peer.ts";

/** Longest trust.json that is read, characters: the largest possible state and room to spare. */
export const TRUST_FILE_MAX_CHARS = 32 * 1024 * 1024;

/** What trust.json holds. */
export interface TrustFile {
  /** Trusted peers. */
  readonly trusted: readonly TrustedPeer[];
  /** Requests waiting for approval. */
  readonly pending: readonly PendingRequest[];
  /** Own requests waiting for an answer. */
  readonly outgoing: readonly OutgoingRequest[];
  /** Revoked peers and until when (Unix ms) only a decision here lets them in again. */
  readonly revoked: readonly { nodeId: number; until: number }[];
  /** Statements that nobody has taken yet. */
  readonly owed: readonly Statement[];
  /** The highest `order` acted upon, by peer. */
  readonly seen: readonly { nodeId: number; order: number }[];
  /** The `order` of our last statement. */
  readonly lastOrder: number;
}

const nodeId = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1),
  v.maxValue(0xffffffff),
);
const network = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(0xffff),
);
const time = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d\d-\d\dT/, "not a time"),
  v.transform((text) => Date.parse(text)),
  v.number("not a time"),
);
const order = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Empty text means that the key is not known yet. */
const publicKey = v.pipe(
  v.optional(v.string(), ""),
  v.transform((text) => decodeBase64(text)),
  v.check(
    (key) => key?.length === 0 || key?.length === PUBLIC_KEY_BYTES,
    "not a base64 key of 32 bytes",
  ),
);
const schema = v.object({
  trusted: list(
    TRUSTED_MAX,
    v.object({
      node_id: nodeId,
      public_key: publicKey,
      approved_at: time,
      mutual: v.optional(v.boolean(), false),
      network: v.optional(network),
      source: v.optional(v.string()),
    }),
  ),
  pending: list(
    PENDING_MAX,
    v.object({
      node_id: nodeId,
      public_key: publicKey,
      justification: v.optional(v.string(), ""),
      received_at: time,
      source: v.optional(v.pipe(v.string(), v.maxLength(SOURCE_MAX_CHARS))),
    }),
  ),
  outgoing: list(
    OUTGOING_MAX,
    v.object({ node_id: nodeId, requested_at: time, order: v.optional(order, 0) }),
  ),
  revoked: list(REVOKED_MAX, v.object({ node_id: nodeId, until: time })),
  owed: list(
    OWED_MAX,
    v.object({
      node_id: nodeId,
      type: v.picklist(HANDSHAKE_TYPES),
      order,
      re: v.optional(order),
      text: v.optional(v.string(), ""),
    }),
  ),
  seen: list(
    SEEN_MAX + TRUSTED_MAX + REVOKED_MAX + OUTGOING_MAX,
    v.object({ node_id: nodeId, order }),
  ),
  last_order: v.optional(order, 0),
});

/** A list with a limit; Go writes an empty one as null. */
function list<const T extends v.GenericSchema>(
  limit: number,
  item: T,
): v.NullishSchema<
  v.SchemaWithPipe<
    readonly [
      v.ArraySchema<T, undefined>,
      v.MaxLengthAction<v.InferOutput<T>[], number, undefined>,
    ]
  >,
  () => never[]
> {
  return v.nullish(v.pipe(v.array(item), v.maxLength(limit)), () => []);
}

/**
 * Reads trust.json.
 *
 * @param json The file's text.
 * @returns Its content.
 * @throws {PilotError} `invalid_argument` when it is damaged: starting without one's trust list must be a choice.
 */
export function parseTrustFile(json: string): TrustFile {
  if (json.length > TRUST_FILE_MAX_CHARS) throw badFile("it is too long");
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw badFile("it is not JSON", error);
  }
  // For valibot an array is an object too.
  if (Array.isArray(parsed)) throw badFile("it is not a JSON object");
  const result = v.safeParse(schema, parsed, { abortEarly: true });
  if (!result.success) {
    const [issue] = result.issues;
    throw badFile(`${v.getDotPath(issue) ?? "content"}: ${issue.message}`);
  }
  const { trusted, pending, outgoing, revoked, owed, seen } = result.output;
  return {
    trusted: trusted.map((entry) => ({
      nodeId: entry.node_id,
      ...keyField(entry.public_key),
      approvedAt: entry.approved_at,
      mutual: entry.mutual,
      ...(entry.network === undefined ? {} : { network: entry.network }),
      ...(entry.source === undefined ? {} : { source: entry.source }),
    })),
    pending: pending.map((entry) => ({
      nodeId: entry.node_id,
      ...keyField(entry.public_key),
      justification: cleanText(entry.justification),
      receivedAt: entry.received_at,
      ...(entry.source === undefined ? {} : { source: entry.source }),
    })),
    outgoing: outgoing.map((entry) => ({
      nodeId: entry.node_id,
      requestedAt: entry.requested_at,
      order: entry.order,
    })),
    revoked: revoked.map((entry) => ({
      nodeId: entry.node_id,
      until: entry.until,
    })),
    owed: owed.map((entry) => ({
      nodeId: entry.node_id,
      type: entry.type,
      order: entry.order,
      ...(entry.re === undefined ? {} : { re: entry.re }),
      text: entry.text,
    })),
    seen: seen.map((entry) => ({ nodeId: entry.node_id, order: entry.order })),
    lastOrder: result.output.last_order,
  };
}

/**
 * Writes trust.json.
 *
 * @param file The content.
 * @returns JSON with two-space indent and a final newline.
 */
export function formatTrustFile(file: TrustFile): string {
  // JSON.stringify leaves out what is undefined.
  const json = {
    trusted: file.trusted.map((peer) => ({
      node_id: peer.nodeId,
      public_key: encodeKey(peer.publicKey) ?? "",
      approved_at: formatTime(peer.approvedAt),
      mutual: peer.mutual,
      network: peer.network,
      source: peer.source,
    })),
    pending: file.pending.map((request) => ({
      node_id: request.nodeId,
      public_key: encodeKey(request.publicKey),
      justification: request.justification || undefined,
      received_at: formatTime(request.receivedAt),
      source: request.source,
    })),
    outgoing: file.outgoing.map((request) => ({
      node_id: request.nodeId,
      requested_at: formatTime(request.requestedAt),
      order: request.order,
    })),
    revoked: file.revoked.map((entry) => ({
      node_id: entry.nodeId,
      until: formatTime(entry.until),
    })),
    owed: file.owed.map(({ nodeId, type, order, re, text }) => ({
      node_id: nodeId,
      type,
      order,
      re,
      text: text || undefined,
    })),
    seen: file.seen.map((entry) => ({ node_id: entry.nodeId, order: entry.order })),
    last_order: file.lastOrder,
  };
  return JSON.stringify(json, undefined, 2) + "\n";
}

function keyField(key: Uint8Array | undefined): { publicKey?: Uint8Array } {
  return key === undefined || key.length === 0 ? {} : { publicKey: key };
}

function encodeKey(key: Uint8Array | undefined): string | undefined {
  return key === undefined ? undefined : encodeBase64(key);
}

function formatTime(unix_ms: number): string {
  return new Date(unix_ms).toISOString();
}

function badFile(why: string, cause?: unknown): PilotError {
  return new PilotError("invalid_argument", `Not a trust file: ${why}`, {
    hint: "Restore trust.json from a backup, or move it away to start without trusted peers.",
    ...(cause === undefined ? {} : { cause }),
  });
}
