/** Trust pairs and relayed handshakes (rendezvous.md §4.3, §4.4). */

import assert from "node:assert/strict";
import { challenges } from "../../../protocol/registry.ts";
import { MAX_INBOX } from "../../../rendezvous/registry/limits.ts";
import { type RawClient, registered, type Reply, TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

/** Requests of one node about another. */
class Actions {
  readonly #client: RawClient;

  constructor(client: RawClient) {
    this.#client = client;
  }

  async #send(node: TestNode, challenge: Uint8Array, request: object): Promise<Reply> {
    return await this.#client.call({ ...request, signature: await node.sign(challenge) });
  }

  report(node: TestNode, peer: number): Promise<Reply> {
    const challenge = challenges.reportTrust(node.id, peer);
    return this.#send(node, challenge, { type: "report_trust", node_id: node.id, peer_id: peer });
  }

  revoke(node: TestNode, peer: number): Promise<Reply> {
    const challenge = challenges.revokeTrust(node.id, peer);
    return this.#send(node, challenge, { type: "revoke_trust", node_id: node.id, peer_id: peer });
  }

  request(node: TestNode, target: number, justification: unknown): Promise<Reply> {
    return this.#send(node, challenges.handshake(node.id, target), {
      type: "request_handshake",
      from_node_id: node.id,
      to_node_id: target,
      justification,
    });
  }

  respond(node: TestNode, peer: number, accept: unknown): Promise<Reply> {
    return this.#send(node, challenges.respondHandshake(node.id, peer), {
      type: "respond_handshake",
      node_id: node.id,
      peer_id: peer,
      accept,
    });
  }

  poll(node: TestNode): Promise<Reply> {
    const challenge = challenges.pollHandshakes(node.id);
    return this.#send(node, challenge, { type: "poll_handshakes", node_id: node.id });
  }

  async trusted(a: number, b: number): Promise<unknown> {
    const reply = await this.#client.ok({ type: "check_trust", node_id: a, peer_id: b });
    return reply["trusted"];
  }
}

Deno.test("report_trust makes one pair for both, revoke_trust ends it for both", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    assert.equal(await act.trusted(a.id, b.id), false);
    assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok" });
    assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok" });
    assert.deepEqual(await act.report(a, b.id), { type: "report_trust_ok" });
    assert.equal(await act.trusted(a.id, b.id), true);
    assert.equal(await act.trusted(b.id, a.id), true);
    assert.deepEqual(await act.revoke(a, b.id), { type: "revoke_trust_ok" });
    assert.equal(await act.trusted(b.id, a.id), false);
    assert.deepEqual(await act.revoke(b, a.id), { type: "error", error: "request failed" });
    assert.deepEqual(await act.revoke(b, 999), { type: "error", error: "request failed" });
  }));

Deno.test("report_trust refuses unknown peers and the node itself", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const node = await registered(client);
    assert.equal((await act.report(node, 99))["error"], "node 99: node not found");
    assert.equal((await act.report(node, node.id))["error"], "cannot trust yourself");
    assert.equal(await act.trusted(node.id, node.id), false);
  }));

Deno.test("trust outlives the registration of both sides", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    await act.report(a, b.id);
    const signature = await b.sign(challenges.deregister(b.id));
    await client.ok({ type: "deregister", node_id: b.id, signature });
    assert.equal(await act.trusted(a.id, b.id), true);
    assert.deepEqual(await act.report(a, b.id), { type: "report_trust_ok" });
    await b.register(client);
    assert.equal(await act.trusted(a.id, b.id), true);
  }));

Deno.test("a handshake travels to its target and the answer back, each once", () =>
  withServer(async ({ client, clock }) => {
    const act = new Actions(client);
    const asker = await registered(client);
    const target = await registered(client);
    const now = clock.unixMs() / 1000;
    assert.deepEqual(await act.request(asker, target.id, "hello ü"), {
      type: "request_handshake_ok",
      status: "delivered",
    });
    assert.equal(
      (await act.request(asker, target.id, "again"))["error"],
      `handshake request already pending from node ${asker.id}`,
    );
    assert.deepEqual(await act.poll(target), {
      type: "poll_handshakes_ok",
      requests: [{
        from_node_id: asker.id,
        justification: "hello ü",
        timestamp: now,
        public_key: asker.identity.publicKeyBase64,
      }],
      responses: [],
    });
    const empty = { type: "poll_handshakes_ok", requests: [], responses: [] };
    assert.deepEqual(await act.poll(target), empty);
    clock.advance(5000);
    assert.deepEqual(await act.respond(target, asker.id, true), {
      type: "respond_handshake_ok",
      accept: true,
      peer_id: asker.id,
    });
    assert.equal(await act.trusted(asker.id, target.id), true);
    assert.deepEqual((await act.poll(asker))["responses"], [
      { from_node_id: target.id, accept: true, timestamp: now + 5 },
    ]);
    assert.deepEqual(await act.poll(asker), empty);
  }));

Deno.test("respond_handshake with a refusal leaves an existing pair alone", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    await act.report(a, b.id);
    assert.equal((await act.respond(b, a.id, "yes"))["accept"], false);
    assert.equal(await act.trusted(a.id, b.id), true);
    assert.equal((await act.respond(b, 99, true))["error"], "node 99: node not found");
  }));

Deno.test("request_handshake bounds its text and refuses absent targets", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const asker = await registered(client);
    const target = await registered(client);
    const refused = { type: "error", error: "request failed" };
    assert.deepEqual(await act.request(asker, target.id, "ü".repeat(513)), refused);
    assert.equal((await act.request(asker, 99, ""))["error"], "node 99: node not found");
    assert.equal(
      (await act.request(asker, asker.id, ""))["error"],
      "cannot shake hands with yourself",
    );
    const longest = "ü".repeat(512);
    assert.equal((await act.request(asker, target.id, longest))["type"], "request_handshake_ok");
    const signature = await target.sign(challenges.deregister(target.id));
    await client.ok({ type: "deregister", node_id: target.id, signature });
    const other = await registered(client);
    assert.match(String((await act.request(other, target.id, ""))["error"]), /not found$/);
  }));

Deno.test("request_handshake fills an inbox up to its limit and no further", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const target = await registered(client);
    for (let i = 0; i < MAX_INBOX; i++) {
      const asker = await registered(client);
      assert.equal((await act.request(asker, target.id, ""))["status"], "delivered");
    }
    const late = await TestNode.create();
    await late.register(client);
    assert.equal((await act.request(late, target.id, ""))["error"], "request failed");
    const polled = (await act.poll(target))["requests"];
    assert.ok(Array.isArray(polled));
    assert.equal(polled.length, MAX_INBOX);
    assert.equal((await act.request(late, target.id, ""))["status"], "delivered");
  }));
