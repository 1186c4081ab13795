import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import type { SharedNetwork } from "../../../daemon/registry/memberships.ts";
import {
  type Addressed,
  Gate,
  type GateDeps,
  MAX_HELD_PACKETS,
  MAX_HELD_PER_NODE,
  MAX_REPLY_WINDOWS,
  MAX_SYN_SOURCES,
  REPLY_WINDOW_MS,
  SYN_RATE,
  SYN_RATE_STRANGER,
  SYN_RATE_TRUSTED,
} from "../../../daemon/stream/gate.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { settle } from "../../support/settle.ts";

const NONE: readonly SharedNetwork[] = [];

function network(id: number, ...ports: number[]): SharedNetwork {
  return { id, allows: (port) => ports.length === 0 || ports.includes(port) };
}

/** A gate; `members` answers for the registry, `known` is what is known already. */
function gate(
  deps: Partial<Omit<GateDeps, "memberships" | "clock">> & {
    members?: (node: number) => Promise<readonly SharedNetwork[]>;
    known?: Map<number, readonly SharedNetwork[]>;
  } = {},
) {
  const { members = () => Promise.resolve(NONE), known = new Map(), ...rest } = deps;
  const clock = new ManualClock();
  const asked: number[] = [];
  return {
    clock,
    asked,
    known,
    gate: new Gate({
      clock,
      isPublic: () => false,
      isTrusted: () => false,
      isRevoked: () => false,
      isExpected: () => false,
      ...rest,
      memberships: {
        known: (node) => known.get(node),
        ask: async (node) => {
          asked.push(node);
          const networks = await members(node);
          known.set(node, networks);
          return networks;
        },
      },
    }),
  };
}

function to(dstPort: number, srcNode: number, srcNetwork = 0, dstNetwork = srcNetwork): Addressed {
  return { dstPort, srcNode, srcNetwork, dstNetwork };
}

Deno.test("Gate admits everybody to a public node and trusted peers to a private one, unasked", () => {
  const open = gate({ isPublic: () => true });
  const trusting = gate({ isTrusted: (node) => node === 5, known: new Map([[6, NONE]]) });
  assert.equal(open.gate.admits(to(80, 9)), true);
  assert.equal(trusting.gate.admits(to(80, 5)), true);
  assert.equal(trusting.gate.admits(to(80, 6)), false);
  assert.deepEqual([open.asked, trusting.asked], [[], []]);
});

Deno.test("Gate admits members of a network to the ports that it allows", () => {
  const known = new Map([[5, [network(3, 80, 443), network(4, 22)]], [6, [network(3)]]]);
  const { gate: it } = gate({ known });
  assert.deepEqual([80, 443, 22, 7].map((port) => it.admits(to(port, 5))), [
    true,
    true,
    true,
    false,
  ]);
  // Addressed on a network, only what that one allows.
  assert.deepEqual([80, 22].map((port) => it.admits(to(port, 5, 3))), [true, false]);
  assert.equal(it.admits(to(7, 6, 3)), true);
});

Deno.test("Gate takes no network in an address that is not shared, from whomever", () => {
  const known = new Map([[5, [network(3)]], [6, NONE]]);
  for (const consent of [{ isTrusted: () => true }, { isPublic: () => true }]) {
    const { gate: it } = gate({ ...consent, known });
    assert.equal(it.admits(to(80, 5)), true);
    assert.equal(it.admits(to(80, 5, 3)), true);
    assert.equal(it.admits(to(80, 5, 777)), false);
    assert.equal(it.admits(to(80, 5, 0, 65535)), false);
    assert.equal(it.admits(to(80, 5, 3, 4)), false);
    assert.equal(it.admits(to(80, 6, 3)), false);
    assert.equal(it.admits(to(80, 9, 3)), undefined, "to be asked");
  }
});

Deno.test("Gate keeps out a member whose trust was ended here", () => {
  const known = new Map([[5, [network(3)]]]);
  const { gate: it } = gate({ known, isRevoked: (node) => node === 5 });
  assert.equal(it.admits(to(80, 5)), false);
  assert.equal(it.admits(to(80, 5, 3)), false);
  assert.equal(it.mayKnow(5), false);
});

Deno.test("Gate admits the answer to an open handshake on port 444 alone", () => {
  const known = new Map([[5, NONE]]);
  const { gate: it } = gate({ known, isExpected: (node) => node === 5 });
  assert.equal(it.admits(to(444, 5)), true);
  assert.equal(it.admits(to(1001, 5)), false);
  assert.equal(it.admits(to(7, 5)), false);
  assert.equal(it.mayKnow(5), true);
});

Deno.test("Gate lets nodes that we asked answer on ports 444 and 1001 for five minutes", async () => {
  const known = new Map([[5, NONE]]);
  const { gate: it, clock } = gate({ known });
  assert.equal(it.admits(to(1001, 5)), false);
  it.noteQuestion(5);
  await clock.run(REPLY_WINDOW_MS - 1);
  const ports = () => [444, 1001, 7, 80].map((port) => it.admits(to(port, 5)));
  assert.deepEqual(ports(), [true, true, false, false]);
  assert.equal(it.mayKnow(5), true);
  await clock.run(1);
  assert.deepEqual(ports(), [false, false, false, false]);
  assert.equal(it.mayKnow(5), false);
  it.noteQuestion(5);
  it.forget(5);
  assert.equal(it.admits(to(1001, 5)), false);
});

