/** What others say in a peer's name, and what the registry says of it: none of that counts. */

import assert from "node:assert/strict";
import { Identity } from "../../../protocol/crypto/mod.ts";
import { type HandshakeFields, signHandshake } from "../../../protocol/trust/mod.ts";
import { type TrustHub, TrustNode } from "../harness/trust.ts";
import { befriend, withPair } from "../harness/trust_pair.ts";
import type { World } from "../harness/world.ts";

function fields(node: TrustNode, to: TrustNode): HandshakeFields {
  return {
    type: "handshake_request",
    from: node.node,
    to: to.node,
    timestamp: Math.floor(node.unixNow() / 1000),
    justification: "please",
  };
}

Deno.test("TrustService drops forged messages", async (t) => {
  const cases: Record<
    string,
    (parts: { world: World; hub: TrustHub; a: TrustNode; b: TrustNode }) => Promise<unknown>
  > = {
    wrong_sender: async ({ a, b }) =>
      await a.send(7, await signHandshake(a.net.identity, { ...fields(a, b), from: 9 })),
    key_mismatch: async ({ a, b }) =>
      await a.send(7, await signHandshake(await Identity.generate(), fields(a, b))),
    bad_signature: async ({ a, b }) => {
      const message = await signHandshake(a.net.identity, { ...fields(a, b), to: 8 });
      await a.send(7, message);
    },
    bad_content_signature: async ({ a, b }) => {
      const message = await signHandshake(a.net.identity, fields(a, b));
      await a.send(7, { ...message, type: "handshake_accept" });
    },
    expired: async ({ a, b }) => {
      const timestamp = Math.floor(a.unixNow() / 1000) - 301;
      await a.send(7, await signHandshake(a.net.identity, { ...fields(a, b), timestamp }));
    },
    no_key: async ({ a, b }) => {
      const message = await signHandshake(a.net.identity, fields(a, b));
      await a.send(7, { ...message, publicKey: "" });
    },
    replay: async ({ a, b }) => {
      const message = await signHandshake(a.net.identity, fields(a, b));
      await a.send(7, message);
      b.state.reject(5, b.unixNow());
      await a.send(7, message);
    },
    "registry not reachable": async ({ hub, a, b }) => {
      const message = await signHandshake(a.net.identity, fields(a, b));
      hub.isDown = true;
      await a.send(7, message);
    },
    "handshake message does not start with a brace": ({ a }) =>
      a.sendBytes(7, new TextEncoder().encode("[1,2,3]")),
  };
  for (const [reason, send] of Object.entries(cases)) {
    await t.step(reason, () =>
      withPair({ b: { isPublic: true } }, async (parts) => {
        await send(parts);
        const { b } = parts;
        assert.deepEqual(b.refusals, [reason]);
        assert.equal(b.service.pendingCount, 0);
        assert.deepEqual(b.service.trusted(), []);
      }));
  }
});

Deno.test("TrustService takes no accept that nobody asked for, and no revoke of others", () =>
  withPair({ a: { isPublic: true }, b: { isPublic: true } }, async ({ world, hub, a, b }) => {
    const c = await TrustNode.start(hub, 9, { isPublic: true });
    await befriend(world, a, b);
    const accept = { ...fields(c, b), type: "handshake_accept" as const };
    await c.send(7, await signHandshake(c.net.identity, accept));
    assert.ok(!b.state.isTrusted(9));
    const revoke = { ...fields(a, b), type: "handshake_revoke" as const };
    await c.send(7, await signHandshake(c.net.identity, revoke));
    await c.send(7, await signHandshake(c.net.identity, { ...revoke, from: 9 }));
    assert.ok(b.state.isTrusted(5));
    // Nor through the registry.
    hub.put(7, "responses", { from_node_id: 9, accept: true });
    b.service.poll();
    await world.run(1_000);
    assert.ok(!b.state.isTrusted(9));
    await world.clock.finish(c.service.stop());
  }));

Deno.test("TrustService keeps the pinned key of a trusted peer whatever the registry says", () =>
  withPair({ b: { isPublic: true } }, async ({ world, a, b }) => {
    await befriend(world, a, b);
    const other = await Identity.generate();
    world.directory.keys.set(5, other.publicKey);
    await a.send(7, await signHandshake(other, fields(a, b)));
    assert.deepEqual(b.refusals, ["key_changed"]);
    assert.deepEqual(b.state.pinnedKey(5), a.net.identity.publicKey);
    assert.ok(b.state.isTrusted(5));
  }));

Deno.test("TrustService does not end trust when only the registry says that the peer has refused", () =>
  withPair({}, async ({ world, hub, a, b }) => {
    await befriend(world, a, b);
    a.state.doubt(7);
    await world.clock.finish(a.service.request(7, ""));
    hub.put(5, "responses", { from_node_id: 7, accept: false });
    a.service.poll();
    await world.run(5_000);
    assert.ok(a.state.isTrusted(7));
    assert.ok(b.state.isTrusted(5));
  }));
