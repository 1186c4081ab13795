/**
 * Registration and identity (docs/protocol/registry.md §4.1).
 *
 * @module
 */

import { signedForms } from "../../../protocol/registry/request_schema.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../platform/clock.ts";
import {
  authenticate,
  checkSignature,
  heldToWhole,
  isSigned,
  signatureOf,
} from "../authenticate.ts";
import { type Actor, nodeTarget } from "../change_record.ts";
import type { Peer, RequestContext } from "../context.ts";
import type { RegistryCore } from "../core.ts";
import { endpointTexts, notePlace, realAddress } from "../endpoint.ts";
import { RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
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
 * time. An eavesdropper of a registration can send it again from elsewhere and so move the node's endpoint
 * there until the node registers again, and change what is not signed (hostname, LAN addresses, version, relay_only).
 * Nothing is learned by it, and nobody can pass for the node: the tunnel and every other request need the key itself.
 * Only a registry behind TLS keeps registrations from being read.
 */
const register = serve(requests.register, (context, fields) => {
  const { core, peer, wholeKey } = context;
  if (fields.public_key === "") {
    throw new RegistryFailure("invalid_argument", "missing public_key");
  }
  const key = canonicalKey(fields.public_key);
  if (key === undefined) {
    throw new RegistryFailure(
      "invalid_argument",
      "invalid public key: not the base64 of 32 bytes",
    );
  }
  const isWhole = wholeKey === key;
  const signed = isSigned(context);
  if (signed && !isWhole) {
    // Another key has signed the whole: then there is no signature by this one.
    checkSignature(key, () => signedForms(requests.register, fields), signatureOf(context));
  }
  const id = core.nodes.byKey(key)?.id ?? core.nodes.nextNode;
  const proof = isWhole ? "whole" : signed ? "signature" : "none";
  const actor: Actor = { kind: "node", node: id, proof };
  return core.change({ actor, action: "node.register", target: nodeTarget(id) }, () => {
    const known = core.nodes.byKey(key);
    if (known?.held === true && !isWhole) throw heldToWhole(known.id);
    if (core.strict && known !== undefined) {
      if (known.proven && !signed) {
        throw new RegistryFailure("invalid_argument", "signature required for authenticated node");
      }
      refuseExpiredKey(known, unixSeconds(core.clock));
    }
    const wasLive = known?.state === "live";
    const node = known ?? create(core, key, peer);
    core.nodes.edit(node);
    core.nodes.revive(node);
    node.proven ||= signed;
    node.held ||= isWhole;
    if (signed) peer.auth.noteNode(node.id);
    const realAddr = realAddress(peer, fields.listen_addr);
    const lanAddrs = endpointTexts(fields.lan_addrs);
    const relayOnly = fields.relay_only;
    notePlace(node, { realAddr, lanAddrs, relayOnly }, { peer, signed, wasLive });
    node.version = fields.version.slice(0, MAX_TEXT) || node.version;
    node.owner ||= fields.owner.slice(0, MAX_TEXT);
    // Without a signature it may be a stranger who names our key, and must not rename the node.
    const mayName = signed || node.hostname === "";
    const hostnameError = mayName ? takeHostname(core, node, fields.hostname) : undefined;
    const reply: requests.RegisterReply = {
      node_id: node.id,
      network_id: 0,
      address: backboneAddress(node.id),
      public_key: fields.public_key,
      observed_addr: realAddr,
      protocol_version: PROTOCOL_VERSION,
    };
    if (node.hostname !== "") reply.hostname = node.hostname;
    if (node.externalId !== "") reply.external_id = node.externalId;
    if (hostnameError !== undefined) reply.hostname_error = hostnameError;
    const clash = signed ? noteInstance(context, node, fields.instance) : undefined;
    if (clash !== undefined) reply.clash = { ...clash };
    return reply;
  });
});

/** Random numbers of 64 bits, in hex. */
const INSTANCE = /^[0-9a-f]{16}$/;

/** Notes which process has signed a request, and finds another one with the same key. */
function noteInstance(
  { core, peer }: RequestContext,
  { id }: NodeRecord,
  told: string,
): Clash | undefined {
  const now = { monotonicMs: core.clock.now(), seconds: unixSeconds(core.clock) };
  return core.instances.note(id, INSTANCE.test(told) ? told : "", peer.ip, now);
}

function create(core: RegistryCore, key: string, peer: Peer): NodeRecord {
  const now = core.clock.now();
  if (!peer.loopback && !core.newNodes.take(peer.key, now)) {
    throw new RegistryFailure(
      "limit_exceeded",
      "rate limited: too many new nodes from this address",
    );
  }
  return core.nodes.create(key);
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
  if (core.nodes.hostnameOwner(hostname, node) !== undefined) {
    return `hostname "${hostname}" already in use`;
  }
  core.nodes.setHostname(node, hostname);
  return undefined;
}

/**
 * Notes a heartbeat whose signature is good, for both modes.
 *
 * @param context The request.
 * @param node Whose it is.
 * @param instance Which run of the node's process it says it comes from, or "".
 * @returns What the node learns.
 * @throws {RegistryFailure} When its key has expired: the node goes silent like one that stopped.
 */
export function beat(
  context: RequestContext,
  node: NodeRecord,
  instance: string,
): requests.HeartbeatReply {
  const { core } = context;
  const time = unixSeconds(core.clock);
  refuseExpiredKey(node, time);
  core.nodes.touch(node);
  const clash = noteInstance(context, node, instance);
  const reply: requests.HeartbeatReply = { time };
  if (clash !== undefined) reply.clash = { ...clash };
  if (warnsOfExpiry(node, time)) reply.key_expiry_warning = true;
  return reply;
}

/** `heartbeat`. The signature is checked every time, unlike in existing servers (§8.4). */
const heartbeat = serve(requests.heartbeat, async (context, fields) => {
  const { node } = await authenticate(context, requests.heartbeat, fields);
  return beat(context, node, fields.instance);
});

/** `deregister`. An unknown or absent node is no error. */
const deregister = serve(requests.deregister, async (context, fields) => {
  const { core } = context;
  const node = core.nodes.known(fields.node_id);
  if (node === undefined || node.state === "left") return {};
  const options = { admin: true, silent: true };
  const { actor } = await authenticate(context, requests.deregister, fields, options);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.deregister", target }, () => {
    core.leave(node);
    return {};
  });
});

/**
 * `release_hold`, our extension: the wire's signatures count again for a node, because it goes back to software that
 * makes no others. Asked by the node itself, which must sign the whole request like every other, or with the admin
 * token. The next whole request that the node signs holds it again.
 */
const releaseHold = serve(requests.releaseHold, async (context, fields) => {
  const { core } = context;
  const options = { admin: true, silent: true };
  const { node, actor } = await authenticate(context, requests.releaseHold, fields, options);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.release_hold", target }, () => {
    if (node.held) core.nodes.edit(node).held = false;
    return { node_id: node.id };
  });
});

/** All of these. */
export const IDENTITY_REQUESTS: readonly Served[] = [register, heartbeat, deregister, releaseHold];
