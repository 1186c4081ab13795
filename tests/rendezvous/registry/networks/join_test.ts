/**
 * join_network and leave_network, and what members of one network may do (docs/protocol/registry.md §4.2, §4.3, §4.5).
 */

import assert from "node:assert/strict";
import { challenges } from "../../support/challenges.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { pass, withServer } from "../../support/server.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  join,
  joinRequest,
  leaveRequest,
  networksOf,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";

Deno.test("join_network gives an address on the network, its rules and its policy", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const node = await registered(client);
    const rules = {
      links: 2,
      cycle: "1h",
      prune: 0,
      prune_by: "age",
      fill: 2,
      fill_how: "random",
    };
    const expr_policy = { version: 1, rules: [{ name: "all", on: "connect" }] };
    const network = await createNetwork(client, owner, { rules, expr_policy });
    assert.deepEqual(await join(client, node, network), {
      type: "join_network_ok",
      network_id: network,
      address: "1:0001.0000.0002",
      rules,
      expr_policy,
    });
    assert.equal(await roleOf(client, network, node), "member");
    assert.deepEqual(await networksOf(client, node), [0, network]);
    assert.equal(
      await client.fails(await joinRequest(node, network)),
      `node ${node.id} already in network ${network}`,
    );
  }, WITH_ADMIN));

Deno.test("join_network checks the network, the node and its signature, in this order", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const node = await registered(client);
    const network = await createNetwork(client, owner);
    const request = await joinRequest(node, network);
    assert.equal(
      await client.fails({ ...request, network_id: 0 }),
      "cannot join the backbone network",
    );
    assert.equal(await client.fails({ ...request, node_id: 99 }), "node 99: node not found");
    assert.equal(
      await client.fails({ ...request, signature: undefined }),
      "signature required for authenticated node",
    );
    assert.equal(
      await client.fails({ ...request, signature: "%" }),
      "invalid signature encoding: not base64",
    );
    const stranger = await joinRequest(owner, network);
    assert.equal(
      await client.fails({ ...request, signature: stranger["signature"] }),
      "request failed",
    );
    const other = await joinRequest(node, 2);
    assert.equal(
      await client.fails({ ...request, signature: other["signature"] }),
      "request failed",
    );
    assert.equal(await client.fails(other), "network 2: network not found");
    assert.equal(
      await client.fails({ ...request, network_id: 65_537 }),
      "cannot join the backbone network",
    );
    const admin = { ...request, signature: undefined, admin_token: "guess" };
    assert.equal(await client.fails(admin), "signature required for authenticated node");
    assert.deepEqual(await networksOf(client, node), [0]);
    // Being in a network opens a node to others, so the admin's word does not do instead of its own.
    const unsigned = await client.fails({ ...admin, admin_token: ADMIN });
    assert.equal(unsigned, "signature required for authenticated node");
    await client.ok(request);
    assert.deepEqual(await networksOf(client, node), [0, network]);
  }, WITH_ADMIN));

Deno.test("the join rule decides who may join", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const node = await registered(client);
    const token = await createNetwork(client, owner, { join_rule: "token", token: "pass" });
    for (const wrong of [undefined, "", "Pass", 5, "pass\0"]) {
      assert.equal(
        await client.fails(await joinRequest(node, token, { token: wrong })),
        `invalid token for network ${token}`,
      );
    }
    await join(client, node, token, { token: "pass" });
    const invite = await createNetwork(client, owner, { join_rule: "invite", enterprise: true });
    for (const network of [invite]) {
      const request = await joinRequest(node, network, { token: "pass", admin_token: ADMIN });
      assert.equal(await client.fails(request), "request failed");
    }
  }, WITH_ADMIN));

