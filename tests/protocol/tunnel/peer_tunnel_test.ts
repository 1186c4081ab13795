import assert from "node:assert/strict";
import { nodeAead, NonceSequence } from "../../../protocol/crypto/mod.ts";
import { PeerTunnel } from "../../../protocol/tunnel/peer_tunnel.ts";
import { PILS_OVERHEAD_BYTES } from "../../../protocol/tunnel/frame.ts";
import { PATH_DOUBT_MS } from "../../../protocol/path/mod.ts";
import { Session } from "../../../protocol/tunnel/tunnel_session.ts";

const ENDPOINT = { host: "192.0.2.7", port: 4000 };

const PATHS = { mode: "auto", random: (out: Uint8Array) => void out.fill(7) } as const;

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
    expectsKeepalives: false,
    now: 0,
  });
}

/** Gives a peer a session, and proves it by a frame. */
function prove(peer: PeerTunnel, key: number): void {
  peer.addCandidate(session(key, []));
  const frame = new Uint8Array(PILS_OVERHEAD_BYTES);
  session(key, []).seal(frame, 0, peer.node, 0);
  assert.equal(peer.open(frame, 0).promoted, true);
}

Deno.test("PeerTunnel keeps two unproven sessions and wipes the keys of older ones", () => {
  const peer = new PeerTunnel(7, 0, PATHS);
  const destroyed: number[] = [];
  for (const key of [1, 2, 3, 4]) peer.addCandidate(session(key, destroyed));
  assert.deepEqual(destroyed, [1, 2]);
  assert.deepEqual(peer.candidates.map(({ peerKey }) => peerKey[0]), [4, 3]);
  assert.equal(peer.session?.peerKey[0], 4);
  peer.destroy();
  assert.deepEqual(destroyed, [1, 2, 4, 3]);
  assert.equal(peer.session, undefined);
});

Deno.test("PeerTunnel takes both paths while the one in use is in doubt, and one for what must not come twice", () => {
  const peer = new PeerTunnel(7, 0, PATHS);
  prove(peer, 1);
  peer.paths.heard({ via: "direct", endpoint: ENDPOINT }, 0, true);
  const routes = (now: number, canRelay = true, isOnce = false) =>
    peer.routes(now, canRelay, isOnce).map(({ via }) => via);
  peer.paths.sent(100, false, true);
  assert.deepEqual(routes(100_000), ["direct"], "a frame that nobody answers says nothing");
  peer.paths.sent(100, true, true);
  peer.paths.sent(1_000, true, true);
  assert.deepEqual(routes(100 + PATH_DOUBT_MS), ["direct"]);
  assert.deepEqual(routes(101 + PATH_DOUBT_MS), ["direct", "relay"]);
  assert.deepEqual(routes(101 + PATH_DOUBT_MS, true, true), ["relay"]);
  assert.deepEqual(routes(101 + PATH_DOUBT_MS, false), ["direct"]);
  peer.destroy();
});

Deno.test("PeerTunnel without an address has no path but the relay", () => {
  const peer = new PeerTunnel(7, 0, PATHS);
  assert.deepEqual(peer.routes(0, true), [{ via: "relay" }]);
  assert.deepEqual(peer.routes(0, false), []);
});

Deno.test("PeerTunnel takes no path that its mode forbids", () => {
  const hidden = new PeerTunnel(7, 0, { ...PATHS, mode: "relay-only" });
  hidden.paths.add("public", ENDPOINT);
  assert.deepEqual(hidden.routes(0, true), [{ via: "relay" }]);
  assert.deepEqual(hidden.routes(0, false), []);
  const straight = new PeerTunnel(7, 0, { ...PATHS, mode: "no-relay" });
  assert.deepEqual(straight.routes(0, true), []);
  straight.paths.add("public", ENDPOINT);
  assert.deepEqual(straight.routes(0, true), [{ via: "direct", endpoint: ENDPOINT }]);
});
