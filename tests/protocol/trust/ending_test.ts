/** What ends trust and requests, what stays of them, and that all of it reaches the file. */

import assert from "node:assert/strict";
import type { Advice } from "../../../protocol/advice.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import {
  OUTGOING_MAX,
  REQUEST_TTL_MS,
  REVOKED_MAX,
  REVOKED_UNTIL_MS,
} from "../../../protocol/trust/trust_peer.ts";
import { changes, context, hasCode, KEY, NOW, PEER } from "./support.ts";

const OTHER_KEY = KEY.toReversed();

/** A state in which the peer is trusted by consent. */
function trusting(): TrustState {
  const state = new TrustState();
  state.onRequest(PEER, { ...context, autoApprove: true });
  return state;
}

/** What is owed to the peer, as its types. */
function owed(state: TrustState): string[] {
  return state.owed().filter(({ nodeId }) => nodeId === PEER).map(({ type }) => type);
}

/** The advice of the error that is thrown. */
function adviceIn(act: () => unknown): Advice | undefined {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof PilotError);
    return error.advice;
  }
  assert.fail("nothing was thrown");
}

/** The state of a file in which nodes were revoked, until a time. */
function revokedUntil(state: TrustState, nodes: readonly number[], until: number): TrustState {
  const file = JSON.parse(state.toFile());
  file.revoked = nodes.map((node_id) => ({ node_id, until: new Date(until).toISOString() }));
  return TrustState.fromFile(JSON.stringify(file));
}

Deno.test("an accept or a reject that is older than the peer's last statement changes nothing", () => {
  const state = new TrustState();
  state.onRevoke(PEER, { ...context, order: 10 });
  state.request(PEER, NOW);
  assert.deepEqual(state.onAccept(PEER, { ...context, order: 9 }), {
    action: "ignore",
    reason: "stale",
  });
  assert.equal(state.onReject(PEER, { ...context, order: 10 }), "ignored");
  assert.deepEqual([state.isTrusted(PEER), state.isAsked(PEER)], [false, true]);
  assert.deepEqual(state.onAccept(PEER, { ...context, order: 11 }), { action: "trusted" });
});

Deno.test("a reject by another key than the pinned one changes nothing, new or old", () => {
  const state = trusting();
  state.request(PEER, NOW, { again: true });
  const forged = { ...context, publicKey: OTHER_KEY, order: 99 };
  assert.equal(state.onReject(PEER, forged), "ignored");
  assert.equal(state.onReject(PEER, { ...forged, order: 1 }), "ignored");
  assert.deepEqual([state.isTrusted(PEER), state.isAsked(PEER)], [true, true]);
  assert.equal(
    state.onReject(PEER, { ...context, order: 99 }),
    "ended",
    "what it said was not noted",
  );
});

Deno.test("a revoke of a peer that we have asked again ends trust and leaves our request", () => {
  const state = trusting();
  state.request(PEER, NOW, { again: true });
  const { length } = owed(state);
  const ended = changes(state, () => assert.equal(state.onRevoke(PEER, context), "ended"));
  assert.ok(ended);
  assert.deepEqual([state.isTrusted(PEER), state.isAsked(PEER)], [false, true]);
  assert.equal(owed(state).length, length, "the request is our last word");
});

Deno.test("a decision for a peer of a common network is sent to it", () => {
  const state = new TrustState();
  state.onRequest(PEER, { ...context, sharedNetwork: 3 });
  for (const statement of state.owed()) state.delivered(statement);
  assert.deepEqual([owed(state), state.hasConsent(PEER)], [[], false]);
  assert.equal(state.request(PEER, NOW), "trusted");
  assert.deepEqual([owed(state), state.hasConsent(PEER)], [["handshake_accept"], true]);
});

Deno.test("requests of ours that have expired make room for new ones, those of others too", () => {
  const state = new TrustState();
  for (let node = 1; node <= OUTGOING_MAX; node++) state.request(100 + node, NOW);
  assert.throws(() => state.request(PEER, NOW + REQUEST_TTL_MS), hasCode("limit_exceeded"));
  assert.equal(state.request(PEER, NOW + REQUEST_TTL_MS + 1), "sent");
  assert.deepEqual(state.outgoing().map(({ nodeId }) => nodeId), [PEER]);
  const asked = new TrustState();
  asked.onRequest(6, context);
  asked.onRequest(PEER, { ...context, now: NOW + REQUEST_TTL_MS + 1 });
  assert.deepEqual(asked.pending().map(({ nodeId }) => nodeId), [PEER]);
});

