/** Health and metrics over HTTP (docs/protocol/registry.md §7). */

import assert from "node:assert/strict";
import { get as httpGet } from "node:http";
import { isFromHere, isHostAllowed } from "../../../platform/http/origin.ts";
import { challenges } from "../support/challenges.ts";
import { RequestCounters } from "../../../rendezvous/registry/counters.ts";
import type { Rendezvous } from "../../../rendezvous/mod.ts";
import {
  createNetwork,
  inviteRequest,
  respondRequest,
  WITH_ADMIN,
} from "../../rendezvous/registry/networks/support.ts";
import { RawClient, registered, type TestNode } from "../../rendezvous/support/client.ts";
import { start } from "../../rendezvous/support/server.ts";
import { ManualClock } from "../../support/manual_clock.ts";

async function get(
  server: Rendezvous,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; text: string; type: string | null }> {
  // A client of its own, which is closed: no connection outlives the test.
  using client = Deno.createHttpClient({});
  const response = await fetch(`http://${server.facts.http}${path}`, { ...init, client });
  const type = response.headers.get("content-type");
  return { status: response.status, text: await response.text(), type };
}

/** The value of one time series. */
function sample(text: string, series: string): number | undefined {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

function withHttp(body: (server: Rendezvous, clock: ManualClock) => Promise<void>): Promise<void> {
  return (async () => {
    const clock = new ManualClock();
    await using server = await start({ clock, http: "127.0.0.1:0" });
    await body(server, clock);
  })();
}

Deno.test("GET /healthz shows everybody four things, and this machine more", () =>
  withHttp(async (server, clock) => {
    using client = await RawClient.open(server.registryAddr);
    await registered(client);
    clock.advance(5_500);
    const outside = await get(server, "/healthz", { headers: { "x-real-ip": "192.0.2.1" } });
    assert.equal(outside.status, 200);
    const { version, ...rest } = JSON.parse(outside.text);
    assert.equal(typeof version, "string");
    assert.deepEqual(rest, { status: "ok", uptime_seconds: 5, nodes_online: 1 });
    const here = JSON.parse((await get(server, "/healthz")).text);
    assert.equal(here.registry, server.registryAddr);
    assert.equal(here.registry_key, server.facts.registryKey);
    assert.equal(here.nodes_total, 1);
    assert.equal(here.connections, 1);
    assert.equal(here.tls_fingerprint, server.facts.tlsFingerprint);
  }));

Deno.test("GET /metrics counts requests by type, and unknown types as one", () =>
  withHttp(async (server) => {
    using client = await RawClient.open(server.registryAddr);
    const node = await registered(client);
    await registered(client);
    const signature = await node.sign(challenges.heartbeat(node.id));
    await client.ok({ type: "heartbeat", node_id: node.id, signature });
    await client.fails({ type: "lookup", node_id: 99 });
    for (let i = 0; i < 20; i++) await client.fails({ type: `made up ${i}` });
    await client.fails({ type: 'quote"\n' });
    await client.fails({});
    const { status, text, type } = await get(server, "/metrics");
    assert.equal(status, 200);
    assert.match(type ?? "", /^text\/plain; version=0\.0\.4/);
    const expected: [string, number][] = [
      ['pilot_requests_total{type="register"}', 2],
      ['pilot_requests_total{type="heartbeat"}', 1],
      ['pilot_requests_total{type="lookup"}', 1],
      ['pilot_requests_total{type="unknown"}', 22],
      ['pilot_errors_total{type="lookup"}', 1],
      ['pilot_errors_total{type="register"}', 0],
      ['pilot_errors_total{type="unknown"}', 22],
      ["pilot_registrations_total", 2],
      ["pilot_deregistrations_total", 0],
      ["pilot_nodes_online", 2],
      ["pilot_nodes_total", 2],
      ["pilot_trust_links", 0],
      ["pilot_task_executors", 0],
      ["pilot_networks_total", 0],
      ["pilot_invites_pending", 0],
      ["pilot_store_writable", 1],
      ["pilot_connections", 1],
      ["pilot_http_connections", 1],
      ["pilot_beacon_nodes", 0],
      ["pilot_beacon_relayed_total", 0],
      ['pilot_rbac_operations_total{op="kick"}', 0],
      ['pilot_request_duration_seconds_count{type="register"}', 2],
      ['pilot_request_duration_seconds_bucket{le="+Inf",type="register"}', 2],
      ['pilot_request_duration_seconds_bucket{le="0.0001",type="heartbeat"}', 1],
    ];
    for (const [series, value] of expected) assert.equal(sample(text, series), value, series);
    assert.equal(text.match(/^pilot_requests_total\{/gm)?.length, 4);
    const families = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    assert.equal(new Set(families).size, families.length);
  }));

Deno.test("GET /metrics counts invitations by what became of them, refused answers not at all", async () => {
  await using server = await start({ ...WITH_ADMIN, http: "127.0.0.1:0" });
  using client = await RawClient.open(server.registryAddr);
  const owner = await registered(client);
  const guests = [await registered(client), await registered(client), await registered(client)];
  const rules = { join_rule: "invite", enterprise: true };
  const network = await createNetwork(client, owner, rules);
  const counts = async () => {
    const { text } = await get(server, "/metrics");
    const names = ["sent_total", "accepted_total", "rejected_total", "pending"];
    return names.map((name) => sample(text, `pilot_invites_${name}`));
  };
  assert.deepEqual(await counts(), [0, 0, 0, 0]);
  for (const { id } of guests) await client.ok(await inviteRequest(owner, network, id));
  const [first, second, third] = guests as [TestNode, TestNode, TestNode];
  await client.ok(await respondRequest(first, network, true));
  await client.ok(await respondRequest(second, network, true));
  assert.deepEqual(await counts(), [3, 2, 0, 1]);
  await client.ok(await respondRequest(third, network, false));
  await client.fails(await respondRequest(third, network, false));
  await client.fails(await respondRequest(first, network, true));
  assert.deepEqual(await counts(), [3, 2, 1, 0]);
});

Deno.test("native requests of the binary mode count as their JSON forms", () =>
  withHttp(async (server) => {
    using client = await RawClient.open(server.registryAddr);
    await client.write(new Uint8Array([0x50, 0x49, 0x4c, 0x54, 1, 0, 0, 0, 5, 2, 0, 0, 0, 9]));
    assert.equal((await client.readFrame())?.[0], 0xff);
    await client.write(new Uint8Array([0, 0, 0, 1, 0x55]));
    assert.equal((await client.readFrame())?.[0], 0xff);
    const { text } = await get(server, "/metrics");
    assert.equal(sample(text, 'pilot_errors_total{type="lookup"}'), 1);
    assert.equal(sample(text, 'pilot_errors_total{type="unknown"}'), 1);
  }));

Deno.test("GET /metrics is for this machine only, everything else is not found", () =>
  withHttp(async (server) => {
    for (const ip of ["192.0.2.1", "rubbish", "127.0.0.1"]) {
      assert.equal(
        (await get(server, "/metrics", { headers: { "x-real-ip": ip } })).status,
        403,
        ip,
      );
    }
    assert.equal((await get(server, "/metrics")).status, 200);
    for (const path of ["/", "/metrics/", "/healthz/x", "/debug/pprof/", "/%00"]) {
      assert.equal((await get(server, path)).status, 404, path);
    }
    assert.equal((await get(server, "/metrics", { method: "POST", body: "x" })).status, 405);
    assert.equal((await get(server, "/healthz", { method: "DELETE" })).status, 405);
  }));

/** A request with a Host header of choice, which `fetch` does not let one choose. */
function ask(server: Rendezvous, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    httpGet(`http://${server.facts.http}${path}`, { agent: false, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode!));
    }).on("error", reject);
  });
}

