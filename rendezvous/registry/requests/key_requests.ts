/**
 * The key of a node: rotation, expiry, facts (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import * as requests from "../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../platform/clock.ts";
import { adminOf, authenticate } from "../authenticate.ts";
import { nodeTarget } from "../change_record.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
import { MAX_KEY_EXPIRY_SECONDS } from "../registry_limits.ts";
import { canonicalKey } from "../node_names.ts";
import { backboneAddress, keyAgeDays } from "../node_entry.ts";
import { formatRfc3339, parseRfc3339 } from "../rfc3339.ts";

/**
 * `rotate_key`. The new key must not belong to any node; an expiry stays. The signature binds the new key (v1.18 and
 * newer), or only says that there is to be one.
 */
const rotateKey = serve(requests.rotateKey, async (context, fields) => {
  const { core } = context;
  const { node, actor } = await authenticate(context, requests.rotateKey, fields);
  const key = canonicalKey(fields.new_public_key);
  if (key === undefined) {
    throw new RegistryFailure(
      "invalid_argument",
      "invalid new_public_key: not the base64 of 32 bytes",
    );
  }
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.rotate_key", target }, () => {
    if (core.nodes.byKey(key) !== undefined) {
      throw new RegistryFailure("already_exists", "invalid new_public_key: already registered");
    }
    core.nodes.setKey(node, key);
    node.keyRotated = unixSeconds(core.clock);
    node.keyRotations++;
    return { node_id: node.id, address: backboneAddress(node.id), public_key: key };
  });
});

/**
 * `set_key_expiry`, for nodes of enterprise networks. A node that went silent because its key expired can be
 * given a new time, and the admin may clear the time of a node that left its enterprise network: otherwise it
 * would be shut out for good.
 */
const setKeyExpiry = serve(requests.setKeyExpiry, async (context, fields) => {
  const { core } = context;
  const options = { admin: true, silent: true };
  const { node, actor } = await authenticate(context, requests.setKeyExpiry, fields, options);
  const text = fields.expires_at;
  const isCleared = text === "" || text === "never";
  const isAllowed = core.networks.inEnterprise(node.id) ||
    (isCleared && adminOf(context) !== undefined);
  if (!isAllowed) {
    throw new RegistryFailure(
      "denied",
      "enterprise feature: key expiry requires enterprise network membership",
    );
  }
  const expires = isCleared ? 0 : expiryTime(text, unixSeconds(core.clock));
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.set_key_expiry", target }, () => {
    if (node.keyExpires !== expires) core.nodes.edit(node).keyExpires = expires;
    const reply: requests.SetKeyExpiryReply = { node_id: node.id };
    if (expires !== 0) reply.expires_at = formatRfc3339(expires);
    return reply;
  });
});

function expiryTime(text: string, now: number): number {
  const expires = parseRfc3339(text);
  if (expires === undefined) {
    throw new RegistryFailure("invalid_argument", "invalid expires_at: not an RFC 3339 time");
  }
  if (expires > now + MAX_KEY_EXPIRY_SECONDS) {
    throw new RegistryFailure("invalid_argument", "invalid expires_at: cannot exceed 10 years");
  }
  if (expires <= now) {
    throw new RegistryFailure("invalid_argument", "expires_at must be in the future"); // masked
  }
  return expires;
}

/** `get_key_info`; open to everyone, and says nothing of whether the node is there. */
const getKeyInfo = serve(requests.getKeyInfo, ({ core }, { node_id }) => {
  const node = core.nodes.known(node_id);
  if (node === undefined) throw nodeNotFound(node_id);
  const reply: requests.KeyInfoReply = {
    node_id: node.id,
    created_at: formatRfc3339(node.keyCreated),
    rotate_count: node.keyRotations,
    key_age_days: keyAgeDays(node, unixSeconds(core.clock)),
  };
  if (node.keyRotated !== 0) reply.rotated_at = formatRfc3339(node.keyRotated);
  if (node.keyExpires !== 0) reply.expires_at = formatRfc3339(node.keyExpires);
  return reply;
});

/** All of these. */
export const KEY_REQUESTS: readonly Served[] = [rotateKey, setKeyExpiry, getKeyInfo];
