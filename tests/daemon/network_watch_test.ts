import assert from "node:assert/strict";
import { NetworkWatch, SLEEP_MS, WATCH_MS } from "../../daemon/network_watch.ts";
import { ManualClock } from "../support/manual_clock.ts";

function watch(): {
  clock: ManualClock;
  state: { addresses: string[] };
  changes: string[];
  close: () => void;
} {
  const clock = new ManualClock();
  const state = { addresses: ["192.0.2.1"] };
  const changes: string[] = [];
  const it = new NetworkWatch({
    clock,
    addresses: () => state.addresses,
    changed: (reason) => void changes.push(reason),
  });
  return { clock, state, changes, close: () => it.close() };
}

Deno.test("NetworkWatch reports another address once", async () => {
  const { clock, state, changes, close } = watch();
  await clock.run(10 * WATCH_MS);
  assert.deepEqual(changes, []);
  state.addresses = ["192.0.2.1", "198.51.100.7"];
  await clock.run(10 * WATCH_MS);
  assert.deepEqual(changes, ["addresses"]);
  close();
  assert.equal(clock.pending, 0);
});

Deno.test("NetworkWatch waits while there is no address, and reports when one comes", async () => {
  const { clock, state, changes, close } = watch();
  state.addresses = [];
  await clock.run(3 * WATCH_MS);
  assert.deepEqual(changes, []);
  state.addresses = ["192.0.2.1"];
  await clock.run(3 * WATCH_MS);
  assert.deepEqual(changes, ["back"], "the same address: mappings may be gone all the same");
  close();
});

Deno.test("NetworkWatch reports that the machine has slept, though its own clock has stood still", async () => {
  const { clock, changes, close } = watch();
  clock.skewMs = SLEEP_MS - 1;
  await clock.run(2 * WATCH_MS);
  assert.deepEqual(changes, [], "a busy machine is not asleep");
  clock.skewMs += 60_000;
  await clock.run(2 * WATCH_MS);
  assert.deepEqual(changes, ["sleep"]);
  close();
});
