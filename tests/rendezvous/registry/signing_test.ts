/** Signed answers: who gets them, over what, and with which key (protocol/registry/signed_answer.ts). */

import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeBase64, encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { challenges } from "../support/challenges.ts";
import { answerProblem, SIGN_NONCE_BYTES } from "../../../protocol/registry/signed_answer.ts";
import { RawClient, registered, type Reply, TestNode } from "../support/client.ts";
import { start, withDirectory, withServer } from "../support/server.ts";

function nonce(): string {
  return encodeBase64(crypto.getRandomValues(new Uint8Array(SIGN_NONCE_BYTES)));
}

/** Asks for a signed answer and checks it. */
async function signed(client: RawClient, key: string, request: object): Promise<Reply> {
  const asked = { ...request, sign: nonce() };
  const reply = await client.call(asked);
  assert.equal(await answerProblem(decodeBase64(key)!, asked, reply), undefined);
  return reply;
}

Deno.test("the registry signs what decides about peers, refusals included", () =>
  withServer(async ({ server, client, clock }) => {
    const { registryKey } = server.facts;
    const node = await TestNode.create();
    const reply = await signed(client, registryKey, await node.registration());
    assert.equal(reply["type"], "register_ok");
    node.id = Number(reply["node_id"]);
    const peer = await registered(client);
    const id = node.id;
    const signature = await node.sign(challenges.setVisibility(id));
    await client.ok({ type: "set_visibility", node_id: id, public: true, signature });
    const looked = await signed(client, registryKey, { type: "lookup", node_id: id });
    assert.equal(looked["public_key"], node.identity.publicKeyBase64);
    assert.equal((looked["signed"] as Reply)["time"], Math.floor(clock.unixNow() / 1000));
    const resolved = await signed(client, registryKey, {
      type: "resolve",
      node_id: id,
      requester_id: peer.id,
      signature: await peer.sign(challenges.resolve(peer.id, id)),
    });
    assert.equal(resolved["real_addr"], "127.0.0.1:4000");
    for (
      const refused of [
        { type: "lookup", node_id: 4_000_000 },
        { type: "resolve", node_id: id, requester_id: peer.id },
        { type: "resolve_hostname", hostname: "nobody" },
      ]
    ) assert.equal((await signed(client, registryKey, refused))["type"], "error");
    const asked = { type: "lookup", node_id: 4_000_000, sign: nonce() };
    const absent = await client.call(asked);
    assert.equal(absent["code"], "not_found");
    const forged = { ...absent, code: "denied" };
    const { code: _, ...without } = absent;
    for (const changed of [forged, without]) {
      assert.match(
        await answerProblem(decodeBase64(registryKey)!, asked, changed) ?? "",
        /does not verify/,
        "the code is signed, too",
      );
    }
    const trust = { type: "check_trust", node_id: id, peer_id: peer.id };
    assert.equal((await signed(client, registryKey, trust))["trusted"], false);
  }));

Deno.test("the registry signs nothing for clients that do not ask, or ask badly", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const lookup = { type: "lookup", node_id: node.id };
    for (const sign of [undefined, "", 7, "###", encodeBase64(new Uint8Array(8))]) {
      assert.ok(!("signed" in await client.ok({ ...lookup, sign })));
    }
    const signature = await node.sign(challenges.heartbeat(node.id));
    const heartbeat = { type: "heartbeat", node_id: node.id, signature };
    assert.ok(!("signed" in await client.ok({ ...heartbeat, sign: nonce() })));
  }));

Deno.test("the registry signs answers passed through the binary mode", () =>
  withServer(async ({ server }) => {
    using client = await RawClient.open(server.registryAddr);
    const request = { type: "lookup", node_id: 9, sign: nonce() };
    const body = new TextEncoder().encode(JSON.stringify(request));
    const frame = new Uint8Array([0x50, 0x49, 0x4c, 0x54, 1, 0, 0, 0, 1 + body.length, 0, ...body]);
    await client.write(frame);
    const reply = await client.readFrame();
    assert.equal(reply?.[0], 0);
    const value = JSON.parse(new TextDecoder().decode(reply.subarray(1)));
    const key = decodeBase64(server.facts.registryKey)!;
    assert.equal(await answerProblem(key, request, value), undefined);
  }));

Deno.test("the registry's key is private and survives restarts", () =>
  withDirectory(async (directory) => {
    const keyOf = async () => {
      await using server = await start({ store: directory });
      return server.facts.registryKey;
    };
    const first = await keyOf();
    assert.equal(await keyOf(), first);
    const path = join(directory, "registry.json");
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    }
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, text.slice(0, 40));
    await assert.rejects(start({ store: directory }), {
      code: "invalid_argument",
      message: /registry\.json is damaged/,
    });
    assert.equal(await Deno.readTextFile(path), text.slice(0, 40), "it is left as it is");
    await Deno.writeTextFile(path, text);
    assert.equal(await keyOf(), first);
    await using memory = await start();
    assert.notEqual(memory.facts.registryKey, first);
  }));
