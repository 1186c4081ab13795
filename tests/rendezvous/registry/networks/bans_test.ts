/** Keeping somebody out: bans and another join token, both ours (docs/RENDEZVOUS.md). */

import assert from "node:assert/strict";
import { join as path } from "node:path";
import { MAX_BANS } from "../../../../rendezvous/registry/networks/network_limits.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { start, withDirectory, withServer } from "../../support/server.ts";
import { newCore } from "./core_support.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  inviteRequest,
  join,
  joinRequest,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";
import { CHANGE } from "../../support/context.ts";

const ENTERPRISE = { enterprise: true } as const;

async function cast(client: RawClient, extra: object = {}) {
  const [owner, member] = [await registered(client), await registered(client)];
  const network = await createNetwork(client, owner, { ...ENTERPRISE, ...extra });
  return { owner, member, network };
}

Deno.test("a banned member is out and stays out until it is unbanned", () =>
  withServer(async ({ client }) => {
    const { owner, member, network } = await cast(client);
    await join(client, member, network);
    const target = { target_node_id: member.id };
    await client.ok(await asRole(owner, "kick_member", network, { ...target, ban: true }));
    assert.match(String(await roleOf(client, network, member)), /not a member/);
    const request = await joinRequest(member, network);
    const banned = `cannot join network ${network}: node ${member.id} is banned from it`;
    assert.equal(await client.fails(request), banned);
    assert.equal(await client.fails({ ...request, admin_token: ADMIN }), banned);
    const { bans } = await client.ok(await asRole(owner, "list_bans", network));
    assert.deepEqual(bans, [{ node_id: member.id, timestamp: Date.UTC(2026, 0, 1) / 1000 }]);
    await client.ok(await asRole(owner, "unban_member", network, target));
    await client.ok(request);
  }, WITH_ADMIN));

Deno.test("a kick without ban lets the node come back, as on the wire", () =>
  withServer(async ({ client }) => {
    const { owner, member, network } = await cast(client);
    await join(client, member, network);
    const target = { target_node_id: member.id };
    await client.ok(await asRole(owner, "kick_member", network, target));
    await join(client, member, network);
  }, WITH_ADMIN));

Deno.test("a ban reaches a node that has just left, ends invitations and refuses new ones, but never the owner", () =>
  withServer(async ({ client }) => {
    const { owner, member, network } = await cast(client, { join_rule: "invite" });
    await client.ok(await inviteRequest(owner, network, member.id));
    const ban = { target_node_id: member.id, ban: true };
    await client.ok(await asRole(owner, "kick_member", network, ban));
    assert.equal(
      await client.fails(await inviteRequest(owner, network, member.id)),
      `cannot invite node ${member.id}: it is banned from the network`,
    );
    const self = { target_node_id: owner.id, ban: true };
    const refused = await client.fails(await asRole(owner, "kick_member", network, self));
    assert.equal(refused, "cannot kick the network owner");
    const nobody = { target_node_id: 999, ban: true };
    assert.equal(
      await client.fails(await asRole(owner, "kick_member", network, nobody)),
      "node 999: node not found",
    );
  }, WITH_ADMIN));

Deno.test("bans survive a restart, and go with their network", () =>
  withDirectory(async (directory) => {
    const store = path(directory, "store");
    let banned: TestNode;
    let network: number;
    {
      await using server = await start({ store, ...WITH_ADMIN });
      using client = await RawClient.open(server.registryAddr);
      const { owner, member, network: id } = await cast(client);
      [banned, network] = [member, id];
      const other = await createNetwork(client, owner, ENTERPRISE);
      for (const at of [id, other]) {
        const ban = { target_node_id: member.id, ban: true };
        await client.ok(await asRole(owner, "kick_member", at, ban));
      }
      await client.ok(await asRole(owner, "delete_network", other));
    }
    await using server = await start({ store, ...WITH_ADMIN });
    using client = await RawClient.open(server.registryAddr);
    assert.match(await client.fails(await joinRequest(banned, network)), /is banned/);
    const unban = { target_node_id: banned.id, admin_token: ADMIN, network_id: network };
    await client.ok({ type: "unban_member", ...unban });
  }));

Deno.test("a network holds so many bans and no more, and a repeated ban is one", async () => {
  const core = newCore();
  await core.change(CHANGE, () => {
    for (let node = 1; node <= MAX_BANS; node++) {
      core.bans.checkRoom(1, node);
      core.bans.add({ network: 1, node, created: 0 });
    }
    core.bans.checkRoom(1, 7);
    core.bans.add({ network: 1, node: 7, created: 0 });
    core.bans.checkRoom(2, 1);
    assert.throws(() => core.bans.checkRoom(1, MAX_BANS + 1), { message: /^too many bans/ });
    assert.ok(core.bans.remove(1, 7));
    assert.ok(!core.bans.remove(1, 7));
    core.bans.checkRoom(1, MAX_BANS + 1);
  });
  await core.close();
});

Deno.test("set_join_token: the old token lets nobody in any more, members stay", () =>
  withServer(async ({ client }) => {
    const { owner, member, network } = await cast(client, { join_rule: "token", token: "old" });
    await join(client, member, network, { token: "old" });
    const set = (token?: unknown) => asRole(owner, "set_join_token", network, { token });
    assert.equal(await client.fails(await set()), "token is required");
    assert.equal(await client.fails(await set("x".repeat(257))), "token too long (max 256 chars)");
    assert.equal(
      await client.fails(await asRole(member, "set_join_token", network, { token: "mine" })),
      "request failed",
    );
    await client.ok(await set("new"));
    assert.equal(await roleOf(client, network, member), "member");
    const late = await registered(client);
    assert.equal(
      await client.fails(await joinRequest(late, network, { token: "old" })),
      `invalid token for network ${network}`,
    );
    await join(client, late, network, { token: "new" });
    const open = await createNetwork(client, owner);
    assert.equal(
      await client.fails(await asRole(owner, "set_join_token", open, { token: "new" })),
      `cannot set a token: network ${open} is not joined by one`,
    );
  }, WITH_ADMIN));
