/**
 * The answers that the registry relays (docs/protocol/registry.md §4.4).
 *
 * @module
 */

/**
 * What can be said to a node that asked: no, yes, that trust has ended, and our own notice that its request was dropped
 * unseen. The positions are what the database holds, so they are only ever extended.
 */
export const ANSWERS = ["reject", "accept", "revoke", "dropped"] as const;

/** See {@linkcode ANSWERS}. */
export type HandshakeAnswer = typeof ANSWERS[number];
