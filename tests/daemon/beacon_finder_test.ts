import assert from "node:assert/strict";
import { BeaconFinder } from "../../daemon/beacon_finder.ts";
import { type Endpoint, formatEndpoint } from "../../protocol/ip.ts";
import { settle } from "../support/settle.ts";

/** A finder and what it has found and told. */
function finder(options: { registry?: string; beacon?: string; isDual?: boolean } = {}) {
  const name: { addresses: string[] | Error } = { addresses: [] };
  const found: string[][] = [];
  const lines: string[] = [];
  let lookups = 0;
  const it = new BeaconFinder({
    beacon: options.beacon ?? "rv.example:9001",
    registry: options.registry ?? "rv.example:9000",
    isDual: options.isDual ?? true,
    found: (candidates: readonly Endpoint[]) => void found.push(candidates.map(formatEndpoint)),
    log: (level, message) => void lines.push(`${level}: ${message}`),
    resolve: () => {
      lookups++;
      const { addresses } = name;
      return addresses instanceof Error
        ? Promise.reject(addresses)
        : Promise.resolve(addresses.map((address) => ({ address })));
    },
  });
  return { it, name, found, lines, lookups: () => lookups };
}

Deno.test("a name that is unknown at first is looked up again while the beacon is silent", async () => {
  const { it, name, found, lines } = finder({ registry: "other.example:9000" });
  name.addresses = new Error("ENOTFOUND");
  for (let i = 0; i < 5; i++) {
    it.silent();
    await settle();
  }
  assert.deepEqual(found, []);
  assert.match(it.error!, /ENOTFOUND/);
  assert.equal(lines.length, 1, "one line for an outage");
  name.addresses = ["192.0.2.1"];
  it.silent();
  await settle();
  assert.deepEqual(found, [["192.0.2.1:9001"]]);
  assert.equal(it.error, undefined);
});

Deno.test("the address by which the registry answers is one more for a beacon of the same name", async () => {
  const { it, name, found } = finder();
  name.addresses = ["192.0.2.1"];
  it.registryAt("2001:db8::9");
  await settle();
  assert.deepEqual(found.at(-1), ["192.0.2.1:9001", "[2001:db8::9]:9001"]);
  // It is enough when the name service fails afterwards.
  const alone = finder();
  alone.name.addresses = new Error("SERVFAIL");
  alone.it.registryAt("::ffff:192.0.2.7");
  await settle();
  assert.deepEqual(alone.found.at(-1), ["192.0.2.7:9001"]);
});

Deno.test("the registry's address says nothing about a beacon of another name", async () => {
  const { it, found, lookups } = finder({ registry: "registry.example:9000" });
  it.registryAt("192.0.2.7");
  await settle();
  assert.deepEqual(found, []);
  assert.equal(lookups(), 0);
});

Deno.test("a new connection to the registry is a reason to look the name up: it may have moved", async () => {
  const { it, name, found } = finder();
  name.addresses = ["192.0.2.1"];
  it.registryAt("192.0.2.1");
  await settle();
  name.addresses = ["192.0.2.9"];
  it.registryAt("192.0.2.9");
  await settle();
  assert.deepEqual(found, [["192.0.2.1:9001"], ["192.0.2.9:9001"]]);
});

Deno.test("one look-up runs at a time, and a literal needs none", async () => {
  const { it, lookups } = finder();
  for (let i = 0; i < 10; i++) it.look();
  assert.equal(lookups(), 1);
  await settle();
  it.look();
  assert.equal(lookups(), 2);
  const literal = finder({ beacon: "[2001:db8::1]:9001" });
  literal.it.look();
  assert.deepEqual(literal.found, [["[2001:db8::1]:9001"]]);
  assert.equal(literal.lookups(), 0);
});

Deno.test("a silent beacon, its return and its move are reported once each", async () => {
  const { it, name, lines } = finder();
  name.addresses = ["192.0.2.1"];
  const [here, there] = ["192.0.2.1", "192.0.2.9"].map((host) => ({ host, port: 9001 }));
  it.answers(here!);
  for (let i = 0; i < 5; i++) {
    it.silent();
    await settle();
  }
  it.answers(here!);
  it.answers(there!);
  assert.deepEqual(lines.map((line) => line.replace(/: no relay.*/, "")), [
    "warn: the beacon does not answer",
    "info: the beacon answers",
    "info: the beacon answers",
  ]);
});
