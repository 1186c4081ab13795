/**
 * Every key that a tunnel derives is destroyed when it is given up, whatever the reason: `node:crypto` keeps what belongs
 * to one that is not until the process ends (the sanitizers see that, too).
 */

import assert from "node:assert/strict";
import { type Aead, KeyPair } from "../../../protocol/crypto/mod.ts";
import { wasmAead } from "../../../protocol/crypto/aead_wasm.ts";
import { encodePila, pilaChallenge } from "../../../protocol/tunnel/frame.ts";
import { PREVIOUS_KEY_GRACE_MS } from "../../../protocol/tunnel/peer_tunnel.ts";
import { IDLE_PEER_MS, MAX_PROBES } from "../../../protocol/tunnel/tunnel_limits.ts";
import type { TestNode } from "../harness/node.ts";
import { settle } from "../../support/settle.ts";
import { datagram, World } from "../harness/world.ts";

/** Keys that are not destroyed. */
class KeyRing {
  readonly live = new Set<Aead>();
  made = 0;

  readonly factory = (key: Uint8Array): Aead => {
    const aead = wasmAead(key);
    const { live } = this;
    const counted: Aead = {
      name: aead.name,
      seal: (nonce, aad, buf, offset, length) => aead.seal(nonce, aad, buf, offset, length),
      open: (nonce, aad, buf, offset, length) => aead.open(nonce, aad, buf, offset, length),
      destroy() {
        live.delete(counted);
        aead.destroy();
      },
    };
    live.add(counted);
    this.made++;
    return counted;
  };
}

/** A node 5 whose keys are counted, and a node 7. */
async function pair(world: World): Promise<{ keys: KeyRing; a: TestNode; b: TestNode }> {
  const keys = new KeyRing();
  const a = await world.node(5, { aead: keys.factory });
  return { keys, a, b: await world.node(7) };
}

/** A PILA of `node` with a new key that nobody will prove. */
async function pila({ node, identity }: TestNode): Promise<Uint8Array> {
  const x25519 = (await KeyPair.generate()).publicKey;
  const signature = await identity.sign(pilaChallenge(node, x25519));
  return encodePila({ sender: node, x25519, ed25519: identity.publicKey, signature });
}

Deno.test("Tunnels destroys its keys when it is closed, and when a peer is removed", async () => {
  await using world = new World();
  const { keys, a, b } = await pair(world);
  await world.meet(a, b);
  assert.equal(keys.live.size, 1);
  a.tunnels.remove(7);
  assert.equal(keys.live.size, 0);
  await world.meet(a, b);
  assert.equal(keys.live.size, 1);
  await a.kill();
  assert.equal(keys.live.size, 0);
});

Deno.test("Tunnels derives no key when a verification ends after it was closed, and says nothing of it", async () => {
  await using world = new World();
  const { keys, a, b } = await pair(world);
  world.directory.hold(7);
  world.net.inject(await pila(b), b.endpoint, a.endpoint);
  await world.run(10);
  assert.deepEqual(world.directory.asked, ["lookup 7"]);
  await a.kill();
  world.directory.release(7);
  await settle();
  // The library of the cipher may be unloaded by then.
  assert.equal(keys.made, 0);
  assert.deepEqual(a.logs, []);
});

Deno.test("Tunnels destroys a key when it is closed before anybody has taken it", async () => {
  await using world = new World();
  const keys = new KeyRing();
  const a = await world.node(5, {
    aead: (key) => {
      queueMicrotask(() => a.tunnels.close());
      return keys.factory(key);
    },
  });
  const b = await world.node(7);
  world.net.inject(await pila(b), b.endpoint, a.endpoint);
  await world.clock.until(() => keys.made === 1);
  await settle();
  assert.equal(keys.live.size, 0);
  assert.deepEqual(a.tunnels.list(), []);
});

Deno.test("Tunnels destroys the key before the last when its grace is over", async () => {
  await using world = new World();
  const { keys, a, b } = await pair(world);
  let peer = b;
  await world.meet(a, peer);
  for (let restarts = 0; restarts < 4; restarts++) {
    peer = await peer.restart();
    await world.meet(peer, a);
    assert.equal(keys.live.size, 2);
  }
  assert.equal(keys.made, 5);
  await world.run(PREVIOUS_KEY_GRACE_MS + 6_000);
  assert.equal(keys.live.size, 1);
});

for (const isKnown of [true, false]) {
  const who = isKnown ? "a peer beside a live session" : "a peer without one";
  Deno.test(`Tunnels destroys keys that nobody proves, of ${who}`, async () => {
    await using world = new World();
    const { keys, a, b } = await pair(world);
    if (isKnown) await world.meet(a, b);
    else await b.kill();
    for (let i = 0; i < 8; i++) {
      world.net.inject(await pila(b), b.endpoint, a.endpoint);
      await world.run(20);
    }
    assert.equal(keys.made, isKnown ? 9 : 8);
    assert.equal(keys.live.size, isKnown ? 3 : 2);
    // Challenges to each end after some seconds; an unproven tunnel is forgotten when it is idle.
    await world.run(isKnown ? MAX_PROBES * 2_000 : IDLE_PEER_MS + 10_000);
    assert.equal(keys.live.size, isKnown ? 1 : 0);
    if (!isKnown) assert.deepEqual(a.tunnels.list(), []);
  });
}

Deno.test("Tunnels destroys the key of a peer that is removed while its packet is handled", async () => {
  await using world = new World();
  const { keys, a, b } = await pair(world);
  await world.meet(a, b);
  // The first packet under a new key, so that the session is proven by the very frame that ends it.
  const restarted = await b.restart();
  a.datagrams.onDatagram(() => a.tunnels.remove(7));
  restarted.send(datagram(restarted, a, "farewell"));
  await world.clock.finish(restarted.tunnels.ensure(5));
  restarted.send(datagram(restarted, a, "farewell"));
  await world.clock.until(() => keys.made >= 2 && keys.live.size === 0);
  await world.meet(a, restarted);
  assert.equal(keys.live.size, 1);
});
