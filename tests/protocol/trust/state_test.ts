import assert from "node:assert/strict";
import type { HandshakeMessage } from "../../../protocol/trust/message.ts";
import { JUSTIFICATION_MAX_CHARS } from "../../../protocol/trust/trust_peer.ts";
import { REPLAY_SET_TTL_MS } from "../../../protocol/trust/replay_set.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import { bytes, range } from "../hex.ts";
import { changes, context, hasCode, KEY, NOW, PEER } from "./support.ts";

const OTHER_KEY = range(2, 32);

function trusting(publicKey: Uint8Array | undefined = KEY): TrustState {
  const state = new TrustState();
  const known = publicKey.length === 0 ? {} : { publicKey };
  state.onRequest(PEER, { now: NOW, autoApprove: true, ...known });
  return state;
}

Deno.test("onRequest keeps a stranger's request pending, approve trusts it with its key", () => {
  const state = new TrustState();
  assert.deepEqual(
    state.onRequest(PEER, { ...context, justification: "hi" }),
    { action: "pending" },
  );
  assert.equal(state.isTrusted(PEER), false);
  assert.deepEqual(state.pending(), [
    { nodeId: PEER, publicKey: KEY, justification: "hi", receivedAt: NOW },
  ]);
  assert.deepEqual(state.approve(PEER, { now: NOW + 5 }), {
    nodeId: PEER,
    publicKey: KEY,
    approvedAt: NOW + 5,
    mutual: true,
    source: "approved",
  });
  assert.equal(state.isTrusted(PEER), true);
  assert.deepEqual(state.pinnedKey(PEER), KEY);
  assert.deepEqual(state.pending(), []);
});

Deno.test("onRequest of a trusted peer is accepted again, and it gets that answer", () => {
  const state = trusting();
  for (const statement of state.owed()) state.delivered(statement);
  const before = state.trusted();
  assert.deepEqual(state.onRequest(PEER, context), { action: "accept", reason: "already" });
  assert.deepEqual(state.trusted(), before);
  assert.deepEqual(state.owed().map(({ type }) => type), ["handshake_accept"]);
});

Deno.test("onRequest approves by network, by setting, and prefers the network", () => {
  const state = new TrustState();
  assert.deepEqual(
    state.onRequest(1, { ...context, sharedNetwork: 9, autoApprove: true }),
    { action: "accept", reason: "same_network" },
  );
  assert.deepEqual(state.onRequest(2, { ...context, autoApprove: true }), {
    action: "accept",
    reason: "auto_approve",
  });
  const [first, second] = state.trusted();
  assert.equal(first?.network, 9);
  assert.equal(first?.source, "same_network");
  assert.equal(second?.network, undefined);
});

Deno.test("onRequest does not take the backbone for a shared network", () => {
  const state = new TrustState();
  const outcome = state.onRequest(PEER, { ...context, sharedNetwork: 0 });
  assert.deepEqual(outcome, { action: "pending" });
});

Deno.test("mutual requests trust both sides when ours goes first", () => {
  const state = new TrustState();
  assert.equal(state.request(PEER, NOW), "sent");
  assert.deepEqual(state.onRequest(PEER, context), {
    action: "accept",
    reason: "mutual",
  });
  assert.deepEqual(state.outgoing(), []);
  assert.equal(state.trusted()[0]?.mutual, true);
  // The peer, which saw the mirror image, also sends its accept.
  assert.deepEqual(state.onAccept(PEER, context), {
    action: "ignore",
    reason: "already",
  });
});

Deno.test("mutual requests trust both sides when theirs comes first", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  // Both have asked: there is nothing to wait for.
  assert.equal(state.request(PEER, NOW), "granted");
  assert.equal(state.isTrusted(PEER), true);
  assert.equal(state.peer(PEER)?.source, "mutual");
  assert.deepEqual(state.owed().map(({ type }) => type), ["handshake_accept"]);
  assert.deepEqual([state.pending(), state.outgoing()], [[], []]);
});

