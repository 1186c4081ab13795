/**
 * Trust handshake messages of port 444 as bytes: one JSON object per connection (docs/protocol/trust.md §1.1).
 *
 * @module
 */

import { sha256Hex } from "../crypto/hkdf.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";
import { isJsonObject } from "../json_object.ts";

/** Longest message sent: old peers read one segment and no more. */
export const HANDSHAKE_MAX_SENT_BYTES = 1024;
/** Longest message read (docs/protocol/trust.md §1.1). */
export const HANDSHAKE_MAX_READ_BYTES = 65536;
/** Longest justification or reason sent, in UTF-8 bytes: what surely leaves room for the rest of the message. */
export const JUSTIFICATION_MAX_BYTES = 500;

/**
 * What a handshake message says: its sender asks for trust, grants the request it was sent, declines it, or ends
 * trust.
 */
export const HANDSHAKE_TYPES = [
  "handshake_request",
  "handshake_accept",
  "handshake_reject",
  "handshake_revoke",
] as const;

/** See {@linkcode HANDSHAKE_TYPES}. */
export type HandshakeType = typeof HANDSHAKE_TYPES[number];

/** A handshake message; texts are as they stand on the wire, nothing in it is verified yet. */
export interface HandshakeMessage {
  /** What it says. */
  readonly type: HandshakeType;
  /** Node number of the sender, as claimed. */
  readonly nodeId: number;
  /** Ed25519 public key of the sender, base64; may be empty. */
  readonly publicKey: string;
  /** Why trust is asked for; requests only. */
  readonly justification: string;
  /** Signature over {@linkcode handshakeChallenge}, base64. */
  readonly signature: string;
  /** Why trust is refused or ended. */
  readonly reason: string;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Signature over {@linkcode handshakeContent}, base64; our own addition, old peers ignore it. */
  readonly sig2?: string;
  /**
   * The sender's number of this statement: each is higher than the one before to the same receiver, so that late
   * and doubled messages are distinguished from new ones. Covered by `sig2`; ours, like it.
   */
  readonly order?: number;
  /** The highest `order` of the receiver that the sender has acted upon. Covered by `sig2`. */
  readonly re?: number;
}

const TYPES: ReadonlySet<string> = new Set(HANDSHAKE_TYPES);

const TOO_LONG = new DecodeError("too_long", "handshake message too long");
const NOT_JSON = new DecodeError(
  "malformed",
  "handshake message is not a JSON object",
);
const UNKNOWN_TYPE = new DecodeError(
  "unknown_type",
  "unknown handshake message type",
);
const BAD_FIELD = new DecodeError(
  "malformed",
  "handshake message has a field of the wrong type",
);

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The fields that every implementation knows, in the order of docs/protocol/trust.md §1.1. */
function wireFields(message: HandshakeMessage): Record<string, unknown> {
  return {
    type: message.type,
    node_id: message.nodeId,
    public_key: message.publicKey,
    justification: message.justification,
    signature: message.signature,
    reason: message.reason,
    timestamp: message.timestamp,
  };
}

/**
 * Encodes a message.
 *
 * @param message The message.
 * @returns At most {@linkcode HANDSHAKE_MAX_SENT_BYTES} bytes of JSON, which fit one segment.
 * @throws {PilotError} `invalid_argument` when justification or reason make it longer.
 */
export function encodeHandshake(message: HandshakeMessage): Uint8Array {
  const { sig2, order, re } = message;
  // JSON.stringify leaves out what is undefined.
  const fields = { ...wireFields(message), order, re, sig2 };
  const bytes = encoder.encode(JSON.stringify(fields));
  if (bytes.length > HANDSHAKE_MAX_SENT_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `Handshake message of ${bytes.length} bytes does not fit ${HANDSHAKE_MAX_SENT_BYTES}`,
      {
        hint: `Shorten the justification to ${JUSTIFICATION_MAX_BYTES} bytes or fewer.`,
      },
    );
  }
  return bytes;
}

/**
 * Decodes a message. Unknown fields are ignored, missing texts are empty.
 *
 * @param bytes One JSON object, at most {@linkcode HANDSHAKE_MAX_READ_BYTES} bytes.
 * @returns The unverified message, or a {@linkcode DecodeError}.
 */
export function decodeHandshake(bytes: Uint8Array): Decoded<HandshakeMessage> {
  if (bytes.length > HANDSHAKE_MAX_READ_BYTES) return TOO_LONG;
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch {
    // Hostile input; the parser's own words would quote it.
    return NOT_JSON;
  }
  if (!isJsonObject(json)) return NOT_JSON;
  const fields = json;
  const type = fields.type;
  const nodeId = fields.node_id;
  const timestamp = fields.timestamp ?? 0;
  if (!isHandshakeType(type)) return UNKNOWN_TYPE;
  if (!isNodeNumber(nodeId) || !isSafeInteger(timestamp)) return BAD_FIELD;
  const publicKey = fields.public_key ?? "";
  const justification = fields.justification ?? "";
  const signature = fields.signature ?? "";
  const reason = fields.reason ?? "";
  const sig2 = fields.sig2 ?? undefined;
  const order = fields.order ?? undefined;
  const re = fields.re ?? undefined;
  if (!isOrder(order) || !isOrder(re)) return BAD_FIELD;
  if (
    typeof publicKey !== "string" || typeof justification !== "string" ||
    typeof signature !== "string" || typeof reason !== "string" ||
    (sig2 !== undefined && typeof sig2 !== "string")
  ) {
    return BAD_FIELD;
  }
  return {
    type,
    nodeId,
    publicKey,
    justification,
    signature,
    reason,
    timestamp,
    ...(sig2 === undefined ? {} : { sig2 }),
    ...(order === undefined ? {} : { order }),
    ...(re === undefined ? {} : { re }),
  };
}

function isOrder(value: unknown): value is number | undefined {
  return value === undefined || (isSafeInteger(value) && value >= 0);
}

function isHandshakeType(value: unknown): value is HandshakeType {
  return typeof value === "string" && TYPES.has(value);
}

function isSafeInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isNodeNumber(value: unknown): value is number {
  return isSafeInteger(value) && value > 0 && value <= 0xffffffff;
}

/**
 * The hash under which a message without `order` is remembered against replay (docs/protocol/trust.md §2).
 *
 * @param message The message.
 * @returns SHA-256 in hex of the known fields in their fixed order.
 */
export function handshakeHash(message: HandshakeMessage): string {
  return sha256Hex(JSON.stringify(wireFields(message)));
}

/**
 * The bytes that every implementation signs, the same for all four types.
 *
 * @param from Node number of the sender.
 * @param to Node number of the receiver.
 * @returns ASCII `handshake:<from>:<to>`.
 */
export function handshakeChallenge(from: number, to: number): Uint8Array {
  return encoder.encode(`handshake:${from}:${to}`);
}

/**
 * The bytes that `sig2` signs: everything the message says, which `signature` leaves open.
 *
 * @param message The message; `signature` and `sig2` do not count.
 * @param to Node number of the receiver.
 * @returns `pilot-handshake-v3|type|from|to|timestamp|order|re|key|sha256(justification)|sha256(reason)`; what is
 * missing is empty.
 */
export function handshakeContent(
  message: HandshakeMessage,
  to: number,
): Uint8Array {
  return encoder.encode([
    "pilot-handshake-v3",
    message.type,
    message.nodeId,
    to,
    message.timestamp,
    message.order ?? "",
    message.re ?? "",
    message.publicKey,
    sha256Hex(message.justification),
    sha256Hex(message.reason),
  ].join("|"));
}
