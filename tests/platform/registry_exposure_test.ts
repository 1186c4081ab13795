import assert from "node:assert/strict";
import { type RegistryGuards, registryWarning } from "../../platform/registry_exposure.ts";

Deno.test("registryWarning warns of a plain registry elsewhere, unless its key is pinned or it was accepted", () => {
  const warns = (registry: string, guards: Omit<RegistryGuards, "registry"> = {}) =>
    registryWarning({ registry, ...guards }) !== undefined;
  for (const address of ["192.0.2.1:9000", "r.example:9000", "[2001:db8::1]:9000", "10.0.0.1:1"]) {
    assert.ok(warns(address), address);
    assert.ok(warns(address, { registryTls: false, registryPlain: "warn" }));
    assert.ok(!warns(address, { registryTls: true }));
    assert.ok(!warns(address, { registryKey: "k" }));
    assert.ok(!warns(address, { registryPlain: "accept" }));
  }
  for (const address of ["127.0.0.1:9000", "127.9.9.9:1", "[::1]:9000", "localhost:9000"]) {
    assert.ok(!warns(address), address);
  }
  for (const address of ["localhost.example:1", "[fe80::1%lo]:9000", "[::ffff:192.0.2.1]:9000"]) {
    assert.ok(warns(address), address);
  }
  assert.ok(!warns("[::ffff:127.0.0.1]:9000"));
  assert.ok(!warns(":9000"), "no address: nothing is sent");
  assert.match(registryWarning({ registry: "r.example:9000" })!, /r\.example:9000/);
});
