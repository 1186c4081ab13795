/** `rendezvous status`: what can be found out about a server in another process. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { isLocked } from "../../rendezvous/registry/store/lock.ts";
import { rendezvousStatus } from "../../rendezvous/mod.ts";
import { RawClient, registered } from "./support/client.ts";
import { start, withDirectory } from "./support/server.ts";

Deno.test("rendezvousStatus reads the store directory of a server without HTTP", () =>
  withDirectory(async (store) => {
    await using server = await start({ store, tls: "auto" });
    const cert = await Deno.readTextFile(join(store, "tls.crt"));
    const { port } = new URL(`tcp://${server.registryAddr}`);
    using client = new RawClient(
      await Deno.connectTls({ hostname: "localhost", port: Number(port), caCerts: [cert] }),
    );
    await registered(client);
    const status = await rendezvousStatus({ store });
    assert.equal(status["running"], true);
    assert.equal(status["healthy"], null, "nobody was asked");
    assert.equal(status["pid"], Deno.pid);
    assert.equal(status["registry"], server.registryAddr);
    assert.equal(status["beacon"], server.beaconAddr);
    assert.equal(status["http"], null);
    assert.equal(status["registry_key"], server.facts.registryKey);
    assert.equal(status["tls_fingerprint"], server.facts.tlsFingerprint);
    assert.equal(status["join_uri"], server.facts.join.uri);
    assert.equal(status["join_hint"], null);
    assert.equal(status["nodes_online"], 1);
    assert.equal(status["nodes_total"], 1);
    assert.equal(status["trust_links"], 0);
    assert.ok(Number(status["store_bytes"]) > 0);
    assert.ok(Number(status["uptime_seconds"]) < 60);
    if (Deno.build.os !== "windows") {
      assert.equal((await Deno.stat(join(store, "rendezvous.json"))).mode! & 0o777, 0o600);
    }
    await registered(client); // the look has not disturbed the server
  }));

Deno.test("rendezvousStatus asks the HTTP endpoint, found in the directory or given", () =>
  withDirectory(async (store) => {
    await using server = await start({ store, http: "127.0.0.1:0" });
    for (const options of [{ store }, { store: "/nowhere", http: server.facts.http }]) {
      const status = await rendezvousStatus(options);
      assert.equal(status["running"], true);
      assert.equal(status["healthy"], true);
      assert.equal(status["http"], server.facts.http);
      assert.equal(status["nodes_total"], 0);
      assert.equal(status["store"], store);
    }
  }));

Deno.test("rendezvousStatus knows a server that was stopped, or killed, from a running one", () =>
  withDirectory(async (store) => {
    await (await start({ store })).close();
    const files = async () => {
      const names: string[] = [];
      for await (const { name } of Deno.readDir(store)) names.push(name);
      return names.sort();
    };
    const before = await files();
    assert.ok(!before.includes("rendezvous.json"));
    // What a killed server leaves.
    await Deno.writeTextFile(join(store, "rendezvous.json"), '{"pid":1,"registry":"127.0.0.1:1"}');
    const status = await rendezvousStatus({ store });
    assert.deepEqual(Object.keys(status), ["running", "store", "store_bytes"]);
    assert.equal(status["running"], false);
    assert.deepEqual(await files(), [...before, "rendezvous.json"].sort());
    assert.equal(await isLocked(store), false);
    await using _server = await start({ store });
    assert.equal(await isLocked(store), true);
    await Deno.writeTextFile(join(store, "rendezvous.json"), "rubbish");
    assert.equal((await rendezvousStatus({ store }))["running"], true);
  }));

Deno.test("rendezvousStatus says what is not there", () =>
  withDirectory(async (store) => {
    await assert.rejects(rendezvousStatus({ store }), {
      code: "not_found",
      advice: { id: "name_store_or_http" },
    });
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const http = `127.0.0.1:${listener.addr.port}`;
    listener.close();
    await assert.rejects(rendezvousStatus({ store, http }), {
      code: "unavailable",
      advice: { id: "check_http" },
    });
  }));

Deno.test("rendezvousStatus does not take another server's answer for one", async () => {
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("<html>"),
  );
  try {
    const http = `127.0.0.1:${other.addr.port}`;
    await assert.rejects(rendezvousStatus({ store: "/nowhere", http }), { code: "unavailable" });
  } finally {
    await other.shutdown();
  }
});
