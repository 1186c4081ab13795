/** list_nodes of a network, and lists that do not fit a frame (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { formatRfc3339 } from "../../../../rendezvous/registry/rfc3339.ts";
import { REGISTRY_MAX_FRAME_BYTES } from "../../../../protocol/registry/registry_message.ts";
import { challenges } from "../../support/challenges.ts";
import { ConnectionAuth } from "../../../../rendezvous/registry/connection_auth.ts";
import { answerBinaryFrame, answerJsonFrame } from "../../../../rendezvous/registry/answer.ts";
import type { JsonObject } from "../../../../protocol/registry/registry_message.ts";
import {
  MAX_LISTED_NETWORKS,
  MAX_LISTED_NODES,
} from "../../../../rendezvous/registry/networks/network_limits.ts";
import { RawClient, registered } from "../../support/client.ts";
import { pass, withServer } from "../../support/server.ts";
import { newCore, populate } from "./core_support.ts";
import { ADMIN, asRole, createNetwork, join, WITH_ADMIN } from "./support.ts";
import { CHANGE } from "../../support/context.ts";

Deno.test("list_nodes shows members, the silent ones too, and endpoints of public ones only", () =>
  withServer(async ({ server, client: first, clock }) => {
    const owner = await registered(first, { hostname: "boss", listen_addr: "h:4001" });
    const open = await registered(first, { listen_addr: "h:4002" });
    const silent = await registered(first);
    const network = await createNetwork(first, owner);
    for (const node of [open, silent]) await join(first, node, network);
    const tags = { target_node_id: silent.id, tags: ["gpu"] };
    await first.ok(await asRole(owner, "set_member_tags", network, tags));
    await pass(server, clock, 400_000);
    using client = await RawClient.open(server.registryAddr);
    await owner.register(client, { listen_addr: "h:4001" });
    await open.register(client, { listen_addr: "h:4002" });
    const signature = await open.sign(challenges.setVisibility(open.id));
    const visible = { type: "set_visibility", node_id: open.id, public: true, signature };
    await client.ok(visible);
    const last_seen = formatRfc3339(clock.unixNow() / 1000);
    assert.deepEqual((await client.ok({ type: "list_nodes", network_id: network }))["nodes"], [
      {
        node_id: owner.id,
        address: "1:0001.0000.0001",
        public: false,
        polo_score: 0,
        hostname: "boss",
        last_seen,
        role: "owner",
      },
      {
        node_id: open.id,
        address: "1:0001.0000.0002",
        public: true,
        polo_score: 0,
        real_addr: "127.0.0.1:4002",
        last_seen,
        role: "member",
      },
      {
        node_id: silent.id,
        offline: true,
        address: "1:0001.0000.0003",
        role: "member",
        member_tags: ["gpu"],
      },
    ]);
    assert.equal(
      await client.fails({ type: "list_nodes", network_id: 9 }),
      "network 9: network not found",
    );
  }, WITH_ADMIN));

const PEER = {
  ip: "127.0.0.1",
  key: "127.0.0.1",
  port: 1,
  loopback: true,
  auth: new ConnectionAuth(),
};

/** The text of the error in a framed JSON reply. */
function errorOf(frame: Uint8Array): unknown {
  assert.equal(new DataView(frame.buffer, frame.byteOffset).getUint32(0), frame.length - 4);
  return JSON.parse(new TextDecoder().decode(frame.subarray(4)))["error"];
}

Deno.test("a list that does not fit a frame is an error in both modes, not a broken frame", async () => {
  const core = newCore();
  await populate(core, 10_000, { tags: Array.from({ length: 10 }, (_, i) => `tag${i}`.repeat(8)) });
  await core.change(CHANGE, () => {
    const network = core.networks.create({ name: "big", joinRule: "open", created: 1 }, 1);
    for (let id = 2; id <= 10_000; id++) core.networks.join(network, id, "member");
  });
  for (const network_id of [0, 1]) {
    const request: JsonObject = { type: "list_nodes", network_id, admin_token: ADMIN };
    assert.equal(errorOf(await answerJsonFrame(core, request, PEER)), "reply too long");
    const payload = new TextEncoder().encode(JSON.stringify(request));
    const binary = await answerBinaryFrame(core, { type: 0, payload }, PEER);
    assert.equal(binary[4], 0xff);
    assert.ok(new TextDecoder().decode(binary).endsWith("reply too long"));
  }
  await core.close();
});

Deno.test("sixteen thousand plain members fit a frame, more are refused before they are listed", async () => {
  const core = newCore();
  await populate(core, MAX_LISTED_NODES + 1);
  await core.change(CHANGE, () => {
    const network = core.networks.create({ name: "big", joinRule: "open", created: 1 }, 1);
    for (let id = 2; id <= MAX_LISTED_NODES; id++) core.networks.join(network, id, "member");
  });
  const list: JsonObject = { type: "list_nodes", network_id: 1 };
  const full = await answerJsonFrame(core, list, PEER);
  assert.ok(full.length < REGISTRY_MAX_FRAME_BYTES);
  assert.equal(errorOf(full), undefined);
  await core.change(
    CHANGE,
    () => core.networks.join(core.networks.get(1), MAX_LISTED_NODES + 1, "member"),
  );
  const text = `too many nodes to list (max ${MAX_LISTED_NODES})`;
  assert.equal(errorOf(await answerJsonFrame(core, list, PEER)), text);
  await core.close();
});

Deno.test("list_networks gives up above as many networks as fit", async () => {
  const core = newCore();
  await populate(core, 100);
  await core.change(CHANGE, () => {
    for (let i = 1; i < MAX_LISTED_NETWORKS; i++) {
      const draft = { name: `network-with-a-long-name-${i}`, joinRule: "open", created: 1e9 };
      core.networks.create(draft, 1 + i % 100);
    }
  });
  const full = await answerJsonFrame(core, { type: "list_networks" }, PEER);
  assert.ok(full.length < REGISTRY_MAX_FRAME_BYTES);
  assert.equal(errorOf(full), undefined);
  await core.change(
    CHANGE,
    () => core.networks.create({ name: "x", joinRule: "open", created: 1 }, 1),
  );
  assert.equal(
    errorOf(await answerJsonFrame(core, { type: "list_networks" }, PEER)),
    `too many networks to list (max ${MAX_LISTED_NETWORKS})`,
  );
  await core.close();
});
