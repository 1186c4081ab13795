import assert from "node:assert/strict";
import {
  REPLAY_SET_ENTRIES,
  REPLAY_SET_PER_SENDER,
  REPLAY_SET_TTL_MS,
  ReplaySet,
} from "../../../protocol/trust/replay_set.ts";

const NOW = 1_700_000_000_000;

Deno.test("ReplaySet takes a hash once until it expires", () => {
  const set = new ReplaySet();
  assert.equal(set.add("a", 1, NOW), true);
  assert.equal(set.add("a", 1, NOW + REPLAY_SET_TTL_MS - 1), false);
  assert.equal(set.add("a", 1, NOW + REPLAY_SET_TTL_MS), true);
  assert.equal(set.size, 1);
});

Deno.test("ReplaySet bounds one sender without touching the others", () => {
  const set = new ReplaySet();
  for (let i = 0; i < REPLAY_SET_PER_SENDER; i++) {
    assert.equal(set.add(`a${i}`, 1, NOW), true);
  }
  assert.equal(set.add("more", 1, NOW), false);
  assert.equal(set.add("more", 2, NOW), true);
  assert.equal(set.add("later", 1, NOW + REPLAY_SET_TTL_MS), true);
});

Deno.test("ReplaySet drops what is new rather than forget what was seen when it is full", () => {
  const set = new ReplaySet();
  for (let i = 0; i < REPLAY_SET_ENTRIES; i++) set.add(`${i}`, i, NOW);
  assert.equal(set.size, REPLAY_SET_ENTRIES);
  assert.equal(set.add("more", 99_999, NOW), false);
  assert.equal(set.add("0", 0, NOW), false);
  assert.equal(set.add("more", 99_999, NOW + REPLAY_SET_TTL_MS), true);
  assert.equal(set.size, 1);
});

Deno.test("ReplaySet does not stay blocked when the clock is put back", () => {
  const set = new ReplaySet();
  const wrong = NOW + 1e12;
  for (let i = 0; i < REPLAY_SET_PER_SENDER; i++) set.add(`${i}`, 1, wrong);
  assert.equal(set.add("new", 1, NOW), true);
  assert.equal(set.size, 1);
});