Deno.test("the HTTP server answers to addresses, localhost and its own names only", async () => {
  const httpAccess = { names: ["Rendezvous.example"] };
  await using server = await start({ http: "127.0.0.1:0", httpAccess });
  const cases: [string, number][] = [
    ["127.0.0.1", 200],
    ["127.0.0.1:9100", 200],
    ["[::1]:9100", 200],
    ["localhost:9100", 200],
    ["rendezvous.EXAMPLE:9100", 200],
    ["evil.example:9100", 403],
    ["rendezvous.example.evil.example", 403],
    ["127.0.0.1.evil.example", 403],
    ["127.1", 403],
  ];
  for (const [host, status] of cases) {
    for (const path of ["/healthz", "/metrics"]) {
      assert.equal(await ask(server, path, { host }), status, `${host} ${path}`);
    }
  }
  assert.equal(await ask(server, "/none", { host: "evil.example" }), 403);
});

Deno.test("isHostAllowed wants every Host header right, and takes none for no browser's", () => {
  assert.ok(isHostAllowed([], []));
  assert.ok(isHostAllowed(["Accept", "host", "HOST", "[2001:db8::1]"], []));
  assert.ok(!isHostAllowed(["Host", ""], []));
  assert.ok(!isHostAllowed(["Host", "localhost", "host", "evil.example"], []));
  for (const host of ["[evil]", "[::1]evil:1", "localhost:1:2", "a b", "localhost.evil.example"]) {
    assert.ok(!isHostAllowed(["Host", host], []), host);
  }
});