Deno.test("Gate takes no answer of a former member that was asked while it was one", async () => {
  let members = [network(3, 80)];
  const { gate: it, known, clock } = gate({ members: () => Promise.resolve(members) });
  it.noteQuestion(5);
  await settle();
  assert.equal(it.admits(to(1001, 5)), true, "ports of the network are for what was not asked");
  assert.equal(it.admits(to(7, 5)), false);
  known.clear();
  assert.equal(it.admits(to(1001, 5)), undefined, "the registry is to be asked");
  assert.equal(it.mayKnow(5), undefined);
  members = [];
  known.set(5, NONE);
  assert.equal(it.admits(to(1001, 5)), false);
  assert.equal(it.mayKnow(5), false);
  // Who asks somebody outside may be answered.
  await clock.run(REPLY_WINDOW_MS);
  it.noteQuestion(5);
  assert.equal(it.admits(to(1001, 5)), true);
});

Deno.test("Gate remembers a bounded number of questions", () => {
  const { gate: it, known } = gate();
  known.set(1, NONE);
  for (let node = 1; node <= MAX_REPLY_WINDOWS + 1; node++) it.noteQuestion(node);
  assert.equal(it.admits(to(444, 1)), false);
  assert.equal(it.admits(to(444, 2)), true);
});

Deno.test("Gate.hold hands packets in again when the registry has answered", async () => {
  const { gate: it, asked } = gate({ members: () => Promise.resolve([network(3)]) });
  const verdicts: unknown[] = [];
  const arrive = () => {
    const verdict = it.admits(to(80, 5));
    if (verdict === undefined) it.hold(5, arrive);
    else verdicts.push(verdict);
  };
  arrive();
  arrive();
  assert.deepEqual(verdicts, []);
  await settle();
  assert.deepEqual(verdicts, [true, true]);
  assert.deepEqual(asked, [5]);
});

Deno.test("Gate stays shut while the registry is away and asks again", async () => {
  const { gate: it, asked } = gate({
    members: () => Promise.reject(new PilotError("unavailable", "away")),
  });
  for (let i = 1; i <= 3; i++) {
    assert.equal(it.admits(to(80, 5)), undefined);
    it.hold(5, () => assert.fail("nobody vouched for it"));
    await settle();
    assert.equal(asked.length, i);
    assert.equal(await it.askMayKnow(5), false);
    asked.pop();
  }
});

Deno.test("Gate.hold keeps a bounded number of packets, of one sender and of all", async () => {
  const answer = Promise.withResolvers<readonly SharedNetwork[]>();
  const { gate: it } = gate({ members: () => answer.promise });
  const retried = new Map<number, number>();
  const hold = (node: number) =>
    it.hold(node, () => void retried.set(node, (retried.get(node) ?? 0) + 1));
  for (let i = 0; i < 100; i++) hold(5);
  for (let node = 100; node < 100 + 2 * MAX_HELD_PACKETS; node++) hold(node);
  answer.resolve(NONE);
  await settle();
  assert.equal(retried.get(5), MAX_HELD_PER_NODE);
  assert.equal([...retried.values()].reduce((a, b) => a + b), MAX_HELD_PACKETS);
  // And there is room again.
  hold(5);
  await settle();
  assert.equal(retried.get(5), MAX_HELD_PER_NODE + 1);
});

Deno.test("Gate.takeSyn gives each source its rate and all together theirs", async () => {
  const { gate: it, clock } = gate({ isTrusted: (node) => node < 1000 });
  const taken = (node: number, tries: number) => {
    let count = 0;
    for (let i = 0; i < tries; i++) if (it.takeSyn(node)) count++;
    return count;
  };
  assert.equal(taken(5000, 200), SYN_RATE_STRANGER.burst);
  assert.equal(taken(5, 2 * SYN_RATE_TRUSTED.burst), SYN_RATE_TRUSTED.burst);
  await clock.run(1_000);
  assert.equal(taken(5000, 200), SYN_RATE_STRANGER.perSecond);
  assert.equal(taken(5, 2 * SYN_RATE_TRUSTED.burst), SYN_RATE_TRUSTED.perSecond);
  await clock.run(60_000);
  let all = 0;
  for (let node = 1; node <= 10; node++) all += taken(node, SYN_RATE_TRUSTED.burst);
  assert.equal(all, SYN_RATE.burst);
});

Deno.test("Gate.takeSyn refuses new strangers when it counts as many as it may", async () => {
  const { gate: it, clock } = gate();
  let count = 0;
  for (let node = 1; node <= MAX_SYN_SOURCES + 1000; node++) {
    if (it.takeSyn(node)) count++;
    // Slow enough for the common limit, quick enough that nobody is forgotten.
    if (node % 1000 === 0) await clock.run(10);
  }
  assert.ok(count <= MAX_SYN_SOURCES);
});
