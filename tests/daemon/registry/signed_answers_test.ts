/** A daemon that pins the registry's key, and somebody on the path between them. */

import assert from "node:assert/strict";
import { RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import { encodeBase64, Identity } from "../../../protocol/crypto/mod.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { RawClient, TestNode } from "../../rendezvous/support/client.ts";
import { start } from "../../rendezvous/support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { RegistryServer } from "../harness/registry_server.ts";

type Change = (reply: JsonObject, request: JsonObject) => JsonObject;

/** A daemon's registry client behind a path that changes requests and replies as it likes. */
async function onTamperedPath(
  body: (parts: {
    registry: NodeRegistry;
    client: RegistryClient;
    peer: TestNode;
    path: { request: (request: JsonObject) => JsonObject; reply: Change };
  }) => Promise<void>,
): Promise<void> {
  await using server = await start();
  using upstream = await RawClient.open(server.registryAddr);
  const peer = await TestNode.create();
  await peer.register(upstream);
  const path = { request: (request: JsonObject) => request, reply: (reply: JsonObject) => reply };
  await using played = new RegistryServer();
  let isOver = false;
  const relaying = (async () => {
    for (;;) {
      const { request, connection } = await played.next();
      if (isOver) return;
      const reply = await upstream.call(path.request(request));
      await connection.reply((path.reply as Change)(reply, request));
    }
  })();
  const clock = new ManualClock();
  const pinnedKey = server.facts.registryKey;
  const client = new RegistryClient({ address: played.address, clock, pinnedKey });
  const registry = new NodeRegistry({ client, identity: await Identity.generate() });
  try {
    await body({ registry, client, peer, path });
  } finally {
    isOver = true;
    const last = client.request({ type: "end" }).catch(() => {}); // wakes the relay, which ends instead
    await relaying;
    await client.close();
    await last;
  }
}

const REGISTRATION = { listenAddr: "1.2.3.4:5", owner: "", version: "1", lanAddrs: [] };

Deno.test("a daemon with a pinned key believes the registry on an honest path", () =>
  onTamperedPath(async ({ registry, peer }) => {
    await registry.register(REGISTRATION);
    assert.notEqual(registry.node, 0);
    assert.deepEqual(await registry.lookupKey(peer.id), peer.identity.publicKey);
    assert.equal(await registry.lookupKey(4_000_000), undefined);
    assert.equal(await registry.checkTrust(peer.id), false);
    await assert.rejects(registry.resolve(peer.id), { code: "untrusted", message: /mutual trust/ });
    await registry.heartbeat(); // not signed, and it need not be
  }));

Deno.test("a daemon with a pinned key refuses every answer that was changed, repeated or made up", () =>
  onTamperedPath(async ({ registry, client, peer, path }) => {
    await registry.register(REGISTRATION);
    const { node } = registry;
    const refused = async (reply: Change, call: () => Promise<unknown>, message = /verify/) => {
      path.reply = reply as typeof path.reply;
      await assert.rejects(call(), {
        code: "untrusted",
        message,
        advice: { id: "compare_registry_key" },
      });
    };
    const mine = encodeBase64((await Identity.generate()).publicKey);
    const lookup = () => registry.lookupKey(peer.id);
    await refused((reply) => ({ ...reply, public_key: mine }), lookup);
    await refused((reply) => ({ ...reply, networks: [0, 7] }), lookup);
    await refused(() => ({ type: "error", error: "node not found" }), lookup, /not signed/);
    await refused(({ signed: _, ...reply }) => reply, lookup, /not signed/);
    await refused((reply) => ({ ...reply, trusted: true }), () => registry.checkTrust(peer.id));
    await refused(
      ({ signed }) => ({ type: "resolve_ok", node_id: peer.id, real_addr: "6.6.6.6:6", signed }),
      () => registry.resolve(peer.id),
    );
    await refused(
      (reply) => ({ ...reply, node_id: peer.id }),
      () => registry.register(REGISTRATION),
    );
    assert.equal(registry.node, node, "what was refused has changed nothing");
    let earlier: JsonObject | undefined;
    path.reply = (reply) => earlier ??= reply;
    await client.request({ type: "lookup", node_id: peer.id });
    await refused(() => earlier!, lookup);
  }));

Deno.test("a daemon with a pinned key notices that its question was changed", () =>
  onTamperedPath(async ({ registry, peer, path }) => {
    await registry.register(REGISTRATION);
    path.request = (request) => ({ ...request, node_id: registry.node });
    await assert.rejects(registry.lookupKey(peer.id), { code: "untrusted", message: /verify/ });
  }));

Deno.test("a daemon with a pinned key refuses a registry that has another one or signs nothing", async () => {
  await using server = await start();
  const pinnedKey = (await Identity.generate()).publicKeyBase64;
  const clock = new ManualClock();
  const client = new RegistryClient({ address: server.registryAddr, clock, pinnedKey });
  const lookup = { type: "lookup", node_id: 1 };
  await assert.rejects(client.request(lookup), { code: "untrusted", message: /another key/ });
  await client.close();
  await using played = new RegistryServer();
  played.auto = () => ({ type: "lookup_ok", node_id: 1 });
  const old = new RegistryClient({ address: played.address, clock, pinnedKey });
  await assert.rejects(old.request(lookup), { code: "untrusted", message: /not signed/ });
  await old.close();
});

Deno.test("RegistryClient asks for no signatures without a pinned key, and takes only keys", async () => {
  await using played = new RegistryServer();
  played.auto = (request) => ({ type: "ok", asked: "sign" in request });
  const clock = new ManualClock();
  const client = new RegistryClient({ address: played.address, clock });
  assert.equal((await client.request({ type: "lookup" })).asked, false);
  await client.close();
  for (
    const pinnedKey of ["", "x", encodeBase64(new Uint8Array(32)), encodeBase64(new Uint8Array(31))]
  ) {
    assert.throws(() => new RegistryClient({ address: "127.0.0.1:1", clock, pinnedKey }), {
      code: "invalid_argument",
    });
  }
});
