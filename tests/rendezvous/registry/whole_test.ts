import assert from "node:assert/strict";
import { join } from "node:path";
import { challenges } from "../support/challenges.ts";
import { CHALLENGE_TTL_MS } from "../../../rendezvous/registry/registry_limits.ts";
import { MASKED_TEXT } from "../../../rendezvous/registry/failure.ts";
import { RawClient, registered, TestNode } from "../support/client.ts";
import { start, withDirectory, withServer } from "../support/server.ts";
import { authFor, offerOn, whole } from "../support/whole.ts";

const ADMIN = "admin token of the tests";
const NEEDS_WHOLE = /^signature over the whole request required: /;

/** A node that has registered with a whole signature, and so is held to them. */
async function heldNode(client: RawClient): Promise<TestNode> {
  const node = await TestNode.create();
  const reply = await client.ok(await whole(client, node, await node.registration()));
  node.id = Number(reply["node_id"]);
  return node;
}

/** A request with the wire's signature. */
async function staticRequest(node: TestNode, type: "set_tags" | "set_visibility", extra: object) {
  const challenge = type === "set_tags"
    ? challenges.setTags(node.id)
    : challenges.setVisibility(node.id);
  return { type, node_id: node.id, ...extra, signature: await node.sign(challenge) };
}

async function facts(client: RawClient, node: TestNode) {
  return await client.ok({ type: "lookup", node_id: node.id });
}

Deno.test("a request signed as a whole is carried out once, and changed or sent again it is not", () =>
  withServer(async ({ server, client }) => {
    const node = await heldNode(client);
    const request = await whole(client, node, {
      ...{ type: "set_tags", node_id: node.id, tags: ["a"] },
    });
    await client.ok(request);
    assert.match(await client.fails(request), NEEDS_WHOLE);
    const next = await whole(client, node, { type: "set_tags", node_id: node.id, tags: ["b"] });
    assert.match(await client.fails({ ...next, tags: ["evil"] }), NEEDS_WHOLE);
    assert.match(await client.fails({ ...next, admin_token: "x" }), NEEDS_WHOLE);
    using other = await RawClient.open(server.registryAddr);
    await offerOn(other);
    assert.match(await other.fails(next), NEEDS_WHOLE, "on another connection");
    assert.deepEqual((await facts(client, node))["tags"], ["a"]);
    await client.ok(next); // refused attempts have not used it up
    assert.deepEqual((await facts(client, node))["tags"], ["b"]);
  }));

Deno.test("a node that signed a whole request once is held to it for whatever it signs", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    await client.ok(await staticRequest(node, "set_tags", { tags: ["before"] }));
    await client.ok(await whole(client, node, { type: "heartbeat", node_id: node.id }));
    const replays = [
      await staticRequest(node, "set_visibility", { public: true }),
      await staticRequest(node, "set_tags", { tags: ["evil"] }),
      await node.registration({ listen_addr: "0.0.0.0:6666" }),
      { type: "register", public_key: node.identity.publicKeyBase64, listen_addr: "0.0.0.0:6666" },
      {
        ...{ type: "heartbeat", node_id: node.id },
        signature: await node.sign(challenges.heartbeat(node.id)),
      },
      {
        ...{ type: "rotate_key", node_id: node.id },
        new_public_key: (await TestNode.create()).identity.publicKeyBase64,
        signature: await node.sign(challenges.rotateKey(node.id)),
      },
      {
        ...{ type: "deregister", node_id: node.id },
        signature: await node.sign(challenges.deregister(node.id)),
      },
      {
        ...{ type: "resolve", node_id: node.id, requester_id: node.id },
        signature: await node.sign(challenges.resolve(node.id, node.id)),
      },
      {
        ...{ type: "release_hold", node_id: node.id },
        signature: await node.sign(challenges.releaseHold(node.id)),
      },
    ];
    for (const replay of replays) {
      const reply = await client.call(replay);
      assert.match(String(reply["error"]), NEEDS_WHOLE, replay.type);
      assert.ok(reply["auth"] !== undefined, "and is told under which challenge");
    }
    const { public: isPublic, tags } = await facts(client, node);
    assert.deepEqual({ isPublic, tags }, { isPublic: false, tags: ["before"] });
    const resolve = { type: "resolve", node_id: node.id, requester_id: node.id };
    const { real_addr } = await client.ok(await whole(client, node, resolve));
    assert.equal(real_addr, "127.0.0.1:4000", "no replay has moved its endpoint");
  }));

