/**
 * Daemons of versions 1.9 and 1.18 at our rendezvous: what they say is written out in `support/reference_client.ts`.
 * They poll once a minute, so whoever must be able to act before that is asked before any clock advances.
 */

import assert from "node:assert/strict";
import type { Rendezvous } from "../../rendezvous/mod.ts";
import { ReferenceClient, type Release } from "./support/reference_client.ts";
import type { RawClient } from "./support/client.ts";
import { pass, withServer } from "./support/server.ts";
import type { ManualClock } from "../support/manual_clock.ts";

const ADMIN = "an admin token of 16 characters and more";

/** Both orders of every two releases that meet. */
const PAIRS: readonly (readonly [Release, Release])[] = [
  ["1.9", "1.9"],
  ["1.9", "1.18"],
  ["1.18", "1.9"],
  ["1.18", "1.18"],
  ["1.18 binary", "1.9"],
  ["1.9", "1.18 binary"],
];

/** Runs a test body with two daemons. */
async function withTwo(
  [first, second]: readonly [Release, Release],
  body: (
    a: ReferenceClient,
    b: ReferenceClient,
    parts: { server: Rendezvous; clock: ManualClock; client: RawClient },
  ) => Promise<void>,
  isPublic = false,
): Promise<void> {
  await withServer(async (parts) => {
    await using a = await ReferenceClient.start(parts.server, first, "alice");
    await using b = await ReferenceClient.start(parts.server, second, "bob", isPublic);
    await body(a, b, parts);
  }, { adminToken: ADMIN });
}

/** One side speaks first: it resolves, punches and sends by the relay; the other one answers. */
async function assertTalk(first: ReferenceClient, second: ReferenceClient): Promise<void> {
  const what = `${first.name} speaks first`;
  assert.equal(await first.resolve(second.id), second.endpoint, what);
  await first.punch(second.id);
  // Both are told, and the one who is asked for has resolved nothing.
  for (const client of [first, second]) {
    assert.equal((await client.receive())[0], 0x04, `${what}: ${client.name} is told to punch`);
  }
  await first.relay(second.id, "PILA one");
  assert.equal((await second.receive()).subarray(5).toString(), "PILA one", what);
  assert.equal(await second.lookupKey(first.id), first.key, what);
  await second.relay(first.id, "PILA two");
  assert.equal((await first.receive()).subarray(5).toString(), "PILA two", what);
  assert.equal(await second.resolve(first.id), first.endpoint, `${what}: the other one`);
}

/** Neither reaches the other or learns more than its key. */
async function assertApart(a: ReferenceClient, b: ReferenceClient): Promise<void> {
  for (const [one, other] of [[a, b], [b, a]] as const) {
    assert.equal(await one.find(other.name), undefined, `${one.name} finds`);
    assert.equal(await one.checks(other.id), false, `${one.name} checks`);
    const lookup = await one.ask("lookup", { node_id: other.id });
    const { public_key, hostname, version, real_addr } = lookup;
    assert.deepEqual([public_key, hostname, version, real_addr], [
      other.key,
      undefined,
      undefined,
      undefined,
    ]);
  }
}

/** Asks by the registry and is granted it, before the asker polls. */
async function handshake(asker: ReferenceClient, granter: ReferenceClient): Promise<void> {
  assert.equal(await asker.handshake(granter.id), false, "a private stranger is not resolved");
  await granter.minute();
  assert.ok(granter.pending.has(asker.id), `${granter.name} hears of it`);
  await granter.approve(asker.id);
}

/** The asker polls and hears that it was granted. */
async function hear(asker: ReferenceClient, granter: ReferenceClient): Promise<void> {
  await asker.minute();
  assert.ok(asker.trusted.has(granter.id), `${asker.name} hears of it`);
}

