/** Keys that end (docs/protocol/registry.md §4.1): set_key_expiry, get_key_info, heartbeats, rotation. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase64 } from "../../../protocol/crypto/base64.ts";
import { challenges } from "../support/challenges.ts";
import { formatRfc3339, parseRfc3339 } from "../../../rendezvous/registry/rfc3339.ts";
import { RawClient, registered, type Reply, TestNode } from "../support/client.ts";
import { pass, start, withDirectory, withServer } from "../support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

const ADMIN = "correct horse";
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TOKEN = { adminToken: ADMIN };
// The test clock begins at 2026-01-01T00:00:00Z.

/** A node that owns an enterprise network. */
async function enterpriseNode(client: RawClient, name = "corp"): Promise<TestNode> {
  const node = await registered(client);
  await client.ok({
    type: "create_network",
    admin_token: ADMIN,
    node_id: node.id,
    name,
    enterprise: true,
  });
  return node;
}

async function expiry(node: TestNode, expiresAt: unknown, by: TestNode = node) {
  const signature = await by.sign(challenges.setKeyExpiry(node.id));
  return { type: "set_key_expiry", node_id: node.id, expires_at: expiresAt, signature };
}

async function heartbeat(node: TestNode) {
  const signature = await node.sign(challenges.heartbeat(node.id));
  return { type: "heartbeat", node_id: node.id, signature };
}

/** A native heartbeat: the payload of the reply, or the text of the error. */
async function nativeHeartbeat(addr: string, node: TestNode): Promise<Uint8Array | string> {
  using client = await RawClient.open(addr);
  const frame = new Uint8Array(5 + 4 + 69);
  frame.set([0x50, 0x49, 0x4c, 0x54, 1]);
  const view = new DataView(frame.buffer);
  view.setUint32(5, 69);
  frame[9] = 1;
  view.setUint32(10, node.id);
  frame.set(decodeBase64(await node.sign(challenges.heartbeat(node.id)))!, 14);
  await client.write(frame);
  const reply = await client.readFrame();
  assert.ok(reply !== undefined);
  if (reply[0] === 0xff) return new TextDecoder().decode(reply.subarray(3));
  assert.equal(reply[0], 0x81);
  return reply.subarray(1);
}

function info(client: RawClient, node: TestNode): Promise<Reply> {
  return client.ok({ type: "get_key_info", node_id: node.id });
}

Deno.test("set_key_expiry sets, shows and clears the time of a key", () =>
  withServer(async ({ client }) => {
    const node = await enterpriseNode(client);
    assert.equal((await info(client, node))["expires_at"], undefined);
    const reply = await client.ok(await expiry(node, "2026-07-01T02:00:00.75+02:00"));
    assert.deepEqual(reply, {
      type: "set_key_expiry_ok",
      node_id: node.id,
      expires_at: "2026-07-01T00:00:00Z",
    });
    assert.deepEqual(await info(client, node), {
      type: "get_key_info_ok",
      node_id: node.id,
      created_at: "2026-01-01T00:00:00Z",
      rotate_count: 0,
      key_age_days: 0,
      expires_at: "2026-07-01T00:00:00Z",
    });
    for (const never of ["never", ""]) {
      await client.ok(await expiry(node, "2027-01-01T00:00:00Z"));
      assert.deepEqual(await client.ok(await expiry(node, never)), {
        type: "set_key_expiry_ok",
        node_id: node.id,
      });
      assert.equal((await info(client, node))["expires_at"], undefined);
    }
  }, TOKEN));

