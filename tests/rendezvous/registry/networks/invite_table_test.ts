/** invite_to_network, poll_invites, respond_invite (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { challenges } from "../../support/challenges.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { pass, withServer } from "../../support/server.ts";
import type { ManualClock } from "../../../support/manual_clock.ts";
import type { Rendezvous } from "../../../../rendezvous/mod.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  inviteRequest,
  joinRequest,
  leaveRequest,
  networksOf,
  pollInvites,
  respondRequest,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";

const DAY = 86_400_000;

interface Cast {
  server: Rendezvous;
  clock: ManualClock;
  client: RawClient;
  network: number;
  owner: TestNode;
  guest: TestNode;
}

function withInvites(body: (cast: Cast) => Promise<void>): Promise<void> {
  return withServer(async ({ server, client, clock }) => {
    const owner = await registered(client);
    const guest = await registered(client);
    const extra = { join_rule: "invite", enterprise: true, network_admin_token: "theirs" };
    const network = await createNetwork(client, owner, extra);
    await body({ server, clock, client, network, owner, guest });
  }, WITH_ADMIN);
}

Deno.test("an invitation waits until it is answered, and accepting it makes a member", () =>
  withInvites(async ({ client, network, owner, guest, clock }) => {
    assert.deepEqual(await pollInvites(client, guest), []);
    assert.deepEqual(await client.ok(await inviteRequest(owner, network, guest.id)), {
      type: "invite_to_network_ok",
      network_id: network,
      target_node_id: guest.id,
    });
    const again = await client.ok(await inviteRequest(owner, network, guest.id));
    assert.equal(again["status"], "already_invited");
    const waiting = [{
      network_id: network,
      inviter_id: owner.id,
      timestamp: clock.unixNow() / 1000,
    }];
    assert.deepEqual(await pollInvites(client, guest), waiting);
    assert.deepEqual(await pollInvites(client, guest), waiting);
    assert.deepEqual(await client.ok(await respondRequest(guest, network, true)), {
      type: "respond_invite_ok",
      accepted: true,
      network_id: network,
    });
    assert.deepEqual(await pollInvites(client, guest), []);
    assert.equal(await roleOf(client, network, guest), "member");
    assert.equal(
      await client.fails(await inviteRequest(owner, network, guest.id)),
      `node ${guest.id} is already a member of network ${network}`,
    );
    assert.equal(await client.fails(await respondRequest(guest, network, true)), "request failed");
  }));

Deno.test("declining an invitation leaves the node outside, to be invited again", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    await client.ok(await inviteRequest(owner, network, guest.id));
    const reply = await client.ok(await respondRequest(guest, network, false));
    assert.equal(reply["accepted"], false);
    assert.deepEqual(await networksOf(client, guest), [0]);
    assert.deepEqual(await pollInvites(client, guest), []);
    const again = await client.ok(await inviteRequest(owner, network, guest.id));
    assert.equal(again["status"], undefined);
  }));

Deno.test("invite_to_network is for owners and admins who sign", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    const third = await registered(client);
    const invite = (inviter: TestNode, target: number, extra: object = {}) =>
      inviteRequest(inviter, network, target, extra);
    const good = await invite(owner, third.id);
    assert.equal(
      await client.fails({ ...good, signature: undefined }),
      "signature required for authenticated node",
    );
    const { signature } = await invite(guest, third.id);
    assert.equal(await client.fails({ ...good, signature }), "request failed");
    const outsider = `inviter ${guest.id} is not a member of network ${network}`;
    assert.equal(await client.fails(await invite(guest, third.id)), outsider);
    await client.ok(await invite(owner, guest.id));
    await client.ok(await respondRequest(guest, network, true));
    assert.equal(await client.fails(await invite(guest, third.id)), "request failed");
    // The network's admin token stands in for the role, not for the signature.
    const unsigned = { ...good, admin_token: "theirs", signature: undefined };
    assert.equal(await client.fails(unsigned), "signature required for authenticated node");
    await client.ok(await invite(guest, third.id, { admin_token: "theirs" }));
    await client.ok(await respondRequest(third, network, false));
    // The global one stands in for both.
    await client.ok({ ...unsigned, admin_token: ADMIN, inviter_id: guest.id });
  }));

Deno.test("invite_to_network checks target and network", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    assert.equal(
      await client.fails(await inviteRequest(owner, network, owner.id)),
      "cannot invite yourself",
    );
    assert.equal(
      await client.fails(await inviteRequest(owner, network, 99)),
      "node 99: node not found",
    );
    assert.equal(
      await client.fails(await inviteRequest(owner, 99, guest.id)),
      "network 99: network not found",
    );
    const enterprise = "enterprise feature: requires enterprise network";
    assert.equal(await client.fails(await inviteRequest(owner, 0, guest.id)), enterprise);
    const plain = await createNetwork(client, owner);
    assert.equal(await client.fails(await inviteRequest(owner, plain, guest.id)), enterprise);
    assert.equal(await client.fails(await respondRequest(guest, plain, true)), enterprise);
    const open = await createNetwork(client, owner, { enterprise: true });
    assert.equal(await client.fails(await inviteRequest(owner, open, guest.id)), "request failed");
    await client.ok({ type: "deregister", node_id: guest.id, admin_token: ADMIN });
    assert.equal(
      await client.fails(await inviteRequest(owner, network, guest.id)),
      `node ${guest.id}: node not found`,
    );
  }));

Deno.test("poll_invites and respond_invite need the guest's own signature", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    await client.ok(await inviteRequest(owner, network, guest.id));
    const poll = { type: "poll_invites", node_id: guest.id, admin_token: ADMIN };
    const respond = await respondRequest(guest, network, true);
    const unsigned = "signature required for authenticated node";
    assert.equal(await client.fails(poll), unsigned);
    assert.equal(
      await client.fails({ ...respond, signature: undefined, admin_token: ADMIN }),
      unsigned,
    );
    const byOwner = await owner.sign(challenges.pollInvites(guest.id));
    assert.equal(await client.fails({ ...poll, signature: byOwner }), "request failed");
    const forged = await owner.sign(challenges.respondInvite(guest.id, network));
    assert.equal(await client.fails({ ...respond, signature: forged }), "request failed");
    assert.deepEqual(await networksOf(client, guest), [0]);
  }));

Deno.test("an invitation ends after thirty days", () =>
  withInvites(async ({ server, client: first, clock, network, owner, guest }) => {
    await first.ok(await inviteRequest(owner, network, guest.id));
    clock.advance(30 * DAY);
    {
      using client = await RawClient.open(server.registryAddr);
      assert.equal((await pollInvites(client, guest) as unknown[]).length, 1);
      clock.advance(1000);
      assert.deepEqual(await pollInvites(client, guest), []);
      assert.equal(
        await client.fails(await respondRequest(guest, network, true)),
        `invite for node ${guest.id} to network ${network} has expired`,
      );
      const renewed = await client.ok(await inviteRequest(owner, network, guest.id));
      assert.equal(renewed["status"], undefined);
      assert.equal((await pollInvites(client, guest) as unknown[]).length, 1);
    }
    await pass(server, clock, 31 * DAY);
    using client = await RawClient.open(server.registryAddr);
    await owner.register(client);
    await guest.register(client);
    const gone = await client.fails(await respondRequest(guest, network, true));
    assert.equal(gone, "request failed"); // dropped, so there is none to speak of
  }));

Deno.test("a full network keeps the invitation", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    const limit = (max_members: number) =>
      asRole(owner, "set_network_policy", network, { max_members });
    await client.ok(await limit(1));
    await client.ok(await inviteRequest(owner, network, guest.id));
    assert.equal(await client.fails(await respondRequest(guest, network, true)), "request failed");
    assert.equal((await pollInvites(client, guest) as unknown[]).length, 1);
    await client.ok(await limit(2));
    await client.ok(await respondRequest(guest, network, true));
  }));

Deno.test("an invite inbox takes a hundred", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    const networks = [network];
    for (let i = 0; i < 100; i++) {
      networks.push(
        await createNetwork(client, owner, { join_rule: "invite", enterprise: true }),
      );
    }
    const last = networks.pop()!;
    for (const id of networks) await client.ok(await inviteRequest(owner, id, guest.id));
    assert.equal(await client.fails(await inviteRequest(owner, last, guest.id)), "request failed");
    assert.equal((await pollInvites(client, guest) as unknown[]).length, 100);
    await client.ok(await respondRequest(guest, network, false));
    await client.ok(await inviteRequest(owner, last, guest.id));
  }));

Deno.test("a node that leaves, is kicked or deregisters loses the invitations it sent and received", () =>
  withInvites(async ({ client, network, owner, guest }) => {
    const second = await createNetwork(client, owner, { join_rule: "invite", enterprise: true });
    const admin = await registered(client);
    const enter = async (id: number) => {
      await client.ok(await inviteRequest(owner, id, admin.id));
      await client.ok(await respondRequest(admin, id, true));
      await client.ok(
        await asRole(owner, "promote_member", id, { target_node_id: admin.id }),
      );
      await client.ok(await inviteRequest(admin, id, guest.id));
    };
    const waiting = async () =>
      (await pollInvites(client, guest) as { network_id: number }[]).map((i) => i.network_id);
    await enter(network);
    await enter(second);
    assert.deepEqual(await waiting(), [network, second]);
    await client.ok(await leaveRequest(admin, network));
    assert.deepEqual(await waiting(), [second]);
    await client.ok(
      await asRole(owner, "kick_member", second, { target_node_id: admin.id }),
    );
    assert.deepEqual(await waiting(), []);
    await enter(network);
    await client.ok(await inviteRequest(owner, second, admin.id));
    await client.ok({ type: "deregister", node_id: admin.id, admin_token: ADMIN });
    assert.deepEqual(await waiting(), []);
    await admin.register(client);
    assert.deepEqual(await pollInvites(client, admin), []);
    assert.equal(
      await client.fails(await joinRequest(admin, network)),
      "request failed",
    );
  }));
