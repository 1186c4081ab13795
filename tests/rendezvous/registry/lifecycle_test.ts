/** Silence, return and restart (docs/protocol/registry.md §5.2): what is kept, what is freed. */

import assert from "node:assert/strict";
import { challenges } from "../support/challenges.ts";
import { RawClient, registered, type TestNode } from "../support/client.ts";
import { pass, start, withDirectory, withServer } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import type { Rendezvous } from "../../../rendezvous/mod.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

async function makePublic(client: RawClient, node: TestNode): Promise<void> {
  const signature = await node.sign(challenges.setVisibility(node.id));
  await client.ok({ type: "set_visibility", node_id: node.id, public: true, signature });
}

async function beat(client: RawClient, node: TestNode): Promise<unknown> {
  const signature = await node.sign(challenges.heartbeat(node.id));
  return (await client.call({ type: "heartbeat", node_id: node.id, signature }))["type"];
}

/** A fresh connection: the old one may have been idle for too long. */
function connect(server: Rendezvous): Promise<RawClient> {
  return RawClient.open(server.registryAddr);
}

Deno.test("a node that heartbeats stays, one that is silent for five minutes goes", () =>
  withServer(async ({ server, client, clock }) => {
    const alive = await registered(client);
    const silent = await registered(client);
    for (let minute = 0; minute < 5; minute++) {
      assert.equal(await beat(client, alive), "heartbeat_ok");
      await pass(server, clock, MINUTE);
    }
    await client.ok({ type: "lookup", node_id: silent.id });
    await pass(server, clock, 11_000);
    assert.equal(
      await client.fails({ type: "lookup", node_id: silent.id }),
      `node ${silent.id}: node not found`,
    );
    await client.ok({ type: "lookup", node_id: alive.id });
    assert.equal(await beat(client, silent), "error");
    const { networks } = await client.ok({ type: "list_networks" });
    assert.ok(Array.isArray(networks));
    assert.equal(networks[0].members, 1);
  }));

Deno.test("the server does its periodic work by itself as its clock goes on", () =>
  withServer(async ({ server, client: first, clock }) => {
    const node = await registered(first);
    await makePublic(first, node);
    await clock.run(6 * MINUTE);
    using client = await connect(server);
    assert.equal(
      await client.fails({ type: "lookup", node_id: node.id }),
      `node ${node.id}: node not found`,
    );
  }));

Deno.test("a node that comes back after silence has its number, name, tags and visibility", () =>
  withServer(async ({ server, client: first, clock }) => {
    const node = await registered(first, { hostname: "mine" });
    await makePublic(first, node);
    const signature = await node.sign(challenges.setTags(node.id));
    await first.ok({ type: "set_tags", node_id: node.id, tags: ["ml"], signature });
    await pass(server, clock, 2 * DAY);
    using client = await connect(server);
    assert.equal(
      await client.fails({ type: "resolve_hostname", hostname: "mine" }),
      'hostname "mine" not found',
    );
    const thief = await registered(client, { hostname: "mine" });
    const stolen = await client.ok({ type: "lookup", node_id: thief.id });
    assert.equal(stolen["hostname"], undefined);
    const reply = await node.register(client, { listen_addr: "h:5000" });
    assert.equal(reply["hostname"], "mine");
    const lookup = await client.ok({ type: "lookup", node_id: node.id });
    assert.deepEqual(
      [lookup["public"], lookup["tags"], lookup["hostname"], lookup["real_addr"]],
      [true, ["ml"], "mine", "127.0.0.1:5000"],
    );
  }));

Deno.test("the hostname of a node that does not come back is free after thirty days", () =>
  withServer(async ({ server, client: first, clock }) => {
    const gone = await registered(first, { hostname: "name" });
    await pass(server, clock, 6 * MINUTE);
    await pass(server, clock, 91 * DAY);
    using client = await connect(server);
    const heir = await registered(client, { hostname: "name" });
    assert.equal((await client.ok({ type: "lookup", node_id: heir.id }))["hostname"], "name");
    const back = await gone.register(client, { hostname: "name" });
    assert.equal(back["hostname_error"], 'hostname "name" already in use');
  }));

