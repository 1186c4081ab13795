/**
 * The key of a node: rotation, expiry, facts (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import {
  challenges,
  type JsonObject,
  numberField,
  type RotateKeyReply,
  textField,
} from "../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../server_clock.ts";
import { authenticate, isAdmin } from "../authenticate.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { MAX_KEY_EXPIRY_SECONDS } from "../registry_limits.ts";
import { canonicalKey } from "../node_names.ts";
import { backboneAddress, keyAgeDays } from "../node_entry.ts";
import { formatRfc3339, parseRfc3339 } from "../rfc3339.ts";

/**
 * `rotate_key`. The new key must not belong to any node; an expiry stays. The signature binds the new key (v1.18 and
 * newer), or only says that there is to be one.
 */
export const rotateKey: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const newKey = textField(request, "new_public_key");
  const forms = [challenges.rotateKeyTo(id, newKey), challenges.rotateKey(id)];
  const node = await authenticate(core, id, request, forms);
  const key = canonicalKey(newKey);
  if (key === undefined) {
    throw new RegistryFailure("invalid new_public_key: not the base64 of 32 bytes");
  }
  return core.change(() => {
    if (core.directory.byKey(key) !== undefined) {
      throw new RegistryFailure("invalid new_public_key: already registered");
    }
    core.directory.setKey(node, key);
    node.keyRotated = unixSeconds(core.clock);
    node.keyRotations++;
    const reply: Omit<RotateKeyReply, "type"> = {
      node_id: id,
      address: backboneAddress(id),
      public_key: key,
    };
    return { ...reply };
  });
};

/**
 * `set_key_expiry`, for nodes of enterprise networks. A node that went silent because its key expired can be
 * given a new time, and the admin may clear the time of a node that left its enterprise network: otherwise it
 * would be shut out for good.
 */
export const setKeyExpiry: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.setKeyExpiry(id);
  const node = await authenticate(core, id, request, challenge, { admin: true, silent: true });
  const text = textField(request, "expires_at");
  const isCleared = text === "" || text === "never";
  if (!core.networks.inEnterprise(id) && !(isCleared && isAdmin(core, request))) {
    throw new RegistryFailure(
      "enterprise feature: key expiry requires enterprise network membership",
    );
  }
  const expires = isCleared ? 0 : expiryTime(text, unixSeconds(core.clock));
  return core.change(() => {
    if (node.keyExpires !== expires) core.directory.edit(node).keyExpires = expires;
    const reply: JsonObject = { node_id: id };
    if (expires !== 0) reply["expires_at"] = formatRfc3339(expires);
    return reply;
  });
};

function expiryTime(text: string, now: number): number {
  const expires = parseRfc3339(text);
  if (expires === undefined) throw new RegistryFailure("invalid expires_at: not an RFC 3339 time");
  if (expires > now + MAX_KEY_EXPIRY_SECONDS) {
    throw new RegistryFailure("invalid expires_at: cannot exceed 10 years");
  }
  if (expires <= now) throw new RegistryFailure("expires_at must be in the future"); // masked
  return expires;
}

/** `get_key_info`; open to everyone, and says nothing of whether the node is there. */
export const getKeyInfo: Handler = (core, request) => {
  const id = numberField(request, "node_id");
  const node = core.directory.known(id);
  if (node === undefined) throw nodeNotFound(id);
  const reply: JsonObject = {
    node_id: node.id,
    created_at: formatRfc3339(node.keyCreated),
    rotate_count: node.keyRotations,
    key_age_days: keyAgeDays(node, unixSeconds(core.clock)),
  };
  if (node.keyRotated !== 0) reply["rotated_at"] = formatRfc3339(node.keyRotated);
  if (node.keyExpires !== 0) reply["expires_at"] = formatRfc3339(node.keyExpires);
  return reply;
};
