/** What strangers and time can do to the tables of trust, and what they cannot. */

import assert from "node:assert/strict";
import {
  OUTGOING_MAX,
  PENDING_MAX,
  PENDING_PER_SOURCE_MAX,
  REQUEST_TTL_MS,
  REVOKED_MAX,
  TRUSTED_MAX,
} from "../../../protocol/trust/trust_peer.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import { changes, context, hasCode, NOW, PEER } from "./support.ts";

Deno.test("pending requests are bounded: the oldest makes room and is notified, a repetition refreshes", () => {
  const state = new TrustState();
  for (let node = 1; node <= PENDING_MAX; node++) {
    assert.deepEqual(state.onRequest(node, context), { action: "pending" });
  }
  assert.deepEqual(state.onRequest(9999, context), { action: "pending", dropped: 1 });
  assert.deepEqual(state.owed().map(({ nodeId, type }) => [nodeId, type]), [[
    1,
    "handshake_reject",
  ]]);
  state.onRequest(2, { now: NOW + 5, justification: "again" });
  assert.equal(state.pending().length, PENDING_MAX);
  assert.equal(state.pending()[0]?.justification, "again");
  assert.equal(state.pending()[0]?.receivedAt, NOW + 5);
});

Deno.test("pending requests are shared by source: a flooding source pushes out its own", () => {
  const state = new TrustState();
  state.onRequest(1, { ...context, source: "honest" });
  for (let node = 100; node < 100 + 2 * PENDING_MAX; node++) {
    state.onRequest(node, { ...context, source: "one host" });
  }
  assert.equal(state.pending().length, 1 + PENDING_PER_SOURCE_MAX);
  // From many hosts at once: the fullest loses, and the honest one is the last to.
  for (let node = 1000; node < 1000 + 2 * PENDING_MAX; node++) {
    state.onRequest(node, { ...context, source: `host ${node % 20}` });
  }
  assert.equal(state.pending().length, PENDING_MAX);
  assert.ok(state.pending().some(({ nodeId }) => nodeId === 1));
});

Deno.test("outgoing requests are bounded, and withdrawing one makes room", () => {
  const state = new TrustState();
  for (let node = 1; node <= OUTGOING_MAX; node++) state.request(node, NOW);
  assert.throws(() => state.request(9999, NOW), hasCode("limit_exceeded"));
  assert.equal(state.request(1, NOW), "sent");
  state.revoke(1, NOW);
  assert.equal(state.request(9999, NOW), "sent");
});

Deno.test("trusted peers are bounded however they come", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  state.request(6, NOW);
  for (let i = 0; i < TRUSTED_MAX; i++) {
    state.onRequest(100 + i, { now: NOW, autoApprove: true });
  }
  const limit = { action: "ignore", reason: "limit" };
  assert.deepEqual(state.onRequest(7, { now: NOW, autoApprove: true }), limit);
  assert.deepEqual(state.onAccept(6, context), limit);
  assert.throws(() => state.approve(PEER, context), hasCode("limit_exceeded"));
  assert.equal(state.pending().length, 1);
  assert.equal(state.trusted().length, TRUSTED_MAX);
});

Deno.test("revoked peers are bounded, the first to go is forgotten first", () => {
  const state = new TrustState();
  for (let node = 1; node <= REVOKED_MAX + 1; node++) {
    state.onRequest(node, { now: NOW, autoApprove: true });
    state.revoke(node, NOW);
  }
  const ask = (node: number) => state.onRequest(node, { now: NOW, autoApprove: true }).action;
  assert.equal(ask(1), "accept");
  assert.equal(ask(2), "pending");
});

Deno.test("reap forgets requests of both kinds after 30 days, and withdraws ours", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  state.request(6, NOW);
  assert.equal(changes(state, () => state.reap(NOW + REQUEST_TTL_MS)), false);
  assert.equal(changes(state, () => state.reap(NOW + REQUEST_TTL_MS + 1)), true);
  assert.deepEqual([state.pending(), state.outgoing()], [[], []]);
  assert.deepEqual(state.owed().map(({ nodeId, type }) => [nodeId, type]), [[
    6,
    "handshake_revoke",
  ]]);
});
