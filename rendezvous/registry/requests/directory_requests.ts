/**
 * Lookup, resolve, hostnames, visibility, tags (docs/protocol/registry.md §4.2).
 *
 * @module
 */

import { signedForms } from "../../../protocol/registry/request_schema.ts";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../platform/clock.ts";
import { authenticate, checkNodeSignature, isSigned, signatureOf } from "../authenticate.ts";
import { nodeTarget } from "../change_record.ts";
import type { RequestContext } from "../context.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
import { cleanTags, hostnameProblem } from "../node_names.ts";
import { backboneAddress, keyAgeDays, type NodeRecord } from "../node_entry.ts";
import { maySee } from "../sight.ts";

/**
 * What a requester may see of a node, in the form both modes are made from. A stranger sees of a private node what
 * first contact needs, whether the node is there or not.
 *
 * @param core The registry.
 * @param id The node.
 * @param askers Who may be asking; any of them that may see it is enough.
 * @throws {RegistryFailure} When there is no such node, or the requester may know that it is not there.
 */
export function describeTo(
  core: RegistryCore,
  id: number,
  askers: Iterable<number>,
): requests.LookupReply {
  const node = core.nodes.known(id);
  if (node === undefined) throw nodeNotFound(id);
  if (!isSeenBy(core, node, askers)) {
    return {
      node_id: id,
      address: backboneAddress(id),
      networks: [0],
      public_key: node.key,
      public: false,
      polo_score: 0,
    };
  }
  if (node.state !== "live") throw nodeNotFound(id);
  return describe(core, node);
}

/** All that is disclosed of a node to those that may see it. */
export function describe(core: RegistryCore, node: NodeRecord): requests.LookupReply {
  const { id } = node;
  const reply: requests.LookupReply = {
    node_id: id,
    address: backboneAddress(id),
    networks: [0, ...core.networks.of(id)],
    public_key: node.key,
    public: node.public,
    polo_score: node.poloScore,
  };
  if (node.hostname !== "") reply.hostname = node.hostname;
  if (node.tags.length > 0) reply.tags = [...node.tags];
  if (node.taskExec) reply.task_exec = true;
  if (node.externalId !== "") reply.external_id = node.externalId;
  if (node.version !== "") reply.version = node.version;
  if (node.public && !node.relayOnly && node.realAddr !== "") {
    reply.real_addr = node.realAddr;
  }
  return reply;
}

function isSeenBy(core: RegistryCore, node: NodeRecord, askers: Iterable<number>): boolean {
  let isSeen = node.public;
  for (const asker of askers) {
    if (core.networks.share(asker, node.id)) {
      core.viewers.note(node.id, asker, core.clock.now());
    }
    isSeen ||= maySee(core, core.nodes.known(asker), node);
  }
  return isSeen;
}

/**
 * `lookup`. The wire has no requester here: it is who has signed on this connection, or who signs this request
 * (`requester_id`, our extension).
 */
const lookup = serve(requests.lookup, async (context, fields) => {
  if (fields.requester_id !== 0 && isSigned(context)) {
    await authenticate(context, requests.lookup, fields);
  }
  return describeTo(context.core, fields.node_id, context.peer.auth.nodes);
});

/**
 * The answer to a resolve, for both modes.
 *
 * @param context The request.
 * @param fields The node to reach, and the requester; 0 for none.
 * @param signature By the requester; called when it is needed.
 * @throws {RegistryFailure} Unknown, not signed, or not allowed to know.
 */
export async function resolveNode(
  context: RequestContext,
  fields: Required<requests.ResolveFields>,
  signature: () => Uint8Array,
): Promise<requests.ResolveReply> {
  const { core } = context;
  const { node_id: target, requester_id: requester } = fields;
  const asking = core.nodes.known(requester);
  if (asking?.state !== "live") {
    throw new RegistryFailure(
      "denied",
      `resolve denied: requester ${requester} is not registered`,
    );
  }
  const challenge = () => signedForms(requests.resolve, fields);
  await checkNodeSignature(context, asking, challenge, signature());
  core.fresh.note(requester, target, core.clock.now());
  const node = core.nodes.known(target);
  if (node === undefined) throw nodeNotFound(target);
  if (!maySee(core, asking, node)) {
    throw new RegistryFailure("denied", `resolve denied: node ${target} is private`);
  }
  if (node.state !== "live") throw nodeNotFound(target);
  const shown = !node.relayOnly || node === asking;
  const reply: requests.ResolveReply = {
    node_id: node.id,
    real_addr: shown ? node.realAddr : "",
    key_age_days: keyAgeDays(node, unixSeconds(core.clock)),
    public_key: node.key,
  };
  if (shown && node.lanAddrs.length > 0) reply.lan_addrs = node.lanAddrs;
  return reply;
}

