/** Who passes the RBAC gate, strict and not (docs/protocol/registry.md §2.2, §2.3, §8.3). */

import assert from "node:assert/strict";
import type { NetworkAction } from "../../../../protocol/registry/registry_message.ts";
import { challenges } from "../../support/challenges.ts";
import { RawClient, registered, type TestNode } from "../../support/client.ts";
import { whole, WHOLE_BY } from "../../support/whole.ts";
import { withServer } from "../../support/server.ts";
import {
  ADMIN,
  asRole,
  createNetwork,
  join,
  networksOf,
  type Request,
  roleOf,
  WITH_ADMIN,
} from "./support.ts";

const WHOLE_NEEDED = /^signature over the whole request required: /;

interface Cast {
  client: RawClient;
  network: number;
  owner: TestNode;
  member: TestNode;
}

function withNetwork(
  body: (cast: Cast) => Promise<void>,
  options: { strict?: boolean } = {},
): Promise<void> {
  return withServer(async ({ client }) => {
    const owner = await registered(client);
    const member = await registered(client);
    const extra = { enterprise: true, network_admin_token: "theirs" };
    const network = await createNetwork(client, owner, extra);
    await join(client, member, network);
    await body({ client, network, owner, member });
  }, { ...WITH_ADMIN, ...options });
}

/** One good request of each kind, in an order in which all can succeed. */
async function everyAction(
  { network, owner, member }: Cast,
): Promise<Request[]> {
  const target = { target_node_id: member.id };
  const request = (type: NetworkAction, fields: object = {}) =>
    asRole(owner, type, network, { ...fields });
  return [
    await request("rename_network", { name: "renamed" }),
    await request("set_network_policy", { description: "d" }),
    await request("set_expr_policy", { expr_policy: { version: 1, rules: [] } }),
    await request("set_member_tags", { ...target, tags: ["t"] }),
    await request("promote_member", target),
    await request("demote_member", target),
    await request("kick_member", target),
    await request("delete_network"),
  ];
}

function without(request: Request, ...names: string[]): Request {
  const rest = Object.entries(request).filter(([name]) => !names.includes(name));
  return { type: request.type, ...Object.fromEntries(rest) };
}

Deno.test("the challenge of an action names it, the actor, the network and the node concerned", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(text(challenges.networkAction("delete_network", 5, 3)), "delete_network:5:3");
  assert.equal(text(challenges.networkAction("kick_member", 5, 3, 7)), "kick_member:5:3:7");
});

Deno.test("a strict registry wants a whole signature for every action by role", () =>
  withNetwork(async (cast) => {
    const { client, network, member } = cast;
    for (const request of await everyAction(cast)) {
      // Unsigned, and with the wire's signature, which whoever has read it may send again.
      assert.match(await client.fails(without(request, "signature")), WHOLE_NEEDED, request.type);
      assert.match(await client.fails(without(request)), WHOLE_NEEDED, request.type);
      // By the member, who thereby claims to be the owner.
      const byMember = { ...without(request), [WHOLE_BY]: member };
      assert.equal(await client.fails(byMember), "request failed");
      // By the owner, but for another network.
      const signed = await whole(client, cast.owner, without(request));
      assert.match(await client.fails({ ...signed, network_id: network + 1 }), WHOLE_NEEDED);
      for (const name of ["target_node_id", "name", "tags", "description", "expr_policy"]) {
        if (name in request) {
          assert.match(await client.fails({ ...signed, [name]: "another" }), WHOLE_NEEDED);
        }
      }
      assert.equal(
        await client.fails(without(request, "node_id", "signature")),
        "rbac: node_id required for role-based authorization",
      );
      const sent = await whole(client, cast.owner, without(request));
      await client.ok(sent);
      assert.match(await client.fails(sent), WHOLE_NEEDED, `${request.type} once more`);
    }
    assert.deepEqual(await networksOf(client, cast.owner), [0]);
  }));

Deno.test("without strictness the claim alone suffices, as existing clients send it", () =>
  withNetwork(async (cast) => {
    for (const request of await everyAction(cast)) {
      const unsigned = without(request, "signature");
      assert.equal(
        await cast.client.fails({ ...unsigned, node_id: 99 }),
        "request failed",
        request.type,
      );
      await cast.client.ok(unsigned);
    }
  }, { strict: false }));

for (const [whose, admin_token] of [["global", ADMIN], ["network's own", "theirs"]] as const) {
  Deno.test(`the ${whose} admin token passes the gate without any node`, () =>
    withNetwork(async (cast) => {
      for (const request of await everyAction(cast)) {
        const bare = without(request, "signature", "node_id");
        assert.equal(
          await cast.client.fails({ ...bare, admin_token: "guess" }),
          "rbac: node_id required for role-based authorization",
          request.type,
        );
        await cast.client.ok({ ...bare, admin_token });
      }
    }));
}

Deno.test("the admin token of one network opens no other one, and no network is opened by none", () =>
  withNetwork(async ({ client, network, owner }) => {
    const other = await createNetwork(client, owner);
    const rename = { type: "rename_network", name: "x" };
    const text = "rbac: node_id required for role-based authorization";
    assert.equal(
      await client.fails({ ...rename, network_id: other, admin_token: "theirs" }),
      text,
    );
    assert.equal(await client.fails({ ...rename, network_id: other, admin_token: "" }), text);
    const join = { type: "join_network", node_id: owner.id, network_id: network };
    assert.equal(
      await client.fails({ ...join, admin_token: "theirs" }),
      "signature required for authenticated node",
    );
  }));

Deno.test("the gate distinguishes a missing network from a missing right", () =>
  withNetwork(async ({ client, network, owner, member }) => {
    assert.equal(
      await client.fails(await asRole(owner, "rename_network", 77, { name: "x" })),
      "network 77: network not found",
    );
    const admin = { type: "rename_network", network_id: 77, name: "x", admin_token: ADMIN };
    assert.equal(await client.fails(admin), "network 77: network not found");
    const request = await asRole(member, "rename_network", network, { name: "x" });
    assert.equal(await client.fails(request), "request failed");
    assert.equal(await client.fails({ ...request, node_id: 4_000_000_000 }), "request failed");
    assert.equal(await roleOf(client, network, member), "member");
  }));

Deno.test("a node that deregistered has no role any more, and one that is silent keeps its", () =>
  withServer(async ({ client, server, clock }) => {
    const owner = await registered(client);
    const network = await createNetwork(client, owner);
    await join(client, await registered(client), network);
    clock.advance(310_000);
    await server.tick();
    using later = await RawClient.open(server.registryAddr);
    await later.fails(await owner.lookup());
    await later.ok(await asRole(owner, "rename_network", network, { name: "silent" }));
    const rename = await asRole(owner, "rename_network", network, { name: "left" });
    await later.ok({ type: "deregister", node_id: owner.id, admin_token: ADMIN });
    assert.equal(await later.fails(rename), "request failed");
  }, WITH_ADMIN));
