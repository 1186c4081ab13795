import assert from "node:assert/strict";
import { InterfaceList, withoutZone } from "../../platform/local_addresses.ts";

const LOOPBACK = { address: "127.0.0.1", family: "IPv4", internal: true };
const V4 = { address: "192.0.2.5", family: "IPv4", internal: false };
const LINK = { address: "fe80::1%eth0", family: "IPv6", internal: false };
const V6 = { address: "2001:db8::5", family: "IPv6", internal: false };

Deno.test("interfaces that cannot be listed are no error: the last list stays, and one warning is given", () => {
  let isBroken = true;
  const warnings: string[] = [];
  const list = new InterfaceList(() => {
    if (isBroken) throw new Error("EMFILE");
    return [LOOPBACK, V4, LINK, V6];
  }, (error) => warnings.push(error));
  for (let i = 0; i < 3; i++) assert.deepEqual(list.reachable(), { ipv4: [], globalIpv6: [] });
  assert.equal(list.all().size, 0);
  assert.deepEqual(warnings, ["Error: EMFILE"]);
  isBroken = false;
  const known = { ipv4: ["192.0.2.5"], globalIpv6: ["2001:db8::5"] };
  assert.deepEqual(list.reachable(), known);
  isBroken = true;
  for (let i = 0; i < 3; i++) assert.deepEqual(list.reachable(), known);
  assert.equal(warnings.length, 2);
});

Deno.test("all addresses are those of loopback and of links, too, without zones", () => {
  const list = new InterfaceList(() => [LOOPBACK, V4, LINK, V6], () => {});
  assert.deepEqual([...list.all()].sort(), ["127.0.0.1", "192.0.2.5", "2001:db8::5", "fe80::1"]);
  assert.equal(withoutZone("::ffff:192.0.2.1"), "192.0.2.1");
});
