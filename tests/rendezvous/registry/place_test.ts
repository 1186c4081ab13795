/** Unsigned registrations, as existing nodes send them, and whom they move (docs/RENDEZVOUS.md). */

import assert from "node:assert/strict";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { challenges } from "../support/challenges.ts";
import { answerBinaryFrame, answerJson } from "../../../rendezvous/registry/answer.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type { Peer } from "../../../rendezvous/registry/context.ts";
import { BinaryType, encodeBinaryHeartbeat } from "../../../protocol/registry/registry_message.ts";
import { MAX_PENDING_PLACES } from "../../../rendezvous/registry/registry_limits.ts";
import { TestNode } from "../support/client.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { newCore } from "./networks/core_support.ts";

const HOME = "192.0.2.1";
const ELSEWHERE = "198.51.100.2";
const ATTACKER = "203.0.113.66";

function from(ip: string): Peer {
  return { ip, key: ip, port: 5555, loopback: false, auth: new ConnectionAuth() };
}

async function ok(core: RegistryCore, ip: string, request: JsonObject): Promise<JsonObject> {
  const reply = { ...await answerJson(core, { ...request }, from(ip)) } as JsonObject;
  assert.equal(reply["error"], undefined, JSON.stringify(reply));
  return reply;
}

/** As Go v1.9 registers. */
function unsigned(node: TestNode, port = 4000): JsonObject {
  return {
    type: "register",
    public_key: node.identity.publicKeyBase64,
    listen_addr: `0.0.0.0:${port}`,
    lan_addrs: [`10.0.0.1:${port}`],
  };
}

async function heartbeat(node: TestNode): Promise<JsonObject> {
  const signature = await node.sign(challenges.heartbeat(node.id));
  return { type: "heartbeat", node_id: node.id, signature };
}

async function withNode(
  body: (parts: { core: RegistryCore; clock: ManualClock; node: TestNode }) => Promise<void>,
): Promise<void> {
  const clock = new ManualClock();
  const core = newCore({ clock });
  const node = await TestNode.create();
  node.id = Number((await ok(core, HOME, unsigned(node)))["node_id"]);
  await body({ core, clock, node });
  await core.close();
}

/** Endpoint and LAN address as the registry holds them. */
function placeOf(core: RegistryCore, node: TestNode): unknown {
  const { realAddr, lanAddrs } = core.nodes.live(node.id);
  return [realAddr, ...lanAddrs];
}

const AT_HOME = [`${HOME}:4000`, "10.0.0.1:4000"];

Deno.test("a stranger who knows the key of a live node does not move it", () =>
  withNode(async ({ core, node }) => {
    const reply = await ok(core, ATTACKER, unsigned(node, 6666));
    assert.equal(reply["node_id"], node.id);
    assert.deepEqual(placeOf(core, node), AT_HOME);
    await ok(core, HOME, await heartbeat(node));
    assert.deepEqual(placeOf(core, node), AT_HOME, "and the node continues where it was");
  }));

Deno.test("a node that comes back elsewhere is there with its first signed request, in both modes", () =>
  withNode(async ({ core, node }) => {
    const moves = [ELSEWHERE, "198.51.100.3"];
    for (const [index, ip] of moves.entries()) {
      const reply = await ok(core, ip, unsigned(node, 5000));
      assert.equal(reply["observed_addr"], `${ip}:5000`);
      await ok(core, ATTACKER, { type: "lookup", node_id: node.id });
      if (index === 0) await ok(core, ip, await heartbeat(node));
      else {
        const raw = await node.identity.sign(challenges.heartbeat(node.id));
        const payload = encodeBinaryHeartbeat({ node: node.id, signature: raw });
        const frame = { type: BinaryType.heartbeat, payload };
        assert.equal((await answerBinaryFrame(core, frame, from(ip)))[4], BinaryType.heartbeatOk);
      }
      assert.deepEqual(placeOf(core, node), [`${ip}:5000`, "10.0.0.1:5000"]);
    }
  }));

Deno.test("others' registrations do not keep a node from moving, and those of many addresses take little memory", () =>
  withNode(async ({ core, node }) => {
    await ok(core, ELSEWHERE, unsigned(node, 5000));
    for (let i = 0; i < 10; i++) await ok(core, ATTACKER, unsigned(node, 6666));
    await ok(core, ELSEWHERE, unsigned(node, 5001));
    await ok(core, ELSEWHERE, await heartbeat(node));
    assert.deepEqual(placeOf(core, node), [`${ELSEWHERE}:5001`, "10.0.0.1:5001"]);
    for (let i = 1; i < 100; i++) await ok(core, `203.0.113.${i}`, unsigned(node, 6666));
    assert.equal(core.nodes.live(node.id).pending?.size, MAX_PENDING_PLACES);
  }));

Deno.test("at the same address, when it was silent or gone, and signed, a registration moves a node at once", () =>
  withNode(async ({ core, clock, node }) => {
    await ok(core, HOME, unsigned(node, 4001));
    assert.deepEqual(placeOf(core, node), [`${HOME}:4001`, "10.0.0.1:4001"]);
    clock.advance(400_000);
    await core.tick();
    await ok(core, ELSEWHERE, unsigned(node, 4002));
    assert.deepEqual(placeOf(core, node), [`${ELSEWHERE}:4002`, "10.0.0.1:4002"]);
    const signature = await node.sign(challenges.deregister(node.id));
    await ok(core, ELSEWHERE, { type: "deregister", node_id: node.id, signature });
    await ok(core, HOME, unsigned(node, 4003));
    assert.deepEqual(placeOf(core, node), [`${HOME}:4003`, "10.0.0.1:4003"]);
    await ok(core, ELSEWHERE, await node.registration({ listen_addr: "0.0.0.0:4004" }));
    assert.deepEqual(placeOf(core, node), [`${ELSEWHERE}:4004`]);
  }));
