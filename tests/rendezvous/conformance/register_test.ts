/** Registration and the list of nodes, whose rules fit no table: docs/protocol/registry.md §4.1, §4.5, §8. */

import assert from "node:assert/strict";
import { MAX_INBOX_PER_SOURCE } from "../../../rendezvous/registry/registry_limits.ts";
import { challenges } from "../support/challenges.ts";
import { TestNode } from "../support/client.ts";
import { MASKED } from "./subject.ts";
import { ADMIN, inWorld, MODES } from "./world.ts";

for (const strict of [true, false]) {
  for (const mode of MODES) {
    const where = `${mode}, ${strict ? "strict" : "lax"}`;

    Deno.test(`register takes a new key and keeps the number of a known one (${where})`, () =>
      inWorld(strict, async (world) => {
        const node = await TestNode.create();
        const key = node.identity.publicKeyBase64;
        const expected = {
          type: "register_ok",
          node_id: 5,
          network_id: 0,
          address: "0:0000.0000.0005",
          public_key: key,
          observed_addr: "127.0.0.1:4000",
          protocol_version: 1,
        };
        const unsigned = { type: "register", public_key: key, listen_addr: "0.0.0.0:4000" };
        assert.deepEqual(
          await world.call(mode, unsigned),
          expected,
          "existing servers ask no proof",
        );
        assert.deepEqual(await world.call(mode, await node.registration()), expected);
        const again = await world.call(mode, unsigned);
        if (strict) assert.equal(again.error, "signature required for authenticated node");
        else assert.deepEqual(again, expected);
      }));

    Deno.test(`register refuses keys and signatures that are none (${where})`, () =>
      inWorld(strict, async (world) => {
        const { owner, open } = world;
        const good = await owner.registration();
        const challenge = challenges.register("0.0.0.0:4000", owner.identity.publicKeyBase64);
        const refusals = [
          [{ public_key: undefined }, MASKED],
          [{ public_key: "AAAA" }, "invalid public key: not the base64 of 32 bytes"],
          [{ signature: await open.sign(challenge) }, MASKED],
          [{ listen_addr: "0.0.0.0:5000" }, MASKED],
        ] as const;
        for (const [changes, error] of refusals) {
          const reply = await world.call(mode, { ...good, ...changes });
          const code = error === MASKED ? "denied" : "invalid_argument";
          assert.deepEqual(reply, { type: "error", error, code }, JSON.stringify(changes));
        }
        const noise = await world.call(mode, { ...good, signature: "!!" });
        assert.match(String(noise.error), /^invalid signature encoding: /);
      }));

    Deno.test(`an owner's name takes no node over, and a taken hostname fails no registration (${where})`, () =>
      inWorld(strict, async (world) => {
        const node = await TestNode.create();
        const request = await node.registration({ owner: "me@example.com", hostname: "owner" });
        const reply = await world.call(mode, request);
        assert.deepEqual([reply.node_id, reply.hostname_error], [
          5,
          'hostname "owner" already in use',
        ]);
        const other = await TestNode.create();
        const taker = await other.registration({ owner: "me@example.com" });
        assert.equal((await world.call(mode, taker)).node_id, 6);
      }));

    Deno.test(`list_nodes shows a network to its members and the backbone to the admin (${where})`, () =>
      inWorld(strict, async (world) => {
        const { network, owner, member } = world;
        const backbone = { type: "list_nodes", network_id: 0 };
        assert.equal((await world.call(mode, backbone)).error, MASKED);
        assert.equal((await world.call(mode, { ...backbone, admin_token: "wrong" })).error, MASKED);
        const all = await world.call(mode, { ...backbone, admin_token: ADMIN });
        assert.equal((all.nodes as unknown[]).length, 4);
        const some = await world.call(mode, { type: "list_nodes", network_id: network });
        const nodes = some.nodes as { node_id: number; address: string }[];
        assert.deepEqual(nodes.map(({ node_id }) => node_id), [owner.id, member.id]);
        assert.deepEqual(nodes.map(({ address }) => address), [
          "1:0001.0000.0001",
          "1:0001.0000.0002",
        ]);
        const unknown = await world.call(mode, { type: "list_nodes", network_id: 999 });
        assert.equal(unknown.error, "network 999: network not found");
      }));

    Deno.test(`a second request is refused, and in a full inbox the oldest makes room (${where})`, () =>
      inWorld(strict, async (world) => {
        const { owner, stranger, client } = world;
        const ask = async (from: TestNode) => ({
          ...{ type: "request_handshake", from_node_id: from.id, to_node_id: owner.id },
          justification: "please",
          signature: await from.sign(challenges.handshake(from.id, owner.id)),
        });
        await client.ok(await ask(stranger));
        assert.deepEqual(await world.call(mode, await ask(stranger)), {
          type: "error",
          error: `handshake request already pending from node ${stranger.id}`,
          code: "already_exists",
        });
        for (let i = 1; i < 100; i++) {
          const node = await TestNode.create();
          await node.register(client);
          await client.ok(await ask(node));
        }
        const late = await TestNode.create();
        await late.register(client);
        assert.equal((await world.call(mode, await ask(late))).status, "delivered");
        const signature = await owner.sign(challenges.pollHandshakes(owner.id));
        const poll = { type: "poll_handshakes", node_id: owner.id, signature };
        const { requests } = await world.call(mode, poll);
        const senders = (requests as { from_node_id: number }[]).map((entry) => entry.from_node_id);
        // All come from one address, which has its share.
        assert.equal(senders.length, MAX_INBOX_PER_SOURCE);
        assert.equal(senders.at(-1), late.id);
        assert.ok(!senders.includes(stranger.id));
      }));
  }
}
