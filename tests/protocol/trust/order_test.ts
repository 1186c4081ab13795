import assert from "node:assert/strict";
import { ORDER_MAX_AHEAD_MS, OWED_MAX } from "../../../protocol/trust/trust_peer.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import { range } from "../hex.ts";

const NOW = 1_700_000_000_000;
const KEY = range(1, 32);
const context = { now: NOW, publicKey: KEY };
const PEER = 5;

function trusting(): TrustState {
  const state = new TrustState();
  state.onRequest(PEER, { ...context, autoApprove: true });
  return state;
}

Deno.test("onRevoke ends our request only if the peer knew of it", () => {
  const state = new TrustState();
  state.request(PEER, NOW);
  const { order } = state.outgoing()[0]!;
  state.onRevoke(PEER, { ...context, order: 1 });
  state.onRevoke(PEER, { ...context, order: 2, re: order - 1 });
  assert.equal(state.outgoing().length, 1);
  state.onRevoke(PEER, { ...context, order: 3, re: order });
  assert.deepEqual(state.outgoing(), []);
});

Deno.test("onAccept takes the answer to an earlier request of ours for none", () => {
  const state = new TrustState();
  state.request(PEER, NOW);
  const first = state.outgoing()[0]!.order;
  state.revoke(PEER, NOW);
  state.request(PEER, NOW);
  const second = state.outgoing()[0]!.order;
  assert.ok(second > first);
  const late = { action: "ignore", reason: "unsolicited" };
  assert.deepEqual(state.onAccept(PEER, { ...context, order: 1, re: first }), late);
  assert.equal(state.onReject(PEER, { ...context, order: 2, re: first }), "ignored");
  assert.deepEqual(state.onAccept(PEER, { ...context, order: 3, re: second }), {
    action: "trusted",
  });
});

Deno.test("what a peer said before its last statement counts for nothing, also after a restart", () => {
  let state = trusting();
  assert.equal(state.onRevoke(PEER, { ...context, order: 20 }), "ended");
  state = TrustState.fromFile(state.toFile());
  const stale = { action: "ignore", reason: "stale" };
  assert.deepEqual(state.onRequest(PEER, { ...context, order: 20, autoApprove: true }), stale);
  assert.deepEqual(state.onRequest(PEER, { ...context, order: 19, autoApprove: true }), stale);
  assert.equal(
    state.onRequest(PEER, { ...context, order: 21, autoApprove: true }).action,
    "accept",
  );
  assert.equal(state.onRevoke(PEER, { ...context, order: 20 }), "ignored");
  assert.equal(state.isTrusted(PEER), true);
});

Deno.test("a peer whose clock was far ahead once is not deaf to us until then", () => {
  const state = new TrustState();
  const ahead = NOW + 2 * ORDER_MAX_AHEAD_MS;
  state.onRequest(PEER, { ...context, order: ahead });
  assert.deepEqual(state.onRequest(PEER, { ...context, order: ahead }), {
    action: "ignore",
    reason: "stale",
  });
  assert.equal(state.onRequest(PEER, { ...context, order: NOW }).action, "pending");
});

Deno.test("what is owed to a peer is the last statement, numbered upwards, until it was taken", () => {
  let state = new TrustState();
  state.request(PEER, NOW, { justification: "hi" });
  const [request] = state.owed();
  assert.deepEqual([request!.type, request!.text, request!.order], [
    "handshake_request",
    "hi",
    NOW,
  ]);
  state.revoke(PEER, NOW - 1000);
  const [revoke, ...rest] = state.owed();
  assert.deepEqual([revoke!.type, revoke!.order, rest.length], ["handshake_revoke", NOW + 1, 0]);
  state.delivered(request!);
  assert.equal(state.owed().length, 1, "the later word is still owed");
  state = TrustState.fromFile(state.toFile());
  assert.deepEqual(state.owed(), [revoke]);
  state.delivered(revoke!);
  assert.deepEqual(state.owed(), []);
  state.request(PEER, NOW - 2000);
  assert.equal(state.owed()[0]!.order, NOW + 2, "never backwards");
});

Deno.test("what strangers cause to be owed goes before what was decided here", () => {
  const state = new TrustState();
  for (let node = 1; node <= 10; node++) {
    state.onRequest(node, { now: NOW, autoApprove: true });
    state.revoke(node, NOW);
  }
  for (let node = 100; node < 100 + OWED_MAX; node++) {
    state.onRequest(node, context);
    state.reject(node, NOW);
  }
  const owed = state.owed();
  assert.equal(owed.length, OWED_MAX);
  assert.equal(owed.filter(({ type }) => type === "handshake_revoke").length, 10);
});

Deno.test("a peer that asks with what it has forgotten it withdrew is notified, once, and nobody else is affected", () => {
  const state = new TrustState();
  const late = { ...context, order: 10 };
  const said = () => state.owed().map(({ type, re }) => [type, re]);
  state.onRequest(PEER, late);
  state.onRevoke(PEER, { ...context, order: 11 });
  assert.equal(state.onRequest(PEER, { ...context, order: 11 }).action, "ignore");
  assert.deepEqual(said(), [], "a double is no question");
  state.onRequest(PEER, late);
  assert.deepEqual(said(), [["handshake_reject", 11]]);
  // What waits for a decision here is not decided by an older one, nor is our own last word replaced.
  state.delivered(state.owed()[0]!);
  state.onRequest(PEER, { ...context, order: 12 });
  state.onRequest(PEER, late);
  assert.deepEqual([state.pending().length, said()], [1, []]);
  state.approve(PEER, context);
  state.revoke(PEER, NOW);
  state.onRequest(PEER, late);
  assert.deepEqual(said(), [["handshake_revoke", 12]]);
  // And whom we trust is told so again.
  const trusting = new TrustState();
  trusting.onRequest(PEER, { ...context, order: 20, autoApprove: true });
  trusting.delivered(trusting.owed()[0]!);
  trusting.onRequest(PEER, late);
  assert.deepEqual(trusting.owed().map(({ type, re }) => [type, re]), [["handshake_accept", 20]]);
});

Deno.test("a refused node withdraws its own statement, by reject or revoke, but not a request that is newer", () => {
  for (const refuse of ["onReject", "onRevoke"] as const) {
    const state = new TrustState();
    state.request(PEER, NOW);
    const { order } = state.owed()[0]!;
    state.delivered(state.owed()[0]!);
    assert.equal(state[refuse](PEER, { ...context, order: 1, re: order - 1 }), "ignored");
    assert.deepEqual([state.isAsked(PEER), state.owed()], [true, []]);
    assert.equal(state[refuse](PEER, { ...context, order: 2, re: order }), "rejected");
    assert.deepEqual([state.isAsked(PEER), state.owed().map(({ type }) => type)], [
      false,
      ["handshake_revoke"],
    ]);
  }
});
