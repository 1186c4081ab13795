/**
 * Every signed request, in both modes: good, unsigned, malformed, wrongly signed, signed by a stranger
 * (docs/protocol/registry.md §2.1).
 */

import assert from "node:assert/strict";
import { challenges } from "../support/challenges.ts";
import { RawClient, registered, type Reply, TestNode } from "../support/client.ts";
import { withServer } from "../support/server.ts";

interface Case {
  readonly type: string;
  readonly challenge: (node: number, peer: number) => Uint8Array;
  readonly fields: (node: number, peer: number) => object;
}

const own = (node: number) => ({ node_id: node });
const pair = (node: number, peer: number) => ({ node_id: node, peer_id: peer });

const CASES: readonly Case[] = [
  { type: "heartbeat", challenge: challenges.heartbeat, fields: own },
  {
    type: "resolve",
    challenge: challenges.resolve,
    fields: (node, peer) => ({ node_id: peer, requester_id: node }),
  },
  { type: "set_hostname", challenge: challenges.setHostname, fields: own },
  { type: "set_visibility", challenge: challenges.setVisibility, fields: own },
  { type: "set_tags", challenge: challenges.setTags, fields: own },
  { type: "set_task_exec", challenge: challenges.setTaskExec, fields: own },
  { type: "report_trust", challenge: challenges.reportTrust, fields: pair },
  {
    type: "request_handshake",
    challenge: challenges.handshake,
    fields: (node, peer) => ({ from_node_id: node, to_node_id: peer }),
  },
  { type: "poll_handshakes", challenge: challenges.pollHandshakes, fields: own },
  { type: "respond_handshake", challenge: challenges.respondHandshake, fields: pair },
  {
    type: "punch",
    challenge: challenges.punch,
    fields: (node, peer) => ({ requester_id: node, node_a: node, node_b: peer }),
  },
  { type: "revoke_trust", challenge: challenges.revokeTrust, fields: pair },
  {
    type: "rotate_key",
    challenge: challenges.rotateKey,
    fields: (node) => ({ ...own(node), new_public_key: ROTATED_KEY }),
  },
];

/** Any 32 bytes are a key as far as the registry can tell. */
const ROTATED_KEY = btoa(String.fromCharCode(...new Uint8Array(32).fill(7)));

/** Sends a JSON request inside binary frames, built by hand. */
async function throughBinary(client: RawClient, request: object): Promise<Reply> {
  const body = new TextEncoder().encode(JSON.stringify(request));
  const frame = new Uint8Array(5 + body.length);
  new DataView(frame.buffer).setUint32(0, 1 + body.length);
  frame.set(body, 5);
  await client.write(frame);
  const reply = await client.readFrame();
  assert.ok(reply !== undefined && reply[0] === 0);
  return JSON.parse(new TextDecoder().decode(reply.subarray(1)));
}

for (const mode of ["JSON", "binary pass-through"] as const) {
  for (const { type, challenge, fields } of CASES) {
    Deno.test(`${type} in ${mode} mode accepts only the node's own signature`, () =>
      withServer(async ({ server, client: setup }) => {
        const node = await registered(setup);
        const peer = await registered(setup);
        const stranger = await registered(setup);
        await setup.ok({
          type: "set_visibility",
          node_id: peer.id,
          public: true,
          signature: await peer.sign(challenges.setVisibility(peer.id)),
        });
        if (type === "revoke_trust") {
          await setup.ok({
            type: "report_trust",
            ...pair(node.id, peer.id),
            signature: await node.sign(challenges.reportTrust(node.id, peer.id)),
          });
        }
        using client = await RawClient.open(server.registryAddr);
        if (mode !== "JSON") {
          await client.write(Uint8Array.of(0x50, 0x49, 0x4c, 0x54, 1));
        }
        const call = (signature: string | undefined, asNode = node) => {
          const request = {
            type,
            ...fields(asNode.id, peer.id),
            ...(signature === undefined ? {} : { signature }),
          };
          return mode === "JSON" ? client.call(request) : throughBinary(client, request);
        };
        const message = challenge(node.id, peer.id);
        const refuse = async (signature: string | undefined, text: string) => {
          const code = text === "request failed" ? "denied" : "invalid_argument";
          assert.deepEqual(await call(signature), { type: "error", error: text, code });
        };
        await refuse(undefined, "signature required for authenticated node");
        await refuse("", "signature required for authenticated node");
        await refuse("?", "invalid signature encoding: not base64");
        await refuse("AAAA", "request failed");
        await refuse(btoa("\0".repeat(64)), "request failed");
        await refuse(await stranger.sign(message), "request failed");
        await refuse(await node.sign(challenge(peer.id, node.id)), "request failed");
        await refuse(await node.sign(new Uint8Array(0)), "request failed");
        const unknown = new TestNode(node.identity);
        unknown.id = 4_000_000;
        assert.equal((await call(await node.sign(message), unknown))["type"], "error");
        const good = await call(await node.sign(message));
        assert.equal(good["type"], `${type}_ok`, JSON.stringify(good));
      }));
  }
}

Deno.test("deregister accepts only the node's own signature and is silent about unknown nodes", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const stranger = await registered(client);
    const request = { type: "deregister", node_id: node.id };
    const message = challenges.deregister(node.id);
    assert.equal(await client.fails(request), "signature required for authenticated node");
    const forged = { ...request, signature: await stranger.sign(message) };
    assert.equal(await client.fails(forged), "request failed");
    await client.ok({ type: "lookup", node_id: node.id });
    await client.ok({ ...request, signature: await node.sign(message) });
    assert.equal(
      await client.fails({ type: "lookup", node_id: node.id }),
      `node ${node.id}: node not found`,
    );
    await client.ok(request);
    await client.ok({ type: "deregister", node_id: 999 });
  }));

Deno.test("the admin token stands in for a signature only where §2.1 says so", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const admin = { node_id: node.id, admin_token: "sesame of the tests" };
    await client.ok({ type: "set_hostname", hostname: "ops", ...admin });
    await client.ok({ type: "set_tags", tags: ["x"], ...admin });
    await client.ok({ type: "set_visibility", public: true, ...admin });
    await client.ok({ type: "set_task_exec", enabled: true, ...admin });
    assert.equal(
      await client.fails({ type: "heartbeat", ...admin }),
      "signature required for authenticated node",
    );
    assert.equal(
      await client.fails({ type: "rotate_key", new_public_key: ROTATED_KEY, ...admin }),
      "signature required for authenticated node",
    );
    assert.equal(
      await client.fails({ type: "set_tags", node_id: node.id, admin_token: "guess" }),
      "signature required for authenticated node",
    );
    await client.ok({ type: "deregister", ...admin });
  }, { adminToken: "sesame of the tests" }));
