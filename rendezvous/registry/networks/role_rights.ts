/**
 * Who may change a network: the holder of a token, or a member by its role (docs/protocol/registry.md §2.2, §2.3).
 *
 * @module
 */

import {
  type ReadFields,
  type RegistryRequest,
  signedForms,
} from "../../../protocol/registry/request_schema.ts";
import type { RoleRequest } from "../../../protocol/registry/requests/role_schema.ts";
import type { NetworkFields } from "../../../protocol/registry/requests/network_schema.ts";
import { adminOf, adminOfNetwork, checkNodeSignature, signatureOf } from "../authenticate.ts";
import { type Actor, type ChangeAction, memberTarget, networkTarget } from "../change_record.ts";
import { type RequestContext, requireWhole, WholeSignatureRequired } from "../context.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { BACKBONE, type NetworkRecord } from "./network.ts";
import { notAMember } from "./network_table.ts";
import type { Role } from "./role.ts";

/**
 * Makes sure that the request carries the global admin token.
 *
 * @returns The admin.
 * @throws {RegistryFailure} When it does not, or the server has none.
 */
export function requireAdmin(context: RequestContext): Actor {
  const actor = adminOf(context);
  if (actor !== undefined) return actor;
  throw new RegistryFailure(
    "denied",
    context.core.adminToken === undefined ? "network creation is disabled" : "invalid admin token",
  );
}

/**
 * Makes sure that a network has the features of an enterprise network.
 *
 * @throws {RegistryFailure} When it has not.
 */
export function requireEnterprise(network: NetworkRecord | undefined): void {
  if (network?.enterprise !== true) {
    throw new RegistryFailure("denied", "enterprise feature: requires enterprise network");
  }
}

/** Who may do something by virtue of a role, and where. */
export interface RoleRights {
  /** Whose role suffices. */
  readonly roles: readonly Role[];
  /** Only in enterprise networks. */
  readonly enterprise?: boolean;
  /** What to say about the backbone; else that it is no enterprise network. */
  readonly backbone?: string;
}

/** A change by virtue of a token or a role. */
export interface RoleAction extends RoleRights {
  readonly action: ChangeAction;
  /** The member that it is about, as sent; undefined for the network. */
  readonly member?: number;
}

/** Who has shown the right to do something, and how to find the network again in a change. */
interface Granted {
  readonly actor: Actor;
  /** Verification waits, and network or role may be gone meanwhile: then this throws. */
  readonly network: () => NetworkRecord;
}

/**
 * Changes a network for a permitted requester.
 *
 * @param context The request.
 * @param request What it is.
 * @param fields Its fields.
 * @param action What it does, and who may do that.
 * @param apply The change, as in `RegistryCore.change`.
 * @returns Its reply.
 * @throws {RegistryFailure} No such network, not allowed, or what `apply` threw.
 */
export async function changeByRole<F extends NetworkFields, R extends object>(
  context: RequestContext,
  request: RoleRequest<F, R>,
  fields: ReadFields<F>,
  { action, member, ...rights }: RoleAction,
  apply: (network: NetworkRecord) => R,
): Promise<R> {
  const { actor, network } = await grant(context, request, fields, rights);
  const id: number = fields.network_id;
  const target = member === undefined ? networkTarget(id) : memberTarget(id, member);
  return await context.core.change({ actor, action, target }, () => apply(network()));
}

/**
 * Reads of a network for a permitted requester, as {@linkcode changeByRole} changes it.
 *
 * @param context The request.
 * @param request What it is.
 * @param fields Its fields.
 * @param rights Who may.
 * @param read Gives the reply.
 * @returns It.
 * @throws {RegistryFailure} No such network, or not allowed.
 */
export async function readByRole<F extends NetworkFields, R extends object>(
  context: RequestContext,
  request: RoleRequest<F, R>,
  fields: ReadFields<F>,
  rights: RoleRights,
  read: (network: NetworkRecord) => R,
): Promise<R> {
  const { network } = await grant(context, request, fields, rights);
  return await context.core.settled(() => read(network()));
}

async function grant<F extends NetworkFields>(
  context: RequestContext,
  request: RegistryRequest<F>,
  fields: ReadFields<F>,
  rights: RoleRights,
): Promise<Granted> {
  const { core } = context;
  const id: number = fields.network_id;
  const network = find(context, id, rights);
  const admin = adminOfNetwork(context, network);
  if (admin !== undefined) return { actor: admin, network: () => find(context, id, rights) };
  const node = Number(fields.node_id);
  checkRole(network, node, rights);
  const actor: Actor = core.strict
    ? await checkClaim(context, request, fields, node)
    : { kind: "node", node, proof: "none" };
  return {
    actor,
    network: () => {
      const now = find(context, id, rights);
      checkRole(now, node, rights);
      return now;
    },
  };
}

function find({ core }: RequestContext, id: number, rights: RoleRights): NetworkRecord {
  if (id === BACKBONE && rights.backbone !== undefined) {
    throw new RegistryFailure("denied", rights.backbone);
  }
  if (id === BACKBONE) requireEnterprise(undefined);
  const network = core.networks.get(id);
  if (rights.enterprise === true) requireEnterprise(network);
  return network;
}

function checkRole(network: NetworkRecord, node: number, { roles }: RoleRights): void {
  if (node === 0) {
    throw new RegistryFailure(
      "invalid_argument",
      "rbac: node_id required for role-based authorization",
    );
  }
  const role = network.members.get(node)?.role;
  if (role === undefined || role === "" || !roles.includes(role)) {
    throw new RegistryFailure("denied", `rbac: needs the role ${roles.join(" or ")}`);
  }
}

/**
 * Makes sure that the requester may read who is in a network, and how: everybody, but of a network by invitation only
 * its members and the holders of a token, in a strict registry. Existing clients do not sign these requests; a member
 * is known by what it has signed on the same connection, its heartbeats for example.
 *
 * @param context The request.
 * @param network The network.
 * @throws {RegistryFailure} When it may not be read.
 */
export function checkReader(context: RequestContext, network: NetworkRecord): void {
  const { core, wholeKey, peer } = context;
  if (!core.strict || network.joinRule !== "invite") return;
  const signer = wholeKey === undefined ? undefined : core.nodes.byKey(wholeKey)?.id;
  if (signer !== undefined && network.members.has(signer)) return;
  for (const node of peer.auth.nodes) if (network.members.has(node)) return;
  if (adminOfNetwork(context, network) !== undefined) return;
  if (signer !== undefined) throw notAMember(signer, network.id);
  throw new WholeSignatureRequired(`network ${network.id} shows this to its members only`);
}

/**
 * The node must have signed that it wants this, just this and now: these signatures are our extension (see
 * role_schema.ts), so no existing client prevents asking for the whole request.
 */
async function checkClaim<F extends NetworkFields>(
  context: RequestContext,
  request: RegistryRequest<F>,
  fields: ReadFields<F>,
  asker: number,
): Promise<Actor> {
  const node = context.core.nodes.known(asker);
  if (node === undefined) throw nodeNotFound(asker);
  requireWhole(context, "it changes a network by role");
  const challenge = () => signedForms(request, fields);
  return await checkNodeSignature(context, node, challenge, signatureOf(context));
}