Deno.test("mutual requests that cross end trusted on both sides", () => {
  const [a, b] = [new TrustState(), new TrustState()];
  a.request(2, NOW);
  b.request(1, NOW);
  for (const [state, peer] of [[a, 2], [b, 1]] as const) {
    assert.deepEqual(state.onRequest(peer, context), {
      action: "accept",
      reason: "mutual",
    });
  }
  assert.equal(a.isTrusted(2) && b.isTrusted(1), true);
});

Deno.test("onAccept trusts only a peer that was asked", () => {
  const state = new TrustState();
  assert.equal(
    changes(state, () =>
      assert.deepEqual(state.onAccept(PEER, context), {
        action: "ignore",
        reason: "unsolicited",
      })),
    false,
  );
  state.request(6, NOW);
  assert.equal(state.onAccept(PEER, context).action, "ignore");
  state.request(PEER, NOW);
  assert.deepEqual(state.onAccept(PEER, context), { action: "trusted" });
  assert.equal(state.trusted()[0]?.source, "accepted");
});

Deno.test("onAccept does not let a peer approve its own pending request", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  assert.deepEqual(state.onAccept(PEER, context), {
    action: "ignore",
    reason: "unsolicited",
  });
  assert.equal(state.isTrusted(PEER), false);
  assert.equal(state.pending().length, 1);
});

Deno.test("onReject ends our request and nothing else", () => {
  const state = trusting();
  state.request(6, NOW);
  assert.equal(state.onReject(6, context), "rejected");
  assert.equal(state.onReject(6, context), "ignored");
  assert.deepEqual(state.outgoing(), []);
  assert.equal(state.onReject(PEER, context), "ignored");
  assert.equal(state.isTrusted(PEER), true);
});

Deno.test("onReject of a request that was sent although the peer is trusted here ends trust", () => {
  const state = trusting();
  assert.equal(state.request(PEER, NOW, { again: true }), "sent");
  assert.equal(state.isTrusted(PEER), true);
  assert.equal(state.onReject(PEER, context), "ended");
  assert.equal(state.isTrusted(PEER), false);
});

Deno.test("onReject that only the registry reports ends the request, not trust, and the next one asks again", () => {
  const state = trusting();
  state.request(PEER, NOW, { again: true });
  assert.equal(state.onReject(PEER, { ...context, isHearsay: true }), "rejected");
  assert.equal(state.isTrusted(PEER), true);
  assert.deepEqual(state.outgoing(), []);
  assert.equal(state.request(PEER, NOW), "sent");
  state.request(6, NOW);
  assert.equal(state.onReject(6, { ...context, isHearsay: true }), "rejected");
  assert.deepEqual(state.outgoing().map(({ nodeId }) => nodeId), [PEER]);
});

Deno.test("onRevoke ends trust and the peer's own request, and our statement with it", () => {
  const state = trusting();
  assert.equal(state.onRevoke(PEER, context), "ended");
  assert.equal(state.isTrusted(PEER), false);
  assert.equal(state.pinnedKey(PEER), undefined);
  assert.deepEqual(state.owed().map(({ type }) => type), ["handshake_revoke"]);
  assert.equal(state.onRevoke(PEER, context), "ignored");
  state.onRequest(6, context);
  assert.equal(state.onRevoke(6, context), "ignored");
  assert.deepEqual(state.pending(), []);
});

Deno.test("trust by a common network is no consent, becomes one when asked for, or ends with it", () => {
  const member = { ...context, sharedNetwork: 3 };
  const state = new TrustState();
  state.onRequest(PEER, member);
  assert.deepEqual([state.isTrusted(PEER), state.hasConsent(PEER)], [true, false]);
  assert.equal(state.request(PEER, NOW), "trusted");
  assert.equal(state.hasConsent(PEER), true);
  assert.equal(state.endNetworkTrust(PEER, NOW), false);

  state.onRequest(6, member);
  assert.equal(state.endNetworkTrust(6, NOW), true);
  assert.equal(state.isTrusted(6), false);
  assert.equal(state.isRevoked(6), false, "another network may bring it back");
  assert.equal(state.owed().at(-1)?.type, "handshake_revoke");
});

