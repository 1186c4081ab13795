import assert from "node:assert/strict";
import { ByteBudget } from "../../../daemon/service/byte_budget.ts";

Deno.test("ByteBudget bounds all accounts, and those of one peer", () => {
  const budget = new ByteBudget({ total: 100, perPeer: 60, free: 10 });
  const one = budget.open(1);
  const two = budget.open(1);
  const other = budget.open(2);
  assert.equal(one.hold(10), true);
  assert.equal(budget.bytes, 0);
  assert.equal(one.hold(50), true);
  assert.equal(two.hold(31), false); // 40 + 21 of peer 1
  assert.equal(two.hold(30), true);
  assert.equal(other.hold(51), false); // 60 + 41 in all
  assert.equal(other.hold(50), true);
  assert.equal(budget.bytes, 100);
  assert.equal(one.hold(0), true);
  assert.equal(two.hold(70), true);
  assert.equal(budget.bytes, 100);
  for (const account of [one, two, other]) account.hold(0);
  assert.equal(budget.bytes, 0);
});
