/** How words to peers are put into messages. */

import assert from "node:assert/strict";
import { LateRejections } from "../../../daemon/trust/late_rejections.ts";
import type { Relayed } from "../../../daemon/trust/relayed.ts";
import { TrustHub, TrustNode } from "../harness/trust.ts";
import { withPair } from "../harness/trust_pair.ts";
import { World } from "../harness/world.ts";

for (const reason of ["x".repeat(1_000), '"'.repeat(500), "\u0001".repeat(500)]) {
  Deno.test(`TrustService.reject is delivered though its reason does not fit: ${JSON.stringify(reason[0])}`, async () => {
    await using world = new World();
    const hub = new TrustHub(world);
    const a = await TrustNode.start(hub, 5);
    const b = await TrustNode.start(hub, 7);
    await world.run(100);
    await world.clock.finish(a.service.request(7, "hi"));
    await world.clock.until(() => b.service.pendingCount === 1);
    await world.clock.finish(b.service.reject(5, reason));
    await world.clock.until(() => a.state.outgoing().length === 0);
    assert.deepEqual(b.state.owed(), []);
    const event = a.net.events.find(({ event }) => event === "handshake.rejected_by_peer");
    assert.equal(event?.data.reason, reason.slice(0, 80));
    for (const node of [a, b]) await world.clock.finish(node.service.stop());
  });
}

Deno.test("a rejection that was on its way when trust was asked for again does not end the new request", () =>
  withPair({}, async ({ world, hub, a }) => {
    // As existing daemons reject: the registry's word alone.
    hub.isOld = true;
    const reject = () =>
      hub.put(5, "responses", { from_node_id: 7, accept: false, timestamp: 0, message: "" });
    await world.clock.finish(a.service.request(7, "first"));
    const { promise, resolve } = Promise.withResolvers<void>();
    hub.handing = promise;
    reject();
    a.service.poll();
    await world.clock.until(() => hub.polls.at(-1)?.[1] === world.clock.now(), 5_000);
    await world.clock.finish(a.service.request(7, "again"));
    hub.clear(5); // our registry drops it then
    resolve();
    await world.run(10_000);
    assert.deepEqual(a.state.outgoing().map(({ nodeId }) => nodeId), [7]);
    reject();
    await world.run(10_000);
    assert.deepEqual(a.state.outgoing(), [], "the answer to the new one");
  }));

Deno.test("LateRejections distinguishes an earlier rejection from an answer while several polls are running", () => {
  const late = new LateRejections();
  const reject = { type: "handshake_reject", from: 7, message: undefined } as unknown as Relayed;
  const early = late.begin();
  late.asked(7);
  const second = late.begin();
  assert.deepEqual([early.answers([reject]), second.answers([reject])], [[], [reject]]);
  second.end();
  assert.deepEqual(early.answers([reject]), []);
  early.end();
  assert.deepEqual(late.begin().answers([reject]), [reject]);
});
