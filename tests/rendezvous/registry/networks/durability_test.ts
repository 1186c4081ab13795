/** Networks on disk: restarts, `kill -9`, older databases, damaged rows (docs/protocol/registry.md §4.5, §5). */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import {
  APPLICATION_ID,
  MIGRATIONS,
  SCHEMA_VERSION,
} from "../../../../rendezvous/registry/store/schema.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { start, withDirectory } from "../../support/server.ts";
import { ManualClock } from "../../../support/manual_clock.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  inviteRequest,
  join,
  joinRequest,
  leaveRequest,
  networksOf,
  pollInvites,
  respondRequest,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";
import { fakeKey } from "./core_support.ts";

/** Everything that can be asked about networks. */
async function everything(client: RawClient, networks: number[]): Promise<unknown> {
  const all: unknown[] = [await client.ok({ type: "list_networks" })];
  for (const network_id of networks) {
    for (const type of ["get_network_policy", "get_expr_policy", "get_member_tags"]) {
      all.push(await client.call({ type, network_id, admin_token: ADMIN }));
    }
    all.push(await client.call({ type: "list_nodes", network_id, admin_token: ADMIN }));
  }
  return all;
}

Deno.test("everything acknowledged about networks is there after a restart", () =>
  withDirectory(async (store) => {
    const clock = new ManualClock();
    const options = { store, clock, ...WITH_ADMIN };
    let before: unknown;
    let nodes: TestNode[];
    const networks = [1, 2, 3, 4];
    {
      await using server = await start(options);
      using client = await RawClient.open(server.registryAddr);
      const owner = await registered(client);
      const member = await registered(client);
      const guest = await registered(client);
      nodes = [owner, member, guest];
      const invite = { join_rule: "invite", enterprise: true, network_admin_token: "theirs" };
      await createNetwork(client, owner, { name: "invite", ...invite });
      const token = { name: "token", join_rule: "token", token: "pass", enterprise: true };
      await createNetwork(client, guest, token);
      await createNetwork(client, owner, { name: "gone" });
      await join(client, member, 2, { token: "pass" });
      await join(client, owner, 2, { token: "pass" });
      await join(client, member, 3);
      await client.ok(await asRole(guest, "transfer_ownership", 2, { new_owner_id: owner.id }));
      const tags = { target_node_id: member.id, tags: ["a", "b"] };
      await client.ok(await asRole(owner, "set_member_tags", 2, tags));
      const policy = { max_members: 9, allowed_ports: [80, 7], description: "d\u00e4 \ud800" };
      await client.ok(await asRole(owner, "set_network_policy", 2, policy));
      const expr_policy = { version: 1, rules: [{ text: "\u0000\u2028" }] };
      await client.ok(await asRole(owner, "set_expr_policy", 2, { expr_policy }));
      await client.ok(await asRole(owner, "rename_network", 1, { name: "renamed" }));
      await client.ok(await leaveRequest(guest, 2));
      await client.ok(await inviteRequest(owner, 1, member.id));
      await client.ok(await inviteRequest(owner, 1, guest.id));
      await client.ok(await respondRequest(member, 1, false));
      await client.ok(await asRole(owner, "delete_network", 3));
      before = await everything(client, networks);
    }
    const [owner, member, guest] = nodes as [TestNode, TestNode, TestNode];
    for (let round = 0; round < 2; round++) {
      await using server = await start(options);
      using client = await RawClient.open(server.registryAddr);
      assert.deepEqual(await everything(client, networks), before);
      assert.deepEqual(await pollInvites(client, member), []);
      assert.deepEqual(await networksOf(client, owner), [0, 1, 2]);
    }
    await using server = await start(options);
    using client = await RawClient.open(server.registryAddr);
    assert.equal((await pollInvites(client, guest) as unknown[]).length, 1);
    await client.ok(await respondRequest(guest, 1, true));
    assert.equal(
      await client.fails(await joinRequest(guest, 2, { token: "wrong" })),
      "invalid token for network 2",
    );
    await join(client, guest, 2, { token: "pass" });
    const rename = { type: "rename_network", network_id: 1, name: "x", admin_token: "theirs" };
    await client.ok(rename);
    assert.equal(await createNetwork(client, owner, { name: "gone" }), 4);
  }));

