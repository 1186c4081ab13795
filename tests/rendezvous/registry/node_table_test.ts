/** Lookup, resolve, hostnames, visibility, tags: what who may see (docs/protocol/registry.md §4.2, §5). */

import assert from "node:assert/strict";
import { challenges } from "../support/challenges.ts";
import type { Rendezvous } from "../../../rendezvous/mod.ts";
import { RawClient, registered, type Reply, type TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

async function setVisibility(client: RawClient, node: TestNode, isPublic: boolean): Promise<Reply> {
  return await client.ok({
    type: "set_visibility",
    node_id: node.id,
    public: isPublic,
    signature: await node.sign(challenges.setVisibility(node.id)),
  });
}

async function resolve(client: RawClient, requester: TestNode, target: number): Promise<Reply> {
  return await client.call({
    type: "resolve",
    node_id: target,
    requester_id: requester.id,
    signature: await requester.sign(challenges.resolve(requester.id, target)),
  });
}

async function reportTrust(client: RawClient, node: TestNode, peer: TestNode): Promise<void> {
  await client.ok({
    type: "report_trust",
    node_id: node.id,
    peer_id: peer.id,
    signature: await node.sign(challenges.reportTrust(node.id, peer.id)),
  });
}

/** Connections of their own: who has signed on one is known there. */
async function clients(server: Rendezvous, count: number): Promise<RawClient[] & Disposable> {
  const list: RawClient[] = [];
  for (let i = 0; i < count; i++) list.push(await RawClient.open(server.registryAddr));
  return Object.assign(list, { [Symbol.dispose]: () => list.forEach((client) => client.close()) });
}

async function setTags(client: RawClient, node: TestNode, tags: unknown): Promise<Reply> {
  const signature = await node.sign(challenges.setTags(node.id));
  return await client.call({ type: "set_tags", node_id: node.id, tags, signature });
}

const LAN = ["10.0.0.5:4000", "[fe80::1]:4000"];

Deno.test("lookup shows a node all of itself, friends and members all but the endpoint, strangers its key", () =>
  withServer(async ({ client, server }) => {
    using all = await clients(server, 4);
    const [own, friendly, member, strange] = all;
    const node = await registered(own!, { hostname: "a", version: "v1", lan_addrs: LAN });
    const friend = await registered(friendly!);
    await reportTrust(own!, node, friend);
    await registered(member!);
    await registered(strange!);
    await setTags(own!, node, ["t"]);
    const key = {
      type: "lookup_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      networks: [0],
      public_key: node.identity.publicKeyBase64,
      public: false,
      polo_score: 0,
    };
    const shown = { ...key, hostname: "a", version: "v1", tags: ["t"] };
    const lookup = { type: "lookup", node_id: node.id };
    assert.deepEqual(await own!.ok(lookup), shown);
    assert.deepEqual(await friendly!.ok(lookup), shown);
    for (const stranger of [client, member!, strange!]) {
      assert.deepEqual(await stranger.ok(lookup), key);
    }
    const signature = await friend.sign(challenges.lookup(friend.id, node.id));
    const signed = { ...lookup, requester_id: friend.id, signature };
    assert.equal(await strange!.fails({ ...signed, requester_id: node.id }), "request failed");
    assert.deepEqual(await client.ok(signed), shown);
    assert.deepEqual(await setVisibility(own!, node, true), {
      type: "set_visibility_ok",
      node_id: node.id,
      visibility: "public",
    });
    const open = { ...shown, public: true, real_addr: "127.0.0.1:4000" };
    assert.deepEqual(await strange!.ok(lookup), open);
    assert.equal((await setVisibility(own!, node, false))["visibility"], "private");
    assert.deepEqual(await strange!.ok(lookup), key);
  }));

Deno.test("lookup reads anything but a positive 32-bit number as node 0", () =>
  withServer(async ({ client }) => {
    await registered(client);
    for (const id of [0, -1, 2 ** 32, "1", null, true, [1], {}, undefined]) {
      assert.equal(await client.fails({ type: "lookup", node_id: id }), "node 0: node not found");
    }
    assert.equal((await client.ok({ type: "lookup", node_id: 1.9 }))["node_id"], 1);
  }));

Deno.test("resolve opens a private node to itself and to those it trusts", () =>
  withServer(async ({ client }) => {
    const target = await registered(client, { lan_addrs: [...LAN, "not an endpoint", "h:1", 7] });
    const friend = await registered(client);
    const stranger = await registered(client);
    await reportTrust(client, target, friend);
    const expected = {
      type: "resolve_ok",
      node_id: target.id,
      real_addr: "127.0.0.1:4000",
      lan_addrs: LAN,
      key_age_days: 0,
      public_key: target.identity.publicKeyBase64,
    };
    const denied = { type: "error", error: "request failed", code: "denied" };
    assert.deepEqual(await resolve(client, friend, target.id), expected);
    assert.deepEqual(await resolve(client, target, target.id), expected);
    assert.deepEqual(await resolve(client, stranger, target.id), denied);
    await setVisibility(client, target, true);
    assert.deepEqual(await resolve(client, stranger, target.id), expected);
    await setVisibility(client, target, false);
    assert.deepEqual(await resolve(client, stranger, target.id), denied);
  }));

Deno.test("resolve refuses requesters who are not registered", () =>
  withServer(async ({ client }) => {
    const target = await registered(client);
    await setVisibility(client, target, true);
    const request = { type: "resolve", node_id: target.id, signature: btoa("\0".repeat(64)) };
    assert.equal(await client.fails({ ...request, requester_id: 77 }), "request failed");
    assert.equal(await client.fails(request), "request failed");
    const error = (await resolve(client, target, 55))["error"];
    assert.equal(error, "node 55: node not found");
  }));

Deno.test("relay_only hides the endpoint from everybody else", () =>
  withServer(async ({ client }) => {
    const node = await registered(client, { relay_only: true, lan_addrs: LAN });
    const other = await registered(client);
    await setVisibility(client, node, true);
    assert.equal((await client.ok({ type: "lookup", node_id: node.id }))["real_addr"], undefined);
    const reply = await resolve(client, other, node.id);
    assert.equal(reply["real_addr"], "");
    assert.equal(reply["lan_addrs"], undefined);
    assert.equal((await resolve(client, node, node.id))["real_addr"], "127.0.0.1:4000");
  }));

Deno.test("resolve_hostname hides a private node behind the text of an unknown name", () =>
  withServer(async ({ client, server }) => {
    using all = await clients(server, 3);
    const [own, friendly, strange] = all;
    const node = await registered(own!, { hostname: "secret" });
    const friend = await registered(friendly!);
    const stranger = await registered(strange!);
    await reportTrust(strange!, stranger, node);
    await reportTrust(own!, node, friend);
    const ask = { type: "resolve_hostname", hostname: "secret" };
    const found = {
      type: "resolve_hostname_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      public: false,
      hostname: "secret",
    };
    const hidden = 'hostname "secret" not found';
    assert.equal(await client.fails(ask), hidden);
    // Whose number is named says nothing; who has signed on the connection does.
    assert.equal(await strange!.fails(ask), hidden);
    for (const requester_id of [stranger.id, friend.id, node.id, 99]) {
      assert.equal(await strange!.fails({ ...ask, requester_id }), hidden);
    }
    assert.deepEqual(await friendly!.ok({ ...ask, requester_id: friend.id }), found);
    assert.deepEqual(await friendly!.ok(ask), found, "as existing clients ask");
    assert.equal(await friendly!.fails({ ...ask, requester_id: node.id }), hidden);
    assert.deepEqual(await own!.ok({ ...ask, requester_id: node.id }), found);
    await setVisibility(own!, node, true);
    assert.deepEqual(await client.ok(ask), { ...found, public: true });
    assert.equal(await client.fails({ ...ask, hostname: "SECRET" }), 'hostname "SECRET" not found');
    assert.equal(await client.fails({ type: "resolve_hostname" }), "hostname required");
  }));

Deno.test("resolve_hostname finds a private node for a handshake only when the asker signs", () =>
  withServer(async ({ client, server }) => {
    using all = await clients(server, 2);
    const [own, theirs] = all;
    const node = await registered(own!, { hostname: "secret" });
    const asker = await registered(theirs!);
    const ask = {
      type: "resolve_hostname",
      hostname: "secret",
      requester_id: asker.id,
      purpose: "handshake",
    };
    const hidden = 'hostname "secret" not found';
    assert.equal(await client.fails(ask), hidden);
    const challenge = challenges.resolveHostname(asker.id, "secret");
    const signature = await asker.sign(challenge);
    const forged = { ...ask, signature: await node.sign(challenge) };
    assert.equal(await client.fails(forged), "request failed");
    assert.equal(await client.fails({ ...ask, purpose: "other", signature }), hidden);
    assert.equal((await client.ok({ ...ask, signature }))["node_id"], node.id);
    const replayed = { ...ask, hostname: "another", signature };
    assert.equal(await client.fails(replayed), "request failed");
  }));

Deno.test("set_hostname keeps names unique, valid and releasable", () =>
  withServer(async ({ client }) => {
    const a = await registered(client);
    const b = await registered(client);
    const set = async (node: TestNode, hostname: string) =>
      await client.call({
        type: "set_hostname",
        node_id: node.id,
        hostname,
        signature: await node.sign(challenges.setHostname(node.id)),
      });
    const ok = { type: "set_hostname_ok", node_id: a.id, hostname: "name" };
    assert.deepEqual(await set(a, "name"), ok);
    assert.deepEqual(await set(a, "name"), ok);
    assert.equal((await set(b, "name"))["error"], `hostname "name" already in use by node ${a.id}`);
    for (const bad of ["broadcast", "a_b", "-", "a".repeat(64), "ü"]) {
      assert.match(String((await set(b, bad))["error"]), /^invalid hostname: /);
    }
    assert.equal((await set(b, "a".repeat(63)))["type"], "set_hostname_ok");
    assert.equal((await set(a, ""))["hostname"], "");
    assert.equal((await set(b, "name"))["type"], "set_hostname_ok");
    assert.equal((await client.ok({ type: "lookup", node_id: a.id }))["hostname"], undefined);
  }));

Deno.test("set_tags cleans, bounds and replaces the set", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const tags = async (sent: unknown) => await setTags(client, node, sent);
    assert.deepEqual(await tags(["#ml", "gpu", "ml", 3]), {
      type: "set_tags_ok",
      node_id: node.id,
      tags: ["ml", "gpu"],
    });
    const lookup = await client.ok({ type: "lookup", node_id: node.id });
    assert.deepEqual(lookup["tags"], ["ml", "gpu"]);
    const eleven = Array.from({ length: 11 }, (_, i) => `t${i}`);
    assert.equal((await tags(eleven))["error"], "too many tags (max 10)");
    const long = "a".repeat(33);
    assert.match(String((await tags([long]))["error"]), /^tag "a{32}" too long \(max 32 chars\)$/);
    for (const bad of ["A", "##x", "", "a b", "a-"]) {
      assert.match(String((await tags([bad]))["error"]), /^invalid tag /);
    }
    assert.equal((await tags([]))["tags"], null);
  }));

Deno.test("set_task_exec reads the field enabled", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const signature = await node.sign(challenges.setTaskExec(node.id));
    const set = { type: "set_task_exec", node_id: node.id, signature };
    assert.equal((await client.ok({ ...set, enabled: true }))["task_exec"], true);
    assert.equal((await client.ok({ type: "lookup", node_id: node.id }))["task_exec"], true);
    assert.equal((await client.ok({ ...set, task_exec: true }))["task_exec"], false);
  }));
