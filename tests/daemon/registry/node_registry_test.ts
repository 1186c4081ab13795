import assert from "node:assert/strict";
import { configureLog, resetLog } from "../../../platform/log.ts";
import { RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import {
  decodeBase64,
  encodeBase64,
  Identity,
  verifySignature,
} from "../../../protocol/crypto/mod.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { challenges } from "../../rendezvous/support/challenges.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { RegistryServer } from "../harness/registry_server.ts";

async function withRegistry(
  body: (parts: { registry: NodeRegistry; server: RegistryServer; seen: JsonObject[] }) => Promise<
    void
  >,
): Promise<void> {
  await using server = new RegistryServer();
  const seen: JsonObject[] = [];
  server.auto = (request) => {
    seen.push(request);
    return { type: "ok" };
  };
  const client = new RegistryClient({ address: server.address, clock: new ManualClock() });
  const registry = new NodeRegistry({ client, identity: await Identity.generate() });
  try {
    await body({ registry, server, seen });
  } finally {
    await client.close();
  }
}

Deno.test("NodeRegistry signs each request over its challenge", () =>
  withRegistry(async ({ registry, seen }) => {
    registry.assume(5);
    const { publicKey, publicKeyBase64 } = registry.identity;
    const expected: [() => Promise<unknown>, string, Uint8Array][] = [
      [() => registry.heartbeat(), "heartbeat", challenges.heartbeat(5)],
      [() => registry.resolve(7), "resolve", challenges.resolve(5, 7)],
      [() => registry.reportTrust(7), "report_trust", challenges.reportTrust(5, 7)],
      [() => registry.revokeTrust(7, "m"), "revoke_trust", challenges.revokeTrust(5, 7)],
      [
        () => registry.requestHandshake(7, "x", "m"),
        "request_handshake",
        challenges.handshake(5, 7),
      ],
      [() => registry.pollHandshakes(""), "poll_handshakes", challenges.pollHandshakes(5)],
      [
        () => registry.respondHandshake(7, true, "m"),
        "respond_handshake",
        challenges.respondHandshake(5, 7),
      ],
      [() => registry.setHostname("h"), "set_hostname", challenges.setHostname(5)],
      [() => registry.setVisibility(true), "set_visibility", challenges.setVisibility(5)],
      [() => registry.setTags(["t"]), "set_tags", challenges.setTags(5)],
      [() => registry.lookup(7), "lookup", challenges.lookup(5, 7)],
      [() => registry.checkTrust(7), "check_trust", challenges.checkTrust(5, 5, 7)],
      [() => registry.deregister(), "deregister", challenges.deregister(5)],
      [
        () => registry.resolveHostname("h"),
        "resolve_hostname",
        challenges.resolveHostname(5, "h"),
      ],
      [
        () =>
          registry.register({
            listenAddr: "1.2.3.4:5",
            owner: "",
            version: "1",
            lanAddrs: [],
          }).catch(() => {}),
        "register",
        challenges.register("1.2.3.4:5", publicKeyBase64),
      ],
    ];
    for (const [call, type, challenge] of expected) {
      await call();
      const request = seen.at(-1)!;
      assert.equal(request.type, type);
      const signature = decodeBase64(String(request.signature))!;
      assert.ok(await verifySignature(publicKey, challenge, signature), type);
    }
  }));

Deno.test("NodeRegistry.register remembers the number, and refuses an answer without one", () =>
  withRegistry(async ({ registry, server }) => {
    const registration = { listenAddr: "1.2.3.4:5", owner: "o", version: "1", lanAddrs: ["a:1"] };
    await assert.rejects(registry.register(registration), { code: "protocol_error" });
    assert.equal(registry.node, 0);
    server.auto = () => ({ node_id: 42 });
    await registry.register(registration);
    assert.equal(registry.node, 42);
  }));

Deno.test("NodeRegistry asks for nothing in its name before it has one", () =>
  withRegistry(async ({ registry, seen }) => {
    for (
      const call of [
        () => registry.setHostname("h"),
        () => registry.setVisibility(true),
        () => registry.setTags([]),
        () => registry.deregister(),
      ]
    ) {
      await assert.rejects((async () => await call())(), { code: "unavailable" });
    }
    assert.deepEqual(seen, []);
  }));

Deno.test("NodeRegistry.lookupKey gives the key, and undefined for an unknown node or an invalid key", () =>
  withRegistry(async ({ registry, server }) => {
    const key = registry.identity.publicKey;
    server.auto = () => ({ public_key: encodeBase64(key) });
    assert.deepEqual(await registry.lookupKey(7), key);
    server.auto = () => ({ error: "node not found" });
    assert.equal(await registry.lookupKey(7), undefined);
    server.auto = () => ({ public_key: "###" });
    assert.equal(await registry.lookupKey(7), undefined);
    server.auto = () => ({ error: "rate limited" });
    await assert.rejects(registry.lookupKey(7), { code: "limit_exceeded" });
  }));

Deno.test("NodeRegistry.resolve explains a refusal as missing trust", () =>
  withRegistry(async ({ registry, server }) => {
    registry.assume(5);
    server.auto = () => ({ real_addr: "1.2.3.4:5", lan_addrs: ["10.0.0.1:5", 7] });
    const found = await registry.resolve(7);
    assert.equal(found.realAddr, "1.2.3.4:5");
    assert.ok(found.lanAddrs.includes("10.0.0.1:5"));
    server.auto = () => ({ error: "resolve: access denied" });
    await assert.rejects(registry.resolve(7), {
      code: "untrusted",
      advice: { id: "ask_trust", node: 7 },
    });
    server.auto = () => ({ error: "node not found" });
    await assert.rejects(registry.resolve(7), { code: "not_found" });
  }));

Deno.test("NodeRegistry takes what is so already for done", () =>
  withRegistry(async ({ registry, server }) => {
    registry.assume(5);
    server.auto = () => ({ error: "access denied" });
    await registry.revokeTrust(7, "");
    await assert.rejects(registry.reportTrust(7), { code: "denied" });
    server.auto = () => ({ error: "handshake already pending" });
    await registry.requestHandshake(7, "", "");
    server.auto = () => ({ trusted: true });
    assert.equal(await registry.checkTrust(7), true);
    server.auto = () => ({ trusted: "yes" });
    assert.equal(await registry.checkTrust(7), false);
  }));

Deno.test("NodeRegistry names its run, and reports once another process with its key", () =>
  withRegistry(async ({ registry, server, seen }) => {
    const lines: string[] = [];
    configureLog({ write: (line) => lines.push(line) });
    try {
      registry.assume(5);
      let clash: unknown;
      server.auto = (request) => {
        seen.push(request);
        return { node_id: 5, clash } as JsonObject;
      };
      await registry.register({ listenAddr: ":1", owner: "", version: "v", lanAddrs: [] });
      for (const bad of [7, [], {}, { addr: 1, since: 2 }, { addr: "a", since: -1 }, null]) {
        clash = bad;
        await registry.heartbeat();
        assert.equal(registry.clash, undefined);
      }
      clash = { addr: "192.0.2.7", since: 1_767_323_045 };
      await registry.heartbeat();
      await registry.heartbeat();
      assert.deepEqual(registry.clash, clash);
      const told =
        /level=error .*another process uses this identity at 192\.0\.2\.7 since 2026-01-02T03:04:05Z/;
      assert.equal(lines.filter((line) => told.test(line)).length, 1, lines.join(""));
      clash = undefined;
      await registry.heartbeat();
      assert.equal(registry.clash, undefined);
      assert.match(lines.at(-1)!, /no other process uses this identity any more/);
      const runs = new Set(seen.map(({ instance }) => instance));
      assert.equal(runs.size, 1);
      assert.match(String([...runs][0]), /^[0-9a-f]{16}$/);
    } finally {
      resetLog();
    }
  }));
