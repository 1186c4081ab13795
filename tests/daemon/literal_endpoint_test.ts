import assert from "node:assert/strict";
import { literalEndpoint } from "../../daemon/literal_endpoint.ts";

const V4 = { address: "192.0.2.1", family: 4 };
const V6 = { address: "2001:db8::1", family: 6 };

async function find(
  found: { address: string; family: number }[],
  { isDual = true, ipv4 = ["10.0.0.5"] }: { isDual?: boolean; ipv4?: string[] } = {},
): Promise<string> {
  const { host, port } = await literalEndpoint({ host: "beacon.example", port: 9001 }, {
    isDual,
    resolve: (name) => {
      assert.equal(name, "beacon.example");
      return Promise.resolve(found);
    },
    addresses: () => ({ ipv4, globalIpv6: ["2001:db8::5"] }),
  });
  assert.equal(port, 9001);
  return host;
}

Deno.test("literalEndpoint takes IPv4 where there is a choice, whatever comes first", async () => {
  assert.equal(await find([V6, V4]), V4.address);
  assert.equal(await find([V4, V6]), V4.address);
});

Deno.test("literalEndpoint takes IPv6 when the name has nothing else, or the machine", async () => {
  assert.equal(await find([V6]), V6.address);
  assert.equal(await find([V4, V6], { ipv4: [] }), V6.address);
  assert.equal(await find([V4], { ipv4: [] }), V4.address);
});

Deno.test("literalEndpoint takes the loopback address of IPv4 on a machine with no other", async () => {
  const names = [{ address: "::1", family: 6 }, { address: "127.0.0.1", family: 4 }];
  assert.equal(await find(names, { ipv4: [] }), "127.0.0.1");
});

Deno.test("literalEndpoint gives a socket of IPv4 no address of IPv6", async () => {
  assert.equal(await find([V6, V4], { isDual: false }), V4.address);
  await assert.rejects(find([V6], { isDual: false }), /beacon\.example has no IPv4 address/);
});

Deno.test("literalEndpoint asks nobody for an address", async () => {
  const endpoint = { host: "2001:db8::7", port: 1 };
  const resolve = () => assert.fail("asked");
  assert.deepEqual(await literalEndpoint(endpoint, { isDual: false, resolve }), endpoint);
});
