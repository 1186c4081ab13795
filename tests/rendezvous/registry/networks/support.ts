/** Requests about networks, as an admin, as a node, or as nobody. */

import { challenges, type NetworkAction } from "../../../../protocol/registry.ts";
import type { RawClient, Reply, TestNode } from "../../support/client.ts";

/** The global admin token of the servers of these tests. */
export const ADMIN = "s3cret";
/** Options of a server that has it. */
export const WITH_ADMIN = { adminToken: ADMIN } as const;

/** A request. */
export interface Request {
  type: string;
  [name: string]: unknown;
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
  return {
    type: "join_network",
    node_id: node.id,
    network_id: network,
    signature: await node.sign(challenges.joinNetwork(node.id, network)),
    ...extra,
  };
}

/** A signed `leave_network`. */
export async function leaveRequest(node: TestNode, network: number): Promise<Request> {
  return {
    type: "leave_network",
    node_id: node.id,
    network_id: network,
    signature: await node.sign(challenges.leaveNetwork(node.id, network)),
  };
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
  const signature = await actor.sign(challenge);
  return { type, node_id: actor.id, network_id: network, ...fields, signature };
}

/** A signed `invite_to_network`. */
export async function inviteRequest(
  inviter: TestNode,
  network: number,
  target: number,
  extra: object = {},
): Promise<Request> {
  return {
    type: "invite_to_network",
    network_id: network,
    inviter_id: inviter.id,
    target_node_id: target,
    signature: await inviter.sign(challenges.invite(inviter.id, network, target)),
    ...extra,
  };
}

/** A signed `poll_invites`; what waits. */
export async function pollInvites(client: RawClient, node: TestNode): Promise<unknown> {
  const signature = await node.sign(challenges.pollInvites(node.id));
  return (await client.ok({ type: "poll_invites", node_id: node.id, signature }))["invites"];
}

/** A signed `respond_invite`. */
export async function respondRequest(
  node: TestNode,
  network: number,
  accept: boolean,
): Promise<Request> {
  return {
    type: "respond_invite",
    node_id: node.id,
    network_id: network,
    accept,
    signature: await node.sign(challenges.respondInvite(node.id, network)),
  };
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
  return (await client.ok({ type: "lookup", node_id: node.id }))["networks"];
}
