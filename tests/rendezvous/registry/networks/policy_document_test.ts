/** Network policies and policy documents (docs/protocol/registry.md §4.5). */

import assert from "node:assert/strict";
import { type RawClient, registered, type TestNode } from "../../support/client.ts";
import { withServer } from "../../support/server.ts";
import { ADMIN, asRole, createNetwork, join, joinRequest, WITH_ADMIN } from "./support.ts";

interface Cast {
  client: RawClient;
  network: number;
  owner: TestNode;
  member: TestNode;
}

function withNetwork(body: (cast: Cast) => Promise<void>): Promise<void> {
  return withServer(async ({ client }) => {
    const owner = await registered(client);
    const member = await registered(client);
    const network = await createNetwork(client, owner, { enterprise: true, name: "n" });
    await join(client, member, network);
    await body({ client, network, owner, member });
  }, WITH_ADMIN);
}

Deno.test("set_network_policy changes only what is sent", () =>
  withNetwork(async ({ client, network, owner }) => {
    const set = async (fields: object) =>
      await client.ok(await asRole(owner, "set_network_policy", network, { ...fields }));
    const get = async () => {
      const reply = await client.ok({ type: "get_network_policy", network_id: network });
      return [reply["max_members"], reply["allowed_ports"], reply["description"]];
    };
    assert.deepEqual(await get(), [0, [], ""]);
    assert.deepEqual(await set({ max_members: 5 }), {
      type: "set_network_policy_ok",
      network_id: network,
      max_members: 5,
      allowed_ports: null,
      description: "",
    });
    const ports = await set({ allowed_ports: [80, 443, 80] });
    assert.deepEqual(ports["allowed_ports"], [80, 443]);
    await set({ description: "d".repeat(256), max_members: null });
    assert.deepEqual(await get(), [5, [80, 443], "d".repeat(256)]);
    await set({ allowed_ports: [], max_members: 0 });
    assert.deepEqual(await get(), [0, [], "d".repeat(256)]);
    const { networks } = await client.ok({ type: "list_networks" });
    assert.equal((networks as { description?: string }[])[1]?.description, "d".repeat(256));
    assert.deepEqual(await client.ok({ type: "get_network_policy", network_id: 0 }), {
      type: "get_network_policy_ok",
      network_id: 0,
      max_members: 0,
      allowed_ports: [],
      description: "",
    });
    const missing = { type: "get_network_policy", network_id: 9 };
    assert.equal(await client.fails(missing), "network 9: network not found");
  }));

Deno.test("set_network_policy says what is wrong and changes nothing", () =>
  withNetwork(async ({ client, network, owner, member }) => {
    const members = "invalid max_members (must be integer 0-10000)";
    const port = "invalid port number in allowed_ports (must be integer 1-65535)";
    const wrong: [object, string][] = [
      [{ max_members: -1 }, members],
      [{ max_members: 10_001 }, members],
      [{ max_members: 1.5 }, members],
      [{ max_members: "5" }, members],
      [{ max_members: 1 }, "cannot set max_members to 1: network already has 2 members"],
      [{ max_members: 9, allowed_ports: [0] }, port],
      [{ max_members: 9, allowed_ports: [65_536] }, port],
      [{ max_members: 9, allowed_ports: ["80"] }, port],
      [{ allowed_ports: 80 }, "invalid allowed_ports (must be a list of integers)"],
      [{ allowed_ports: Array(101).fill(80) }, "too many allowed_ports (max 100)"],
      [{ description: "d".repeat(257) }, "policy description too long (max 256 chars)"],
      [{ description: "\u00e4".repeat(129) }, "policy description too long (max 256 chars)"],
      [{ description: 5 }, "invalid description (must be text)"],
    ];
    for (const [fields, text] of wrong) {
      const request = await asRole(owner, "set_network_policy", network, { ...fields });
      assert.equal(await client.fails(request), text, JSON.stringify(fields));
    }
    const byMember = await asRole(member, "set_network_policy", network, { max_members: 5 });
    assert.equal(await client.fails(byMember), "request failed");
    const backbone = { type: "set_network_policy", network_id: 0, admin_token: ADMIN };
    assert.equal(
      await client.fails(backbone),
      "enterprise feature: requires enterprise network",
    );
    const { max_members } = await client.ok({ type: "get_network_policy", network_id: network });
    assert.equal(max_members, 0);
  }));

