/** Group commit, and what happens when the store cannot be written. */

import assert from "node:assert/strict";
import { getLogger } from "../../../platform/log.ts";
import { Committer } from "../../../rendezvous/registry/committer.ts";
import { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type {
  RegistryStore,
  StoreBatch,
  StoreReader,
} from "../../../rendezvous/registry/store/store.ts";
import { TestClock } from "../support/server.ts";

/** A store whose disk can be filled up. */
class FlakyStore implements RegistryStore {
  readonly location = "/flaky";
  readonly batches: StoreBatch[] = [];
  full = false;
  closed = false;

  load(_reader: StoreReader): void {}

  async commit(batch: StoreBatch): Promise<void> {
    await Promise.resolve();
    if (this.full) throw new Error("disk full");
    this.batches.push(batch);
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function newCore(store: RegistryStore): RegistryCore {
  return new RegistryCore({ store, clock: new TestClock(), log: getLogger(["test"]) });
}

function key(fill: number): string {
  return btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)));
}

Deno.test("RegistryCore commits all changes of a turn in one batch before it answers", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  let answered = 0;
  const changes = Array.from({ length: 50 }, async (_, i) => {
    await core.change(() => core.directory.create(key(i)));
    assert.equal(store.batches.length, 1);
    answered++;
  });
  assert.equal(answered, 0);
  await Promise.all(changes);
  assert.equal(store.batches[0]?.nodes.length, 50);
  assert.equal(store.batches[0]?.nextNode, 51);
  await core.close();
  assert.ok(store.closed);
});

Deno.test("RegistryCore refuses changes while the store is full and stores them all afterwards", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  store.full = true;
  const refused = { name: "RegistryFailure" };
  await assert.rejects(core.change(() => core.directory.create(key(1))), refused);
  await assert.rejects(core.change(() => core.directory.create(key(2))), refused);
  assert.equal(core.directory.byKey(key(2)), undefined);
  await core.tick();
  assert.equal(store.batches.length, 0);
  store.full = false;
  await core.tick();
  await core.change(() => core.directory.create(key(2)));
  const ids = store.batches.flatMap(({ nodes }) => nodes.map(({ id }) => id));
  assert.deepEqual(ids, [1, 2]);
  await core.close();
});

Deno.test("RegistryCore says at close that changes are lost, and closes the store", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  store.full = true;
  await assert.rejects(core.change(() => core.directory.create(key(1))));
  await assert.rejects(core.close(), { name: "PilotError", code: "io_error" });
  assert.ok(store.closed);
});

Deno.test("RegistryCore tells a request that changes nothing the truth about changes on their way", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  store.full = true;
  const first = core.change(() => core.directory.create(key(1)));
  const second = core.change(() => "already so");
  await assert.rejects(first);
  await assert.rejects(second);
  store.full = false;
  await core.close();
});

Deno.test("RegistryCore lets nobody change its tables outside of a change", async () => {
  const core = newCore(new FlakyStore());
  assert.throws(() => core.directory.create(key(1)), { name: "PilotError", code: "internal" });
  await core.close();
});

Deno.test("Committer writes batches one after the other", async () => {
  const order: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let round = 0;
  const batch: StoreBatch = {
    nextNode: 1,
    nodes: [],
    trust: [],
    trustRemoved: [],
    requests: [],
    requestsRemoved: [],
    responses: [],
    responsesRemoved: [],
    nextNetwork: 1,
    networks: [],
    networksRemoved: [],
    members: [],
    membersRemoved: [],
    invites: [],
    invitesRemoved: [],
    bans: [],
    bansRemoved: [],
  };
  const begun = Promise.withResolvers<void>();
  const committer = new Committer({
    take: () => {
      order.push("take");
      return batch;
    },
    commit: async () => {
      order.push("begin");
      begun.resolve();
      await gates[round++]?.promise;
      order.push("end");
    },
    onFailure: () => assert.fail(),
  });
  const first = committer.committed();
  await begun.promise;
  const second = committer.committed();
  assert.notEqual(first, second);
  gates[0]?.resolve();
  await first;
  gates[1]?.resolve();
  await second;
  await committer.idle();
  assert.deepEqual(order, ["take", "begin", "end", "take", "begin", "end"]);
});
