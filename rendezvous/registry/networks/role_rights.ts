/**
 * Who may change a network: the holder of a token, or a member by his role (docs/protocol/registry.md §2.2, §2.3).
 *
 * @module
 */

import {
  challenges,
  type JsonObject,
  type NetworkAction,
  numberField,
} from "../../../protocol/registry/registry_message.ts";
import { checkNodeSignature, isAdmin, isAdminOf, signatureField } from "../authenticate.ts";
import { contextOf, requireWhole, WholeSignatureRequired } from "../context.ts";
import type { RegistryCore } from "../core.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { MAX_NETWORK_ID } from "./network_limits.ts";
import { BACKBONE, type NetworkRecord } from "./network.ts";
import { notAMember } from "./network_table.ts";
import type { Role } from "./role.ts";

/** Reads a network number; 0 when it is missing or none. */
export function networkField(request: JsonObject): number {
  return numberField(request, "network_id", MAX_NETWORK_ID);
}

/**
 * Makes sure that the request carries the global admin token.
 *
 * @throws {RegistryFailure} When it does not, or the server has none.
 */
export function requireAdmin(core: RegistryCore, request: JsonObject): void {
  if (isAdmin(core, request)) return;
  throw new RegistryFailure(
    core.adminToken === undefined ? "network creation is disabled" : "invalid admin token",
  );
}

/**
 * Makes sure that a network has the features of an enterprise network.
 *
 * @throws {RegistryFailure} When it has not.
 */
export function requireEnterprise(network: NetworkRecord | undefined): void {
  if (network?.enterprise !== true) {
    throw new RegistryFailure("enterprise feature: requires enterprise network");
  }
}

/** What somebody wants to do by virtue of a token or a role. */
export interface RoleAction {
  /** The request, which is also what a node signs. */
  readonly action: NetworkAction;
  /** Whose role suffices. */
  readonly roles: readonly Role[];
  /** Number of the node it is about, as sent. */
  readonly target?: number | undefined;
  /** Only in enterprise networks. */
  readonly enterprise?: boolean;
  /** What to say about the backbone; else that it is no enterprise network. */
  readonly backbone?: string;
}

/**
 * Changes a network for somebody who may.
 *
 * @param core The registry.
 * @param request The JSON request.
 * @param action What it wants, and who may want that.
 * @param apply The change, as in `RegistryCore.change`.
 * @returns Its reply.
 * @throws {RegistryFailure} No such network, not allowed, or what `apply` threw.
 */
export async function changeByRole(
  core: RegistryCore,
  request: JsonObject,
  action: RoleAction,
  apply: (network: NetworkRecord) => JsonObject,
): Promise<JsonObject> {
  const id = networkField(request);
  const network = find(core, id, action);
  const hasToken = isAdminOf(core, request, network);
  const actor = numberField(request, "node_id");
  if (!hasToken) {
    checkRole(network, actor, action);
    if (core.strict) await checkClaim(core, request, actor, { ...action, network: id });
  }
  return await core.change(() => {
    // Verification waits, and the network or the role may be gone meanwhile.
    const now = find(core, id, action);
    if (!hasToken) checkRole(now, actor, action);
    return apply(now);
  });
}

function find(core: RegistryCore, id: number, action: RoleAction): NetworkRecord {
  if (id === BACKBONE && action.backbone !== undefined) throw new RegistryFailure(action.backbone);
  if (id === BACKBONE) requireEnterprise(undefined);
  const network = core.networks.get(id);
  if (action.enterprise === true) requireEnterprise(network);
  return network;
}

function checkRole(network: NetworkRecord, actor: number, { roles }: RoleAction): void {
  if (actor === 0) {
    throw new RegistryFailure("rbac: node_id required for role-based authorization");
  }
  const role = network.members.get(actor)?.role;
  if (role === undefined || role === "" || !roles.includes(role)) {
    throw new RegistryFailure(`rbac: needs the role ${roles.join(" or ")}`);
  }
}

/**
 * Makes sure that somebody may read who is in a network, and how: everybody, but of a network by invitation only its
 * members and the holders of a token, in a strict registry. Existing clients do not sign these requests; a member is
 * known by what it has signed on the same connection, its heartbeats for example.
 *
 * @param core The registry.
 * @param request The JSON request.
 * @param network The network.
 * @throws {RegistryFailure} When he may not.
 */
export function checkReader(core: RegistryCore, request: JsonObject, network: NetworkRecord): void {
  if (!core.strict || network.joinRule !== "invite") return;
  const { wholeKey, peer } = contextOf(request) ?? {};
  const signer = wholeKey === undefined ? undefined : core.directory.byKey(wholeKey)?.id;
  if (signer !== undefined && network.members.has(signer)) return;
  for (const node of peer?.auth.nodes ?? []) if (network.members.has(node)) return;
  if (isAdminOf(core, request, network)) return;
  if (signer !== undefined) throw notAMember(signer, network.id);
  throw new WholeSignatureRequired(`network ${network.id} shows this to its members only`);
}

/**
 * The node must have signed that it wants this, just this and now: these signatures are our extension (see
 * `NetworkAction`), so no existing client stands in the way of asking for the whole request.
 */
async function checkClaim(
  core: RegistryCore,
  request: JsonObject,
  actor: number,
  { action, network, target }: RoleAction & { network: number },
): Promise<void> {
  const node = core.directory.known(actor);
  if (node === undefined) throw nodeNotFound(actor);
  requireWhole(core, request, "it changes a network by role");
  const challenge = challenges.networkAction(action, actor, network, target);
  await checkNodeSignature(core, node, challenge, signatureField(request));
}
