import assert from "node:assert/strict";
import { parseJoinUri } from "../../platform/join_uri.ts";
import { joinFacts, type JoinOptions } from "../../rendezvous/join_line.ts";
import { start } from "./support/server.ts";

const PINS = {
  fingerprint: "ab".repeat(32),
  registryKey: "3ySEaMbcFF1IWe9SKRc5USXbf+QhHPcTv1kBTgGIdZ4=",
};

function facts(options: Partial<JoinOptions>) {
  return joinFacts({
    ...{ registry: "[::]:9000", beacon: "0.0.0.0:9001", advertise: undefined, ...PINS },
    addresses: () => assert.fail("not needed"),
    ...options,
  });
}

Deno.test("joinFacts names the advertised host, else the one listened on, else the only address", () => {
  const places = (options: Partial<JoinOptions>) => {
    const { uri, hint } = facts(options);
    assert.equal(hint, undefined);
    const { registry, beacon, ...pins } = parseJoinUri(uri);
    assert.deepEqual(pins, PINS);
    return [registry, beacon];
  };
  assert.deepEqual(places({ advertise: "r.example" }), ["r.example:9000", "r.example:9001"]);
  assert.deepEqual(places({ advertise: "::1" }), ["[::1]:9000", "[::1]:9001"]);
  assert.deepEqual(
    places({ registry: "192.0.2.1:9000", beacon: "[2001:db8::2]:9" }),
    ["192.0.2.1:9000", "[2001:db8::2]:9"],
  );
  assert.deepEqual(
    places({ addresses: () => ["192.0.2.7"] }),
    ["192.0.2.7:9000", "192.0.2.7:9001"],
  );
});

Deno.test("joinFacts leaves a host that it does not know to a person", () => {
  for (const addresses of [[], ["192.0.2.1", "198.51.100.1"]]) {
    const { uri, hint } = facts({ addresses: () => addresses });
    assert.match(uri, /^pilot:\/\/<HOST>:9000\?beacon=<HOST>:9001&/);
    assert.match(hint ?? "", /to advertise that host/);
    assert.throws(() => parseJoinUri(uri), { code: "invalid_argument", message: /<HOST>/ });
  }
  const zoned = facts({ registry: "[fe80::1%eth0]:9000", beacon: "127.0.0.1:9001" });
  assert.match(zoned.uri, /^pilot:\/\/<HOST>:9000\?beacon=127/);
});

Deno.test("a server shows how it is joined, and refuses an invalid host", async () => {
  await using server = await start({ advertise: "r.example" });
  const { uri, hint } = server.facts.join;
  assert.equal(hint, undefined);
  const port = (addr: string) => addr.slice(addr.lastIndexOf(":"));
  assert.deepEqual(parseJoinUri(uri), {
    registry: `r.example${port(server.registryAddr)}`,
    beacon: `r.example${port(server.beaconAddr)}`,
    fingerprint: server.facts.tlsFingerprint,
    registryKey: server.facts.registryKey,
  });
  await assert.rejects(start({ advertise: "no host" }), { code: "invalid_argument" });
});
