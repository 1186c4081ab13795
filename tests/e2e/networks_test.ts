/** Networks end to end: a registry, two daemons, and the SDK that programs use. */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Daemon } from "../../daemon/daemon.ts";
import { connect } from "../../mod.ts";
import { Rendezvous } from "../../rendezvous/mod.ts";
import { RawClient } from "../rendezvous/support/client.ts";
import { startDaemon } from "./in_process.ts";

const ADMIN = "the admin token of this test";
const JOIN_TOKEN = "the join token of this test";

/** Events of a daemon by name, each with what it said. */
function events(daemon: Daemon): (name: string) => Promise<Record<string, unknown>> {
  const seen = new Map<string, PromiseWithResolvers<Record<string, unknown>>>();
  const of = (name: string) => {
    const found = seen.get(name) ?? Promise.withResolvers();
    seen.set(name, found);
    return found;
  };
  daemon.parts.events.subscribe(({ name, data }) => of(name).resolve({ ...data }));
  return (name) => of(name).promise;
}

Deno.test("agents join, invite, accept, list and leave, and an invitation is reported at once", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pilot-networks-" });
  try {
    await using rendezvous = await Rendezvous.start({
      registryAddr: "127.0.0.1:0",
      beaconAddr: "127.0.0.1:0",
      store: undefined,
      adminToken: ADMIN,
    });
    await using alice = await startDaemon(dir, "alice", rendezvous);
    const a = events(alice);
    await using bob = await startDaemon(dir, "bob", rendezvous);
    const b = events(bob);
    for (const event of [a, b]) {
      await event("node.registered");
      await event("tunnel.endpoint_proven");
    }
    using admin = await RawClient.open(rendezvous.registryAddr);
    const create = { type: "create_network", admin_token: ADMIN, node_id: alice.node };
    const rule = { join_rule: "token", token: JOIN_TOKEN };
    const plain = Number((await admin.ok({ ...create, name: "plain", ...rule })).network_id);
    const club = Number(
      (await admin.ok({ ...create, name: "club", join_rule: "invite", enterprise: true }))
        .network_id,
    );
    await using one = await connect({ socket: join(dir, "alice.sock") });
    await using two = await connect({ socket: join(dir, "bob.sock") });

    await assert.rejects(() => two.networks.join(plain, "wrong"), /invalid token/);
    const joined = await two.networks.join(plain, JOIN_TOKEN);
    assert.equal(joined.network_id, plain);
    assert.deepEqual(
      (await one.networks.members(plain)).map(({ node_id }) => node_id),
      [alice.node, bob.node],
    );

    // Who is in a network by invitation is told to its members.
    await assert.rejects(() => two.networks.members(club), /not a member/);
    assert.equal((await one.networks.members(club)).length, 1);

    await one.networks.invite(club, bob.node);
    assert.deepEqual(await b("network.invited"), { network_id: club, inviter_id: alice.node });
    assert.deepEqual(
      (await two.networks.invites()).map(({ network_id }) => network_id),
      [club],
    );
    assert.equal((await two.networks.respond(club, true)).accepted, true);
    const networks = await two.networks.list();
    assert.deepEqual(networks.map(({ name }) => name).sort(), ["backbone", "club", "plain"]);

    // What the owner does by her role, each signed as a whole by her daemon.
    await one.networks.promote(club, bob.node);
    await one.networks.demote(club, bob.node);
    await assert.rejects(() => two.networks.kick(club, alice.node), { code: "denied" });
    await one.networks.kick(club, bob.node, { ban: true });
    await assert.rejects(() => one.networks.invite(club, bob.node), /banned/);
    assert.deepEqual((await one.networks.bans(club)).map(({ node_id }) => node_id), [bob.node]);
    await one.networks.unban(club, bob.node);
    await one.networks.setToken(plain, "another token");
    await one.networks.invite(club, bob.node);
    await two.networks.respond(club, true);
    await one.networks.transfer(club, bob.node);
    await assert.rejects(() => one.networks.transfer(club, bob.node), { code: "denied" });

    await two.networks.leave(plain);
    await assert.rejects(() => two.networks.join(plain, JOIN_TOKEN), /invalid token/);
    await two.networks.join(plain, "another token");
    await two.networks.leave(plain);
    assert.deepEqual(
      (await one.networks.members(plain)).map(({ node_id }) => node_id),
      [alice.node],
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
