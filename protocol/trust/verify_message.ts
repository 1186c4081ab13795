/**
 * Signing and verifying of trust handshake messages (docs/protocol/trust.md §1.3, §2).
 *
 * @module
 */

import { decodeBase64, encodeBase64, equalBytes } from "../crypto/base64.ts";
import type { Identity } from "../crypto/identity.ts";
import { isUsablePublicKey, verifySignature } from "../crypto/verify_signature.ts";
import {
  handshakeChallenge,
  handshakeContent,
  type HandshakeMessage,
  type HandshakeType,
} from "./message.ts";

/** Oldest message taken, seconds (docs/protocol/trust.md §2). */
export const HANDSHAKE_MAX_AGE_S = 300;
/** How far a sender's clock may be ahead, seconds (docs/protocol/trust.md §2). */
export const HANDSHAKE_MAX_AHEAD_S = 30;

/** What {@linkcode signHandshake} puts into a message. */
export interface HandshakeFields {
  /** What it says. */
  readonly type: HandshakeType;
  /** Node number of the sender. */
  readonly from: number;
  /** Node number of the receiver. */
  readonly to: number;
  /** Unix seconds. */
  readonly timestamp: number;
  /** Why trust is asked for; requests only. */
  readonly justification?: string;
  /** Why trust is refused or ended. */
  readonly reason?: string;
  /** See {@linkcode HandshakeMessage.order}. */
  readonly order?: number | undefined;
  /** See {@linkcode HandshakeMessage.re}. */
  readonly re?: number | undefined;
}

/**
 * Makes a message with both signatures.
 *
 * @param identity The sender's identity.
 * @param fields What it says.
 * @returns The message, ready for `encodeHandshake`.
 */
export async function signHandshake(
  identity: Identity,
  fields: HandshakeFields,
): Promise<HandshakeMessage> {
  const unsigned: HandshakeMessage = {
    type: fields.type,
    nodeId: fields.from,
    publicKey: identity.publicKeyBase64,
    // Lone surrogates have no UTF-8 form, so the receiver would hash another text.
    justification: (fields.justification ?? "").toWellFormed(),
    signature: "",
    reason: (fields.reason ?? "").toWellFormed(),
    timestamp: fields.timestamp,
    ...(fields.order === undefined ? {} : { order: fields.order }),
    ...(fields.re === undefined ? {} : { re: fields.re }),
  };
  const [signature, sig2] = await Promise.all([
    // What it covers is always the same, and v1.18 takes a type with a signature that it has seen for a replay.
    identity.signAnew(handshakeChallenge(fields.from, fields.to)),
    identity.sign(handshakeContent(unsigned, fields.to)),
  ]);
  return {
    ...unsigned,
    signature: encodeBase64(signature),
    sig2: encodeBase64(sig2),
  };
}

/** What the receiver knows when it verifies a message. */
export interface HandshakeContext {
  /** Our own node number. */
  readonly self: number;
  /** Unix seconds. */
  readonly now_s: number;
  /** Node number of the connection's remote end, which the tunnel authenticated. */
  readonly remoteNode: number;
  /** The sender's key as the registry has it. */
  readonly registryKey?: Uint8Array;
  /** The sender's key as pinned when it became trusted. */
  readonly pinnedKey?: Uint8Array;
  /**
   * Longest age, seconds; default {@linkcode HANDSHAKE_MAX_AGE_S}. What the registry relays may have waited there for
   * long, and is distinguished from replays by its `order`.
   */
  readonly maxAge_s?: number;
  /** How far ahead of ours the sender's clock may be, seconds; default {@linkcode HANDSHAKE_MAX_AHEAD_S}. */
  readonly maxAhead_s?: number;
}

/** Why a message is dropped. */
export type HandshakeRefusal =
  /** Older than {@linkcode HANDSHAKE_MAX_AGE_S}. */
  | "expired"
  /** Further ahead than {@linkcode HANDSHAKE_MAX_AHEAD_S}. */
  | "from_the_future"
  /** The claimed sender is not the node at the other end, or it is ourselves. */
  | "wrong_sender"
  /** No key, or bytes that are none. */
  | "no_key"
  /** Another key than the pinned one: to be reported, never re-pinned. */
  | "key_changed"
  /** Another key than the registry's. */
  | "key_mismatch"
  /** The signature is missing or wrong. */
  | "bad_signature"
  /** `sig2` is there and wrong: the content was altered. */
  | "bad_content_signature";

/** Outcome of {@linkcode verifyHandshake}. */
export type HandshakeVerdict =
  | {
    /** The message comes from the sender it names. */
    readonly ok: true;
    /** The sender's key, 32 bytes. */
    readonly publicKey: Uint8Array;
    /** Whether a pinned or registry key vouched for it; false is trust on first use. */
    readonly bound: boolean;
    /** Whether `sig2` covered the whole content. */
    readonly full: boolean;
  }
  | {
    /** The message is to be dropped. */
    readonly ok: false;
    /** Why. */
    readonly reason: HandshakeRefusal;
  };

function refuse(reason: HandshakeRefusal): HandshakeVerdict {
  return { ok: false, reason };
}

/**
 * Verifies a received message: age, sender, key, signatures, in this order. Replays are the business of
 * `TrustState.firstSight`, to be asked after this one.
 *
 * @param message The message as decoded.
 * @param context What the receiver knows.
 * @returns The sender's key, or why to drop the message.
 */
export async function verifyHandshake(
  message: HandshakeMessage,
  context: HandshakeContext,
): Promise<HandshakeVerdict> {
  const age_s = context.now_s - message.timestamp;
  if (!(age_s <= (context.maxAge_s ?? HANDSHAKE_MAX_AGE_S))) return refuse("expired");
  if (age_s < -(context.maxAhead_s ?? HANDSHAKE_MAX_AHEAD_S)) return refuse("from_the_future");
  if (
    message.nodeId !== context.remoteNode || message.nodeId === context.self
  ) {
    return refuse("wrong_sender");
  }
  const publicKey = decodeBase64(message.publicKey);
  if (publicKey === undefined || !isUsablePublicKey(publicKey)) {
    return refuse("no_key");
  }
  const { pinnedKey, registryKey } = context;
  if (pinnedKey !== undefined && !equalBytes(pinnedKey, publicKey)) {
    return refuse("key_changed");
  }
  if (registryKey !== undefined && !equalBytes(registryKey, publicKey)) {
    return refuse("key_mismatch");
  }
  const challenge = handshakeChallenge(message.nodeId, context.self);
  if (!await verifyBase64(publicKey, challenge, message.signature)) {
    return refuse("bad_signature");
  }
  const full = message.sig2 !== undefined;
  if (full) {
    const content = handshakeContent(message, context.self);
    if (!await verifyBase64(publicKey, content, message.sig2)) {
      return refuse("bad_content_signature");
    }
  }
  const bound = pinnedKey !== undefined || registryKey !== undefined;
  return { ok: true, publicKey, bound, full };
}

async function verifyBase64(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: string,
): Promise<boolean> {
  const bytes = decodeBase64(signature);
  return bytes !== undefined &&
    await verifySignature(publicKey, message, bytes);
}
