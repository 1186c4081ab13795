/**
 * What names, tokens and member tags of networks may look like (docs/protocol/registry.md §5.1).
 *
 * @module
 */

import { RegistryFailure } from "../failure.ts";
import { MAX_TAG } from "../registry_limits.ts";
import { MAX_MEMBER_TAGS, MAX_NETWORK_NAME, MAX_TOKEN } from "./network_limits.ts";
import { BACKBONE_NAME } from "./network.ts";

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/**
 * Checks the name of a network.
 *
 * @param name As sent.
 * @throws {RegistryFailure} When it is empty, too long, malformed or reserved.
 */
export function checkNetworkName(name: string): void {
  if (name === "") throw new RegistryFailure("invalid_argument", "network name required");
  if (name.length > MAX_NETWORK_NAME) {
    throw new RegistryFailure(
      "invalid_argument",
      `network name too long (max ${MAX_NETWORK_NAME} chars)`,
    );
  }
  // Masked, as existing servers do; so without the name, whose own words could unmask it.
  if (!LABEL.test(name)) {
    throw new RegistryFailure("invalid_argument", "network name is badly formed");
  }
  if (name === BACKBONE_NAME) {
    throw new RegistryFailure("invalid_argument", "network name is reserved");
  }
}

/**
 * Checks the length of a token.
 *
 * @param what What it is for.
 * @param token As sent.
 * @throws {RegistryFailure} When it is too long.
 */
export function checkToken(what: string, token: string): void {
  if (token.length > MAX_TOKEN) {
    throw new RegistryFailure("invalid_argument", `${what} too long (max ${MAX_TOKEN} chars)`);
  }
}

/**
 * Checks the tags of a member.
 *
 * @param tags As sent; nothing is stripped or dropped.
 * @throws {RegistryFailure} When there are too many or one is malformed.
 */
export function checkMemberTags(tags: readonly string[]): void {
  if (tags.length > MAX_MEMBER_TAGS) {
    throw new RegistryFailure("limit_exceeded", `too many member tags (max ${MAX_MEMBER_TAGS})`);
  }
  for (const tag of tags) {
    if (tag.length > MAX_TAG) {
      throw new RegistryFailure(
        "invalid_argument",
        `tag "${tag.slice(0, MAX_TAG)}" too long (max ${MAX_TAG} chars)`,
      );
    }
    if (!LABEL.test(tag)) {
      throw new RegistryFailure(
        "invalid_argument",
        `invalid tag "${tag}": use lowercase letters, digits and inner hyphens`,
      );
    }
  }
}
