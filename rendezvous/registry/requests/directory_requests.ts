/**
 * Lookup, resolve, hostnames, visibility, tags (docs/protocol/registry.md §4.2).
 *
 * @module
 */

import {
  challenges,
  flagField,
  type LookupReply,
  numberField,
  type ResolveHostnameReply,
  type ResolveReply,
  textField,
  textListField,
} from "../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../server_clock.ts";
import {
  authenticate,
  checkNodeSignature,
  isSigned,
  type Proof,
  signatureField,
} from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { cleanTags, hostnameProblem } from "../node_names.ts";
import { backboneAddress, keyAgeDays, type NodeRecord } from "../node_entry.ts";
import { maySee } from "../sight.ts";

/**
 * What an asker may see of a node, in the form both modes are made from. A stranger sees of a private node what first
 * contact needs, whether the node is there or not.
 *
 * @param core The registry.
 * @param id The node.
 * @param askers Who may be asking; any of them that may see it is enough.
 * @throws {RegistryFailure} When there is no such node, or the asker may know that it is not there.
 */
export function describeTo(
  core: RegistryCore,
  id: number,
  askers: Iterable<number>,
): Omit<LookupReply, "type"> {
  const node = core.directory.known(id);
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

/** All that is told of a node to those who may see it. */
export function describe(core: RegistryCore, node: NodeRecord): Omit<LookupReply, "type"> {
  const { id } = node;
  const reply: Omit<LookupReply, "type"> = {
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
      core.viewers.note(node.id, asker, core.clock.monotonicMs());
    }
    isSeen ||= maySee(core, core.directory.known(asker), node);
  }
  return isSeen;
}

/**
 * `lookup`. The wire has no asker here: it is who has signed on this connection, or who signs this request
 * (`requester_id`, our extension).
 */
export const lookup: Handler = async (core, request, peer) => {
  const id = numberField(request, "node_id");
  const requester = numberField(request, "requester_id");
  if (requester !== 0 && isSigned(request)) {
    await authenticate(core, requester, request, challenges.lookup(requester, id));
  }
  return { ...describeTo(core, id, peer.auth.nodes) };
};

/**
 * The answer to a resolve, for both modes.
 *
 * @param core The registry.
 * @param target Whom to reach.
 * @param requester Who asks; 0 for nobody.
 * @param signature By the requester over `resolve:<requester>:<target>`; called when it is needed.
 * @param peer The connection, which has proven to be the requester then.
 * @throws {RegistryFailure} Unknown, not signed, or not allowed to know.
 */
export async function resolveNode(
  core: RegistryCore,
  { target, requester, signature }: {
    readonly target: number;
    readonly requester: number;
    readonly signature: () => Proof;
  },
): Promise<Omit<ResolveReply, "type">> {
  const asking = core.directory.known(requester);
  if (asking?.state !== "live") {
    throw new RegistryFailure(`resolve denied: requester ${requester} is not registered`);
  }
  const challenge = challenges.resolve(requester, target);
  await checkNodeSignature(core, asking, challenge, signature());
  core.fresh.note(requester, target, core.clock.monotonicMs());
  const node = core.directory.known(target);
  if (node === undefined) throw nodeNotFound(target);
  if (!maySee(core, asking, node)) {
    throw new RegistryFailure(`resolve denied: node ${target} is private`);
  }
  if (node.state !== "live") throw nodeNotFound(target);
  const shown = !node.relayOnly || node === asking;
  const reply: Omit<ResolveReply, "type"> = {
    node_id: node.id,
    real_addr: shown ? node.realAddr : "",
    key_age_days: keyAgeDays(node, unixSeconds(core.clock)),
    public_key: node.key,
  };
  if (shown && node.lanAddrs.length > 0) reply.lan_addrs = [...node.lanAddrs];
  return reply;
}

/** `resolve`. */
export const resolve: Handler = async (core, request) => ({
  ...await resolveNode(core, {
    target: numberField(request, "node_id"),
    requester: numberField(request, "requester_id"),
    signature: () => signatureField(request),
  }),
});

/**
 * `resolve_hostname`. A private node is found only by those who may see it; to all others it looks as if there were no
 * such name. The wire has no signature here, so `requester_id` counts if that node has signed on this connection, and
 * without one whoever has. A request signed for the purpose of a handshake (our extension) also finds private nodes,
 * because a handshake is how one gets to know them, and it costs the asker its name.
 */
export const resolveHostname: Handler = async (core, request, peer) => {
  const hostname = textField(request, "hostname");
  if (hostname === "") throw new RegistryFailure("hostname required");
  const requester = numberField(request, "requester_id");
  if (requester !== 0 && isSigned(request)) {
    const challenge = challenges.resolveHostname(requester, hostname);
    await authenticate(core, requester, request, challenge);
  }
  const isProven = peer.auth.has(requester);
  const askers = requester === 0 ? peer.auth.nodes : isProven ? [requester] : [];
  const forHandshake = isProven && textField(request, "purpose") === "handshake";
  const node = core.directory.byHostname(hostname, forHandshake ? "any" : "live");
  const isVisible = node !== undefined && (forHandshake || isSeenBy(core, node, askers));
  if (!isVisible) throw new RegistryFailure(`hostname "${hostname}" not found`);
  const reply: Omit<ResolveHostnameReply, "type"> = {
    node_id: node.id,
    address: backboneAddress(node.id),
    public: node.public,
    hostname,
  };
  return { ...reply };
};

/** `set_hostname`; an empty one clears. */
export const setHostname: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.setHostname(id);
  const node = await authenticate(core, id, request, challenge, { admin: true });
  const hostname = textField(request, "hostname");
  const problem = hostname === "" ? undefined : hostnameProblem(hostname);
  if (problem !== undefined) throw new RegistryFailure(problem);
  return core.change(() => {
    core.directory.setHostname(node, hostname);
    return { node_id: id, hostname };
  });
};

/** `set_visibility`. */
export const setVisibility: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.setVisibility(id);
  const node = await authenticate(core, id, request, challenge, { admin: true });
  const isPublic = flagField(request, "public");
  return core.change(() => {
    if (node.public !== isPublic) core.directory.edit(node).public = isPublic;
    return { node_id: id, visibility: isPublic ? "public" : "private" };
  });
};

/** `set_tags`; replaces the whole set. */
export const setTags: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.setTags(id);
  const node = await authenticate(core, id, request, challenge, { admin: true });
  const tags = cleanTags(textListField(request, "tags"));
  return core.change(() => {
    core.directory.edit(node).tags = tags;
    return { node_id: id, tags: tags.length === 0 ? null : tags };
  });
};

/** `set_task_exec`. */
export const setTaskExec: Handler = async (core, request) => {
  const id = numberField(request, "node_id");
  const challenge = challenges.setTaskExec(id);
  const node = await authenticate(core, id, request, challenge, { admin: true });
  const enabled = flagField(request, "enabled");
  return core.change(() => {
    if (node.taskExec !== enabled) core.directory.edit(node).taskExec = enabled;
    return { node_id: id, task_exec: enabled };
  });
};
