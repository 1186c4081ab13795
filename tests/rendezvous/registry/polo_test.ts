/** Polo scores over the wire (docs/protocol/registry.md §4.7). */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeBinaryLookupOk,
  encodeBinaryLookup,
} from "../../../protocol/registry/registry_message.ts";
import { challenges } from "../support/challenges.ts";
import { RawClient, registered, type Reply, TestNode } from "../support/client.ts";
import { whole, WHOLE_BY } from "../support/whole.ts";
import { start, withDirectory, withServer } from "../support/server.ts";

const ADMIN = "correct horse";

function update(node: TestNode, delta: unknown) {
  return { type: "update_polo_score", node_id: node.id, delta };
}

function signedUpdate(node: TestNode, delta: number, by: TestNode = node) {
  return { ...update(node, delta), [WHOLE_BY]: by };
}

function signedSet(node: TestNode, score: number) {
  return { type: "set_polo_score", node_id: node.id, polo_score: score, [WHOLE_BY]: node };
}

async function score(client: RawClient, node: TestNode): Promise<unknown> {
  return (await client.ok({ type: "get_polo_score", node_id: node.id }))["polo_score"];
}

Deno.test("update_polo_score and set_polo_score sign node, step and score", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(text(challenges.updatePoloScore(7, -3)), "update_polo_score:7:-3");
  assert.equal(text(challenges.setPoloScore(7, 12)), "set_polo_score:7:12");
});

Deno.test("update_polo_score adds, set_polo_score sets, and everybody sees the score", () =>
  withServer(async ({ client, server }) => {
    const node = await registered(client);
    assert.deepEqual(await client.ok({ type: "get_polo_score", node_id: node.id }), {
      type: "get_polo_score_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      polo_score: 0,
    });
    assert.deepEqual(await client.ok(signedUpdate(node, 5)), {
      type: "update_polo_score_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      polo_score: 5,
    });
    assert.equal((await client.ok(signedUpdate(node, -12)))["polo_score"], -7);
    assert.deepEqual(await client.ok(signedSet(node, 40)), {
      type: "set_polo_score_ok",
      node_id: node.id,
      address: "0:0000.0000.0001",
      polo_score: 40,
    });
    await client.ok(signedUpdate(node, -45));
    assert.equal((await client.ok({ type: "lookup", node_id: node.id }))["polo_score"], -5);
    using stranger = await RawClient.open(server.registryAddr);
    const score = { type: "get_polo_score", node_id: node.id };
    assert.equal((await stranger.ok(score))["polo_score"], -5);
    await client.ok({
      type: "set_visibility",
      node_id: node.id,
      public: true,
      [WHOLE_BY]: node,
    });
    using binary = await RawClient.open(server.registryAddr);
    await binary.write(Uint8Array.of(0x50, 0x49, 0x4c, 0x54, 1, 0, 0, 0, 5, 2));
    await binary.write(encodeBinaryLookup(node.id));
    const frame = await binary.readFrame();
    assert.equal(frame?.[0], 0x82);
    const found = decodeBinaryLookupOk(frame.subarray(1));
    assert.ok("poloScore" in found);
    assert.equal(found.poloScore, -5);
  }));

Deno.test("polo writes need the node's signature over exactly this change, or the admin token", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const other = await registered(client);
    const needsWhole = /^signature over the whole request required: /;
    assert.match(await client.fails(update(node, 5)), needsWhole);
    const set = { type: "set_polo_score", node_id: node.id, polo_score: 5 };
    assert.match(await client.fails(set), needsWhole);
    const signature = await node.sign(challenges.updatePoloScore(node.id, 5));
    assert.match(await client.fails({ ...update(node, 5), signature }), needsWhole);
    assert.equal(await client.fails(signedUpdate(node, 5, other)), "request failed");
    for (const request of [update(node, 5), set]) {
      const signed = await whole(client, node, request);
      const [changed] = Object.keys(request).slice(-1);
      assert.match(await client.fails({ ...signed, [changed!]: 6 }), needsWhole);
    }
    assert.match(await client.fails({ ...update(node, 5), admin_token: "wrong" }), needsWhole);
    assert.equal(await score(client, node), 0);
    await client.ok({ ...update(node, 5), admin_token: ADMIN });
    assert.equal(await score(client, node), 5);
    const once = await whole(client, node, update(node, 2));
    await client.ok(once);
    assert.match(await client.fails(once), needsWhole);
    assert.equal(await score(client, node), 7);
  }, { adminToken: ADMIN }));

Deno.test("polo writes are open to everybody when the registry is not strict, as on the wire", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    await client.ok(update(node, 5));
    await client.ok({ type: "set_polo_score", node_id: node.id, polo_score: 9 });
    assert.equal(await score(client, node), 9);
  }, { strict: false }));

Deno.test("polo writes keep to the bounds and cut fractions", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const set = (polo_score: unknown) => ({ type: "set_polo_score", node_id: node.id, polo_score });
    await client.ok(set(1_000_000));
    assert.equal((await client.ok(update(node, 1)))["polo_score"], 1_000_000);
    await client.ok(set(-1_000_000));
    assert.equal((await client.ok(update(node, -1_000_000)))["polo_score"], -1_000_000);
    for (const wrong of [1_000_001, -1_000_001, 1_000_000.5, 1e300]) {
      assert.match(await client.fails(update(node, wrong)), /^invalid delta: must be between/);
      assert.match(await client.fails(set(wrong)), /^invalid polo_score: must be between/);
    }
    for (const wrong of ["5", null, undefined, true, [5]]) {
      assert.equal(await client.fails(update(node, wrong)), "request failed");
      assert.equal(await client.fails(set(wrong)), "request failed");
    }
    await client.ok(set(2.9));
    assert.equal(await score(client, node), 2);
    await client.ok(update(node, -0.9));
    assert.equal(await score(client, node), 2);
  }, { strict: false }));

Deno.test("polo requests name a node that is not registered", () =>
  withServer(async ({ client }) => {
    const ghost = await TestNode.create();
    ghost.id = 77;
    assert.equal(await client.fails(update(ghost, 1)), "node 77 not found");
    assert.equal(await client.fails(signedSet(ghost, 1)), "node 77 not found");
    assert.equal(
      await client.fails({ type: "get_polo_score", node_id: 77 }),
      "node 77 not found",
    );
    assert.equal(await client.fails({ type: "get_polo_score" }), "node 0 not found");
  }));

Deno.test("a polo score survives a restart and ends with deregistering", () =>
  withDirectory(async (store) => {
    const node = await TestNode.create();
    {
      await using server = await start({ store });
      using client = await RawClient.open(server.registryAddr);
      await node.register(client);
      await client.ok(signedUpdate(node, -9));
    }
    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    assert.equal(await score(client, node), -9);
    await client.ok({ type: "deregister", node_id: node.id, [WHOLE_BY]: node });
    await node.register(client);
    assert.equal(await score(client, node), 0);
  }));

Deno.test("any sequence of polo writes gives the sum, clamped at each step", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const step = fc.integer({ min: -1_000_000, max: 1_000_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        await client.ok({ type: "set_polo_score", node_id: node.id, polo_score: 0 });
        let expected = 0;
        for (const delta of steps) {
          expected = Math.max(-1_000_000, Math.min(1_000_000, expected + delta));
          const reply: Reply = await client.ok(update(node, delta));
          assert.equal(reply["polo_score"], expected);
        }
      }),
      { numRuns: 30 },
    );
  }, { strict: false }));
