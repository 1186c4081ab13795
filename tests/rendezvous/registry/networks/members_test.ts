/** kick, promote, demote, transfer, roles and member tags (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { type RawClient, registered, type TestNode } from "../../support/client.ts";
import { withServer } from "../../support/server.ts";
import { ADMIN, asRole, createNetwork, join, networksOf, roleOf, WITH_ADMIN } from "./support.ts";

interface Cast {
  client: RawClient;
  network: number;
  owner: TestNode;
  admin: TestNode;
  member: TestNode;
  stranger: TestNode;
}

/** An enterprise network with an owner, an admin and a member. */
function withNetwork(body: (cast: Cast) => Promise<void>): Promise<void> {
  return withServer(async ({ client }) => {
    const [owner, admin, member, stranger] = [
      await registered(client),
      await registered(client),
      await registered(client),
      await registered(client),
    ];
    const network = await createNetwork(client, owner, { enterprise: true });
    await join(client, admin, network);
    await join(client, member, network);
    const promote = { target_node_id: admin.id };
    assert.deepEqual(await client.ok(await asRole(owner, "promote_member", network, promote)), {
      type: "promote_member_ok",
      network_id: network,
      target_node_id: admin.id,
      role: "admin",
    });
    await body({ client, network, owner, admin, member, stranger });
  }, WITH_ADMIN);
}

Deno.test("kick_member removes anybody but the owner", () =>
  withNetwork(async ({ client, network, owner, admin, member, stranger }) => {
    const kick = (actor: TestNode, target: TestNode | number, id = network) =>
      asRole(actor, "kick_member", id, {
        target_node_id: typeof target === "number" ? target : target.id,
      });
    assert.equal(await client.fails(await kick(member, admin)), "request failed");
    assert.equal(await client.fails(await kick(stranger, admin)), "request failed");
    assert.equal(await client.fails(await kick(admin, owner)), "cannot kick the network owner");
    assert.equal(
      await client.fails(await kick(owner, stranger)),
      `node ${stranger.id} is not a member of network ${network}`,
    );
    assert.equal(
      await client.fails(await kick(owner, 0)),
      `node 0 is not a member of network ${network}`,
    );
    assert.equal(
      await client.fails(await kick(owner, member, 0)),
      "cannot kick from the backbone network",
    );
    assert.deepEqual(await client.ok(await kick(admin, member)), {
      type: "kick_member_ok",
      network_id: network,
      target_node_id: member.id,
    });
    assert.deepEqual(await networksOf(client, member), [0]);
    await client.ok(await kick(admin, admin));
    assert.deepEqual(await networksOf(client, admin), [0]);
  }));

Deno.test("promote_member and demote_member move between admin and member", () =>
  withNetwork(async ({ client, network, owner, admin, member, stranger }) => {
    const set = async (type: "promote_member" | "demote_member", actor: TestNode, of: TestNode) =>
      await asRole(actor, type, network, { target_node_id: of.id });
    for (const type of ["promote_member", "demote_member"] as const) {
      const verb = type.slice(0, type.indexOf("_"));
      assert.equal(await client.fails(await set(type, owner, owner)), `cannot ${verb} the owner`);
      assert.equal(await client.fails(await set(type, admin, member)), "request failed");
      assert.equal(await client.fails(await set(type, member, member)), "request failed");
      assert.equal(
        await client.fails(await set(type, owner, stranger)),
        `node ${stranger.id} is not a member of network ${network}`,
      );
    }
    assert.equal(
      await client.fails(await set("promote_member", owner, admin)),
      `node ${admin.id} is already an admin`,
    );
    assert.equal(
      await client.fails(await set("demote_member", owner, member)),
      `node ${member.id} is already a member`,
    );
    const demoted = await client.ok(await set("demote_member", owner, admin));
    assert.equal(demoted["role"], "member");
    assert.equal(await roleOf(client, network, admin), "member");
  }));

Deno.test("transfer_ownership makes the old owner an admin", () =>
  withNetwork(async ({ client, network, owner, admin, member, stranger }) => {
    const transfer = (actor: TestNode, to: number) =>
      asRole(actor, "transfer_ownership", network, { new_owner_id: to });
    assert.equal(await client.fails(await transfer(owner, 0)), "new_owner_id is required");
    assert.equal(
      await client.fails(await transfer(owner, stranger.id)),
      `node ${stranger.id} is not a member of network ${network}`,
    );
    assert.equal(
      await client.fails(await transfer(owner, owner.id)),
      `node ${owner.id} is already the owner`,
    );
    assert.equal(await client.fails(await transfer(admin, admin.id)), "request failed");
    assert.deepEqual(await client.ok(await transfer(owner, member.id)), {
      type: "transfer_ownership_ok",
      network_id: network,
      old_owner: owner.id,
      new_owner: member.id,
    });
    assert.equal(await roleOf(client, network, owner), "admin");
    assert.equal(await roleOf(client, network, member), "owner");
    assert.equal(await client.fails(await transfer(owner, owner.id)), "request failed");
  }));

