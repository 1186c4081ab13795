/** Consent and relayed handshakes (docs/protocol/registry.md §4.3, §4.4). */

import assert from "node:assert/strict";
import { challenges } from "../support/challenges.ts";
import {
  FRESH_CONSENT_MS,
  INBOX_TTL_SECONDS,
  MAX_HANDSHAKE_MESSAGE_BYTES,
  MAX_INBOX_PER_SOURCE,
} from "../../../rendezvous/registry/registry_limits.ts";
import { RawClient, registered, type Reply, type TestNode } from "../support/client.ts";
import { Actions } from "../support/trust_actions.ts";
import { pass, withServer } from "../support/server.ts";

const EMPTY = { type: "poll_handshakes_ok", requests: [], responses: [] };

/** Entries of a poll's answer. */
function entries(reply: Reply, name: string): Reply[] {
  const list = reply[name];
  assert.ok(Array.isArray(list), `no ${name} in ${JSON.stringify(reply)}`);
  return list;
}

Deno.test("a pair exists when both have said so, and ends for both when either says so", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    assert.equal(await act.trusted(a.id, b.id), false);
    assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok" });
    assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok" });
    assert.equal(await act.trusted(a.id, b.id), false, "one side's word is none");
    assert.deepEqual(await act.report(a, b.id), { type: "report_trust_ok" });
    assert.equal(await act.trusted(a.id, b.id), true);
    assert.equal(await act.trusted(b.id, a.id), true);
    assert.deepEqual(await act.revoke(a, b.id), { type: "revoke_trust_ok" });
    assert.equal(await act.trusted(b.id, a.id), false);
    // The other side, which does not know yet, cannot bring it back.
    assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok", ended: true });
    assert.equal(await act.trusted(b.id, a.id), false);
    assert.equal((await act.request(b, a.id, ""))["status"], "delivered");
    assert.equal(await act.trusted(b.id, a.id), false);
    // Only who ended it.
    assert.deepEqual(await act.report(a, b.id), { type: "report_trust_ok" });
    assert.equal(await act.trusted(b.id, a.id), true);
    assert.deepEqual(await act.revoke(b, 999), {
      type: "error",
      error: "request failed",
      code: "denied",
    });
  }));

Deno.test("revoke_trust where nobody has said anything is refused, and where one side has ends it", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    assert.deepEqual(await act.revoke(a, b.id), {
      type: "error",
      error: "request failed",
      code: "denied",
    });
    await act.report(b, a.id);
    assert.deepEqual(await act.revoke(a, b.id), { type: "revoke_trust_ok" });
    assert.deepEqual(await act.revoke(b, a.id), { type: "revoke_trust_ok" });
    assert.deepEqual(await act.revoke(b, a.id), {
      type: "error",
      error: "request failed",
      code: "denied",
    });
  }));

Deno.test("two strangers who report each other and their victim get nothing of it", () =>
  withServer(async ({ client, server }) => {
    const act = new Actions(client);
    const victim = await registered(client, { hostname: "victim", version: "v9" });
    using other = await RawClient.open(server.registryAddr);
    const theirs = new Actions(other);
    const [x, y] = [await registered(other), await registered(other)];
    for (const [from, to] of [[x, y], [y, x], [x, victim], [y, victim]] as const) {
      await theirs.report(from, to.id);
      await theirs.request(from, to.id, "let me in");
      await theirs.respond(from, to.id, true);
    }
    const denied = { type: "error", error: "request failed", code: "denied" };
    for (const stranger of [x, y]) {
      assert.deepEqual(await theirs.resolve(stranger, victim.id), denied);
      const punch = {
        type: "punch",
        requester_id: stranger.id,
        node_a: stranger.id,
        node_b: victim.id,
        signature: await stranger.sign(challenges.punch(stranger.id, victim.id)),
      };
      assert.deepEqual(await other.call(punch), denied);
      assert.equal(await theirs.trusted(victim.id, stranger.id), false);
      assert.equal(await act.trusted(victim.id, stranger.id), false, "as the victim hears it");
    }
    const name = { type: "resolve_hostname", hostname: "victim", requester_id: x.id };
    assert.equal(await other.fails(name), 'hostname "victim" not found');
    const { hostname, version, real_addr, networks } = await other.ok({
      type: "lookup",
      node_id: victim.id,
    });
    assert.deepEqual([hostname, version, real_addr, networks], [undefined, undefined, undefined, [
      0,
    ]]);
  }));