Deno.test("who joined first is known after a restart, too", () =>
  withDirectory(async (store) => {
    const options = { store, ...WITH_ADMIN };
    let nodes: TestNode[];
    {
      await using server = await start(options);
      using client = await RawClient.open(server.registryAddr);
      const [low, middle, high] = [
        await registered(client),
        await registered(client),
        await registered(client),
      ];
      nodes = [low, middle, high];
      await createNetwork(client, middle);
      await join(client, high, 1);
      await join(client, low, 1);
      await client.ok(await leaveRequest(middle, 1));
      await join(client, middle, 1);
    }
    const [low, middle, high] = nodes as [TestNode, TestNode, TestNode];
    await using server = await start(options);
    using client = await RawClient.open(server.registryAddr);
    for (const enterprise of [true, false, true]) {
      const set = { type: "set_network_enterprise", network_id: 1, enterprise };
      await client.ok({ ...set, admin_token: ADMIN });
    }
    const roles = [];
    for (const node of [low, middle, high]) roles.push(await roleOf(client, 1, node));
    assert.deepEqual(roles, ["member", "member", "owner"]);
  }));

Deno.test("no token is in the store as it was sent", () =>
  withDirectory(async (store) => {
    {
      await using server = await start({ store, ...WITH_ADMIN });
      using client = await RawClient.open(server.registryAddr);
      const node = await registered(client);
      const extra = { join_rule: "token", token: "J0inT0ken", network_admin_token: "Adm1nT0ken" };
      await createNetwork(client, node, extra);
    }
    for await (const { name } of Deno.readDir(store)) {
      const bytes = await Deno.readFile(`${store}/${name}`);
      const text = new TextDecoder("latin1").decode(bytes);
      for (const token of ["J0inT0ken", "Adm1nT0ken", ADMIN]) assert.ok(!text.includes(token));
    }
  }));

Deno.test("a database of schema version 1 is taken over with all its nodes", () =>
  withDirectory(async (store) => {
    const db = new DatabaseSync(`${store}/registry.db`);
    db.exec(`${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1`);
    const insert = db.prepare(`INSERT INTO nodes VALUES (${Array(17).fill("?").join()})`);
    for (const id of [1, 2]) {
      const rest = [0, 0, "", "192.0.2.1:1", "[]", 0, `host${id}`, '["t"]', 0, 0, "v", 0, 5, 0, 0];
      insert.run(id, fakeKey(id), ...rest);
    }
    // Public, so that everybody may see them.
    db.exec("UPDATE nodes SET public = 1");
    db.exec("UPDATE meta SET value = 3; INSERT INTO trust VALUES (1, 2, 1, 1)");
    db.close();
    const pairs = () => {
      const db = new DatabaseSync(`${store}/registry.db`);
      try {
        return db.prepare("SELECT low, high, by_low, by_high FROM trust").all().map((row) => ({
          ...row,
        }));
      } finally {
        db.close();
      }
    };
    for (let round = 0; round < 2; round++) {
      await using server = await start({ store, ...WITH_ADMIN });
      using client = await RawClient.open(server.registryAddr);
      const lookup = await client.ok({ type: "lookup", node_id: 2 });
      assert.deepEqual(
        [lookup["hostname"], lookup["tags"], lookup["networks"], lookup["polo_score"]],
        ["host2", ["t"], round === 0 ? [0] : [0, 1], 0],
      );
      const trust = { type: "check_trust", node_id: 1, peer_id: 2 };
      // Nobody has signed on this connection, so nobody is told; the row is still what it was.
      assert.equal((await client.ok(trust))["trusted"], false);
      if (round > 0) break;
      const create = { type: "create_network", node_id: 2, name: "n", admin_token: ADMIN };
      assert.equal((await client.ok(create))["network_id"], 1);
      assert.equal((await registered(client)).id, 3);
    }
    const after = new DatabaseSync(`${store}/registry.db`);
    assert.equal(after.prepare("PRAGMA user_version").get()?.["user_version"], SCHEMA_VERSION);
    after.close();
    assert.deepEqual(pairs(), [{ low: 1, high: 2, by_low: 1, by_high: 1 }]);
  }));

