/**
 * The entries of the trust state and their limits (docs/protocol/trust.md §3.1, §6).
 *
 * @module
 */

import { replaceUnsafe } from "../untrusted_text.ts";
import type { HandshakeType } from "./message.ts";

/** Trusted peers kept; every one is re-reported to the registry at a start. */
export const TRUSTED_MAX = 65536;
/** Requests waiting for approval (docs/protocol/trust.md §3.1); beyond, the oldest of the source with the most goes. */
export const PENDING_MAX = 256;
/** Requests of one source waiting for approval: nodes made by the dozen on one host leave room for those of others. */
export const PENDING_PER_SOURCE_MAX = 32;
/** Longest name of a source, characters. */
export const SOURCE_MAX_CHARS = 64;
/** Own requests waiting for an answer (docs/protocol/trust.md §3.1). */
export const OUTGOING_MAX = 256;
/** Revoked peers remembered; beyond, the one revoked first is forgotten, and may be approved automatically again. */
export const REVOKED_MAX = 16384;
/** Statements that the registry has not taken yet; beyond, the oldest answer to a stranger goes. */
export const OWED_MAX = 4096;
/** Peers without trust, request or debt whose last `order` is remembered; beyond, the oldest is forgotten. */
export const SEEN_MAX = 4096;
/** How long unanswered requests are kept, ms: 30 days. */
export const REQUEST_TTL_MS = 30 * 24 * 3600 * 1000;
/** Until when a revoked peer is kept out unless asked or approved here, Unix ms: for good (9999-12-31, the last year of RFC 3339). */
export const REVOKED_UNTIL_MS: number = Date.UTC(9999, 11, 31);
/** How far ahead a peer's `order` may be of our clock before it is taken for the mark of a wrong clock, ms. */
export const ORDER_MAX_AHEAD_MS = 24 * 3600 * 1000;
/** Longest justification kept and shown, characters. */
export const JUSTIFICATION_MAX_CHARS = 1024;

/** A peer that is trusted. */
export interface TrustedPeer {
  /** Node number. */
  readonly nodeId: number;
  /** Pinned Ed25519 key, 32 bytes; missing until it is learned. */
  readonly publicKey?: Uint8Array;
  /** Unix milliseconds. */
  readonly approvedAt: number;
  /** Whether the peer is known to trust us too. */
  readonly mutual: boolean;
  /** The shared network that was the reason. */
  readonly network?: number;
  /** How trust came about: a {@linkcode TrustSource}, or another text found in the file. */
  readonly source?: string;
}

/** How trust came about. */
export type TrustSource =
  /** Approved by a person or agent here. */
  | "approved"
  /** The peer granted our request. */
  | "accepted"
  /** Both asked. */
  | "mutual"
  /** Member of the same network. */
  | "same_network"
  /** Automatic approval is switched on. */
  | "auto_approve";

/** A request that waits for approval here. */
export interface PendingRequest {
  /** Node number of the sender. */
  readonly nodeId: number;
  /** The sender's Ed25519 key, 32 bytes, where known. */
  readonly publicKey?: Uint8Array;
  /** Why it asks; fit to be shown on a terminal. */
  readonly justification: string;
  /** Unix milliseconds of the last arrival. */
  readonly receivedAt: number;
  /** Where its sender registered from, as the registry names it: the same for nodes of one host. Empty if unknown. */
  readonly source?: string;
}

/** A request of ours that waits for the peer's answer. */
export interface OutgoingRequest {
  /** Node number of the receiver. */
  readonly nodeId: number;
  /** Unix milliseconds. */
  readonly requestedAt: number;
  /** The `order` of our request. */
  readonly order: number;
}

/** What we have said to a peer and the registry has not taken yet. A newer one to the same peer replaces it. */
export interface Statement {
  /** Node number of the receiver. */
  readonly nodeId: number;
  /** What it says. */
  readonly type: HandshakeType;
  /** Its place among our statements. */
  readonly order: number;
  /** The highest order of the peer that was acted upon; missing when it has none. */
  readonly re?: number;
  /** Justification of a request, reason of the others. */
  readonly text: string;
}

/**
 * Makes text from a stranger fit to be stored and shown: no unsafe characters (they steer terminals), bounded.
 *
 * @param text Any text.
 * @returns At most {@linkcode JUSTIFICATION_MAX_CHARS} characters, unsafe ones (`untrusted_text.ts`) as spaces.
 */
export function cleanText(text: string): string {
  return replaceUnsafe(text.slice(0, JUSTIFICATION_MAX_CHARS).toWellFormed(), () => " ");
}