Deno.test("a stranger cannot tell whether a private node is there", () =>
  withServer(async ({ client, server, clock }) => {
    const act = new Actions(client);
    const [live, silent, left, friend] = [
      await registered(client),
      await registered(client),
      await registered(client),
      await registered(client),
    ];
    for (const node of [live, silent, left]) await act.report(node, friend.id);
    clock.advance(299_000);
    for (const node of [live, left, friend]) await node.register(client);
    await act.deregister(left);
    await pass(server, clock, 2_000);
    using other = await RawClient.open(server.registryAddr);
    const stranger = await registered(other);
    const theirs = new Actions(other);
    const shown = [];
    for (const node of [live, silent, left]) {
      const lookup = await other.ok({ type: "lookup", node_id: node.id });
      assert.equal(lookup["public_key"], node.identity.publicKeyBase64);
      const resolved = await theirs.resolve(stranger, node.id);
      const asked = await theirs.request(stranger, node.id, "");
      shown.push([Object.keys(lookup), lookup["polo_score"], resolved, asked]);
    }
    assert.deepEqual(shown[1], shown[0]);
    assert.deepEqual(shown[2], shown[0]);
    // Whom they trust may know.
    assert.equal((await act.resolve(friend, live.id))["type"], "resolve_ok");
    for (const node of [silent, left]) {
      assert.match(String((await act.resolve(friend, node.id))["error"]), /not found/);
    }
  }));

Deno.test("check_trust answers the two and nobody else; others may sign for it", () =>
  withServer(async ({ client, server }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    await act.report(a, b.id);
    await act.report(b, a.id);
    using other = await RawClient.open(server.registryAddr);
    const check = { type: "check_trust", node_id: a.id, peer_id: b.id };
    assert.equal((await other.ok(check))["trusted"], false);
    const stranger = await registered(other);
    assert.equal((await other.ok(check))["trusted"], false);
    const signature = await stranger.sign(challenges.checkTrust(stranger.id, a.id, b.id));
    const asked = { ...check, requester_id: stranger.id, signature };
    assert.equal((await other.ok(asked))["trusted"], false);
    const own = await b.sign(challenges.checkTrust(b.id, a.id, b.id));
    assert.equal(
      await other.fails({ ...check, requester_id: a.id, signature: own }),
      "request failed",
    );
    assert.equal(
      (await other.ok({ ...check, requester_id: b.id, signature: own }))["trusted"],
      true,
    );
  }));

Deno.test("who asks to reach a node may be reached by it for a while, unless it has ended trust", () =>
  withServer(async ({ client, clock }) => {
    const act = new Actions(client);
    const asker = await registered(client);
    const approver = await registered(client);
    // As the wire's clients do it: the asker resolves and asks directly, and reports only at its next poll.
    assert.equal(await act.mayResolve(asker, approver), false);
    await act.report(approver, asker.id);
    assert.equal(await act.mayResolve(approver, asker), true);
    assert.equal(await act.trusted(approver.id, asker.id), true);
    clock.advance(FRESH_CONSENT_MS);
    await approver.register(client);
    await asker.register(client);
    assert.equal(await act.mayResolve(approver, asker), false, "it has not come to it");
    await act.revoke(asker, approver.id);
    await act.mayResolve(asker, approver);
    assert.equal(await act.mayResolve(approver, asker), false, "the last express word counts");
    await act.request(asker, approver.id, "");
    assert.equal(await act.mayResolve(approver, asker), true);
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
    await act.report(b, a.id);
    await act.deregister(b);
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
    const now = clock.unixNow() / 1000;
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
    assert.deepEqual(await act.poll(target), EMPTY);
    clock.advance(5000);
    assert.equal(await act.trusted(asker.id, target.id), false);
    assert.deepEqual(await act.respond(target, asker.id, true), {
      type: "respond_handshake_ok",
      accept: true,
      peer_id: asker.id,
    });
    assert.equal(await act.trusted(asker.id, target.id), true, "the request is the asker's word");
    assert.deepEqual((await act.poll(asker))["responses"], [
      { from_node_id: target.id, accept: true, timestamp: now + 5 },
    ]);
    assert.deepEqual(await act.poll(asker), EMPTY);
  }));

Deno.test("a refusal ends the request that it answers, and leaves a pair alone", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    await act.request(a, b.id, "");
    await act.poll(b);
    assert.equal((await act.respond(b, a.id, "yes"))["accept"], false);
    await act.report(b, a.id);
    assert.equal(await act.trusted(a.id, b.id), false);
    await act.report(a, b.id);
    await act.respond(b, a.id, false);
    assert.equal(await act.trusted(a.id, b.id), true);
    assert.equal((await act.respond(b, 99, true))["error"], "node 99: node not found");
  }));

Deno.test("accepting what nobody asked for makes no pair", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    assert.equal((await act.respond(a, b.id, true))["accept"], true);
    assert.equal(await act.trusted(a.id, b.id), false);
    assert.equal(await act.mayResolve(a, b), false);
  }));

