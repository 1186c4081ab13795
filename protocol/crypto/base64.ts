/**
 * Standard base64 with padding, and comparison in constant time.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

/**
 * Encodes bytes as standard base64 with padding.
 *
 * @param bytes Any bytes.
 * @returns The text.
 */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString("base64");
}

/**
 * Decodes standard base64 with padding. Only the one canonical text of each byte string is taken, so that two
 * different texts never name the same key (docs/protocol/registry.md §8.5).
 *
 * @param text Base64 text without white space.
 * @returns The bytes in a buffer of their own, or `undefined` when the text is not canonical base64.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const decoded = Buffer.from(text, "base64");
  if (decoded.toString("base64") !== text) return undefined;
  // A small Buffer is a view of a shared pool: copy it out.
  return new Uint8Array(decoded);
}

/**
 * Compares two byte strings in a time that depends on their length only.
 *
 * @param a One byte string.
 * @param b The other.
 * @returns True when length and content are equal.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
