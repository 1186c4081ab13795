/** The daemon's client against the registry, with signatures over whole requests. */

import assert from "node:assert/strict";
import { systemClock } from "../../../platform/system_clock.ts";
import { RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import { Identity } from "../../../protocol/crypto/mod.ts";
import { CHALLENGE_TTL_MS } from "../../../rendezvous/registry/registry_limits.ts";
import { TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

const REGISTRATION = { listenAddr: "0.0.0.0:4000", owner: "", version: "t", lanAddrs: [] };

async function withNode(
  address: string,
  pinnedKey: string | undefined,
  body: (registry: NodeRegistry, client: RegistryClient) => Promise<void>,
): Promise<void> {
  const client = new RegistryClient({ address, clock: systemClock, pinnedKey });
  try {
    await body(new NodeRegistry({ client, identity: await Identity.generate() }), client);
  } finally {
    await client.close();
  }
}

Deno.test("a daemon's requests are signed as a whole from the first on: replays of its old signatures are refused", () =>
  withServer(async ({ server, client: raw }) => {
    for (const pinned of [undefined, server.facts.registryKey]) {
      await withNode(server.registryAddr, pinned, async (registry) => {
        await registry.register(REGISTRATION);
        const node = new TestNode(registry.identity);
        node.id = registry.node;
        assert.match(await raw.fails(await node.registration()), /whole request required/);
        // Many at once, which must keep the order of their counts; one of them after another on the wire.
        await Promise.all([
          ...Array.from({ length: 20 }, () => registry.heartbeat()),
          registry.setTags(["a"]),
          registry.resolve(registry.node),
          registry.pollHandshakes(""),
          registry.network("poll_invites", {}),
        ]);
        const facts = await registry.lookup(registry.node);
        assert.deepEqual(facts["tags"], ["a"]);
      });
    }
  }));

Deno.test("a daemon continues when its challenge has expired, and after a lost connection", () =>
  withServer(async ({ server, clock }) => {
    await withNode(server.registryAddr, undefined, async (registry, client) => {
      await registry.register(REGISTRATION);
      clock.advance(CHALLENGE_TTL_MS + 1);
      await registry.heartbeat();
      client.reconnect("the test says so");
      await Promise.all([registry.setVisibility(true), registry.heartbeat()]);
      assert.equal((await registry.lookup(registry.node))["public"], true);
    });
  }));

Deno.test("a daemon that pins another key signs nothing for this registry", () =>
  withServer(async ({ server, client: raw }) => {
    const other = (await Identity.generate()).publicKeyBase64;
    await withNode(server.registryAddr, other, async (registry) => {
      registry.assume(1);
      await assert.rejects(registry.setVisibility(true), { code: "untrusted" });
      await assert.rejects(registry.register(REGISTRATION), { code: "untrusted" });
    });
    assert.match(await raw.fails({ type: "lookup", node_id: 1 }), /not found/);
  }));

Deno.test("a daemon gives the hold up when asked, and signs as the wire has it until it is started again", () =>
  withServer(async ({ server, client: raw }) => {
    await withNode(server.registryAddr, undefined, async (registry) => {
      await registry.register(REGISTRATION);
      await registry.network("release_hold", {});
      await registry.heartbeat();
      const node = new TestNode(registry.identity);
      await node.register(raw); // as an older program with the same key does
      assert.equal(node.id, registry.node);
    });
  }));