Deno.test("what has passed a proxy is not from this machine, unless a proxy here says so", async () => {
  const clock = new ManualClock();
  await using bare = await start({ clock, http: "127.0.0.1:0" });
  const httpAccess = { behindProxy: true };
  await using proxied = await start({ clock, http: "127.0.0.1:0", httpAccess });
  const cases: [Record<string, string>, bare: number, proxied: number][] = [
    [{}, 200, 200],
    [{ "x-forwarded-for": "192.0.2.1" }, 403, 403],
    [{ "x-forwarded-for": "127.0.0.1" }, 403, 200],
    [{ "x-forwarded-for": "127.0.0.1, 192.0.2.1" }, 403, 403],
    [{ "x-real-ip": "127.0.0.1" }, 403, 200],
    [{ "x-real-ip": "127.0.0.1", "x-forwarded-for": "192.0.2.1" }, 403, 403],
    [{ "x-real-ip": "" }, 403, 403],
    [{ "x-real-ip": "rubbish" }, 403, 403],
    [{ forwarded: "for=192.0.2.1;proto=https" }, 403, 403],
    [{ forwarded: 'proto=https;for="[::1]:4711"' }, 403, 200],
    [{ forwarded: "for=127.0.0.1:80, for=unknown" }, 403, 403],
    [{ forwarded: "proto=https" }, 403, 403],
    [{ via: "1.1 caddy" }, 403, 403],
    [{ "x-forwarded-proto": "https" }, 403, 403],
    [{ "cf-connecting-ip": "192.0.2.1" }, 403, 403],
  ];
  for (const [headers, ...expected] of cases) {
    const got = [await ask(bare, "/metrics", headers), await ask(proxied, "/metrics", headers)];
    assert.deepEqual(got, expected, JSON.stringify(headers));
    assert.equal(await ask(bare, "/healthz", headers), 200);
  }
});

Deno.test("isFromHere is no for any other machine, whatever its headers say", () => {
  for (const hostname of ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]) {
    for (const headers of [{}, { "x-real-ip": "127.0.0.1" }]) {
      for (const isBehindProxy of [false, true]) {
        assert.ok(!isFromHere(hostname, headers, isBehindProxy));
      }
    }
  }
  for (const hostname of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
    assert.ok(isFromHere(hostname, {}, false));
  }
});

Deno.test("the HTTP server names a taken port, and leaves nothing running", async () => {
  await using first = await start({ http: "127.0.0.1:0" });
  const port = first.facts.http?.split(":")[1];
  await assert.rejects(start({ http: `127.0.0.1:${port}` }), {
    code: "already_exists",
    message: new RegExp(`Port ${port} is already in use, the HTTP server`),
    advice: { id: "free_address", setting: "http" },
  });
});

Deno.test("RequestCounters sorts durations into the buckets of the bounds", () => {
  const counters = new RequestCounters();
  for (const ms of [0, 0.1, 0.11, 1_000, 1_001, 60_000]) counters.count("x", ms > 1_000, ms);
  const counts = new Map(counters.entries()).get("x");
  assert.deepEqual([...counts?.buckets ?? []], [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
  assert.equal(counters.succeeded("x"), 4);
  assert.equal(counters.succeeded("y"), 0);
});