for (const releases of PAIRS) {
  const who = `${releases[0]} and ${releases[1]}`;

  Deno.test(`${who}: a handshake by the registry, and either side that speaks first is answered`, () =>
    withTwo(releases, async (a, b) => {
      await assertApart(a, b);
      await handshake(a, b);
      // For up to a minute only the approver has said that it trusts; the request is the asker's word.
      await assertTalk(b, a);
      await assertTalk(a, b);
      await hear(a, b);
      await assertTalk(a, b);
      await assertTalk(b, a);
    }));

  Deno.test(`${who}: the request as its receiver gets it, and the answer`, () =>
    withTwo(releases, async (a, b, { clock }) => {
      await a.handshake(b.id);
      const timestamp = clock.unixNow() / 1000;
      assert.deepEqual(await b.poll(), {
        type: "poll_handshakes_ok",
        requests: [{
          from_node_id: a.id,
          justification: "hello",
          timestamp,
          public_key: a.key,
        }],
        responses: [],
      });
      await b.reject(a.id);
      assert.deepEqual((await a.poll())["responses"], [
        { from_node_id: b.id, accept: false, timestamp },
      ]);
      assert.equal(a.outgoing.size, 0);
      assert.equal(await b.checks(a.id), false);
      assert.equal(await a.checks(b.id), false);
    }));

  Deno.test(`${who}: either side restarts before and after the asker's poll and speaks first`, () =>
    withTwo(releases, async (a, b) => {
      await handshake(a, b);
      for (const [one, other] of [[b, a], [a, b]] as const) {
        await one.restart();
        await assertTalk(one, other);
        await assertTalk(other, one);
      }
      // It has forgotten that it asked, and takes the answer all the same (docs/protocol/trust.md §4).
      await hear(a, b);
      for (const [one, other] of [[a, b], [b, a]] as const) {
        await one.restart();
        await assertTalk(one, other);
      }
    }));

  Deno.test(`${who}: a handshake with a public node directly`, () =>
    withTwo(releases, async (a, b) => {
      assert.equal(await a.handshake(b.id), true, "a public node is resolved");
      await b.onRequest(a.id);
      await b.approve(a.id);
      // Its answer is a connection of its own to a private node, which has resolved it and not said more.
      await assertTalk(b, a);
      await a.onAccept(b.id);
      await a.restart();
      await assertTalk(a, b);
    }, true));

  Deno.test(`${who}: a direct answer is lost, and the registry has it`, () =>
    withTwo(releases, async (a, b) => {
      await a.handshake(b.id);
      await b.onRequest(a.id);
      await b.approve(a.id);
      await hear(a, b);
      await b.restart();
      await assertTalk(b, a);
    }, true));

  Deno.test(`${who}: both ask`, () =>
    withTwo(releases, async (a, b) => {
      await a.handshake(b.id);
      // The other one's request is its consent, though not yet told to anybody.
      await b.handshake(a.id);
      for (const client of [a, b, a]) await client.poll();
      assert.ok(a.trusted.has(b.id) && b.trusted.has(a.id));
      await assertTalk(a, b);
      await assertTalk(b, a);
    }));

  Deno.test(`${who}: trust ends by either side, stays ended, and is given again in either order`, () =>
    withTwo(releases, async (a, b) => {
      await handshake(a, b);
      await hear(a, b);
      for (const [ends, other] of [[a, b], [b, a]] as const) {
        for (const asker of [ends, other]) {
          const granter = asker === a ? b : a;
          await ends.revoke(other.id);
          assert.equal(await other.resolve(ends.id), undefined);
          assert.equal(await ends.checks(other.id), false);
          // One that missed it registers again and reports what it holds.
          await other.restart();
          await other.report(ends.id);
          assert.equal(
            await other.resolve(ends.id),
            undefined,
            "a report of the other brings nothing back",
          );
          assert.equal(await other.checks(ends.id), false);
          await other.onRevoke(ends.id);
          assert.equal(await asker.handshake(granter.id), false);
          await granter.minute();
          await granter.approve(asker.id);
          await assertTalk(granter, asker);
          await hear(asker, granter);
          await assertTalk(asker, granter);
        }
      }
    }));

  Deno.test(`${who}: trusted names and members are found without naming the requester`, () =>
    withTwo(releases, async (a, b) => {
      await handshake(a, b);
      await hear(a, b);
      for (const [one, other] of [[a, b], [b, a]] as const) {
        // Each connection of a pool has signed something by then.
        for (let i = 0; i < 3; i++) await one.minute();
        for (let i = 0; i < 8; i++) {
          assert.equal(await one.find(other.name), other.id);
          assert.equal(await one.checks(other.id), true);
          assert.equal((await one.ask("lookup", { node_id: other.id }))["hostname"], other.name);
        }
      }
    }));

  Deno.test(`${who}: members of a network reach each other without trust`, () =>
    withTwo(releases, async (a, b, { client, server, clock }) => {
      const { network_id } = await client.ok({
        type: "create_network",
        admin_token: ADMIN,
        name: "both",
        node_id: a.id,
      });
      assert.equal(await b.resolve(a.id), undefined);
      await b.join(Number(network_id));
      await assertTalk(b, a);
      await assertTalk(a, b);
      // When nobody has asked for the other one for a while, the network is what is left.
      for (let minute = 0; minute < 6; minute++) {
        await pass(server, clock, 60_000);
        for (const one of [a, b]) await one.minute();
      }
      for (const [one, other] of [[a, b], [b, a]] as const) {
        for (let i = 0; i < 4; i++) assert.equal(await one.checks(other.id), true);
      }
    }));
}

Deno.test("1.18: a connection that has signed nothing yet learns what strangers do", () =>
  withTwo(["1.18", "1.9"], async (a, b) => {
    await handshake(a, b);
    await hear(a, b);
    await a.restart();
    // After its start two of its four connections have signed something.
    const found = [];
    for (let i = 0; i < 4; i++) found.push(await a.find("bob"));
    assert.deepEqual(found.toSorted(), [b.id, b.id, undefined, undefined]);
  }));

Deno.test("a private daemon reaches a public one by the relay, and is answered", () =>
  withTwo(["1.9", "1.18"], async (a, b, { server, clock }) => {
    await using stranger = await ReferenceClient.start(server, "1.9", "stranger");
    for (let i = 0; i < 3; i++) {
      await a.relay(b.id, `ask ${i}`);
      assert.equal((await b.receive()).subarray(5).toString(), `ask ${i}`);
      await b.relay(a.id, `answer ${i}`);
      assert.equal((await a.receive()).subarray(5).toString(), `answer ${i}`);
      // An idle pair: nothing passes for longer than an introduction counts.
      await pass(server, clock, 70_000);
    }
    // What a stranger sends to a private one is not passed on; what follows is.
    await stranger.relay(a.id, "let me in");
    await b.relay(a.id, "not first");
    await a.relay(b.id, "hello");
    assert.equal((await b.receive()).subarray(5).toString(), "hello");
    await b.relay(a.id, "last");
    assert.equal((await a.receive()).subarray(5).toString(), "last");
  }, true));

Deno.test("an idle pair reaches each other by the relay after any time", () =>
  withTwo(["1.9", "1.18"], async (a, b, { server, clock }) => {
    await handshake(a, b);
    await hear(a, b);
    for (let minute = 0; minute < 12; minute++) {
      await pass(server, clock, 60_000);
      for (const client of [a, b]) await client.minute();
    }
    for (const [one, other] of [[a, b], [b, a]] as const) {
      await one.relay(other.id, "still there?");
      assert.equal((await other.receive()).subarray(5).toString(), "still there?");
    }
  }));
