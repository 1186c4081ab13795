/**
 * Join tokens and admin tokens of networks: kept as hashes, because nobody needs their text again.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { equalBytes } from "../../../protocol/crypto/base64.ts";

/**
 * What is stored of a token.
 *
 * @param token The token, or "" for none.
 * @returns SHA-256 in lowercase hex, or "" for none.
 */
export function hashToken(token: string): string {
  return token === "" ? "" : createHash("sha256").update(token).digest("hex");
}

/**
 * Is it the token that was hashed? Takes the same time for every wrong one.
 *
 * @param token As sent.
 * @param hash As stored; "" matches nothing.
 * @returns True for the right one.
 */
export function tokenMatches(token: string, hash: string): boolean {
  if (token === "" || hash === "") return false;
  return equalBytes(createHash("sha256").update(token).digest(), Buffer.from(hash, "hex"));
}