Deno.test("who cannot be revoked but has asked is to be rejected, and the hint says so", () => {
  const state = new TrustState();
  assert.throws(() => state.revoke(PEER, NOW), hasCode("not_found"));
  assert.equal(adviceIn(() => state.revoke(PEER, NOW)), undefined);
  state.onRequest(PEER, context);
  assert.throws(() => state.revoke(PEER, NOW), hasCode("not_found"));
  assert.deepEqual(adviceIn(() => state.revoke(PEER, NOW)), { id: "reject_request", node: PEER });
});

Deno.test("who approves or rejects what is not pending learns whether the peer is trusted already", () => {
  for (
    const [state, message] of [
      [new TrustState(), /has no pending request$/],
      [trusting(), /has no pending request: it is trusted already$/],
    ] as const
  ) {
    assert.throws(() => state.approve(PEER, context), message);
    assert.throws(() => state.reject(PEER, NOW), message);
  }
});

Deno.test("a peer that is revoked again is the last to be forgotten", () => {
  const nodes = Array.from({ length: REVOKED_MAX }, (_, n) => n + 1);
  // A file of a time when trust did not lift it.
  const state = revokedUntil(trusting(), [PEER, ...nodes.filter((node) => node !== PEER)], NOW + 9);
  assert.ok(state.isTrusted(PEER));
  state.revoke(PEER, NOW);
  const last = REVOKED_MAX + 1;
  state.request(last, NOW);
  state.revoke(last, NOW);
  assert.deepEqual([PEER, 1, 2, last].map((node) => state.isRevoked(node)), [
    true,
    false,
    true,
    true,
  ]);
});

Deno.test("a revocation holds to the last year, and one with an end until that", () => {
  const state = trusting();
  state.revoke(PEER, NOW);
  state.reap(REVOKED_UNTIL_MS - 1);
  assert.ok(state.isRevoked(PEER));
  const until = revokedUntil(new TrustState(), [PEER], NOW);
  assert.equal(changes(until, () => until.reap(NOW - 1)), false);
  assert.ok(until.isRevoked(PEER));
  assert.equal(changes(until, () => until.reap(NOW)), true);
  assert.ok(!until.isRevoked(PEER));
});

Deno.test("what was ended before a crash is ended again, and what came since stays", () => {
  const again = (state: TrustState, atMs: number) =>
    state.endAgain(PEER, { now: NOW + 100, atMs, seenOrder: 7 });
  const trusted = trusting();
  again(trusted, NOW);
  assert.deepEqual(
    [trusted.isTrusted(PEER), trusted.isRevoked(PEER), trusted.seenOrder(PEER)],
    [false, true, 7],
  );
  assert.ok(owed(trusted).includes("handshake_revoke"));
  const since = trusting();
  again(since, NOW - 1);
  assert.deepEqual([since.isTrusted(PEER), since.seenOrder(PEER)], [true, 0]);
  for (const side of ["asked", "asking"] as const) {
    const state = new TrustState();
    if (side === "asked") state.request(PEER, NOW);
    else state.onRequest(PEER, context);
    again(state, NOW - 1);
    assert.ok(state.isExpected(PEER), "it came since");
    again(state, NOW);
    assert.ok(!state.isExpected(PEER));
    assert.ok(owed(state).includes("handshake_revoke"));
    assert.ok(!state.isRevoked(PEER), "nothing but a request was ended");
  }
  // Nothing is known of it: the peer may have heard something all the same.
  const unknown = new TrustState();
  again(unknown, 0);
  assert.deepEqual([owed(unknown), unknown.seenOrder(PEER)], [["handshake_revoke"], 7]);
});

Deno.test("a request that could not be sent is withdrawn, which the peer learns unless it is trusted", () => {
  const state = new TrustState();
  assert.equal(changes(state, () => state.withdraw(PEER, NOW)), false, "there was none");
  state.request(PEER, NOW);
  assert.ok(changes(state, () => state.withdraw(PEER, NOW)));
  assert.deepEqual([state.isAsked(PEER), owed(state)], [false, ["handshake_revoke"]]);
  const again = trusting();
  again.request(PEER, NOW, { again: true });
  const before = owed(again);
  assert.ok(changes(again, () => again.withdraw(PEER, NOW)));
  assert.deepEqual([again.isAsked(PEER), owed(again)], [false, before]);
});

Deno.test("doubts and the end of doubts reach the file, once each", () => {
  const state = trusting();
  assert.ok(changes(state, () => state.doubt(PEER)));
  const { revision } = state;
  state.doubt(PEER);
  state.doubt(PEER + 1);
  assert.equal(state.revision, revision, "nothing to doubt");
  assert.ok(changes(state, () => state.onAccept(PEER, context)));
  assert.equal(state.peer(PEER)!.mutual, true);
});

Deno.test("a request that waits reaches the file", () => {
  const state = new TrustState();
  assert.ok(changes(state, () => state.onRequest(PEER, context)));
});