Deno.test("doubt makes a peer be asked again and keeps it trusted", () => {
  const state = trusting();
  state.doubt(PEER);
  assert.deepEqual([state.isTrusted(PEER), state.peer(PEER)?.mutual], [true, false]);
  assert.equal(state.request(PEER, NOW), "sent");
  assert.equal(state.onAccept(PEER, context).action, "ignore");
  assert.equal(state.peer(PEER)?.mutual, true);
  assert.deepEqual(state.outgoing(), []);
});

Deno.test("a trusted peer with another key is reported and never re-pinned", () => {
  const state = trusting();
  const changed = { now: NOW, publicKey: OTHER_KEY, autoApprove: true };
  const ignored = { action: "ignore", reason: "key_changed" };
  assert.equal(
    changes(state, () => {
      assert.deepEqual(state.onRequest(PEER, changed), ignored);
      assert.deepEqual(state.onAccept(PEER, changed), ignored);
      assert.equal(state.pinKey(PEER, OTHER_KEY), "changed");
    }),
    false,
  );
  assert.deepEqual(state.pinnedKey(PEER), KEY);
});

Deno.test("pinKey fills in a missing key once", () => {
  const state = trusting(new Uint8Array(0));
  assert.equal(state.pinnedKey(PEER), undefined);
  assert.equal(state.pinKey(PEER, new Uint8Array(5)), "unknown");
  assert.equal(state.pinKey(PEER, bytes("00".repeat(32))), "unknown");
  assert.equal(changes(state, () => state.pinKey(PEER, KEY)), true);
  assert.equal(state.pinKey(PEER, KEY), "pinned");
  assert.equal(state.pinKey(PEER, OTHER_KEY), "changed");
  assert.equal(state.pinKey(99, KEY), "unknown");
});

Deno.test("a message of a trusted peer without a pinned key pins it", () => {
  for (const receive of ["onRequest", "onAccept"] as const) {
    const state = trusting(new Uint8Array(0));
    assert.equal(changes(state, () => state[receive](PEER, context)), true);
    assert.deepEqual(state.pinnedKey(PEER), KEY);
  }
});

Deno.test("bytes that are no key are not kept", () => {
  const state = new TrustState();
  state.onRequest(PEER, { now: NOW, publicKey: new Uint8Array(5) });
  assert.equal(state.pending()[0]?.publicKey, undefined);
  state.approve(PEER, { now: NOW });
  assert.equal(state.pinnedKey(PEER), undefined);
  TrustState.fromFile(state.toFile());
});

Deno.test("keys are copied when they are kept", () => {
  const state = new TrustState();
  const reused = KEY.slice();
  state.onRequest(PEER, { now: NOW, publicKey: reused, autoApprove: true });
  reused.fill(0);
  assert.deepEqual(state.pinnedKey(PEER), KEY);
});

Deno.test("approve throws not_found without a pending request", () => {
  const state = trusting();
  assert.throws(() => state.approve(99, context), hasCode("not_found"));
  assert.throws(() => state.approve(PEER, context), hasCode("not_found"));
});

Deno.test("approve throws denied when the key is not the one that asked", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  assert.throws(
    () => state.approve(PEER, { now: NOW, publicKey: OTHER_KEY }),
    hasCode("denied"),
  );
  assert.equal(state.isTrusted(PEER), false);
  state.approve(PEER, context);
  assert.deepEqual(state.pinnedKey(PEER), KEY);
});

Deno.test("approve takes the given key when the request came without one", () => {
  const state = new TrustState();
  state.onRequest(PEER, { now: NOW });
  state.approve(PEER, context);
  assert.deepEqual(state.pinnedKey(PEER), KEY);
});

