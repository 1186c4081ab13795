/** Rate limits by source. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { TokenBuckets } from "../../protocol/rate_limit.ts";

Deno.test("TokenBuckets gives the burst at once and the rate afterwards", () => {
  const buckets = new TokenBuckets({ burst: 3, perSecond: 2, maxSources: 10 });
  const take = (now: number) => buckets.take("a", now);
  assert.deepEqual([take(0), take(0), take(0), take(0)], [true, true, true, false]);
  assert.ok(!take(499));
  assert.ok(take(501));
  assert.ok(!take(502));
  assert.ok(buckets.take("b", 502));
  assert.deepEqual([take(1e6), take(1e6), take(1e6), take(1e6)], [true, true, true, false]);
});

Deno.test("TokenBuckets forgets the source that was silent longest", () => {
  const buckets = new TokenBuckets({ burst: 1, perSecond: 1, maxSources: 2 });
  buckets.take("a", 0);
  buckets.take("b", 0);
  assert.ok(!buckets.take("a", 0));
  assert.ok(buckets.take("c", 0)); // b goes
  assert.ok(!buckets.take("a", 0));
  assert.ok(buckets.take("b", 0));
  assert.equal(buckets.size, 2);
});

Deno.test("TokenBuckets never gives more than burst and rate, however the clock runs", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: -50, max: 500 }), { maxLength: 200 }),
    (steps) => {
      const buckets = new TokenBuckets({ burst: 5, perSecond: 10, maxSources: 1 });
      let now = 0;
      let forward = 0;
      let given = 0;
      for (const step of steps) {
        now += step;
        forward += Math.max(0, step);
        if (buckets.take("a", now)) given++;
      }
      assert.ok(given <= 5 + forward / 100 + 1e-9);
    },
  ));
});