Deno.test("members are managed in enterprise networks only", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const member = await registered(client);
    const network = await createNetwork(client, owner);
    await join(client, member, network);
    const target = { target_node_id: member.id };
    const requests = [
      await asRole(owner, "kick_member", network, target),
      await asRole(owner, "promote_member", network, target),
      await asRole(owner, "demote_member", network, target),
      await asRole(owner, "transfer_ownership", network, { new_owner_id: member.id }),
      await asRole(owner, "set_network_policy", network, { max_members: 5 }),
    ];
    const text = "enterprise feature: requires enterprise network";
    for (const request of requests) {
      assert.equal(await client.fails(request), text);
      assert.equal(await client.fails({ ...request, admin_token: ADMIN }), text);
    }
  }, WITH_ADMIN));

Deno.test("get_member_role is open to everyone", () =>
  withNetwork(async ({ client, network, owner, stranger }) => {
    assert.deepEqual(
      await client.ok({ type: "get_member_role", network_id: network, target_node_id: owner.id }),
      {
        type: "get_member_role_ok",
        network_id: network,
        target_node_id: owner.id,
        role: "owner",
      },
    );
    const gone = `node ${stranger.id} is not a member of network`;
    assert.equal(await roleOf(client, network, stranger), `${gone} ${network}`);
    assert.equal(await roleOf(client, 9, owner), "network 9: network not found");
    assert.equal(await roleOf(client, 0, owner), "member");
    const ask = { type: "get_member_role", network_id: 0, target_node_id: 99 };
    assert.equal(await client.fails(ask), "node 99 is not a member of network 0");
  }));

Deno.test("member tags are set by owners and admins and read by everyone", () =>
  withNetwork(async ({ client, network, owner, admin, member, stranger }) => {
    const set = (actor: TestNode, of: TestNode, tags: unknown) =>
      asRole(actor, "set_member_tags", network, { target_node_id: of.id, tags });
    const get = async (target?: number) =>
      await client.ok({ type: "get_member_tags", network_id: network, target_node_id: target });
    assert.deepEqual(await client.ok(await set(admin, member, ["gpu", "gpu"])), {
      type: "set_member_tags_ok",
      network_id: network,
      target_node_id: member.id,
      tags: ["gpu", "gpu"],
    });
    await client.ok(await set(owner, owner, ["boss"]));
    assert.deepEqual(await get(member.id), {
      type: "get_member_tags_ok",
      network_id: network,
      target_node_id: member.id,
      tags: ["gpu", "gpu"],
    });
    assert.deepEqual((await get(admin.id))["tags"], []);
    assert.deepEqual(await get(), {
      type: "get_member_tags_ok",
      network_id: network,
      members: { [owner.id]: ["boss"], [member.id]: ["gpu", "gpu"] },
    });
    assert.equal((await client.ok(await set(owner, owner, [])))["tags"], null);
    assert.deepEqual((await get(0))["members"], { [member.id]: ["gpu", "gpu"] });
    const wrong: [unknown, string][] = [
      [Array(11).fill("t"), "too many member tags (max 10)"],
      [["t".repeat(33)], `tag "${"t".repeat(32)}" too long (max 32 chars)`],
      [["#t"], 'invalid tag "#t": use lowercase letters, digits and inner hyphens'],
    ];
    for (const [tags, text] of wrong) {
      assert.equal(await client.fails(await set(owner, member, tags)), text);
    }
    assert.equal(await client.fails(await set(member, member, ["x"])), "request failed");
    assert.equal(
      await client.fails(await set(owner, stranger, ["x"])),
      `node ${stranger.id} is not a member of network ${network}`,
    );
    const backbone = { type: "set_member_tags", network_id: 0, target_node_id: member.id };
    assert.equal(
      await client.fails({ ...backbone, tags: ["x"], admin_token: ADMIN }),
      "cannot set member tags on the backbone network",
    );
    assert.deepEqual((await get(member.id))["tags"], ["gpu", "gpu"]);
  }));