Deno.test("leave_network ends a membership, but not that of an enterprise network's owner", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const node = await registered(client);
    const plain = await createNetwork(client, owner);
    const enterprise = await createNetwork(client, owner, { enterprise: true });
    await join(client, node, plain);
    assert.deepEqual(await client.ok(await leaveRequest(node, plain)), {
      type: "leave_network_ok",
      network_id: plain,
    });
    assert.deepEqual(await networksOf(client, node), [0]);
    assert.equal(
      await client.fails(await leaveRequest(node, plain)),
      `node ${node.id} is not a member of network ${plain}`,
    );
    assert.equal(
      await client.fails(await leaveRequest(node, 0)),
      "cannot leave the backbone network",
    );
    assert.equal(
      await client.fails(await leaveRequest(node, 9)),
      "network 9: network not found",
    );
    assert.equal(
      await client.fails(await leaveRequest(owner, enterprise)),
      "cannot leave network: owner must transfer ownership first",
    );
    const { signature } = await leaveRequest(node, plain);
    const forged = { ...await leaveRequest(owner, plain), signature };
    assert.equal(await client.fails(forged), "request failed");
    await client.ok({ ...forged, admin_token: ADMIN });
    assert.deepEqual(await networksOf(client, owner), [0, enterprise]);
    // Nobody is in it, so whoever comes first owns it.
    await join(client, node, plain);
    await join(client, owner, plain);
    assert.equal(await roleOf(client, plain, node), "owner");
    assert.equal(await roleOf(client, plain, owner), "member");
  }, WITH_ADMIN));

/** Everything that shows whether `asker` may find `target`. */
async function access(client: RawClient, asker: TestNode, target: TestNode) {
  const resolve = await client.call({
    type: "resolve",
    node_id: target.id,
    requester_id: asker.id,
    signature: await asker.sign(challenges.resolve(asker.id, target.id)),
  });
  const byName = await client.call({
    type: "resolve_hostname",
    hostname: "target",
    requester_id: asker.id,
  });
  const trust = await client.ok({ type: "check_trust", node_id: asker.id, peer_id: target.id });
  return [resolve["real_addr"], byName["node_id"], trust["trusted"]];
}

Deno.test("members of one network may resolve one another, others may not", () =>
  withServer(async ({ client }) => {
    const target = await registered(client, { hostname: "target", listen_addr: "h:4321" });
    const asker = await registered(client);
    const first = await createNetwork(client, target);
    const second = await createNetwork(client, asker);
    const denied = [undefined, undefined, false];
    assert.deepEqual(await access(client, asker, target), denied);
    await join(client, asker, first);
    const granted = ["127.0.0.1:4321", target.id, true];
    assert.deepEqual(await access(client, asker, target), granted);
    await join(client, target, second);
    await client.ok(await leaveRequest(asker, first));
    assert.deepEqual(await access(client, asker, target), granted);
    await client.ok(await asRole(asker, "delete_network", second));
    assert.deepEqual(await access(client, asker, target), denied);
  }, WITH_ADMIN));

Deno.test("memberships outlive silence, but not deregistration", () =>
  withServer(async ({ server, client: first, clock }) => {
    const node = await registered(first);
    const other = await registered(first);
    const network = await createNetwork(first, node, { enterprise: true });
    await join(first, other, network);
    await pass(server, clock, 400_000);
    using client = await RawClient.open(server.registryAddr);
    await client.fails(await node.lookup());
    assert.equal(await roleOf(client, network, node), "owner");
    await node.register(client);
    await other.register(client);
    assert.deepEqual(await networksOf(client, node), [0, network]);
    const signature = await node.sign(challenges.deregister(node.id));
    await client.ok({ type: "deregister", node_id: node.id, signature });
    const gone = `node ${node.id} is not a member of network ${network}`;
    assert.equal(await roleOf(client, network, node), gone);
    assert.equal(await roleOf(client, network, other), "owner");
    await node.register(client);
    assert.deepEqual(await networksOf(client, node), [0]);
    assert.equal(await roleOf(client, network, node), gone);
  }, WITH_ADMIN));

Deno.test("a node in very many networks is refused the next one", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    for (let i = 0; i < 256; i++) await createNetwork(client, node);
    const one = { type: "create_network", admin_token: ADMIN, node_id: node.id, name: "more" };
    assert.equal(await client.fails(one), "too many networks (max 256 per node)");
    const other = await registered(client);
    const network = await createNetwork(client, other, { name: "more" });
    assert.equal(network, 257);
    assert.equal(
      await client.fails(await joinRequest(node, network)),
      "too many networks (max 256 per node)",
    );
    await client.ok(await leaveRequest(node, 1));
    await join(client, node, network);
  }, WITH_ADMIN));