Deno.test("max_members keeps others out, without a reason", () =>
  withNetwork(async ({ client, network, owner }) => {
    await client.ok(await asRole(owner, "set_network_policy", network, { max_members: 2 }));
    const late = await registered(client);
    assert.equal(await client.fails(await joinRequest(late, network)), "request failed");
    await client.ok(await asRole(owner, "set_network_policy", network, { max_members: 3 }));
    await join(client, late, network);
  }));

Deno.test("set_expr_policy keeps a document as it is, from a text or an object", () =>
  withServer(async ({ client }) => {
    const owner = await registered(client);
    const network = await createNetwork(client, owner); // no enterprise network
    const set = async (expr_policy: unknown) =>
      await client.ok(await asRole(owner, "set_expr_policy", network, { expr_policy }));
    const get = async () => await client.ok({ type: "get_expr_policy", network_id: network });
    const policy = {
      version: 1,
      rules: [{ name: "r", match: "peer.tags has 'x'", when: { deep: [1, null] } }],
      config: { max_peers: 3 },
    };
    const empty = { type: "get_expr_policy_ok", network_id: network };
    assert.deepEqual(await get(), empty);
    assert.deepEqual(await set(policy), { type: "set_expr_policy_ok", network_id: network });
    assert.deepEqual(await get(), { ...empty, expr_policy: policy });
    await set(JSON.stringify({ version: 1, rules: [] }, undefined, 4));
    assert.deepEqual(await get(), { ...empty, expr_policy: { version: 1, rules: [] } });
    for (const clear of ["", "null"]) {
      await set(policy);
      assert.equal((await set(clear))["cleared"], true);
      assert.deepEqual(await get(), empty);
    }
    const backbone = { type: "get_expr_policy", network_id: 0 };
    assert.deepEqual(await client.ok(backbone), { type: "get_expr_policy_ok", network_id: 0 });
    assert.equal(
      await client.fails({ ...backbone, network_id: 9 }),
      "network 9: network not found",
    );
  }, WITH_ADMIN));

Deno.test("set_expr_policy refuses what is no document", () =>
  withNetwork(async ({ client, network, owner, member }) => {
    const deep = (levels: number): string =>
      `{"version":1,"rules":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;
    const wrong: [unknown, string][] = [
      [undefined, "expr_policy field is required"],
      [null, "expr_policy field is required"],
      ["{", "expr_policy: invalid JSON: SyntaxError"],
      ["[]", "expr_policy: invalid JSON: not an object"],
      [7, "expr_policy: invalid JSON: not an object"],
      [{}, "expr_policy: invalid version (must be 1)"],
      [{ version: "1", rules: [] }, "expr_policy: invalid version (must be 1)"],
      [{ version: 1 }, "expr_policy: at least one rule is required"],
      ['{"version":1,"rules":null}', "expr_policy: at least one rule is required"],
      [deep(65), "expr_policy: invalid JSON: nested too deeply"],
      [deep(20_000), "expr_policy: invalid JSON: nested too deeply"],
      [
        { version: 1, rules: ["x".repeat(65_536)] },
        "expr_policy too long (max 65536 bytes)",
      ],
      [" ".repeat(65_537), "expr_policy too long (max 65536 bytes)"],
    ];
    for (const [expr_policy, text] of wrong) {
      const request = await asRole(owner, "set_expr_policy", network, { expr_policy });
      assert.equal(await client.fails(request), text);
    }
    const request = { expr_policy: deep(64) };
    await client.ok(await asRole(owner, "set_expr_policy", network, request));
    assert.equal(
      await client.fails(await asRole(member, "set_expr_policy", network, request)),
      "request failed",
    );
    const backbone = { type: "set_expr_policy", network_id: 0, admin_token: ADMIN };
    assert.equal(
      await client.fails({ ...backbone, ...request }),
      "cannot set a policy on the backbone network",
    );
  }));
