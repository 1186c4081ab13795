import assert from "node:assert/strict";
import { NetworkChange, PROBE_MS, SETTLE_MS } from "../../daemon/network_change.ts";
import { PilotError } from "../../protocol/errors.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A machine with a connection to its registry, and what its daemon has done. */
function machine() {
  const clock = new ManualClock();
  const state = {
    end: "192.0.2.5" as string | undefined,
    ours: new Set(["192.0.2.5"]),
    lan: ["192.0.2.5:4000"],
    answer: (): Promise<unknown> => Promise.resolve(),
  };
  const did: string[] = [];
  const it = new NetworkChange({
    clock,
    registryEnd: () => state.end,
    isOurs: (host) => state.ours.has(host),
    askRegistry: () => {
      did.push("asked");
      return state.answer();
    },
    checkPaths: () => void did.push("checked"),
    moved: (reason) => void did.push(`moved: ${reason}`),
    lanAddrs: () => state.lan,
    register: () => void did.push("registered"),
  });
  it.registered(state.lan);
  return { clock, state, did, it };
}

const never = () => new Promise<never>(() => {});

Deno.test("containers that come and go only cause questions, and no registration before they stay", async () => {
  const { clock, state, did, it } = machine();
  for (let i = 0; i < 8; i++) {
    state.lan = i % 2 === 0 ? ["192.0.2.5:4000", "172.17.0.1:4000"] : ["192.0.2.5:4000"];
    it.changed("addresses");
    await clock.run(5_000);
  }
  assert.deepEqual(did, Array.from({ length: 8 }, () => ["checked", "asked"]).flat());
  await clock.run(SETTLE_MS);
  assert.equal(did.length, 16, "the addresses are those that were registered");
  state.lan = ["192.0.2.5:4000", "10.9.8.7:4000"];
  it.changed("addresses");
  await clock.run(SETTLE_MS);
  assert.deepEqual(did.slice(16), ["checked", "asked", "registered"]);
  it.close();
  assert.equal(clock.pending, 0);
});

Deno.test("a machine that has lost the address of its connection starts over at once", () => {
  const { state, did, it } = machine();
  state.ours = new Set(["198.51.100.7"]);
  it.changed("addresses");
  assert.deepEqual(did, ["moved: addresses"]);
  it.close();
});

Deno.test("without a connection, after sleep and when there are addresses again it starts over at once", () => {
  const { state, did, it } = machine();
  it.changed("sleep");
  it.changed("back");
  state.end = undefined;
  it.changed("addresses");
  assert.deepEqual(did, ["moved: sleep", "moved: back", "moved: addresses"]);
  it.close();
});

Deno.test("a registry that does not answer any more, or answers with a broken connection, is asked again", async () => {
  const { clock, state, did, it } = machine();
  state.answer = never;
  it.changed("addresses");
  await clock.run(PROBE_MS - 1);
  assert.deepEqual(did, ["checked", "asked"]);
  await clock.run(1);
  assert.deepEqual(did, ["checked", "asked", "moved: addresses"]);
  state.answer = () => Promise.reject(new PilotError("unavailable", "gone"));
  it.changed("addresses");
  await clock.run(1);
  assert.deepEqual(did.slice(3), ["checked", "asked", "moved: addresses"]);
  it.close();
});

Deno.test("another uplink, as the beacon sees it just after a change, is a move; at other times it is not", async () => {
  const { clock, did, it } = machine();
  it.seenElsewhere();
  it.changed("addresses");
  await clock.run(100);
  it.seenElsewhere();
  assert.deepEqual(did, ["checked", "asked", "moved: addresses"]);
  it.seenElsewhere();
  it.changed("addresses");
  await clock.run(PROBE_MS + 1);
  it.seenElsewhere();
  assert.deepEqual(did.slice(3), ["checked", "asked"]);
  it.close();
});

Deno.test("nothing moves after the end", async () => {
  const { clock, state, did, it } = machine();
  state.answer = never;
  it.changed("addresses");
  it.close();
  await clock.run(10 * SETTLE_MS);
  assert.deepEqual(did, ["checked", "asked"]);
});
