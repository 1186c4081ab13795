/** Whoever asked for trust learns that it was refused, why, and what is still open. */

import assert from "node:assert/strict";
import { MAX_REFUSALS, Refusals } from "../../../daemon/trust/refusals.ts";
import { withPair } from "../harness/trust_pair.ts";

Deno.test("TrustService notifies waiters that the request was refused, and why", () =>
  withPair({}, async ({ world, a, b }) => {
    await world.clock.finish(a.service.request(7, "hi"));
    assert.equal(a.service.outgoing()[0]?.node_id, 7);
    const waiting = assert.rejects(a.service.waitFor(7, 600_000), {
      code: "denied",
      message: /Node 7 rejected the request: do not know you/,
    });
    await world.clock.until(() => b.service.pendingCount === 1);
    await world.clock.finish(b.service.reject(5, "do not know you"));
    await world.clock.finish(waiting);
    assert.deepEqual(a.service.outgoing(), []);
    const [refusal] = a.service.refused();
    assert.deepEqual([refusal?.node_id, refusal?.reason], [7, "do not know you"]);
    await assert.rejects(a.service.waitFor(7, 600_000), { code: "denied" }, "who comes late, too");

    await world.clock.finish(a.service.request(7, "please"));
    assert.deepEqual(a.service.refused(), [], "asked anew");
    const again = a.service.waitFor(7, 600_000);
    await world.clock.until(() => b.service.pendingCount === 1);
    await world.clock.finish(b.service.approve(5));
    assert.equal(await world.clock.finish(again), true);
  }));

Deno.test("TrustService.revoke says whether trust ended or only a request was taken back", () =>
  withPair({}, async ({ world, a }) => {
    await world.clock.finish(a.service.request(7, "hi"));
    assert.equal(await world.clock.finish(a.service.revoke(7)), false);
    assert.deepEqual(a.service.outgoing(), []);
  }));

Deno.test("Refusals are bounded, the oldest goes", () => {
  const refusals = new Refusals();
  for (let nodeId = 1; nodeId <= MAX_REFUSALS + 2; nodeId++) {
    refusals.add({ nodeId, reason: "", refusedAt: 0 });
    refusals.add({ nodeId: 2, reason: "again", refusedAt: 1 });
  }
  assert.equal(refusals.all().length, MAX_REFUSALS);
  assert.equal(refusals.error(1), undefined);
  assert.match(refusals.error(2)!.message, /again/);
});
