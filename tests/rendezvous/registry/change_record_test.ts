/** What is told of changes: who, what, on what, in which order, and that no batch is lost or numbered twice. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import type {
  Actor,
  ChangeRecord,
  CommittedBatch,
} from "../../../rendezvous/registry/change_record.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";
import { AnswerSigner } from "../../../rendezvous/registry/signing.ts";
import { MemoryStore } from "../../../rendezvous/registry/store/memory_store.ts";
import { APPLICATION_ID, MIGRATIONS } from "../../../rendezvous/registry/store/schema.ts";
import { SqliteStore } from "../../../rendezvous/registry/store/sqlite.ts";
import { challenges } from "../support/challenges.ts";
import { type Reply, TestNode } from "../support/client.ts";
import { CHANGE, newPeer } from "../support/context.ts";
import { withDirectory } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { whole } from "../support/whole.ts";
import { fakeKey, newCore } from "./networks/core_support.ts";
import { ADMIN } from "./networks/support.ts";

/** Notes what is told. */
function follow(core: RegistryCore): CommittedBatch[] {
  const batches: CommittedBatch[] = [];
  core.onCommitted((batch) => batches.push(batch));
  return batches;
}

/** One line for each change. */
function lines(batches: readonly CommittedBatch[]): string[] {
  return batches.flatMap(({ changes }) => changes).map(line);
}

function line({ actor, action, target }: ChangeRecord): string {
  const { kind, ...what } = target;
  return `${who(actor)}: ${action} ${[kind, ...Object.values(what)].join(" ")}`;
}

function who(actor: Actor): string {
  return actor.kind === "node" ? `${actor.node} by ${actor.proof}` : Object.values(actor).join(" ");
}

/** One connection to a registry without sockets. */
function connect(core: RegistryCore) {
  const peer = newPeer();
  const call = async (request: object) =>
    await answerJson(core, request as JsonObject, peer) as Reply;
  const ok = async (request: object) => {
    const reply = await call(request);
    assert.notEqual(reply["type"], "error", JSON.stringify(reply));
    return reply;
  };
  return { call, ok };
}

async function register(client: ReturnType<typeof connect>): Promise<TestNode> {
  const node = await TestNode.create();
  node.id = Number((await client.ok(await node.registration()))["node_id"]);
  return node;
}

Deno.test("changes say which node has made them, and how it was proven", async () => {
  const core = newCore({ signer: await AnswerSigner.load(undefined) });
  const batches = follow(core);
  const client = connect(core);
  const [a, b] = [await register(client), await register(client)];
  await client.ok({ type: "register", public_key: fakeKey(1), listen_addr: "h:1" });
  const signed = async (node: TestNode, challenge: Uint8Array, request: object) =>
    await client.ok({ ...request, signature: await node.sign(challenge) });
  await signed(a, challenges.setTags(a.id), { type: "set_tags", node_id: a.id, tags: ["x"] });
  await client.ok({ type: "set_visibility", node_id: a.id, public: true, admin_token: ADMIN });
  // Nothing is changed by these.
  await client.ok({ type: "set_visibility", node_id: a.id, public: true, admin_token: ADMIN });
  await client.ok({ type: "lookup", node_id: a.id });
  await client.call({ type: "set_hostname", node_id: a.id, hostname: "x" });
  await signed(a, challenges.heartbeat(a.id), { type: "heartbeat", node_id: a.id });
  await signed(a, challenges.handshake(a.id, b.id), {
    ...{ type: "request_handshake", from_node_id: a.id, to_node_id: b.id, justification: "" },
  });
  await signed(b, challenges.pollHandshakes(b.id), { type: "poll_handshakes", node_id: b.id });
  await signed(b, challenges.respondHandshake(b.id, a.id), {
    ...{ type: "respond_handshake", node_id: b.id, peer_id: a.id, accept: true },
  });
  await signed(b, challenges.revokeTrust(b.id, a.id), {
    ...{ type: "revoke_trust", node_id: b.id, peer_id: a.id },
  });
  const enabled = { type: "set_task_exec", node_id: b.id, enabled: true };
  await client.ok(await whole(client, b, enabled));
  assert.deepEqual(lines(batches), [
    "1 by signature: node.register node 1",
    "2 by signature: node.register node 2",
    "3 by none: node.register node 3",
    "1 by signature: node.set_tags node 1",
    "admin: node.set_visibility node 1",
    "1 by signature: handshake.request pair 1 2",
    "2 by signature: handshake.poll node 2",
    "2 by signature: handshake.respond pair 2 1",
    "2 by signature: trust.revoke pair 2 1",
    "2 by whole: node.confirm node 2",
    "2 by whole: node.set_task_exec node 2",
  ]);
  assert.deepEqual(batches.map(({ sequence }) => sequence), batches.map((_, i) => i + 1));
  await core.close();
});

