/** Requests about networks, as an admin, as a node, or as nobody. */

import type { NetworkAction } from "../../../../protocol/registry/registry_message.ts";
import { challenges } from "../../support/challenges.ts";
import { SIGNED_BY, WHOLE_BY } from "../../support/whole.ts";
import type { RawClient, Reply, TestNode } from "../../support/client.ts";

/** The global admin token of the servers of these tests. */
export const ADMIN = "sesame of the tests";
/** Options of a server that has it. */
export const WITH_ADMIN = { adminToken: ADMIN } as const;

/** A request. */
export interface Request {
  type: string;
  [name: string | symbol]: unknown;
}

/** A request of a node, with the wire's signature, and its mark. */
async function signed(node: TestNode, challenge: Uint8Array, request: Request): Promise<Request> {
  return { ...request, signature: await node.sign(challenge), [SIGNED_BY]: node };
}

/** Makes a network owned by a node; its number. */
export async function createNetwork(
  client: RawClient,
  owner: TestNode,
  extra: object = {},
): Promise<number> {
  const request = { type: "create_network", admin_token: ADMIN, node_id: owner.id, ...extra };
  return Number((await client.ok({ name: `n${crypto.randomUUID()}`, ...request }))["network_id"]);
}

/** A signed `join_network`. */
export async function joinRequest(
  node: TestNode,
  network: number,
  extra: object = {},
): Promise<Request> {
  const request = { type: "join_network", node_id: node.id, network_id: network, ...extra };
  return await signed(node, challenges.joinNetwork(node.id, network), request);
}

/** A signed `leave_network`. */
export async function leaveRequest(node: TestNode, network: number): Promise<Request> {
  const request = { type: "leave_network", node_id: node.id, network_id: network };
  return await signed(node, challenges.leaveNetwork(node.id, network), request);
}

/** Joins. */
export async function join(
  client: RawClient,
  node: TestNode,
  network: number,
  extra: object = {},
): Promise<Reply> {
  return await client.ok(await joinRequest(node, network, extra));
}

/** A request that needs a role, signed by the node that has it. */
export async function asRole(
  actor: TestNode,
  type: NetworkAction,
  network: number,
  fields: { target_node_id?: number; new_owner_id?: number; [name: string]: unknown } = {},
): Promise<Request> {
  const target = fields.target_node_id ?? fields.new_owner_id;
  const challenge = challenges.networkAction(type, actor.id, network, target);
  const request = { type, node_id: actor.id, network_id: network, ...fields };
  return { ...await signed(actor, challenge, request), [WHOLE_BY]: actor };
}

/** A signed `invite_to_network`. */
export async function inviteRequest(
  inviter: TestNode,
  network: number,
  target: number,
  extra: object = {},
): Promise<Request> {
  const request = { network_id: network, inviter_id: inviter.id, target_node_id: target };
  return await signed(inviter, challenges.invite(inviter.id, network, target), {
    ...{ type: "invite_to_network", ...request },
    ...extra,
  });
}

/** A signed `poll_invites`; what waits. */
export async function pollInvites(client: RawClient, node: TestNode): Promise<unknown> {
  const request = { type: "poll_invites", node_id: node.id };
  const reply = await client.ok(await signed(node, challenges.pollInvites(node.id), request));
  return reply["invites"];
}

/** A signed `respond_invite`. */
export async function respondRequest(
  node: TestNode,
  network: number,
  accept: boolean,
): Promise<Request> {
  const request = { type: "respond_invite", node_id: node.id, network_id: network, accept };
  return await signed(node, challenges.respondInvite(node.id, network), request);
}

/** A node's role, or what the server says instead. */
export async function roleOf(
  client: RawClient,
  network: number,
  node: TestNode,
): Promise<unknown> {
  const reply = await client.call({
    type: "get_member_role",
    network_id: network,
    target_node_id: node.id,
  });
  return reply["role"] ?? reply["error"];
}

/** The networks a lookup shows. */
export async function networksOf(client: RawClient, node: TestNode): Promise<unknown> {
  return (await client.ok(await node.lookup()))["networks"];
}
