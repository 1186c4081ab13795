/**
 * What hostnames and tags may look like (docs/protocol/registry.md §5.1), and the canonical form of keys.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import { isLabel } from "../../protocol/label.ts";
import { RegistryFailure } from "./failure.ts";
import { MAX_HOSTNAME, MAX_TAG, MAX_TAGS } from "./registry_limits.ts";

const RESERVED_HOSTNAMES = new Set(["localhost", "backbone", "broadcast"]);
/** 32 bytes in base64: 43 digits and one padding character. */
const KEY_TEXT = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Checks a hostname.
 *
 * @param hostname A non-empty name.
 * @returns What is wrong with it, or undefined.
 */
export function hostnameProblem(hostname: string): string | undefined {
  if (hostname.length > MAX_HOSTNAME) {
    return `invalid hostname: too long (max ${MAX_HOSTNAME} chars)`;
  }
  if (!isLabel(hostname)) {
    return "invalid hostname: use lowercase letters, digits and inner hyphens";
  }
  if (RESERVED_HOSTNAMES.has(hostname)) {
    return `invalid hostname: "${hostname}" is reserved`;
  }
  return undefined;
}

/**
 * Cleans a set of tags: one leading `#` is stripped, repetitions are dropped.
 *
 * @param tags As sent; more than the limit fail.
 * @returns The set in order.
 * @throws {RegistryFailure} When there are too many or one is malformed.
 */
export function cleanTags(tags: readonly string[]): string[] {
  const clean = new Set<string>();
  for (const tag of tags) clean.add(tag.startsWith("#") ? tag.slice(1) : tag);
  if (clean.size > MAX_TAGS) {
    throw new RegistryFailure("limit_exceeded", `too many tags (max ${MAX_TAGS})`);
  }
  for (const tag of clean) {
    if (tag.length > MAX_TAG) {
      throw new RegistryFailure(
        "invalid_argument",
        `tag "${tag.slice(0, MAX_TAG)}" too long (max ${MAX_TAG} chars)`,
      );
    }
    if (!isLabel(tag)) {
      throw new RegistryFailure(
        "invalid_argument",
        `invalid tag "${tag}": use lowercase letters, digits and inner hyphens`,
      );
    }
  }
  return [...clean];
}

/**
 * Brings a public key into its one canonical text, so that two spellings never become two nodes (§8.5).
 *
 * @param text Base64 of 32 bytes as sent; line breaks are ignored, as existing servers do.
 * @returns Canonical base64, or undefined when it is no key.
 */
export function canonicalKey(text: string): string | undefined {
  const compact = text.length > 64 ? text : text.replace(/[\r\n]/g, "");
  if (!KEY_TEXT.test(compact)) return undefined;
  return encodeBase64(Buffer.from(compact, "base64"));
}
