/** The network table alone: bounds, and what a node in no network costs. */

import assert from "node:assert/strict";
import {
  MAX_EXPR_POLICY_TOTAL_BYTES,
  MAX_MEMBERS,
  MAX_NETWORK_ID,
} from "../../../../rendezvous/registry/networks/network_limits.ts";
import { hashToken, tokenMatches } from "../../../../rendezvous/registry/networks/tokens.ts";
import { newCore, populate } from "./core_support.ts";
import { CHANGE } from "../../support/context.ts";

Deno.test("a node in no network is not in the table at all", async () => {
  const core = newCore();
  await populate(core, 1000);
  assert.equal(core.networks.of(1), core.networks.of(2)); // one shared empty list
  assert.equal(core.networks.share(1, 2), false);
  assert.equal(core.networks.inEnterprise(1), false);
  await core.change(CHANGE, () => {
    const network = core.networks.create({ name: "n", joinRule: "open", created: 1 }, 1);
    core.networks.join(network, 2, "member");
  });
  assert.equal(core.networks.memberships, 2);
  assert.equal(core.networks.share(1, 2), true);
  await core.change(CHANGE, () => {
    core.networks.leave(core.networks.get(1), 2);
    core.networks.delete(core.networks.get(1));
  });
  assert.equal(core.networks.memberships, 0);
  assert.equal(core.networks.of(1), core.networks.of(3));
  await core.close();
});

Deno.test("a network has room for so many members and no more", async () => {
  const core = newCore();
  await core.change(CHANGE, () => {
    const network = core.networks.create({ name: "n", joinRule: "open", created: 1 }, 1);
    for (let node = 2; node <= MAX_MEMBERS; node++) core.networks.join(network, node, "member");
  });
  const network = core.networks.get(1);
  assert.throws(() => core.networks.checkRoom(network, MAX_MEMBERS + 1), /membership limit/);
  await core.change(CHANGE, () => core.networks.leave(network, 7));
  core.networks.checkRoom(network, MAX_MEMBERS + 1);
  await core.close();
});

Deno.test("network numbers are never given out twice and end with 65535", async () => {
  const core = newCore();
  await core.change(CHANGE, () => {
    for (let id = 1; id <= MAX_NETWORK_ID; id++) {
      const network = core.networks.create({ name: "n", joinRule: "open", created: 1 }, 1);
      assert.equal(network.id, id);
      core.networks.delete(network);
    }
  });
  await assert.rejects(
    core.change(CHANGE, () => core.networks.create({ name: "n", joinRule: "open", created: 1 }, 1)),
    /network numbers are used up/,
  );
  assert.equal(core.networks.size, 0);
  await core.close();
});

Deno.test("policy documents together have a bound", async () => {
  const core = newCore();
  await core.change(CHANGE, () => {
    for (const name of ["a", "b"]) {
      core.networks.create({ name, joinRule: "open", created: 1 }, 1);
    }
  });
  const [a, b] = [core.networks.get(1), core.networks.get(2)];
  const half = "x".repeat(MAX_EXPR_POLICY_TOTAL_BYTES / 2);
  const set = (network: typeof a, text: string) =>
    core.change(CHANGE, () => core.networks.setExprPolicy(network, text));
  await set(a, half);
  await set(b, half);
  await assert.rejects(set(b, `${half}x`), /too many policy documents/);
  assert.equal(b.exprPolicy.length, half.length);
  await set(a, "");
  await set(b, `${half}x`);
  await core.change(CHANGE, () => core.networks.delete(b));
  await set(a, half);
  await core.close();
});

Deno.test("tokens are kept as hashes", () => {
  const hash = hashToken("secret");
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(tokenMatches("secret", hash), true);
  for (const wrong of ["", "Secret", hash]) assert.equal(tokenMatches(wrong, hash), false);
  assert.equal(hashToken(""), "");
  assert.equal(tokenMatches("", ""), false);
});
