/** create_network and what list_networks shows of it (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { RawClient, registered } from "../../support/client.ts";
import { withServer } from "../../support/server.ts";
import { ADMIN, createNetwork, networksOf, roleOf, WITH_ADMIN } from "./support.ts";

const RULES = {
  links: 3,
  cycle: "24h",
  prune: 1,
  prune_by: "score",
  fill: 1,
  fill_how: "random",
};

Deno.test("create_network makes its creator the owner and gives out numbers from 1", () =>
  withServer(async ({ client, clock }) => {
    const node = await registered(client);
    const create = { type: "create_network", admin_token: ADMIN, node_id: node.id };
    assert.deepEqual(await client.ok({ ...create, name: "one" }), {
      type: "create_network_ok",
      network_id: 1,
      name: "one",
      enterprise: false,
    });
    assert.deepEqual(
      await client.ok({
        ...create,
        name: "two",
        join_rule: "invite",
        enterprise: true,
        rules: JSON.stringify({ ...RULES, grace: "1h30m", more: 1 }),
        expr_policy: { version: 1, rules: [] },
        network_admin_token: "theirs",
      }),
      { type: "create_network_ok", network_id: 2, name: "two", enterprise: true, managed: true },
    );
    assert.equal(await roleOf(client, 1, node), "owner");
    assert.deepEqual(await networksOf(client, node), [0, 1, 2]);
    const created = clock.unixNow() / 1000;
    const listed = (await client.ok({ type: "list_networks" }))["networks"] as unknown[];
    assert.deepEqual(listed.slice(1), [
      { id: 1, name: "one", members: 1, join_rule: "open", enterprise: false, created },
      {
        id: 2,
        name: "two",
        members: 1,
        join_rule: "invite",
        enterprise: true,
        created,
        managed: true,
        rules: { ...RULES, grace: "1h30m" },
        has_expr_policy: true,
      },
    ]);
    assert.ok(!JSON.stringify(listed).includes("theirs"));
  }, WITH_ADMIN));

Deno.test("create_network is for the holder of the admin token", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    const create = { type: "create_network", node_id: node.id, name: "n" };
    for (const admin_token of [undefined, "", "guess", 5]) {
      assert.equal(await client.fails({ ...create, admin_token }), "invalid admin token");
    }
    await client.ok({ ...create, admin_token: ADMIN });
  }, WITH_ADMIN));

Deno.test("create_network is disabled without an admin token, which is not disclosed", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    for (const admin_token of [undefined, "", "x"]) {
      const create = { type: "create_network", node_id: node.id, name: "n", admin_token };
      assert.equal(await client.fails(create), "request failed");
    }
  }));

Deno.test("create_network says what is wrong with the request", () =>
  withServer(async ({ client }) => {
    const node = await registered(client);
    await createNetwork(client, node, { name: "taken" });
    const create = { type: "create_network", admin_token: ADMIN, node_id: node.id, name: "n" };
    const wrong: [object, string][] = [
      [{ node_id: 99 }, "node 99: node not found"],
      [{ node_id: undefined }, "node 0: node not found"],
      [{ name: undefined }, "network name required"],
      [{ name: "" }, "network name required"],
      [{ name: "n".repeat(64) }, "network name too long (max 63 chars)"],
      [{ name: "taken" }, 'network "taken" already exists'],
      [{ name: "Upper" }, "request failed"],
      [{ name: "invalid-" }, "request failed"],
      [{ name: "backbone" }, "request failed"],
      [{ join_rule: "x".repeat(33) }, "invalid join_rule (must be open, token, invite)"],
      [
        { join_rule: "invite" },
        "enterprise feature: invite-only networks require the enterprise flag",
      ],
      [{ join_rule: "weird" }, "invalid join_rule (must be open, token, invite)"],
      [{ join_rule: "token" }, "token is required"],
      [{ token: "t".repeat(257) }, "token too long (max 256 chars)"],
      [{ network_admin_token: "t".repeat(257) }, "network_admin_token too long (max 256 chars)"],
      [{ rules: "{" }, "invalid rules: not JSON"],
      [{ rules: [] }, "invalid rules: not an object"],
      [{ rules: 5 }, "invalid rules: not an object"],
      [{ rules: "x".repeat(5000) }, "invalid rules: too long"],
      [{ expr_policy: { version: 2, rules: [] } }, "expr_policy: invalid version (must be 1)"],
      [{ expr_policy: { version: 1 } }, "expr_policy: at least one rule is required"],
    ];
    for (const [fields, text] of wrong) {
      assert.equal(await client.fails({ ...create, ...fields }), text, JSON.stringify(fields));
    }
    // None of them used up a number or the name.
    assert.equal((await client.ok({ ...create, rules: "null", expr_policy: "" }))["network_id"], 2);
    await createNetwork(client, node, { name: "n".repeat(63) });
  }, WITH_ADMIN));

Deno.test("networks are also made through the binary mode's passthrough", () =>
  withServer(async ({ server, client }) => {
    const node = await registered(client);
    using binary = await RawClient.open(server.registryAddr);
    await binary.write(new Uint8Array([0x50, 0x49, 0x4c, 0x54, 1]));
    const call = async (request: object): Promise<unknown> => {
      const body = new TextEncoder().encode(JSON.stringify(request));
      const frame = new Uint8Array(5 + body.length);
      new DataView(frame.buffer).setUint32(0, 1 + body.length);
      frame.set(body, 5);
      await binary.write(frame);
      const reply = await binary.readFrame();
      assert.equal(reply?.[0], 0);
      return JSON.parse(new TextDecoder().decode(reply!.subarray(1)));
    };
    const create = { type: "create_network", node_id: node.id, name: "n", admin_token: ADMIN };
    assert.deepEqual(await call(create), {
      type: "create_network_ok",
      network_id: 1,
      name: "n",
      enterprise: false,
    });
    assert.deepEqual(await call(create), {
      type: "error",
      error: 'network "n" already exists',
      code: "already_exists",
    });
    assert.deepEqual(await call({ ...create, name: "backbone" }), {
      type: "error",
      error: "request failed",
      code: "denied",
    });
    // And the native lookup shows them to the node itself: node, flags, polo score, count, networks 0 and 1.
    assert.equal((await call(await node.lookup()) as { type: string }).type, "lookup_ok");
    await binary.write(new Uint8Array([0, 0, 0, 5, 2, 0, 0, 0, node.id]));
    const lookup = (await binary.readFrame())!;
    assert.deepEqual([...lookup.subarray(10, 16)], [0, 2, 0, 0, 0, 1]);
  }, WITH_ADMIN));