for (
  const [what, sql] of [
    ["a network number that was never given out", "UPDATE networks SET id = 9 WHERE id = 2"],
    ["two networks of one name", "UPDATE networks SET name = 'a'"],
    ["a network named backbone", "UPDATE networks SET name = 'backbone' WHERE id = 1"],
    ["a member of no network", "UPDATE members SET network = 9 WHERE network = 1"],
    ["a member that is no node", "UPDATE members SET node = 9 WHERE network = 1"],
    ["an unknown role", "UPDATE members SET role = 'king'"],
    ["a policy document that is no JSON", "UPDATE networks SET expr_policy = '{'"],
    ["ports that are none", "UPDATE networks SET allowed_ports = '[-1]'"],
    ["an invitation to no network", "INSERT INTO invites VALUES (1, 9, 1, 1)"],
    ["no counter of networks", "DELETE FROM meta WHERE name = 'next_network'"],
    ["no table of members", "DROP TABLE members"],
  ] as const
) {
  Deno.test(`a database with ${what} is refused and left alone`, () =>
    withDirectory(async (store) => {
      {
        await using server = await start({ store, ...WITH_ADMIN });
        using client = await RawClient.open(server.registryAddr);
        const node = await registered(client);
        for (const name of ["a", "b"]) await createNetwork(client, node, { name });
      }
      const path = `${store}/registry.db`;
      const db = new DatabaseSync(path);
      db.exec(sql);
      db.close();
      const before = await Deno.readFile(path);
      await assert.rejects(start({ store }), { name: "PilotError", code: "io_error" });
      assert.deepEqual(await Deno.readFile(path), before);
    }));
}

/** A server in a process of its own. */
async function spawn(store: string): Promise<{ child: Deno.ChildProcess; addr: string }> {
  const main = fileURLToPath(new URL("./server_main.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", main, store],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let line = "";
  while (!line.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    line += value;
  }
  await reader.cancel();
  return { child, addr: JSON.parse(line).data.registry };
}

Deno.test("kill -9 loses nothing acknowledged and leaves nothing half done", () =>
  withDirectory(async (store) => {
    const { child, addr } = await spawn(store);
    const joined: TestNode[] = [];
    let owners: TestNode[];
    let transfers = 0;
    let owner: TestNode;
    {
      using client = await RawClient.open(addr);
      const first = owner = await registered(client);
      const second = await registered(client);
      owners = [first, second];
      await createNetwork(client, first, { name: "n", enterprise: true });
      await join(client, second, 1);
    }
    /** Runs requests until the server dies under one of them. */
    const untilDeath = async (step: (client: RawClient) => Promise<void>) => {
      using client = await RawClient.open(addr);
      for (;;) {
        const alive = await step(client).then(() => true, (error) => {
          if (error instanceof assert.AssertionError && !/closed|ended/.test(error.message)) {
            throw error;
          }
          return false;
        });
        if (!alive) return;
        if (joined.length >= 60 && transfers >= 30) child.kill("SIGKILL");
      }
    };
    const joiner = () =>
      untilDeath(async (client) => {
        const node = await registered(client);
        await join(client, node, 1);
        joined.push(node);
      });
    const handOver = () =>
      untilDeath(async (client) => {
        const next = owners.find((node) => node !== owner)!;
        const fields = { new_owner_id: next.id };
        await client.ok(await asRole(owner, "transfer_ownership", 1, fields));
        owner = next;
        transfers++;
      });
    await Promise.all([joiner(), joiner(), handOver()]);
    assert.equal((await child.status).signal, "SIGKILL");
    await using server = await start({ store, ...WITH_ADMIN });
    using client = await RawClient.open(server.registryAddr);
    for (const node of joined) assert.equal(await roleOf(client, 1, node), "member");
    const roles = [await roleOf(client, 1, owners[0]!), await roleOf(client, 1, owners[1]!)];
    assert.deepEqual(roles.sort(), ["admin", "owner"]);
    assert.equal(await createNetwork(client, owners[0]!), 2);
  }));
