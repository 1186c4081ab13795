/** Clients that reset at once shut nobody out of registry and HTTP endpoint. */

import assert from "node:assert/strict";
import { get } from "node:http";
import { HONEST_WAIT_MS, waitsBehindResets } from "../platform/net/resets.ts";
import { RawClient, split } from "./support/client.ts";
import { start } from "./support/server.ts";

Deno.test("the registry answers the next client behind a thousand resets, and among a hundred a second", async () => {
  await using server = await start();
  const waits = await waitsBehindResets(split(server.registryAddr), async () => {
    using client = await RawClient.open(server.registryAddr);
    await client.fails({ type: "lookup", node_id: 1 });
  });
  assert.ok(waits.burst < HONEST_WAIT_MS && waits.storm < HONEST_WAIT_MS, JSON.stringify(waits));
});

Deno.test("the HTTP endpoint answers the next client behind a thousand resets, and among a hundred a second", async () => {
  await using server = await start({ http: "127.0.0.1:0" });
  const url = `http://${server.facts.http}/healthz`;
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      get(url, { agent: false }, (response) => {
        assert.equal(response.statusCode, 200);
        response.resume();
        response.on("end", resolve);
      }).on("error", reject);
    });
  const waits = await waitsBehindResets(split(server.facts.http!), ask);
  assert.ok(waits.burst < HONEST_WAIT_MS && waits.storm < HONEST_WAIT_MS, JSON.stringify(waits));
});
