/**
 * Registration and identity (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import {
  type BinaryHeartbeatOk,
  challenges,
  flagField,
  type HeartbeatReply,
  type JsonObject,
  numberField,
  type RegisterReply,
  textField,
} from "../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../server_clock.ts";
import { authenticate, checkSignature, heldToWhole, signatureField } from "../authenticate.ts";
import { contextOf } from "../context.ts";
import type { RegistryCore } from "../core.ts";
import { endpointTexts, notePlace, realAddress } from "../endpoint.ts";
import { RegistryFailure } from "../failure.ts";
import type { Handler, Peer } from "../handler.ts";
import type { Clash } from "../instances.ts";
import { MAX_TEXT } from "../registry_limits.ts";
import { canonicalKey, hostnameProblem } from "../node_names.ts";
import {
  backboneAddress,
  type NodeRecord,
  refuseExpiredKey,
  warnsOfExpiry,
} from "../node_entry.ts";

const PROTOCOL_VERSION = 1;

/**
 * `register`. A key keeps its number for good, and an `owner` never gives access to a node (§8.1). A strict
 * registry demands a signature of every key that ever came with a good one, and refuses a key that has expired. A node
 * that signs whole requests is held to that. An unsigned registration does not move a live node to another address
 * before the node has signed something there (`notePlace`).
 *
 * What remains (§8.4), for nodes that sign as the wire has it: `register:<listen_addr>:<key>` holds neither nonce nor
 * time. Whoever reads a registration on its way can send it again from elsewhere and so move the node's endpoint to
 * himself until the node registers again, and change what is not signed (hostname, LAN addresses, version,
 * relay_only). He learns nothing by it and cannot pass for the node: the tunnel and every other request need the key
 * itself. Only a registry behind TLS keeps registrations from being read.
 */
export const register: Handler = async (core, request, peer) => {
  const sentKey = textField(request, "public_key");
  if (sentKey === "") throw new RegistryFailure("missing public_key");
  const key = canonicalKey(sentKey);
  if (key === undefined) {
    throw new RegistryFailure("invalid public key: not the base64 of 32 bytes");
  }
  const listenAddr = textField(request, "listen_addr");
  const wholeKey = contextOf(request)?.wholeKey;
  const isWhole = wholeKey === key;
  const signed = wholeKey !== undefined || textField(request, "signature") !== "";
  if (signed && !isWhole) {
    const challenge = challenges.register(listenAddr, sentKey);
    await checkSignature(key, challenge, signatureField(request).signature);
  }
  return core.change(() => {
    const known = core.directory.byKey(key);
    if (known?.held === true && !isWhole) throw heldToWhole(known.id);
    if (core.strict && known !== undefined) {
      if (known.proven && !signed) {
        throw new RegistryFailure("signature required for authenticated node");
      }
      refuseExpiredKey(known, unixSeconds(core.clock));
    }
    const wasLive = known?.state === "live";
    const node = known ?? create(core, key, peer);
    core.directory.edit(node);
    core.directory.revive(node);
    node.proven ||= signed;
    node.held ||= isWhole;
    if (signed) peer.auth.noteNode(node.id);
    const realAddr = realAddress(peer, listenAddr);
    const lanAddrs = endpointTexts(request, "lan_addrs");
    const relayOnly = flagField(request, "relay_only");
    notePlace(node, { realAddr, lanAddrs, relayOnly }, { peer, signed, wasLive });
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
      observed_addr: realAddr,
      protocol_version: PROTOCOL_VERSION,
    };
    if (node.hostname !== "") reply.hostname = node.hostname;
    if (node.externalId !== "") reply.external_id = node.externalId;
    if (hostnameError !== undefined) reply.hostname_error = hostnameError;
    const clash = signed ? noteInstance(core, node, request, peer.ip) : undefined;
    if (clash !== undefined) reply.clash = { ...clash };
    return { ...reply };
  });
};

/** Random numbers of 64 bits, in hex. */
const INSTANCE = /^[0-9a-f]{16}$/;

/** Notes which process has signed a request, and finds another one with the same key. */
function noteInstance(
  core: RegistryCore,
  { id }: NodeRecord,
  request: JsonObject,
  ip: string,
): Clash | undefined {
  const told = textField(request, "instance");
  const now = { monotonicMs: core.clock.monotonicMs(), seconds: unixSeconds(core.clock) };
  return core.instances.note(id, INSTANCE.test(told) ? told : "", ip, now);
}

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

/**
 * Notes a heartbeat whose signature is good, for both modes.
 *
 * @param core The registry.
 * @param node Whose it is.
 * @param from Where it came from, and its fields as far as it has any.
 * @returns What the node is told.
 * @throws {RegistryFailure} When its key has expired: the node goes silent like one that stopped.
 */
export function beat(
  core: RegistryCore,
  node: NodeRecord,
  from: { ip: string; request?: JsonObject },
): BinaryHeartbeatOk & { clash: Clash | undefined } {
  const time = unixSeconds(core.clock);
  refuseExpiredKey(node, time);
  core.directory.touch(node);
  const clash = noteInstance(core, node, from.request ?? {}, from.ip);
  return { time, keyExpiryWarning: warnsOfExpiry(node, time), clash };
}

/** `heartbeat`. The signature is checked every time, unlike in existing servers (§8.4). */
export const heartbeat: Handler = async (core, request, { ip }) => {
  const id = numberField(request, "node_id");
  const node = await authenticate(core, id, request, challenges.heartbeat(id));
  const { time, keyExpiryWarning, clash } = beat(core, node, { ip, request });
  const reply: Omit<HeartbeatReply, "type"> = { time };
  if (clash !== undefined) reply.clash = { ...clash };
  if (keyExpiryWarning) reply.key_expiry_warning = true;
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
    core.leave(node);
    return {};
  });
};
