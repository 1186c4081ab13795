/** Signatures over whole requests against registries that the test plays: old ones, and hostile ones. */

import assert from "node:assert/strict";
import { CHALLENGE_ATTEMPTS, RegistryClient } from "../../../platform/registry_client.ts";
import { NodeRegistry } from "../../../daemon/registry/node_registry.ts";
import {
  decodeBase64,
  encodeBase64,
  Identity,
  verifySignature,
} from "../../../protocol/crypto/mod.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { wholeAuthOf, wholeRequestBytes } from "../../../protocol/registry/whole_signature.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { RegistryServer } from "../harness/registry_server.ts";

const KEY = encodeBase64(new Uint8Array(32).fill(3));

function challenge(n: number): string {
  return encodeBase64(new Uint8Array(16).fill(n));
}

function refusal(n: number, key: string = KEY): JsonObject {
  const auth = { v: 1, key, challenge: challenge(n) };
  return { type: "error", error: "signature over the whole request required: test", auth };
}

/** A node with a registry that answers as `answer` says. */
async function withRegistry(
  answer: (request: JsonObject, count: number) => JsonObject,
  body: (registry: NodeRegistry, seen: JsonObject[]) => Promise<void>,
): Promise<void> {
  await using server = new RegistryServer();
  const seen: JsonObject[] = [];
  server.auto = (request) => {
    seen.push(request);
    return answer(request, seen.length);
  };
  const client = new RegistryClient({ address: server.address, clock: new ManualClock() });
  const registry = new NodeRegistry({ client, identity: await Identity.generate() });
  registry.assume(5);
  try {
    await body(registry, seen);
  } finally {
    await client.close();
  }
}

/** Checks the signature of a request and gives its count. */
async function countOf(registry: NodeRegistry, request: JsonObject, n: number): Promise<number> {
  const auth = wholeAuthOf(request);
  assert.ok(auth !== undefined && auth !== "hello");
  assert.equal(auth.challenge, challenge(n));
  assert.equal(auth.key, registry.identity.publicKeyBase64);
  const bytes = wholeRequestBytes(KEY, challenge(n), auth.seq, request);
  assert.ok(await verifySignature(registry.identity.publicKey, bytes!, auth.signature));
  return auth.seq;
}

Deno.test("an old registry sees the wire's signature, and a field that it does not know", () =>
  withRegistry(() => ({ type: "ok" }), async (registry, seen) => {
    await registry.setVisibility(true);
    await registry.lookup(7);
    await registry.network("list_networks", {});
    const [first, second, unsigned] = seen;
    for (const signed of [first, second]) {
      assert.deepEqual(signed?.auth, { v: 1 });
      assert.equal(typeof signed?.signature, "string");
    }
    assert.equal(unsigned?.auth, undefined);
  }));

Deno.test("a refused request is signed under the challenge, later ones at once, counting up", () =>
  withRegistry(
    ({ auth }) => "sig" in (auth as object) ? { type: "ok" } : refusal(1),
    async (registry, seen) => {
      await registry.setVisibility(true);
      await Promise.all([registry.setTags(["a"]), registry.heartbeat(), registry.heartbeat()]);
      assert.equal(seen.length, 5);
      const counts = [];
      for (const request of seen.slice(1)) counts.push(await countOf(registry, request, 1));
      assert.deepEqual(counts, [1, 2, 3, 4]);
    },
  ));

Deno.test("a new challenge begins a new count", () =>
  withRegistry(
    (_request, count) => count === 1 ? refusal(1) : count === 3 ? refusal(2) : { type: "ok" },
    async (registry, seen) => {
      await registry.heartbeat();
      await registry.heartbeat();
      await registry.heartbeat();
      assert.equal(await countOf(registry, seen[1]!, 1), 1);
      assert.equal(await countOf(registry, seen[2]!, 1), 2);
      assert.equal(await countOf(registry, seen[3]!, 2), 1);
      assert.equal(await countOf(registry, seen[4]!, 2), 2);
    },
  ));

Deno.test("a registry that always wants another challenge is given up on", () =>
  withRegistry((_request, count) => refusal(count), async (registry, seen) => {
    await assert.rejects(registry.heartbeat(), {
      code: "protocol_error",
      message: /whole request required/,
    });
    assert.equal(seen.length, CHALLENGE_ATTEMPTS);
  }));

Deno.test("a refusal of every signature is not taken for a pair that is not there", () =>
  withRegistry((_request, count) => refusal(count), async (registry) => {
    await assert.rejects(registry.revokeTrust(7, ""), { code: "protocol_error" });
    await assert.rejects(registry.resolve(7), { code: "protocol_error" });
  }));

Deno.test("a registry that names another key on the same connection gets no signature for it", () =>
  withRegistry(
    (_request, count) =>
      count === 1 ? refusal(1) : refusal(2, encodeBase64(new Uint8Array(32).fill(4))),
    async (registry, seen) => {
      await assert.rejects(registry.heartbeat(), { code: "untrusted" });
      assert.equal(seen.length, 2);
    },
  ));

Deno.test("NodeRegistry signs for each change of a network by role, and for the node concerned", () =>
  withRegistry(() => ({ type: "ok" }), async (registry, seen) => {
    await registry.network("kick_member", { network_id: 3, target_node_id: 8, ban: true });
    await registry.network("transfer_ownership", { network_id: 3, new_owner_id: 8 });
    await registry.network("list_nodes", { network_id: 3 });
    const { publicKey } = registry.identity;
    for (const [index, text] of ["kick_member:5:3:8", "transfer_ownership:5:3:8"].entries()) {
      const signature = decodeBase64(String(seen[index]?.signature))!;
      assert.ok(await verifySignature(publicKey, new TextEncoder().encode(text), signature), text);
      assert.equal(seen[index]?.node_id, 5);
    }
    assert.equal(seen[0]?.ban, true);
    assert.deepEqual(seen[2], { type: "list_nodes", network_id: 3, node_id: 5, auth: { v: 1 } });
  }));
