/**
 * Registration and identity (rendezvous.md §4.1).
 *
 * @module
 */

import {
  challenges,
  flagField,
  type HeartbeatReply,
  type JsonObject,
  numberField,
  type RegisterReply,
  type RotateKeyReply,
  textField,
} from "../../../protocol/registry.ts";
import { unixSeconds } from "../../clock.ts";
import { authenticate, checkSignature, signatureField } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { endpointTexts, realAddress } from "../endpoint.ts";
import { RegistryFailure } from "../failure.ts";
import type { Handler, Peer } from "../handler.ts";
import { MAX_TEXT } from "../limits.ts";
import { canonicalKey, hostnameProblem } from "../names.ts";
import { backboneAddress, keyAgeDays, type NodeRecord } from "../node.ts";

const PROTOCOL_VERSION = 1;

/**
 * `register`. A key keeps its number for good. Once a key has come with a valid signature, every registration of
 * it needs one; an `owner` never gives access to a node (§15.1).
 */
export const register: Handler = async (core, request, peer) => {
  const sentKey = textField(request, "public_key");
  if (sentKey === "") throw new RegistryFailure("missing public_key");
  const key = canonicalKey(sentKey);
  if (key === undefined) {
    throw new RegistryFailure("invalid public key: not the base64 of 32 bytes");
  }
  const listenAddr = textField(request, "listen_addr");
  const signed = textField(request, "signature") !== "";
  if (signed) {
    const challenge = challenges.register(listenAddr, sentKey);
    await checkSignature(key, challenge, signatureField(request));
  }
  return core.change(() => {
    const known = core.directory.byKey(key);
    if (known?.proven === true && !signed) {
      throw new RegistryFailure("signature required for authenticated node");
    }
    const node = known ?? create(core, key, peer);
    core.directory.edit(node);
    core.directory.revive(node);
    node.proven ||= signed;
    node.realAddr = realAddress(peer, listenAddr);
    node.lanAddrs = endpointTexts(request, "lan_addrs");
    node.relayOnly = flagField(request, "relay_only");
    node.version = textField(request, "version").slice(0, MAX_TEXT) || node.version;
    node.owner ||= textField(request, "owner").slice(0, MAX_TEXT);
    // Without a signature it may be a stranger who names our key: he must not rename the node.
    const mayName = signed || node.hostname === "";
    const hostnameError = mayName
      ? takeHostname(core, node, textField(request, "hostname"))
      : undefined;
    const reply: Omit<RegisterReply, "type"> = {
      node_id: node.id,
      network_id: 0,
      address: backboneAddress(node.id),
      public_key: sentKey,
      observed_addr: node.realAddr,
      protocol_version: PROTOCOL_VERSION,
    };
    if (node.hostname !== "") reply.hostname = node.hostname;
    if (hostnameError !== undefined) reply.hostname_error = hostnameError;
    return { ...reply };
  });
};

function create(core: RegistryCore, key: string, peer: Peer): NodeRecord {
  const now = core.clock.monotonicMs();
  if (!peer.loopback && !core.newNodes.take(peer.key, now)) {
    throw new RegistryFailure("rate limited: too many new nodes from this address");
  }
  return core.directory.create(key);
}

/** Sets the hostname of a registration; what is wrong with it does not fail the registration. */
function takeHostname(
  core: RegistryCore,
  node: NodeRecord,
  hostname: string,
): string | undefined {
  if (hostname === "") return undefined;
  const problem = hostnameProblem(hostname);
  if (problem !== undefined) return problem;
  if (core.directory.hostnameOwner(hostname, node) !== undefined) {
    return `hostname "${hostname}" already in use`;
  }
  core.directory.setHostname(node, hostname);
  return undefined;
}

/** `heartbeat`. The signature is checked every time, unlike in existing servers (§15.4). */
export const heartbeat: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const node = await authenticate(core, id, request, challenges.heartbeat(id));
  core.directory.touch(node);
  const reply: Omit<HeartbeatReply, "type"> = { time: unixSeconds(core.clock) };
  return { ...reply };
};

/** `deregister`. An unknown or absent node is no error. */
export const deregister: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const node = core.directory.known(id);
  if (node === undefined || node.state === "left") return {};
  const challenge = challenges.deregister(id);
  await authenticate(core, id, request, challenge, { admin: true, silent: true });
  return core.change(() => {
    core.directory.leave(node);
    return {};
  });
};

/** `rotate_key`. The new key must not belong to any node. */
export const rotateKey: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const node = await authenticate(core, id, request, challenges.rotateKey(id));
  const key = canonicalKey(textField(request, "new_public_key"));
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

/** `get_key_info`. */
export const getKeyInfo: Handler = (core, request) => {
  const node = core.directory.live(numberField(request, "node_id"));
  const reply: JsonObject = {
    node_id: node.id,
    created_at: rfc3339(node.keyCreated),
    rotate_count: node.keyRotations,
    key_age_days: keyAgeDays(node, unixSeconds(core.clock)),
  };
  if (node.keyRotated !== 0) reply["rotated_at"] = rfc3339(node.keyRotated);
  return reply;
};

/** RFC 3339 in UTC, whole seconds. */
function rfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}
