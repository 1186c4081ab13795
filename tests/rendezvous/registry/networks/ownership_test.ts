/** Networks keep an owner, and invitations end with the right to invite (docs/RENDEZVOUS.md). */

import assert from "node:assert/strict";
import { challenges } from "../../support/challenges.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { withServer } from "../../support/server.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  inviteRequest,
  join,
  leaveRequest,
  networksOf,
  pollInvites,
  respondRequest,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";

async function nodes(client: RawClient, count: number): Promise<TestNode[]> {
  const made: TestNode[] = [];
  for (let i = 0; i < count; i++) made.push(await registered(client));
  return made;
}

async function deregister(client: RawClient, node: TestNode): Promise<void> {
  const signature = await node.sign(challenges.deregister(node.id));
  await client.ok({ type: "deregister", node_id: node.id, signature });
}

async function roles(client: RawClient, network: number, of: TestNode[]): Promise<unknown[]> {
  const found = [];
  for (const node of of) found.push(await roleOf(client, network, node));
  return found;
}

Deno.test("a network whose owner deregisters goes to the oldest admin, or else to the oldest member", () =>
  withServer(async ({ client }) => {
    const [owner, first, second, third] = await nodes(client, 4) as [
      TestNode,
      TestNode,
      TestNode,
      TestNode,
    ];
    const network = await createNetwork(client, owner, { enterprise: true });
    for (const node of [first, second, third]) await join(client, node, network);
    for (const node of [third, second]) {
      const request = { type: "promote_member", network_id: network, target_node_id: node.id };
      await client.ok({ ...request, admin_token: ADMIN });
    }
    await deregister(client, owner);
    const rest = [first, second, third];
    assert.deepEqual(await roles(client, network, rest), ["member", "owner", "admin"]);
    await deregister(client, second);
    await deregister(client, third);
    assert.equal(await roleOf(client, network, first), "owner");
    await owner.register(client);
    assert.deepEqual(
      await networksOf(client, owner),
      [0],
      "who was owner comes back as a stranger",
    );
  }, WITH_ADMIN));

Deno.test("an owner that is alone in its network deregisters and comes back as its owner", () =>
  withServer(async ({ client }) => {
    const [owner, late] = await nodes(client, 2) as [TestNode, TestNode];
    const network = await createNetwork(client, owner);
    await deregister(client, owner);
    assert.equal(await roleOf(client, network, owner), "owner");
    await join(client, late, network);
    assert.equal(await roleOf(client, network, late), "member");
    await owner.register(client);
    assert.deepEqual(await networksOf(client, owner), [0, network]);
    await client.ok(await asRole(owner, "rename_network", network, { name: "mine" }));
  }, WITH_ADMIN));

Deno.test("the owner of a plain network leaves it to its heir", () =>
  withServer(async ({ client }) => {
    const [owner, first, second] = await nodes(client, 3) as [TestNode, TestNode, TestNode];
    const network = await createNetwork(client, owner);
    for (const node of [first, second]) await join(client, node, network);
    await client.ok(await leaveRequest(owner, network));
    assert.deepEqual(await roles(client, network, [first, second]), ["owner", "member"]);
  }, WITH_ADMIN));

Deno.test("an invitation ends when its sender is no admin any more, the owner's and a token's do not", () =>
  withServer(async ({ client }) => {
    const [owner, admin, guest, other] = await nodes(client, 4) as [
      TestNode,
      TestNode,
      TestNode,
      TestNode,
    ];
    const rule = { join_rule: "invite", enterprise: true };
    const network = await createNetwork(client, owner, rule);
    await client.ok(await inviteRequest(owner, network, admin.id));
    await client.ok(await respondRequest(admin, network, true));
    const target = { target_node_id: admin.id };
    await client.ok(await asRole(owner, "promote_member", network, target));
    await client.ok(await inviteRequest(admin, network, guest.id));
    await client.ok(await inviteRequest(owner, network, other.id));
    await client.ok(await asRole(owner, "demote_member", network, target));
    assert.equal(await client.fails(await respondRequest(guest, network, true)), "request failed");
    assert.deepEqual(await pollInvites(client, guest), []);
    await client.ok(await respondRequest(other, network, true));
    const byToken = await inviteRequest(admin, network, guest.id, { admin_token: ADMIN });
    await client.ok(byToken);
    await client.ok(await respondRequest(guest, network, true));
  }, WITH_ADMIN));

Deno.test("invitations end when a network is no enterprise network any more", () =>
  withServer(async ({ client }) => {
    const [owner, guest] = await nodes(client, 2) as [TestNode, TestNode];
    const rule = { join_rule: "invite", enterprise: true };
    const network = await createNetwork(client, owner, rule);
    await client.ok(await inviteRequest(owner, network, guest.id));
    const set = { type: "set_network_enterprise", network_id: network, admin_token: ADMIN };
    for (const enterprise of [false, true]) await client.ok({ ...set, enterprise });
    assert.equal(await client.fails(await respondRequest(guest, network, true)), "request failed");
    assert.equal(await roleOf(client, network, owner), "owner");
  }, WITH_ADMIN));

Deno.test("an invite-only network is listed to members, also those that sign as the wire has it", () =>
  withServer(async ({ server, client }) => {
    const [owner] = await nodes(client, 1) as [TestNode];
    const network = await createNetwork(client, owner, { join_rule: "invite", enterprise: true });
    const list = { type: "list_nodes", network_id: network };
    using fresh = await RawClient.open(server.registryAddr);
    const hidden = /^signature over the whole request required: network 1 shows this to its/;
    assert.match(await fresh.fails(list), hidden);
    assert.match(await fresh.fails({ ...list, node_id: owner.id }), hidden, "a claim is nothing");
    await fresh.ok({ ...list, admin_token: ADMIN });
    assert.match(await fresh.fails(list), hidden);
    const signature = await owner.sign(challenges.heartbeat(owner.id));
    await fresh.ok({ type: "heartbeat", node_id: owner.id, signature });
    const { nodes: found } = await fresh.ok(list);
    assert.equal((found as unknown[]).length, 1);
    using stranger = await RawClient.open(server.registryAddr);
    await registered(stranger);
    assert.match(await stranger.fails(list), hidden);
  }, WITH_ADMIN));
