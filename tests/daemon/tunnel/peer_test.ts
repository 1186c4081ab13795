import assert from "node:assert/strict";
import { nodeAead, NonceSequence } from "../../../protocol/crypto/mod.ts";
import { PATH_DOUBT_MS, PeerTunnel } from "../../../daemon/tunnel/peer.ts";
import { Session } from "../../../daemon/tunnel/session.ts";

const ENDPOINT = { host: "192.0.2.7", port: 4000 };

/** A session under its own key; `destroyed` notes when the key is wiped. */
function session(key: number, destroyed: number[]): Session {
  const aead = nodeAead(new Uint8Array(32).fill(key));
  const { destroy } = aead;
  aead.destroy = () => {
    destroyed.push(key);
    destroy.call(aead);
  };
  return new Session({
    peerKey: new Uint8Array(32).fill(key),
    aead,
    nonces: NonceSequence.start((out) => out.fill(key)),
    origin: { via: "direct", endpoint: ENDPOINT },
    now: 0,
  });
}

Deno.test("PeerTunnel keeps two unproven sessions and wipes the keys of older ones", () => {
  const peer = new PeerTunnel(7, 0);
  const destroyed: number[] = [];
  for (const key of [1, 2, 3, 4]) peer.addCandidate(session(key, destroyed));
  assert.deepEqual(destroyed, [1, 2]);
  assert.deepEqual(peer.candidates.map(({ peerKey }) => peerKey[0]), [4, 3]);
  assert.equal(peer.session?.peerKey[0], 4);
  peer.destroy();
  assert.deepEqual(destroyed, [1, 2, 4, 3]);
  assert.equal(peer.session, undefined);
});

Deno.test("PeerTunnel takes both paths while the first is in doubt", () => {
  const peer = new PeerTunnel(7, 0);
  peer.live = session(1, []);
  peer.heard(0, { via: "direct", endpoint: ENDPOINT });
  const ways = (now: number, canRelay = true) => peer.routes(now, canRelay).map(({ via }) => via);
  peer.sent(100, false);
  assert.deepEqual(ways(100_000), ["direct"], "a frame that nobody answers says nothing");
  peer.sent(100, true);
  peer.sent(1_000, true);
  assert.deepEqual(ways(100 + PATH_DOUBT_MS), ["direct"]);
  assert.deepEqual(ways(101 + PATH_DOUBT_MS), ["direct", "relay"]);
  assert.deepEqual(ways(101 + PATH_DOUBT_MS, false), ["direct"]);
  assert.equal(peer.heard(5_000, { via: "relay" }), true);
  assert.deepEqual(ways(5_000), ["relay"]);
  peer.sent(5_000, true);
  assert.deepEqual(ways(5_001 + PATH_DOUBT_MS), ["relay", "direct"]);
  peer.destroy();
});

Deno.test("PeerTunnel without an address has no way but the relay", () => {
  const peer = new PeerTunnel(7, 0);
  assert.deepEqual(peer.routes(0, true), [{ via: "relay" }]);
  assert.deepEqual(peer.routes(0, false), []);
});
