/**
 * Any sequence of requests keeps the tables consistent, and the store holds the same (docs/protocol/registry.md §4.5).
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity } from "../../../../protocol/crypto/identity.ts";
import type { JsonObject, NetworkAction } from "../../../../protocol/registry/registry_message.ts";
import { challenges } from "../../support/challenges.ts";
import { ConnectionAuth } from "../../../../rendezvous/registry/connection_auth.ts";
import { answerJson } from "../../../../rendezvous/registry/answer.ts";
import type { RegistryCore } from "../../../../rendezvous/registry/core.ts";
import { networkRow } from "../../../../rendezvous/registry/networks/network.ts";
import { SqliteStore } from "../../../../rendezvous/registry/store/sqlite.ts";
import { TestNode } from "../../support/client.ts";
import { withDirectory } from "../../support/server.ts";
import { ManualClock } from "../../../support/manual_clock.ts";
import { newCore } from "./core_support.ts";
import {
  ADMIN,
  asRole,
  inviteRequest,
  joinRequest,
  leaveRequest,
  respondRequest,
} from "./support.ts";

const PEER = {
  ip: "127.0.0.1",
  key: "127.0.0.1",
  port: 1,
  loopback: true,
  auth: new ConnectionAuth(),
};
const NODES = await Promise.all(
  Array.from({ length: 5 }, async (_, i) => {
    const node = new TestNode(await Identity.fromSeed(new Uint8Array(32).fill(i + 1)));
    node.id = i + 1;
    return node;
  }),
);

/** Steps sent at once where they share commits. */
const TOGETHER = 12;

/** One step: what is done, by whom, to which network, about whom, and how. */
interface Step {
  what: keyof typeof STEPS;
  actor: TestNode;
  network: number;
  target: TestNode;
  flag: boolean;
}

const role = (type: NetworkAction, fields: (step: Step) => object = () => ({})) => (step: Step) =>
  asRole(step.actor, type, step.network, { ...fields(step) });
const aboutTarget = ({ target }: Step) => ({ target_node_id: target.id });

/** Requests by name; each may be refused, which is part of the test. */
const STEPS = {
  create: ({ actor, network, flag }: Step) => ({
    type: "create_network",
    admin_token: ADMIN,
    node_id: actor.id,
    name: `n${network}`,
    join_rule: flag ? "invite" : "open",
    enterprise: flag,
  }),
  join: ({ actor, network }: Step) => joinRequest(actor, network),
  leave: ({ actor, network }: Step) => leaveRequest(actor, network),
  delete: role("delete_network"),
  rename: role("rename_network", ({ target }) => ({ name: `n${target.id}` })),
  enterprise: ({ network, flag }: Step) => ({
    type: "set_network_enterprise",
    network_id: network,
    enterprise: flag,
    admin_token: ADMIN,
  }),
  invite: ({ actor, network, target }: Step) => inviteRequest(actor, network, target.id),
  respond: ({ actor, network, flag }: Step) => respondRequest(actor, network, flag),
  kick: role("kick_member", aboutTarget),
  promote: role("promote_member", aboutTarget),
  demote: role("demote_member", aboutTarget),
  transfer: role("transfer_ownership", ({ target }) => ({ new_owner_id: target.id })),
  tags: role("set_member_tags", (step) => ({
    ...aboutTarget(step),
    tags: step.flag ? ["t"] : [],
  })),
  policy: role("set_network_policy", ({ target }) => ({ max_members: target.id })),
  expr: role("set_expr_policy", ({ flag }) => ({
    expr_policy: flag ? { version: 1, rules: [] } : "",
  })),
  register: ({ actor }: Step) => actor.registration(),
  deregister: async ({ actor }: Step) => ({
    type: "deregister",
    node_id: actor.id,
    signature: await actor.sign(challenges.deregister(actor.id)),
  }),
  wait: undefined,
} satisfies Record<string, ((step: Step) => object | Promise<object>) | undefined>;

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(...Object.keys(STEPS) as (keyof typeof STEPS)[]),
  actor: fc.constantFrom(...NODES),
  network: fc.integer({ min: 1, max: 5 }),
  target: fc.constantFrom(...NODES),
  flag: fc.boolean(),
});

/** All of the state that requests about networks can change, as plain values. */
function state(core: RegistryCore): unknown {
  return {
    networks: [...core.networks.all()].map((network) => ({
      ...networkRow(network),
      members: [...network.members],
    })),
    byNode: NODES.map(({ id }) => [...core.networks.of(id)].sort((a, b) => a - b)),
    memberships: core.networks.memberships,
    invites: NODES.map(({ id }) =>
      core.invites.waiting(id, 0).sort((a, b) => a.network - b.network)
    ),
    inviteCount: core.invites.size,
  };
}

