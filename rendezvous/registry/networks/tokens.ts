/**
 * Join tokens and admin tokens of networks: kept as hashes, because nobody needs their text again.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { Logger } from "../../../platform/log.ts";
import { equalBytes } from "../../../protocol/crypto/base64.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { GOOD_ADMIN_TOKEN, MIN_ADMIN_TOKEN } from "../registry_limits.ts";

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

/**
 * Checks the length of the global admin token at the start of a server.
 *
 * @param token The token; undefined for a server without admin.
 * @param log Warned of a short one.
 * @throws {PilotError} `invalid_argument` for one that is soon guessed.
 */
export function checkAdminToken(token: string | undefined, log: Logger): void {
  if (token === undefined || token.length >= GOOD_ADMIN_TOKEN) return;
  const hint = `Take ${GOOD_ADMIN_TOKEN} random characters or more: openssl rand -base64 24`;
  if (token.length < MIN_ADMIN_TOKEN) {
    throw new PilotError(
      "invalid_argument",
      `The admin token has ${token.length} characters, fewer than ${MIN_ADMIN_TOKEN}`,
      { hint },
    );
  }
  log.warn("the admin token is short and can be guessed", { characters: token.length, hint });
}
