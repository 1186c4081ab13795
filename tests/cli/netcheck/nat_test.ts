import assert from "node:assert/strict";
import { natMapping, type View } from "../../../cli/netcheck/nat.ts";
import { parseEndpoint } from "../../../protocol/ip.ts";

const view = (server: string, seen: string): View => ({
  server: parseEndpoint(server),
  seen: parseEndpoint(seen),
});

Deno.test("natMapping names what differs, and no more than the servers that answered show", () => {
  const first = view("192.0.2.1:9001", "203.0.113.5:700");
  const cases: [string, readonly View[]][] = [
    ["unknown", []],
    ["unknown", [first]],
    ["not_port_dependent", [first, view("192.0.2.1:9002", "203.0.113.5:700")]],
    ["endpoint_independent", [first, view("192.0.2.9:9001", "203.0.113.5:700")]],
    ["address_dependent", [first, view("192.0.2.9:9001", "203.0.113.5:701")]],
    ["address_dependent", [first, view("192.0.2.9:9001", "203.0.113.6:700")]],
    ["address_and_port_dependent", [first, view("192.0.2.1:9002", "203.0.113.5:701")]],
    ["address_and_port_dependent", [
      first,
      view("192.0.2.1:9002", "203.0.113.5:701"),
      view("192.0.2.9:9001", "203.0.113.5:700"),
    ]],
  ];
  for (const [expected, views] of cases) assert.equal(natMapping(views), expected);
});
