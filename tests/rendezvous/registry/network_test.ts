/** The backbone, the beacon directory, punch, and what is not served yet (docs/protocol/registry.md §4.5, §4.6). */

import assert from "node:assert/strict";
import { formatRfc3339 } from "../../../rendezvous/registry/rfc3339.ts";
import { challenges } from "../support/challenges.ts";
import { ANNOUNCEMENT_WINDOW_MS, ClusterToken } from "../../../rendezvous/cluster_token.ts";
import { MAX_BEACONS_PER_SOURCE } from "../../../rendezvous/registry/registry_limits.ts";
import { registered } from "../support/client.ts";
import { withServer } from "../support/server.ts";

const TOKEN = "the token of the cluster";

Deno.test("list_networks knows the backbone and how many live on it", () =>
  withServer(async ({ client }) => {
    await registered(client);
    await registered(client);
    assert.deepEqual((await client.ok({ type: "list_networks" }))["networks"], [{
      id: 0,
      name: "backbone",
      members: 2,
      join_rule: "open",
      enterprise: false,
      created: 0,
    }]);
  }));

Deno.test("list_nodes gives the backbone only to the holder of the admin token", () =>
  withServer(async ({ client, clock }) => {
    const node = await registered(client, { hostname: "a" });
    const list = { type: "list_nodes", network_id: 0 };
    assert.equal(await client.fails(list), "request failed");
    const wrong = { ...list, admin_token: "guess" };
    assert.equal(await client.fails(wrong), "request failed");
    assert.equal(
      await client.fails({ type: "list_nodes", network_id: 7 }),
      "network 7: network not found",
    );
    clock.advance(2000);
    assert.deepEqual((await client.ok({ ...list, admin_token: "sesame of the tests" }))["nodes"], [{
      node_id: node.id,
      address: "0:0000.0000.0001",
      public: false,
      polo_score: 0,
      hostname: "a",
      last_seen: formatRfc3339(clock.unixNow() / 1000 - 2),
    }]);
  }, { adminToken: "sesame of the tests" }));

Deno.test("list_nodes refuses everybody when there is no admin token", () =>
  withServer(async ({ client }) => {
    for (const admin_token of [undefined, "", "x"]) {
      const text = await client.fails({ type: "list_nodes", network_id: 0, admin_token });
      assert.equal(text, "request failed");
    }
  }));

Deno.test("beacon_list shows announced beacons for a minute", () =>
  withServer(async ({ client, clock }) => {
    const announce = { type: "beacon_register", beacon_id: 7, addr: "192.0.2.1:9001" };
    assert.deepEqual(await client.ok(announce), { type: "beacon_register_ok", beacon_id: 7 });
    assert.equal(await client.fails({ ...announce, beacon_id: 0 }), "beacon_id required");
    assert.equal(await client.fails({ ...announce, addr: "" }), "addr required");
    assert.equal(await client.fails({ ...announce, addr: "x".repeat(999) }), "addr too long");
    const list = async () => (await client.ok({ type: "beacon_list" }))["beacons"];
    assert.deepEqual(await list(), [{ id: 7, addr: "192.0.2.1:9001" }]);
    clock.advance(59_000);
    await client.ok({ ...announce, addr: "192.0.2.2:9001" });
    clock.advance(59_000);
    assert.deepEqual(await list(), [{ id: 7, addr: "192.0.2.2:9001" }]);
    clock.advance(1000);
    assert.deepEqual(await list(), []);
  }));

Deno.test("beacon_list returns the registry's time", () =>
  withServer(async ({ client, clock }) => {
    assert.equal((await client.ok({ type: "beacon_list" }))["time"], clock.unixNow());
    clock.advance(1234);
    assert.equal((await client.ok({ type: "beacon_list" }))["time"], clock.unixNow());
  }));

Deno.test("beacon_register is bounded for one address", () =>
  withServer(async ({ client, clock }) => {
    const announce = (id: number) => ({ type: "beacon_register", beacon_id: id, addr: "h:1" });
    for (let id = 1; id <= MAX_BEACONS_PER_SOURCE; id++) await client.ok(announce(id));
    assert.equal(await client.fails(announce(9999)), "too many beacons of one address (max 8)");
    await client.ok(announce(1));
    clock.advance(60_000);
    await client.ok(announce(9999));
  }));

Deno.test("a registry with the cluster's token lists only beacons that have it", () =>
  withServer(async ({ client, clock }) => {
    const token = new ClusterToken(TOKEN);
    const own = { id: 7, addr: "192.0.2.1:9001" };
    const signed = (timeMs: number, by = token, said = own) => ({
      ...{ type: "beacon_register", beacon_id: own.id, addr: own.addr, time: timeMs },
      token_code: by.sign({ ...said, timeMs }),
    });
    const now = clock.unixNow();
    const refused = "beacon_register denied: the cluster's token is required";
    const { token_code: _, ...unsigned } = signed(now);
    for (
      const request of [
        unsigned,
        { ...unsigned, token_code: "" },
        { ...unsigned, token_code: "00".repeat(32) },
        { ...unsigned, admin_token: TOKEN },
        signed(now, new ClusterToken("another token of 30 characters")),
        signed(now, token, { ...own, id: 8 }),
        signed(now, token, { ...own, addr: "192.0.2.6:9001" }),
        { ...signed(now), time: now + 1 },
        signed(now - ANNOUNCEMENT_WINDOW_MS - 1),
        signed(now + ANNOUNCEMENT_WINDOW_MS + 1),
      ]
    ) assert.equal(await client.fails(request), refused, JSON.stringify(request));
    assert.deepEqual((await client.ok({ type: "beacon_list" }))["beacons"], []);
    await client.ok(signed(now));
    assert.deepEqual((await client.ok({ type: "beacon_list" }))["beacons"], [own]);
  }, { beacon: { token: TOKEN } }));

Deno.test("punch follows the rules of resolve", () =>
  withServer(async ({ client }) => {
    const a = await registered(client, { listen_addr: "h:4001" });
    const b = await registered(client, { listen_addr: "h:4002" });
    const third = await registered(client);
    const punch = async (node: typeof a, first: number, second: number) =>
      await client.call({
        type: "punch",
        requester_id: node.id,
        node_a: first,
        node_b: second,
        signature: await node.sign(challenges.punch(first, second)),
      });
    const refused = { type: "error", error: "request failed", code: "denied" };
    assert.deepEqual(await punch(a, a.id, b.id), refused);
    await client.ok({
      type: "report_trust",
      node_id: b.id,
      peer_id: a.id,
      signature: await b.sign(challenges.reportTrust(b.id, a.id)),
    });
    assert.deepEqual(await punch(a, b.id, a.id), {
      type: "punch_ok",
      node_a: b.id,
      node_a_addr: "127.0.0.1:4002",
      node_b: a.id,
      node_b_addr: "127.0.0.1:4001",
    });
    assert.deepEqual(await punch(third, a.id, b.id), refused);
    assert.equal((await punch(a, a.id, 99))["error"], "node 99: node not found");
  }));

Deno.test("requests that are not served look like unknown types", () =>
  withServer(async ({ client }) => {
    for (const type of ["get_audit_log", "no_such_thing", "__proto__", "", 5, null, undefined]) {
      assert.equal(await client.fails({ type }), "request failed");
    }
    await client.ok({ type: "list_networks" });
  }));