/** What must hold whatever was asked. */
function check(core: RegistryCore): void {
  const index = new Map<number, number[]>();
  const names = new Set<string>();
  let memberships = 0;
  for (const network of core.networks.all()) {
    assert.equal(core.networks.known(network.id), network);
    assert.ok(!names.has(network.name));
    names.add(network.name);
    memberships += network.members.size;
    const roles = [...network.members.values()].map((member) => member.role);
    const owners = roles.filter((it) => it === "owner").length;
    assert.equal(owners, Math.min(1, network.members.size), "everybody's network has one owner");
    if (network.enterprise) {
      assert.ok(!roles.includes(""));
    }
    const positions = [...network.members.values()].map((member) => member.position);
    assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
    for (const [node, { role }] of network.members) {
      const isLeft = core.nodes.known(node)?.state === "left";
      assert.ok(
        !isLeft || role === "owner",
        "only a node that was alone in its network stays in it",
      );
      index.set(node, [...index.get(node) ?? [], network.id]);
    }
  }
  assert.equal(core.networks.memberships, memberships);
  let invites = 0;
  for (const { id } of NODES) {
    const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);
    assert.deepEqual(sorted(core.networks.of(id)), sorted(index.get(id) ?? []));
    for (const invite of core.invites.waiting(id, 0)) {
      invites++;
      const network = core.networks.known(invite.network);
      assert.ok(network !== undefined && !network.members.has(id));
      assert.notEqual(core.nodes.known(invite.inviter)?.state, "left");
    }
  }
  assert.equal(core.invites.size, invites);
}

async function run(
  core: RegistryCore,
  clock: ManualClock,
  steps: readonly Step[],
): Promise<number> {
  let done = 0;
  for (const node of NODES) await answerJson(core, await node.registration(), PEER);
  for (const each of steps) {
    const make = STEPS[each.what];
    if (make === undefined) {
      // Long enough for silence; not for the end of an invitation.
      clock.advance(310_000);
      await core.tick();
      continue;
    }
    const before = state(core);
    const reply = await answerJson(core, await make(each) as JsonObject, PEER);
    if ("error" in reply) {
      assert.deepEqual(state(core), before, `${each.what} failed, but not whole`);
    } else done++;
    check(core);
  }
  return done;
}

/** Sends steps several at a time, so that they share commits. */
async function runTogether(core: RegistryCore, steps: readonly Step[]): Promise<number> {
  for (const node of NODES) await answerJson(core, await node.registration(), PEER);
  let done = 0;
  for (let at = 0; at < steps.length; at += TOGETHER) {
    const replies = await Promise.all(
      steps.slice(at, at + TOGETHER).map(async (each) => {
        const request = await STEPS[each.what]?.(each);
        return request === undefined ? {} : await answerJson(core, request as JsonObject, PEER);
      }),
    );
    done += replies.filter((reply) => !("error" in reply)).length;
  }
  return done;
}

/** Runs something on a store and compares memory with what a second start reads. */
function storedLikeMemory(
  body: (core: RegistryCore, clock: ManualClock) => Promise<void>,
): Promise<void> {
  return withDirectory(async (directory) => {
    const clock = new ManualClock();
    const first = newCore({ store: await SqliteStore.open(directory), clock });
    let before: unknown;
    try {
      await body(first, clock);
      before = state(first);
    } finally {
      await first.close();
    }
    const second = newCore({ store: await SqliteStore.open(directory), clock });
    try {
      assert.deepEqual(state(second), before);
    } finally {
      await second.close();
    }
  });
}

Deno.test("any sequence of requests keeps the tables consistent, in memory and on disk", async () => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 80 }),
      (steps) =>
        storedLikeMemory(async (core, clock) => {
          done += await run(core, clock, steps);
        }),
    ),
    { numRuns: 25 },
  );
  // Some 120 of 1,250 do, 100 now and then.
  assert.ok(done > 50, `only ${done} requests succeeded: the steps test nothing`);
});

Deno.test("requests that share a commit are stored as they are in memory", async () => {
  let done = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 40, maxLength: 120 }),
      (steps) =>
        storedLikeMemory(async (core) => {
          done += await runTogether(core, steps);
        }),
    ),
    { numRuns: 15 },
  );
  assert.ok(done > 100, `only ${done} requests succeeded: the steps test nothing`);
});