/** `resolve`. */
const resolve = serve(
  requests.resolve,
  (context, fields) => resolveNode(context, fields, () => signatureOf(context)),
);

/**
 * `resolve_hostname`. A private node is found only by those who may see it; to all others it looks as if there were no
 * such name. The wire has no signature here, so `requester_id` counts if that node has signed on this connection, and
 * without one whoever has. A request signed for the purpose of a handshake (our extension) also finds private nodes,
 * because a handshake is how nodes meet them, and the requester shows its name by it.
 */
const resolveHostname = serve(requests.resolveHostname, async (context, fields) => {
  const { core, peer } = context;
  const { hostname, requester_id: requester } = fields;
  if (hostname === "") throw new RegistryFailure("invalid_argument", "hostname required");
  if (requester !== 0 && isSigned(context)) {
    await authenticate(context, requests.resolveHostname, fields);
  }
  const isProven = peer.auth.has(requester);
  const askers = requester === 0 ? peer.auth.nodes : isProven ? [requester] : [];
  const forHandshake = isProven && fields.purpose === "handshake";
  const node = core.nodes.byHostname(hostname, forHandshake ? "any" : "live");
  const isVisible = node !== undefined && (forHandshake || isSeenBy(core, node, askers));
  if (!isVisible) throw new RegistryFailure("not_found", `hostname "${hostname}" not found`);
  return {
    node_id: node.id,
    address: backboneAddress(node.id),
    public: node.public,
    hostname,
  };
});

/** `set_hostname`; an empty one clears. */
const setHostname = serve(requests.setHostname, async (context, fields) => {
  const { core } = context;
  const { node_id, hostname } = fields;
  const options = { admin: true };
  const { node, actor } = await authenticate(context, requests.setHostname, fields, options);
  const problem = hostname === "" ? undefined : hostnameProblem(hostname);
  if (problem !== undefined) throw new RegistryFailure("invalid_argument", problem);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.set_hostname", target }, () => {
    core.nodes.setHostname(node, hostname);
    return { node_id, hostname };
  });
});

/** `set_visibility`. */
const setVisibility = serve(requests.setVisibility, async (context, fields) => {
  const { core } = context;
  const { node_id, public: isPublic } = fields;
  const options = { admin: true };
  const { node, actor } = await authenticate(context, requests.setVisibility, fields, options);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.set_visibility", target }, () => {
    if (node.public !== isPublic) core.nodes.edit(node).public = isPublic;
    return { node_id, visibility: isPublic ? "public" : "private" };
  });
});

/** `set_tags`; replaces the whole set. */
const setTags = serve(requests.setTags, async (context, fields) => {
  const { core } = context;
  const { node_id } = fields;
  const options = { admin: true };
  const { node, actor } = await authenticate(context, requests.setTags, fields, options);
  const tags = cleanTags(fields.tags);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.set_tags", target }, () => {
    core.nodes.edit(node).tags = tags;
    return { node_id, tags: tags.length === 0 ? null : tags };
  });
});

/** `set_task_exec`. */
const setTaskExec = serve(requests.setTaskExec, async (context, fields) => {
  const { core } = context;
  const { node_id, enabled } = fields;
  const options = { admin: true };
  const { node, actor } = await authenticate(context, requests.setTaskExec, fields, options);
  const target = nodeTarget(node.id);
  return await core.change({ actor, action: "node.set_task_exec", target }, () => {
    if (node.taskExec !== enabled) core.nodes.edit(node).taskExec = enabled;
    return { node_id, task_exec: enabled };
  });
});

/** All of these. */
export const DIRECTORY_REQUESTS: readonly Served[] = [
  lookup,
  resolve,
  resolveHostname,
  setHostname,
  setVisibility,
  setTags,
  setTaskExec,
];