Deno.test("reject drops the pending request, or throws not_found", () => {
  const state = new TrustState();
  state.onRequest(PEER, context);
  assert.equal(changes(state, () => state.reject(PEER, NOW, "no")), true);
  assert.deepEqual(state.pending(), []);
  assert.deepEqual(state.owed().map(({ type, text }) => [type, text]), [[
    "handshake_reject",
    "no",
  ]]);
  assert.throws(() => state.reject(PEER, NOW), hasCode("not_found"));
});

Deno.test("request of a trusted peer has nothing to ask", () => {
  const state = trusting();
  assert.equal(state.request(PEER, NOW), "trusted");
  assert.deepEqual(state.outgoing(), []);
});

Deno.test("revoke ends trust, withdraws a request, or throws not_found", () => {
  const state = trusting();
  state.request(6, NOW);
  state.onRequest(7, context);
  assert.equal(state.revoke(PEER, NOW), true);
  assert.equal(state.revoke(6, NOW), false);
  assert.throws(() => state.revoke(PEER, NOW), hasCode("not_found"));
  assert.throws(() => state.revoke(7, NOW), hasCode("not_found"));
  assert.equal(state.pending().length, 1, "a request is refused, not revoked");
});

Deno.test("a revoked peer is never approved automatically, nor after a restart", () => {
  let state = trusting();
  state.revoke(PEER, NOW);
  state = TrustState.fromFile(state.toFile());
  assert.equal(state.isRevoked(PEER), true);
  const ask = (now: number) =>
    state.onRequest(PEER, {
      now,
      publicKey: KEY,
      sharedNetwork: 3,
      autoApprove: true,
    }).action;
  assert.equal(ask(NOW + 1), "pending");
  assert.equal(ask(NOW + 10 * 365 * 86_400_000), "pending");
  state.approve(PEER, context);
  assert.equal(state.isRevoked(PEER), false);
});

Deno.test("our own request lifts the revocation of a peer", () => {
  const state = trusting();
  state.revoke(PEER, NOW);
  state.request(PEER, NOW + 1);
  assert.deepEqual(state.onRequest(PEER, context), {
    action: "accept",
    reason: "mutual",
  });
});

Deno.test("the revocation stays lifted after our request or our approval came to nothing", () => {
  const automatic = { ...context, autoApprove: true };
  const asked = trusting();
  asked.revoke(PEER, NOW);
  asked.request(PEER, NOW);
  asked.onReject(PEER, context);
  assert.equal(asked.onRequest(PEER, automatic).action, "accept");

  const approved = trusting();
  approved.revoke(PEER, NOW);
  approved.onRequest(PEER, automatic);
  approved.approve(PEER, context);
  approved.onRevoke(PEER, context);
  assert.equal(approved.onRequest(PEER, automatic).action, "accept");
});

Deno.test("onRequest makes the justification fit to be shown", () => {
  const state = new TrustState();
  const justification = "a\x1b[31mred\r\n\u202eevil\x9b\ud800" + "x".repeat(5000);
  state.onRequest(PEER, { now: NOW, justification });
  const shown = state.pending()[0]!.justification;
  // cspell:ignore mred
  assert.equal(shown.startsWith("a [31mred   evil \ufffdxxx"), true);
  assert.equal(shown.length, JUSTIFICATION_MAX_CHARS);
});

Deno.test("firstSight recognizes a replay, also without its sig2, until it is too old anyway", () => {
  const state = new TrustState();
  const message: HandshakeMessage = {
    type: "handshake_request",
    nodeId: PEER,
    publicKey: "",
    justification: "",
    signature: "",
    reason: "",
    timestamp: NOW / 1000,
    sig2: "x",
  };
  const { sig2: _, ...stripped } = message;
  assert.equal(state.firstSight(message, NOW), true);
  assert.equal(state.firstSight(message, NOW + 1), false);
  assert.equal(state.firstSight(stripped, NOW + REPLAY_SET_TTL_MS - 1), false);
  assert.equal(state.firstSight({ ...message, timestamp: 1 }, NOW), true);
  assert.equal(state.firstSight(message, NOW + REPLAY_SET_TTL_MS), true);
});
