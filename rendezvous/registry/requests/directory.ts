/**
 * Lookup, resolve, hostnames, visibility, tags (rendezvous.md §4.2).
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
} from "../../../protocol/registry.ts";
import { unixSeconds } from "../../clock.ts";
import { authenticate, checkNodeSignature, type Proof, signatureField } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { cleanTags, hostnameProblem } from "../names.ts";
import { backboneAddress, keyAgeDays, type NodeRecord } from "../node.ts";

/** What anybody may see of a node, in the form both modes are made from. */
export function describe(core: RegistryCore, node: NodeRecord): Omit<LookupReply, "type"> {
  const reply: Omit<LookupReply, "type"> = {
    node_id: node.id,
    address: backboneAddress(node.id),
    networks: [0, ...core.networks.of(node.id)],
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

/** `lookup`: everything but the endpoint is open to everyone. */
export const lookup: Handler = (core, request) => ({
  ...describe(core, core.directory.live(numberField(request, "node_id"))),
});

/**
 * The answer to a resolve, for both modes.
 *
 * @param core The registry.
 * @param target Whom to reach.
 * @param requester Who asks; 0 for nobody.
 * @param signature By the requester over `resolve:<requester>:<target>`; called when it is needed.
 * @throws {RegistryFailure} Unknown, not signed, or not allowed to know.
 */
export async function resolveNode(
  core: RegistryCore,
  target: number,
  requester: number,
  signature: () => Proof,
): Promise<Omit<ResolveReply, "type">> {
  const asking = core.directory.known(requester);
  if (asking?.state !== "live") {
    throw new RegistryFailure(`resolve denied: requester ${requester} is not registered`);
  }
  const challenge = challenges.resolve(requester, target);
  await checkNodeSignature(core, asking, challenge, signature());
  const node = core.directory.live(target);
  if (!core.mayResolve(asking, node)) {
    throw new RegistryFailure(`resolve denied: node ${target} is private`);
  }
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
  ...await resolveNode(
    core,
    numberField(request, "node_id"),
    numberField(request, "requester_id"),
    () => signatureField(request),
  ),
});

/**
 * `resolve_hostname`. A private node is found only by those who may resolve it; to all others it looks as if
 * there were no such name. The wire has no signature here, so `requester_id` is a claim; a request signed for
 * the purpose of a handshake (our extension) also finds private nodes, because a handshake is how one gets to
 * know them, and it costs the asker its name.
 */
export const resolveHostname: Handler = async (core, request) => {
  const hostname = textField(request, "hostname");
  if (hostname === "") throw new RegistryFailure("hostname required");
  const requester = numberField(request, "requester_id");
  const forHandshake = textField(request, "purpose") === "handshake" &&
    textField(request, "signature") !== "";
  if (forHandshake) {
    const challenge = challenges.resolveHostname(requester, hostname);
    await authenticate(core, requester, request, challenge);
  }
  const node = core.directory.byHostname(hostname);
  const asking = core.directory.known(requester);
  const visible = node !== undefined &&
    (node.public || forHandshake ||
      (asking?.state === "live" && core.mayResolve(asking, node)));
  if (!visible) throw new RegistryFailure(`hostname "${hostname}" not found`);
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
