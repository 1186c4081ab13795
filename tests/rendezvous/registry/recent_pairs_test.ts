import assert from "node:assert/strict";
import { RecentPairs } from "../../../rendezvous/registry/recent_pairs.ts";

Deno.test("RecentPairs count for their time, each direction alone, until they are forgotten", () => {
  const it = new RecentPairs({ perNode: 10, total: 100, ttlMs: 1_000 });
  it.note(1, 2, 0);
  assert.deepEqual([it.has(1, 2, 999), it.has(1, 2, 1_000), it.has(2, 1, 0)], [true, false, false]);
  it.note(1, 2, 900);
  it.note(1, 3, 1_000);
  assert.deepEqual([it.of(1, 1_500), it.of(1, 1_900), it.size], [[2, 3], [3], 2]);
  it.forget(1, 3);
  it.forget(9, 9);
  assert.deepEqual([it.of(1, 1_000), it.size], [[2], 1]);
});

Deno.test("RecentPairs are bounded for each node and in all, and a flood of one node costs nobody else", () => {
  const it = new RecentPairs({ perNode: 3, total: 5, ttlMs: 1_000 });
  it.note(1, 1, 0);
  for (let to = 1; to <= 100; to++) it.note(2, to, 0);
  assert.deepEqual([it.of(1, 0), it.of(2, 0)], [[1], [98, 99, 100]]);
  it.note(3, 1, 0);
  it.note(4, 1, 0);
  assert.equal(it.size, 5);
  assert.deepEqual(it.of(1, 0), [], "who was noted longest ago loses first");
  assert.deepEqual(it.of(4, 0), [1]);
});
