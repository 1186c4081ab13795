import assert from "node:assert/strict";
import {
  MAX_SERVER_ADDRESSES,
  preferred,
  serverAddresses,
} from "../../../platform/net/server_addresses.ts";

const NAME = { host: "beacon.example", port: 9001 };

/** The hosts found for a name that has these addresses. */
async function find(addresses: readonly string[], isDual: boolean): Promise<string[]> {
  const found = await serverAddresses(NAME, {
    isDual,
    resolve: (name) => {
      assert.equal(name, NAME.host);
      return Promise.resolve(addresses.map((address) => ({ address })));
    },
  });
  for (const { port } of found) assert.equal(port, NAME.port);
  return found.map(({ host }) => host);
}

Deno.test("serverAddresses gives all addresses of both kinds, IPv4 first, each once", async () => {
  const all = ["2001:DB8::1", "192.0.2.1", "192.0.2.2", "2001:db8:0::1"];
  assert.deepEqual(await find(all, true), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  assert.deepEqual(await find(["2001:db8::1"], true), ["2001:db8::1"]);
});

Deno.test("serverAddresses gives a socket of IPv4 no address of IPv6", async () => {
  assert.deepEqual(await find(["2001:db8::1", "192.0.2.1"], false), ["192.0.2.1"]);
  await assert.rejects(find(["2001:db8::1"], false), /beacon\.example has no IPv4 address/);
  await assert.rejects(find([], true), /beacon\.example has no address/);
});

Deno.test("serverAddresses asks nobody for a literal, and keeps its zone", async () => {
  const resolve = () => assert.fail("asked");
  for (
    const [host, expected] of [["2001:DB8::7", "2001:db8::7"], ["fe80::1%eth0", "fe80::1%eth0"]]
  ) {
    const found = await serverAddresses({ host: host!, port: 1 }, { isDual: true, resolve });
    assert.deepEqual(found, [{ host: expected, port: 1 }]);
  }
});

Deno.test("a name with many addresses of one kind leaves room for the other", () => {
  const v4 = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`);
  const v6 = Array.from({ length: 100 }, (_, i) => `2001:db8::${i + 1}`);
  for (const [a, b] of [[100, 100], [100, 1], [1, 100], [100, 0], [0, 100]] as const) {
    const found = preferred([...v4.slice(0, a), ...v6.slice(0, b)], true);
    assert.equal(found.length, MAX_SERVER_ADDRESSES, `${a} and ${b}`);
    assert.equal(found.some((host) => host.includes(".")), a > 0);
    assert.equal(found.some((host) => host.includes(":")), b > 0);
  }
});
