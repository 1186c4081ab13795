import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import {
  MAX_ASKING,
  Memberships,
  type SharedNetwork,
  SWEEP_MS,
  VERDICT_TTL_MS,
} from "../../../daemon/registry/memberships.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { settle } from "../../support/settle.ts";

const SELF = 5;

/** Memberships of node 5, and the registry that they are asked of. */
function memberships(joined: number[]) {
  const clock = new ManualClock();
  const networks = new Map<number, number[]>([[SELF, [0, 3, 4, 9]]]);
  const ports = new Map<number, number[]>();
  const asked: string[] = [];
  const judged: [number, number[], boolean][] = [];
  const state = { isDown: false, active: [] as number[], held: Promise.resolve() };
  const ask = async (what: string) => {
    asked.push(what);
    await state.held;
    if (state.isDown) throw new PilotError("unavailable", "registry down");
  };
  const it = new Memberships({
    clock,
    self: () => SELF,
    lookup: async (node) => {
      await ask(`lookup ${node}`);
      return { networks: networks.get(node) ?? [0] };
    },
    policy: async (network) => {
      await ask(`policy ${network}`);
      return { allowed_ports: ports.get(network) ?? [] };
    },
    joined: () => joined,
  });
  it.start({
    active: () => state.active,
    judged: (node, shared, isLess) => void judged.push([node, ids(shared), isLess]),
  });
  return { it, clock, networks, ports, asked, judged, state };
}

function ids(networks: readonly SharedNetwork[] | undefined): number[] {
  return (networks ?? assert.fail("not known")).map(({ id }) => id);
}

Deno.test("Memberships count where this node has joined, both are members, and nowhere else", async () => {
  const { it, networks } = memberships([3, 4, 7]);
  networks.set(7, [0, 3, 4, 7, 9]);
  // 9: never joined here. 7: put out of it. 0: everybody is in it.
  assert.deepEqual(ids(await it.ask(7)), [3, 4]);
  assert.deepEqual(ids(it.known(7)), [3, 4]);
  assert.deepEqual(ids(await it.ask(8)), []);
  it.close();
});

Deno.test("Memberships of a node that has joined nothing ask nobody", async () => {
  const { it, asked, networks } = memberships([]);
  networks.set(7, [0, 3, 9]);
  assert.deepEqual(it.known(7), []);
  assert.deepEqual(await it.ask(7), []);
  assert.deepEqual(asked, []);
  it.close();
});

Deno.test("Memberships know the ports that a network allows", async () => {
  const { it, networks, ports } = memberships([3, 4]);
  networks.set(7, [3, 4]);
  ports.set(3, [80, 443]);
  const [three, four] = await it.ask(7);
  assert.deepEqual([80, 443, 22].map((port) => three!.allows(port)), [true, true, false]);
  assert.equal(four!.allows(22), true);
  it.close();
});

Deno.test("Memberships are cached for seconds, and fetched again before that while they are used", async () => {
  const { it, clock, networks, asked } = memberships([3]);
  networks.set(7, [3]);
  await it.ask(7);
  await clock.run(VERDICT_TTL_MS - 1);
  networks.set(7, []);
  assert.deepEqual(ids(it.known(7)), [3]);
  await settle();
  assert.deepEqual(ids(it.known(7)), []);
  await clock.run(VERDICT_TTL_MS);
  assert.equal(it.known(7), undefined);
  assert.equal(asked.filter((what) => what === "lookup 7").length, 2);
  it.close();
});

Deno.test("Memberships shut when the registry is away, and open again with it", async () => {
  const { it, clock, networks, state } = memberships([3]);
  networks.set(7, [3]);
  await it.ask(7);
  state.isDown = true;
  await clock.run(VERDICT_TTL_MS);
  assert.equal(it.known(7), undefined);
  await assert.rejects(it.ask(7), { code: "unavailable" });
  assert.equal(it.known(7), undefined);
  state.isDown = false;
  assert.deepEqual(ids(await it.ask(7)), [3]);
  it.close();
});

Deno.test("Memberships report what was lost: at a refresh at once, otherwise at the next look", async () => {
  const { it, clock, networks, judged, state } = memberships([3, 4]);
  networks.set(7, [3, 4]).set(8, [3]);
  state.active = [7, 8];
  await it.ask(7);
  await it.ask(8);
  networks.set(7, [4]);
  it.refresh();
  assert.equal(it.known(7), undefined, "what was known does not count any more");
  await settle();
  assert.deepEqual(judged.at(-2), [7, [4], true]);
  assert.deepEqual(judged.at(-1), [8, [3], false]);
  networks.set(8, []);
  await clock.run(SWEEP_MS);
  await settle();
  assert.ok(judged.some(([node, shared, isLess]) => node === 8 && shared.length === 0 && isLess));
  it.close();
});

Deno.test("Memberships do not take an answer that was on its way when everything changed", async () => {
  const { it, networks, state } = memberships([3]);
  networks.set(7, [3]);
  const { promise, resolve } = Promise.withResolvers<void>();
  state.held = promise;
  const early = it.ask(7);
  it.refresh();
  resolve();
  await early;
  assert.equal(it.known(7), undefined);
  it.close();
});

Deno.test("Memberships ask about a bounded number of peers at a time", async () => {
  const { it, state, asked } = memberships([3]);
  const { promise, resolve } = Promise.withResolvers<void>();
  state.held = promise;
  const all = Array.from({ length: MAX_ASKING }, (_, i) => it.ask(100 + i));
  await assert.rejects(it.ask(99), { code: "limit_exceeded" });
  assert.ok(asked.length <= 2 * MAX_ASKING);
  resolve();
  await Promise.all(all);
  assert.deepEqual(ids(await it.ask(99)), []);
  it.close();
});