Deno.test("nobody holds another node: a whole signature of its own key does that only", () =>
  withServer(async ({ client }) => {
    const [victim, attacker] = [await registered(client), await heldNode(client)];
    const request = { type: "heartbeat", node_id: victim.id };
    assert.equal(await client.fails(await whole(client, attacker, request)), MASKED_TEXT);
    const { auth } = await whole(client, attacker, request);
    const claimed = { ...auth as object, key: victim.identity.publicKeyBase64 };
    assert.match(await client.fails({ ...request, auth: claimed }), NEEDS_WHOLE);
    await client.ok(await staticRequest(victim, "set_tags", { tags: ["mine"] }));
  }));

Deno.test("register with a whole signature of another key is refused, also without the wire's signature", () =>
  withServer(async ({ client }) => {
    const [node, attacker] = [await TestNode.create(), await TestNode.create()];
    const { signature: _, ...unsigned } = await node.registration();
    assert.equal(
      await client.fails(
        await whole(client, attacker, unsigned as typeof unsigned & { type: string }),
      ),
      MASKED_TEXT,
    );
  }));

Deno.test("a whole signature for another registry does not count here", () =>
  withServer(async ({ client }) => {
    const node = await heldNode(client);
    const other = (await TestNode.create()).identity.publicKeyBase64;
    const offer = { ...await offerOn(client), key: other };
    const request = { type: "set_tags", node_id: node.id, tags: ["evil"] };
    const auth = await authFor(node, offer, 1000, request);
    assert.match(await client.fails({ ...request, auth }), NEEDS_WHOLE);
  }));

Deno.test("a challenge counts for ten minutes, and each connection has its own", () =>
  withServer(async ({ server, client, clock }) => {
    const node = await heldNode(client);
    const held = await whole(client, node, { type: "set_tags", node_id: node.id, tags: ["late"] });
    using other = await RawClient.open(server.registryAddr);
    assert.notEqual((await offerOn(other)).challenge, (await offerOn(client)).challenge);
    clock.advance(CHALLENGE_TTL_MS + 1);
    await client.ok(await whole(client, node, await node.registration()));
    assert.match(await client.fails(held), NEEDS_WHOLE);
    assert.equal((await facts(client, node))["tags"], undefined);
  }));

Deno.test("the hold survives a restart of the registry, key rotation and deregistering", () =>
  withDirectory(async (directory) => {
    const store = join(directory, "store");
    let node: TestNode;
    {
      await using server = await start({ store });
      using client = await RawClient.open(server.registryAddr);
      node = await heldNode(client);
      const next = await TestNode.create();
      await client.ok(
        await whole(client, node, {
          ...{ type: "rotate_key", node_id: node.id },
          new_public_key: next.identity.publicKeyBase64,
        }),
      );
      next.id = node.id;
      await client.ok(await whole(client, next, { type: "deregister", node_id: node.id }));
      node = next;
    }
    await using server = await start({ store });
    using client = await RawClient.open(server.registryAddr);
    assert.match(await client.fails(await node.registration()), NEEDS_WHOLE);
    await client.ok(await whole(client, node, await node.registration()));
    assert.match(
      await client.fails(await staticRequest(node, "set_visibility", { public: true })),
      NEEDS_WHOLE,
    );
  }));

Deno.test("release_hold gives the wire's signatures back, by the node itself and by the admin, until the next whole one", () =>
  withServer(async ({ client }) => {
    const node = await heldNode(client);
    const release = { type: "release_hold", node_id: node.id };
    assert.match(await client.fails(release), /required/);
    assert.match(await client.fails({ ...release, admin_token: "wrong token" }), /required/);
    await client.ok(await whole(client, node, release));
    await client.ok(await staticRequest(node, "set_tags", { tags: ["go"] }));
    await client.ok(await node.registration());
    await client.ok(await whole(client, node, { type: "heartbeat", node_id: node.id }));
    assert.match(await client.fails(await staticRequest(node, "set_tags", {})), NEEDS_WHOLE);
    await client.ok({ ...release, admin_token: ADMIN });
    await client.ok(await staticRequest(node, "set_tags", { tags: ["go2"] }));
  }, { adminToken: ADMIN }));

Deno.test("a lax registry holds nodes, too: only their own keys can ask for it", () =>
  withServer(async ({ client }) => {
    const node = await heldNode(client);
    const { signature: _, ...unsigned } = await node.registration();
    assert.match(await client.fails(unsigned), NEEDS_WHOLE);
  }, { strict: false }));