Deno.test("a handshake waits for a silent node, but not for ever", () =>
  withServer(async ({ server, client: first, clock }) => {
    const target = await registered(first);
    await pass(server, clock, 6 * MINUTE);
    using client = await connect(server);
    const asker = await registered(client);
    const request = {
      type: "request_handshake",
      from_node_id: asker.id,
      to_node_id: target.id,
      justification: "later",
      signature: await asker.sign(challenges.handshake(asker.id, target.id)),
    };
    await client.ok(request);
    const poll = async (by: RawClient) => {
      await target.register(by);
      const signature = await target.sign(challenges.pollHandshakes(target.id));
      return (await by.ok({ type: "poll_handshakes", node_id: target.id, signature }))["requests"];
    };
    assert.equal((await poll(client) as unknown[]).length, 1);
    await client.ok(request);
    await pass(server, clock, 91 * DAY);
    using later = await connect(server);
    assert.deepEqual(await poll(later), []);
  }));

Deno.test("everything acknowledged is there after a restart, and nobody is thrown out by it", () =>
  withDirectory(async (directory) => {
    const store = `${directory}/store`;
    const clock = new ManualClock();
    let a: TestNode;
    let b: TestNode;
    let left: TestNode;
    {
      await using server = await start({ store, clock });
      using client = await connect(server);
      a = await registered(client, {
        hostname: "a",
        version: "v1",
        owner: "o",
        lan_addrs: ["10.0.0.1:1"],
      });
      b = await registered(client, { relay_only: true });
      left = await registered(client, { hostname: "left" });
      await makePublic(client, a);
      const sign = (node: TestNode, challenge: Uint8Array) => node.sign(challenge);
      await client.ok({
        type: "set_tags",
        node_id: a.id,
        tags: ["x", "y"],
        signature: await sign(a, challenges.setTags(a.id)),
      });
      await client.ok({
        type: "report_trust",
        node_id: a.id,
        peer_id: b.id,
        signature: await sign(a, challenges.reportTrust(a.id, b.id)),
      });
      await client.ok({
        type: "report_trust",
        node_id: b.id,
        peer_id: a.id,
        signature: await sign(b, challenges.reportTrust(b.id, a.id)),
      });
      await client.ok({
        type: "report_trust",
        node_id: a.id,
        peer_id: left.id,
        signature: await sign(a, challenges.reportTrust(a.id, left.id)),
      });
      await client.ok({
        type: "revoke_trust",
        node_id: a.id,
        peer_id: left.id,
        signature: await sign(a, challenges.revokeTrust(a.id, left.id)),
      });
      await client.ok({
        type: "request_handshake",
        from_node_id: left.id,
        to_node_id: b.id,
        justification: "hi",
        signature: await sign(left, challenges.handshake(left.id, b.id)),
      });
      await client.ok({
        type: "respond_handshake",
        node_id: a.id,
        peer_id: b.id,
        accept: false,
        signature: await sign(a, challenges.respondHandshake(a.id, b.id)),
      });
      await client.ok({
        type: "deregister",
        node_id: left.id,
        signature: await sign(left, challenges.deregister(left.id)),
      });
    }
    clock.advance(10 * MINUTE);
    for (let round = 0; round < 2; round++) {
      await using server = await start({ store, clock });
      await server.tick();
      using client = await connect(server);
      assert.deepEqual(await client.ok({ type: "lookup", node_id: a.id }), {
        type: "lookup_ok",
        node_id: a.id,
        address: "0:0000.0000.0001",
        networks: [0],
        public_key: a.identity.publicKeyBase64,
        public: true,
        polo_score: 0,
        hostname: "a",
        tags: ["x", "y"],
        version: "v1",
        real_addr: "127.0.0.1:4000",
      });
      await client.ok(await a.lookup());
      const trust = async (peer: TestNode) =>
        (await client.ok({ type: "check_trust", node_id: a.id, peer_id: peer.id }))["trusted"];
      assert.deepEqual([await trust(b), await trust(left)], [true, false]);
      assert.match(await client.fails(await left.lookup()), /not found/);
      assert.equal(await beat(client, a), "heartbeat_ok");
      const signature = await b.sign(challenges.pollHandshakes(b.id));
      const inbox = await client.ok({ type: "poll_handshakes", node_id: b.id, signature });
      const waiting = [inbox["requests"], inbox["responses"]] as unknown[][];
      // What was handed over in the first round is gone in the second.
      assert.deepEqual(waiting.map((list) => list.length), round === 0 ? [1, 1] : [0, 0]);
      if (round === 1) {
        assert.equal((await left.register(client))["node_id"], left.id);
        assert.equal((await registered(client)).id, 4);
        const hijack = {
          type: "register",
          public_key: a.identity.publicKeyBase64,
          listen_addr: "h:1",
        };
        assert.equal(await client.fails(hijack), "signature required for authenticated node");
      }
    }
  }));
