/** The nameserver with real processes: asked and told by others, gated by trust, and still there after a crash. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { befriend, eventually, World } from "./processes.ts";

Deno.test("an agent with --nameserver serves names to those it trusts, and keeps them", async () => {
  await using world = await World.create();
  await using server = await world.daemon("server", "--hostname", "ns", "--nameserver");
  await using alice = await world.daemon("alice", "--hostname", "alice");
  await using bob = await world.daemon("bob", "--hostname", "bob");
  const ofServer = await server.driver.address();

  await assert.rejects(
    alice.driver.names(ofServer).queryAddress("x", { timeoutMs: 5_000 }),
    (error: { code?: string }) => error.code === "untrusted",
  );
  await befriend(alice, server);
  await befriend(bob, server);
  await assert.rejects(
    server.driver.names("alice").queryAddress("x"),
    (error: { code?: string }) => error.code === "connection_refused",
  );

  const registered = await world.cli("alice", "name", "register", "ns", "A", "printer");
  assert.equal(registered.code, 0, registered.stderr);
  const address = await alice.driver.address();
  const names = bob.driver.names("ns");
  assert.deepEqual(await names.queryAddress("printer"), address);
  await assert.rejects(names.registerAddress("printer"), { code: "denied" });
  await assert.rejects(names.registerAddress("Other", { address }), { code: "denied" });
  await assert.rejects(names.queryAddress("Other"), { code: "not_found" });
  await alice.driver.names("ns").registerService({ name: "web", network: 0, port: 8080 });
  await names.registerService({ name: "web", network: 0, port: 8080 });
  // The agent that runs it is a client like others.
  await server.driver.names(ofServer).registerNetwork("lab", 7);
  const found = await world.cli("bob", "name", "query", "ns", "N", "lab");
  assert.deepEqual(found.data, { type: "N", name: "lab", network_id: 7 });
  await assert.rejects(names.registerNetwork("lab", 8), { code: "denied" });

  // Written within seconds: nothing orderly ends a daemon that crashes.
  const path = join(server.home, "nameserver.json");
  await eventually("the names are saved", async () => {
    const text = await Deno.readTextFile(path).catch(() => "");
    return text.includes('"lab"');
  });
  await server.kill("SIGKILL");
  await server.start();
  assert.deepEqual(await names.queryAddress("printer"), address);
  const providers = await names.queryService(0, 8080);
  assert.deepEqual(
    providers.map(({ address }) => address.node).sort(),
    [
      await alice.node(),
      await bob.node(),
    ].sort(),
  );
});
