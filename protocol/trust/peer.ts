/**
 * The entries of the trust state and their limits (daemon.md §5.3, §5.7).
 *
 * @module
 */

import { replaceUnsafe } from "../text.ts";

/** Trusted peers kept; every one is re-reported to the registry at a start. */
export const TRUSTED_MAX = 65536;
/** Requests waiting for approval (daemon.md §5.3); a new one beyond is dropped, so a flood cannot push out others. */
export const PENDING_MAX = 256;
/** Own requests waiting for an answer (daemon.md §5.3). */
export const OUTGOING_MAX = 256;
/** Revoked peers remembered; beyond, the one revoked first is forgotten. */
export const REVOKED_MAX = 1024;
/** How long unanswered requests are kept, ms: 30 days. */
export const REQUEST_TTL_MS = 30 * 24 * 3600 * 1000;
/** How long a revoked peer is not approved automatically, ms: 5 minutes. */
export const REVOKE_COOLDOWN_MS = 300_000;
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
  /** How trust came about: a {@linkcode TrustSource}, or another word found in the file. */
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
}

/** A request of ours that waits for the peer's answer. */
export interface OutgoingRequest {
  /** Node number of the receiver. */
  readonly nodeId: number;
  /** Unix milliseconds. */
  readonly requestedAt: number;
}

/**
 * Makes text from a stranger fit to be stored and shown: no unsafe characters (they steer terminals), bounded.
 *
 * @param text Any text.
 * @returns At most {@linkcode JUSTIFICATION_MAX_CHARS} characters, unsafe ones (`text.ts`) as spaces.
 */
export function cleanText(text: string): string {
  return replaceUnsafe(text.slice(0, JUSTIFICATION_MAX_CHARS).toWellFormed(), () => " ");
}