Deno.test("set_key_expiry takes times between now and ten years", () =>
  withServer(async ({ client }) => {
    const node = await enterpriseNode(client);
    const tenYears = Date.UTC(2026, 0, 1) / 1000 + 10 * 365 * 86_400;
    await client.ok(await expiry(node, formatRfc3339(tenYears)));
    assert.equal(
      await client.fails(await expiry(node, formatRfc3339(tenYears + 1))),
      "invalid expires_at: cannot exceed 10 years",
    );
    for (const past of ["2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]) {
      assert.equal(await client.fails(await expiry(node, past)), "request failed");
    }
    const malformed = ["tomorrow", "2026-07-01", "2026-02-30T00:00:00Z", "2026-07-01 00:00:00Z"];
    for (const text of [...malformed, "2026-07-01T24:00:00Z", "2026-07-01T00:00:00", "Never"]) {
      assert.match(await client.fails(await expiry(node, text)), /^invalid expires_at: not an RFC/);
    }
    assert.equal((await info(client, node))["expires_at"], formatRfc3339(tenYears));
  }, TOKEN));

Deno.test("set_key_expiry needs an enterprise network and the node's signature or the admin's token", () =>
  withServer(async ({ client }) => {
    const outside = await registered(client);
    const gate = "enterprise feature: key expiry requires enterprise network membership";
    const time = "2026-07-01T00:00:00Z";
    const asAdmin = (node: TestNode, expires_at: string) => ({
      type: "set_key_expiry",
      node_id: node.id,
      expires_at,
      admin_token: ADMIN,
    });
    assert.equal(await client.fails(await expiry(outside, time)), gate);
    assert.equal(await client.fails(await expiry(outside, "never")), gate);
    assert.equal(await client.fails(asAdmin(outside, time)), gate);
    await client.ok(asAdmin(outside, "never"));
    await client.ok({
      type: "create_network",
      admin_token: ADMIN,
      node_id: outside.id,
      name: "plain",
    });
    assert.equal(await client.fails(await expiry(outside, time)), gate);
    const node = await enterpriseNode(client);
    assert.equal(await client.fails(await expiry(node, time, outside)), "request failed");
    assert.equal(
      await client.fails({ type: "set_key_expiry", node_id: node.id, expires_at: time }),
      "signature required for authenticated node",
    );
    await client.ok(asAdmin(node, time));
    assert.equal((await info(client, node))["expires_at"], time);
  }, TOKEN));

Deno.test("heartbeats warn in the last day of a key and fail after it, in both modes", () =>
  withServer(async ({ client, server, clock }) => {
    const node = await enterpriseNode(client);
    await client.ok(await expiry(node, "2026-01-03T00:00:00Z"));
    const flags = async () => {
      const native = await nativeHeartbeat(server.registryAddr, node);
      assert.ok(typeof native !== "string", String(native));
      return native[8];
    };
    clock.advance(DAY);
    assert.equal((await client.ok(await heartbeat(node)))["key_expiry_warning"], undefined);
    assert.equal(await flags(), 0);
    clock.advance(1000);
    assert.equal((await client.ok(await heartbeat(node)))["key_expiry_warning"], true);
    assert.equal(await flags(), 1);
    clock.advance(DAY - 2000);
    assert.equal((await client.ok(await heartbeat(node)))["key_expiry_warning"], true);
    clock.advance(1000);
    const text = `node ${node.id}: key expired at 2026-01-03T00:00:00Z`;
    assert.equal(await client.fails(await heartbeat(node)), text);
    assert.equal(await nativeHeartbeat(server.registryAddr, node), text);
    // A stranger does not learn it that way: the signature comes first.
    const stranger = await TestNode.create();
    stranger.id = node.id;
    assert.equal(await client.fails(await heartbeat(stranger)), "request failed");
  }, TOKEN));

Deno.test("a node whose key expired goes silent, cannot register, and comes back with a new time", () =>
  withServer(async ({ client: first, server, clock }) => {
    const node = await enterpriseNode(first);
    await first.ok(await expiry(node, "2026-01-01T01:00:00Z"));
    await pass(server, clock, HOUR);
    await pass(server, clock, 10_000);
    using client = await RawClient.open(server.registryAddr); // the first one was idle too long
    assert.equal(
      await client.fails(await node.lookup()),
      `node ${node.id}: node not found`,
    );
    assert.equal(
      await client.fails(await node.registration()),
      `node ${node.id}: key expired at 2026-01-01T01:00:00Z`,
    );
    await client.ok({
      type: "set_key_expiry",
      node_id: node.id,
      expires_at: "2026-02-01T00:00:00Z",
      admin_token: ADMIN,
    });
    assert.equal((await node.register(client))["node_id"], node.id);
    await client.ok(await heartbeat(node));
  }, TOKEN));

Deno.test("deregistering and coming back does not lift the expiry of a key", () =>
  withServer(async ({ client, clock }) => {
    const node = await enterpriseNode(client);
    await client.ok(await expiry(node, "2026-01-02T00:00:00Z"));
    const signature = await node.sign(challenges.deregister(node.id));
    await client.ok({ type: "deregister", node_id: node.id, signature });
    await node.register(client);
    assert.equal((await info(client, node))["expires_at"], "2026-01-02T00:00:00Z");
    clock.advance(DAY);
    assert.match(await client.fails(await node.registration()), /key expired/);
  }, TOKEN));

Deno.test("a registry that is not strict lets expired keys register, as existing ones do", () =>
  withServer(async ({ client, clock }) => {
    const node = await enterpriseNode(client);
    await client.ok(await expiry(node, "2026-01-01T01:00:00Z"));
    clock.advance(HOUR);
    await node.register(client);
    assert.match(await client.fails(await heartbeat(node)), /key expired/);
  }, { ...TOKEN, strict: false }));

Deno.test("rotate_key keeps the expiry and refuses every key that has a node, present or not", () =>
  withServer(async ({ client }) => {
    const node = await enterpriseNode(client);
    await client.ok(await expiry(node, "2026-07-01T00:00:00Z"));
    const gone = await registered(client);
    const signature = await gone.sign(challenges.deregister(gone.id));
    await client.ok({ type: "deregister", node_id: gone.id, signature });
    const rotate = async (to: TestNode) => ({
      type: "rotate_key",
      node_id: node.id,
      new_public_key: to.identity.publicKeyBase64,
      signature: await node.sign(challenges.rotateKey(node.id)),
    });
    for (const taken of [gone, node]) {
      assert.equal(
        await client.fails(await rotate(taken)),
        "invalid new_public_key: already registered",
      );
    }
    const fresh = await TestNode.create();
    await client.ok(await rotate(fresh));
    const { rotate_count, expires_at } = await info(client, node);
    assert.deepEqual([rotate_count, expires_at], [1, "2026-07-01T00:00:00Z"]);
    fresh.id = node.id;
    await client.ok(await heartbeat(fresh));
  }, TOKEN));

Deno.test("the expiry of a key survives a restart", () =>
  withDirectory(async (store) => {
    const clock = new ManualClock();
    let node: TestNode;
    {
      await using server = await start({ store, clock, ...TOKEN });
      using client = await RawClient.open(server.registryAddr);
      node = await enterpriseNode(client);
      await client.ok(await expiry(node, "2026-01-02T00:00:00Z"));
    }
    clock.advance(DAY);
    await using server = await start({ store, clock, ...TOKEN });
    using client = await RawClient.open(server.registryAddr);
    assert.match(await client.fails(await heartbeat(node)), /key expired at 2026-01-02T00:00:00Z/);
  }));

Deno.test("parseRfc3339 reads what formatRfc3339 writes, and no text makes it throw", () => {
  const last = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000;
  fc.assert(fc.property(fc.integer({ min: 0, max: last }), (seconds) => {
    assert.equal(parseRfc3339(formatRfc3339(seconds)), seconds);
  }));
  fc.assert(fc.property(fc.string(), (text) => {
    assert.equal(typeof (parseRfc3339(text) ?? 0), "number");
  }));
  assert.equal(parseRfc3339("0001-01-01T00:00:00Z"), -62135596800);
  assert.equal(parseRfc3339("2024-02-29T00:00:00.999999999Z"), 1709164800);
  assert.equal(parseRfc3339("2023-02-29T00:00:00Z"), undefined);
});