Deno.test("what waits stays for a node that acknowledges, until it has", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const asker = await registered(client);
    const target = await registered(client);
    await act.request(asker, target.id, "hi", "signed words");
    const first = await act.poll(target, "");
    const [request] = entries(first, "requests");
    assert.equal(request!["message"], "signed words");
    assert.match(String(request!["source"]), /^[0-9a-f]{16}$/);
    // The answer may have been lost.
    assert.deepEqual(entries(await act.poll(target, ""), "requests"), [request]);
    assert.deepEqual(entries(await act.poll(target, "another life:9:9"), "requests"), [request]);
    const after = await act.poll(target, first["ack"]);
    assert.deepEqual(entries(after, "requests"), []);
    // A newer word that comes before the acknowledgement is not taken for acknowledged.
    await act.request(asker, target.id, "", "second");
    const second = await act.poll(target, after["ack"]);
    await act.request(asker, target.id, "", "third");
    const third = await act.poll(target, second["ack"]);
    assert.deepEqual(entries(third, "requests").map(({ message }) => message), ["third"]);
  }));

Deno.test("of each node only its last statement to another one waits", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    const words = async () => {
      const reply = await act.poll(b, "");
      return ["requests", "responses", "revocations"].map((name) =>
        entries(reply, name).map(({ message }) => message)
      );
    };
    await act.request(a, b.id, "", "ask");
    await act.revoke(a, b.id, "withdraw");
    assert.deepEqual(await words(), [[], [], ["withdraw"]]);
    await act.request(a, b.id, "", "ask again");
    assert.deepEqual(await words(), [["ask again"], [], []]);
    await act.respond(a, b.id, true, "grant");
    assert.deepEqual(await words(), [[], ["grant"], []]);
    await act.revoke(a, b.id, "over");
    assert.deepEqual(await words(), [[], [], ["over"]]);
    // Who does not acknowledge does not know revocations, and hears only what the wire has.
    assert.deepEqual(await act.poll(b), EMPTY);
  }));

Deno.test("a revocation waits for a peer that is away for two months", () =>
  withServer(async ({ client, server, clock }) => {
    const act = new Actions(client);
    const a = await registered(client);
    const b = await registered(client);
    await act.report(a, b.id);
    await act.report(b, a.id);
    await act.revoke(a, b.id, "over");
    // The connection ends meanwhile.
    const later = async (ms: number, body: (act: Actions) => Promise<void>) => {
      await pass(server, clock, ms);
      using client = await RawClient.open(server.registryAddr);
      await b.register(client);
      await body(new Actions(client));
    };
    await later(60 * 86_400_000, async (act) => {
      assert.deepEqual(await act.report(b, a.id), { type: "report_trust_ok", ended: true });
      assert.equal(entries(await act.poll(b, ""), "revocations")[0]!["message"], "over");
    });
    await later(INBOX_TTL_SECONDS * 1000, async (act) => {
      assert.deepEqual(entries(await act.poll(b, ""), "revocations"), []);
    });
  }));

Deno.test("request_handshake bounds its text and refuses unknown targets", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const asker = await registered(client);
    const target = await registered(client);
    const refused = { type: "error", error: "request failed", code: "denied" };
    assert.deepEqual(await act.request(asker, target.id, "ü".repeat(513)), refused);
    const long = "x".repeat(MAX_HANDSHAKE_MESSAGE_BYTES + 1);
    assert.match(String((await act.request(asker, target.id, "", long))["error"]), /too long/);
    assert.equal((await act.request(asker, 99, ""))["error"], "node 99: node not found");
    assert.equal((await act.request(asker, asker.id, ""))["error"], "cannot trust yourself");
    const longest = "ü".repeat(512);
    assert.equal((await act.request(asker, target.id, longest))["type"], "request_handshake_ok");
  }));

Deno.test("an inbox has a share for each source: its oldest request goes, and its sender is notified", () =>
  withServer(async ({ client }) => {
    const act = new Actions(client);
    const target = await registered(client);
    const askers: TestNode[] = [];
    for (let i = 0; i <= MAX_INBOX_PER_SOURCE; i++) {
      const asker = await registered(client);
      askers.push(asker);
      assert.equal((await act.request(asker, target.id, ""))["status"], "delivered");
    }
    const polled = entries(await act.poll(target, ""), "requests").map((entry) =>
      entry["from_node_id"]
    );
    assert.equal(polled.length, MAX_INBOX_PER_SOURCE);
    assert.ok(!polled.includes(askers[0]!.id));
    const [told] = entries(await act.poll(askers[0]!, ""), "responses");
    assert.deepEqual([told!["accept"], told!["dropped"]], [false, true]);
    assert.deepEqual(entries(await act.poll(askers[1]!, ""), "responses"), []);
  }));
