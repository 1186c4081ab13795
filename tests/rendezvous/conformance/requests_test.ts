/**
 * Every request of docs/protocol/registry.md §4.1 to §4.7, in raw bytes and both modes: see runner.ts for the ways
 * tried.
 */

import assert from "node:assert/strict";
import * as requests from "../../../protocol/registry/requests/mod.ts";
import { SERVED } from "../../../rendezvous/registry/requests/mod.ts";
import { tryAll } from "./runner.ts";
import { NETWORK_SUBJECTS } from "./subjects/networks.ts";
import { NODE_SUBJECTS } from "./subjects/nodes.ts";
import { TRUST_SUBJECTS } from "./subjects/trust.ts";

const SUBJECTS = [...NODE_SUBJECTS, ...TRUST_SUBJECTS, ...NETWORK_SUBJECTS];

for (const subject of SUBJECTS) {
  for (const strict of [true, false]) {
    Deno.test(`${subject.type} is answered as §4 says (${strict ? "strict" : "lax"})`, () =>
      tryAll(subject, strict));
  }
}

Deno.test("every request that the server knows is tried", () => {
  // These have tests of their own in register_test.ts and registry/networks/bans_test.ts.
  const apart = ["register", "list_nodes", "set_join_token"];
  assert.deepEqual(
    [...SUBJECTS.map(({ type }) => type), ...apart].sort(),
    [...SERVED.keys()].sort(),
  );
});

Deno.test("every request that has a schema is served, and no other", () => {
  const known = (Object.values(requests) as unknown[]).filter((value) =>
    typeof value === "object" && value !== null && "type" in value
  ) as { type: string }[];
  assert.deepEqual(known.map(({ type }) => type).sort(), [...SERVED.keys()].sort());
});