Deno.test("changes of networks name the token or the role they were made by", async () => {
  const clock = new ManualClock();
  const core = newCore({ clock, strict: false });
  const client = connect(core);
  const [owner, member, guest] = [
    ...[await register(client), await register(client), await register(client)],
  ] as const;
  const batches = follow(core);
  await client.ok({
    ...{ type: "create_network", node_id: owner.id, name: "n", enterprise: true },
    ...{ admin_token: ADMIN, network_admin_token: "its own" },
  });
  const network_id = 1;
  const joins = async (node: TestNode) =>
    await client.ok({
      ...{ type: "join_network", node_id: node.id, network_id },
      signature: await node.sign(challenges.joinNetwork(node.id, network_id)),
    });
  await joins(member);
  await joins(guest);
  const about = { network_id, target_node_id: member.id };
  await client.ok({ type: "promote_member", node_id: owner.id, ...about });
  await client.ok({ type: "set_member_tags", ...about, tags: ["t"], admin_token: "its own" });
  await client.ok({ type: "rename_network", network_id, name: "m", admin_token: ADMIN });
  await client.ok({ type: "list_bans", network_id, admin_token: ADMIN });
  const kicked = { network_id, target_node_id: guest.id, node_id: member.id };
  await client.ok({ type: "kick_member", ...kicked });
  const score = { node_id: guest.id, polo_score: 7 };
  await client.ok({ type: "set_polo_score", ...score });
  assert.deepEqual(lines(batches), [
    "admin: network.create network 1",
    "2 by signature: network.join member 1 2",
    "3 by signature: network.join member 1 3",
    "1 by none: network.promote member 1 2",
    "network_admin 1: network.set_member_tags member 1 2",
    "admin: network.rename network 1",
    "2 by none: network.kick member 1 3",
    "anyone: node.set_polo_score node 3",
  ]);
  batches.length = 0;
  await core.tick();
  assert.equal(batches.length, 0, "nothing has happened");
  clock.advance(301_000);
  await core.tick();
  assert.deepEqual(lines(batches), ["registry: registry.pass_time registry"]);
  assert.equal(batches[0]?.rows.nodes.length, 3);
  await core.close();
});

Deno.test("a batch is reported with its rows when it is durable, before its changes are answered", async () => {
  const events: string[] = [];
  class SlowStore extends MemoryStore {
    override async commit(): Promise<void> {
      await new Promise<void>((resolve) => setTimeout(resolve));
      events.push("durable");
    }
  }
  const core = newCore({ store: new SlowStore() });
  const end = core.onCommitted(({ sequence, changes, rows }) => {
    assert.equal(rows.sequence, sequence);
    assert.equal(rows.nodes.length, 2);
    events.push(`told ${sequence}, ${changes.length} changes`);
  });
  await Promise.all([1, 2].map(async (n) => {
    await core.change(CHANGE, () => core.nodes.create(fakeKey(n)));
    events.push("answered");
  }));
  assert.deepEqual(events, ["durable", "told 1, 2 changes", "answered", "answered"]);
  end();
  await core.change(CHANGE, () => core.nodes.create(fakeKey(3)));
  assert.equal(events.length, 5, "and nobody is told any more");
  await core.close();
});

Deno.test("a batch that could not be stored is reported once, in its order, when it is", async () => {
  class FullStore extends MemoryStore {
    isFull = true;
    override commit(): Promise<void> {
      return this.isFull ? Promise.reject(new Error("disk full")) : Promise.resolve();
    }
  }
  const store = new FullStore();
  const core = newCore({ store });
  const batches = follow(core);
  await assert.rejects(core.change(CHANGE, () => core.nodes.create(fakeKey(1))));
  await assert.rejects(core.change(CHANGE, () => core.nodes.create(fakeKey(2))));
  assert.equal(batches.length, 0);
  store.isFull = false;
  await core.tick();
  await core.change(CHANGE, () => core.nodes.create(fakeKey(2)));
  assert.deepEqual(batches.map(({ sequence }) => sequence), [1, 2]);
  assert.deepEqual(batches.map(({ rows }) => rows.nodes.map(({ id }) => id)), [[1], [2]]);
  await core.close();
});

Deno.test("a follower that fails stops neither the change nor the other followers", async () => {
  const core = newCore();
  core.onCommitted(() => {
    throw new Error("no room");
  });
  const batches = follow(core);
  await core.change(CHANGE, () => core.nodes.create(fakeKey(1)));
  assert.equal(batches.length, 1);
  assert.equal(core.isWritable, true);
  await core.close();
});

Deno.test("a change that fails after all is reported if it has changed something, and no later one in its place", async () => {
  const core = newCore();
  const batches = follow(core);
  await assert.rejects(
    core.change(CHANGE, () => {
      throw new Error("refused");
    }),
    /refused/,
  );
  const record: ChangeRecord = { ...CHANGE, action: "node.register" };
  await core.change(record, () => core.nodes.create(fakeKey(1)));
  assert.deepEqual(batches.map(({ changes }) => changes), [[record]]);
  await core.close();
});

Deno.test("sequence numbers continue after a restart, and in a database of the version before from 1", () =>
  withDirectory(async (directory) => {
    const db = new DatabaseSync(`${directory}/registry.db`);
    for (const step of MIGRATIONS.slice(0, 4)) db.exec(step);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 4;
      UPDATE meta SET value = 2 WHERE name = 'next_node'`);
    db.prepare(`INSERT INTO nodes VALUES (${Array(21).fill("?").join()})`).run(
      ...[1, fakeKey(1), 1, 0, "", "127.0.0.1:4000", "[]", 0, "old", "[]"],
      ...[0, 0, "", 0, 1, 0, 0, 0, 0, "", 1],
    );
    db.close();
    const sequences: number[] = [];
    for (const n of [2, 3]) {
      const core = newCore({ store: await SqliteStore.open(directory) });
      assert.equal(core.nodes.byHostname("old")?.held, true, "what was there is there");
      const batches = follow(core);
      await core.change(CHANGE, () => core.nodes.create(fakeKey(n)));
      await core.change(CHANGE, () => core.nodes.setHostname(core.nodes.live(n), `n${n}`));
      sequences.push(...batches.map(({ sequence }) => sequence));
      await core.close();
    }
    assert.deepEqual(sequences, [1, 2, 3, 4]);
  }));
