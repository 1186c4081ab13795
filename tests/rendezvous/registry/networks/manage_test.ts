/** delete_network, rename_network, set_network_enterprise (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { type RawClient, registered } from "../../support/client.ts";
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
  roleOf,
  WITH_ADMIN,
} from "./support.ts";

/** Names and members of all networks but the backbone. */
async function listed(client: RawClient): Promise<unknown[]> {
  const { networks } = await client.ok({ type: "list_networks" });
  return (networks as { id: number; name: string; members: number }[])
    .filter(({ id }) => id !== 0).map(({ name, members }) => [name, members]);
}

Deno.test("delete_network frees the name, the members and the invited, not the number", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const admin = await registered(client);
    const invited = await registered(client);
    const extra = { name: "n", join_rule: "invite", enterprise: true };
    const network = await createNetwork(client, owner, extra);
    const kept = await createNetwork(client, owner, { ...extra, name: "kept" });
    await client.ok(await inviteRequest(owner, network, invited.id));
    await client.ok(await inviteRequest(owner, kept, invited.id));
    assert.equal(
      await client.fails(await asRole(admin, "delete_network", network)),
      "request failed",
    );
    assert.equal(
      await client.fails(await asRole(owner, "delete_network", 0)),
      "cannot delete the backbone network",
    );
    assert.equal(
      await client.fails(await asRole(owner, "delete_network", 9)),
      "network 9: network not found",
    );
    assert.deepEqual(await client.ok(await asRole(owner, "delete_network", network)), {
      type: "delete_network_ok",
      network_id: network,
    });
    assert.deepEqual(await networksOf(client, owner), [0, kept]);
    assert.equal((await pollInvites(client, invited) as unknown[]).length, 1);
    assert.equal(await createNetwork(client, owner, extra), 3);
  }, WITH_ADMIN));

Deno.test("rename_network moves the name", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const member = await registered(client);
    const network = await createNetwork(client, owner, { name: "old", enterprise: true });
    await createNetwork(client, owner, { name: "taken" });
    await join(client, member, network);
    const rename = (actor: typeof owner, name: unknown, id = network) =>
      asRole(actor, "rename_network", id, { name });
    assert.deepEqual(await client.ok(await rename(owner, "new")), {
      type: "rename_network_ok",
      network_id: network,
      name: "new",
    });
    await client.ok(await rename(owner, "new"));
    const wrong: [unknown, string][] = [
      ["taken", 'network "taken" already exists'],
      ["", "network name required"],
      [undefined, "network name required"],
      ["n".repeat(64), "network name too long (max 63 chars)"],
      ["backbone", "request failed"],
    ];
    for (const [name, text] of wrong) {
      assert.equal(await client.fails(await rename(owner, name)), text);
    }
    assert.equal(await client.fails(await rename(member, "x")), "request failed");
    assert.equal(
      await client.fails(await rename(owner, "x", 0)),
      "cannot rename the backbone network",
    );
    await client.ok(
      await asRole(owner, "promote_member", network, { target_node_id: member.id }),
    );
    await client.ok(await rename(member, "by-admin"));
    assert.deepEqual(await listed(client), [["by-admin", 2], ["taken", 1]]);
    await createNetwork(client, owner, { name: "old" });
  }, WITH_ADMIN));

Deno.test("set_network_enterprise drops and gives roles, but leaves the owner its own", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const second = await registered(client);
    const network = await createNetwork(client, second, { enterprise: true });
    await join(client, owner, network);
    const move = { new_owner_id: owner.id };
    await client.ok(await asRole(second, "transfer_ownership", network, move));
    const set = { type: "set_network_enterprise", network_id: network, admin_token: ADMIN };
    assert.deepEqual(await client.ok({ ...set, enterprise: false }), {
      type: "set_network_enterprise_ok",
      network_id: network,
      enterprise: false,
    });
    assert.equal(await roleOf(client, network, owner), "owner");
    assert.equal(await roleOf(client, network, second), "member");
    const erase = await asRole(second, "delete_network", network);
    assert.equal(await client.fails(erase), "request failed");
    const third = await registered(client);
    await join(client, third, network);
    await client.ok({ ...set, enterprise: true });
    // Not whoever joined first: that one has handed it over.
    assert.equal(await roleOf(client, network, second), "member");
    assert.equal(await roleOf(client, network, owner), "owner");
    assert.equal(await roleOf(client, network, third), "member");
    await client.ok({ ...set, enterprise: true });
    assert.equal(await roleOf(client, network, owner), "owner");
  }, WITH_ADMIN));

Deno.test("set_network_enterprise finds an owner for a network whose owner has left", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const first = await registered(client);
    const second = await registered(client);
    const network = await createNetwork(client, owner);
    await join(client, first, network);
    await join(client, second, network);
    await client.ok(await leaveRequest(owner, network));
    const set = { type: "set_network_enterprise", network_id: network, admin_token: ADMIN };
    await client.ok({ ...set, enterprise: true });
    assert.equal(await roleOf(client, network, first), "owner");
    assert.equal(await roleOf(client, network, second), "member");
  }, WITH_ADMIN));

Deno.test("set_network_enterprise is for the global admin alone", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const network = await createNetwork(client, owner, { network_admin_token: "theirs" });
    const set = { type: "set_network_enterprise", network_id: network, enterprise: true };
    for (const admin_token of [undefined, "", "guess", "theirs"]) {
      assert.equal(
        await client.fails({ ...set, node_id: owner.id, admin_token }),
        "invalid admin token",
      );
    }
    const admin = { ...set, admin_token: ADMIN };
    assert.equal(
      await client.fails({ ...admin, network_id: 0 }),
      "cannot set enterprise on the backbone network",
    );
    assert.equal(
      await client.fails({ ...admin, network_id: 9 }),
      "network 9: network not found",
    );
  }, WITH_ADMIN));
