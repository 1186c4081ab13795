/** Group commit, and what happens when the store cannot be written. */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { getLogger } from "../../../platform/log.ts";
import { Committer } from "../../../rendezvous/registry/committer.ts";
import { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type {
  RegistryStore,
  StoreBatch,
  StoreReader,
} from "../../../rendezvous/registry/store/store.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { CHANGE } from "../support/context.ts";

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
  return new RegistryCore({ store, clock: new ManualClock(), log: getLogger(["test"]) });
}

function key(fill: number): string {
  return btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)));
}

Deno.test("RegistryCore commits all changes of a turn in one batch before it answers", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  let answered = 0;
  const changes = Array.from({ length: 50 }, async (_, i) => {
    await core.change(CHANGE, () => core.nodes.create(key(i)));
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
  await assert.rejects(core.change(CHANGE, () => core.nodes.create(key(1))), refused);
  await assert.rejects(core.change(CHANGE, () => core.nodes.create(key(2))), refused);
  assert.equal(core.nodes.byKey(key(2)), undefined);
  await core.tick();
  assert.equal(store.batches.length, 0);
  store.full = false;
  await core.tick();
  await core.change(CHANGE, () => core.nodes.create(key(2)));
  const ids = store.batches.flatMap(({ nodes }) => nodes.map(({ id }) => id));
  assert.deepEqual(ids, [1, 2]);
  await core.close();
});

Deno.test("RegistryCore says at close that changes are lost, and closes the store", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  store.full = true;
  await assert.rejects(core.change(CHANGE, () => core.nodes.create(key(1))));
  await assert.rejects(core.close(), { name: "PilotError", code: "io_error" });
  assert.ok(store.closed);
});

Deno.test("RegistryCore answers a request that changes nothing truthfully about pending changes", async () => {
  const store = new FlakyStore();
  const core = newCore(store);
  store.full = true;
  const first = core.change(CHANGE, () => core.nodes.create(key(1)));
  const second = core.change(CHANGE, () => "already so");
  await assert.rejects(first);
  await assert.rejects(second);
  store.full = false;
  await core.close();
});

Deno.test("RegistryCore lets nobody change its tables outside of a change", async () => {
  const core = newCore(new FlakyStore());
  assert.throws(() => core.nodes.create(key(1)), { name: "PilotError", code: "internal" });
  await core.close();
});

/** A batch that is known by its number. */
function batch(nextNode: number): StoreBatch {
  return {
    sequence: nextNode,
    nextNode,
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
}

/** A committer whose store waits for the test before each answer, and what happened in which order. */
class Gated {
  readonly events: string[] = [];
  readonly committer: Committer<StoreBatch>;
  #taken = 0;
  #waiting: { number: number; settle: PromiseWithResolvers<void> } | undefined;
  #begun = Promise.withResolvers<void>();

  constructor() {
    this.committer = new Committer({
      take: () => {
        this.events.push(`take ${++this.#taken}`);
        return batch(this.#taken);
      },
      commit: async ({ nextNode: number }) => {
        assert.equal(this.#waiting, undefined, "two transactions at once");
        this.events.push(`begin ${number}`);
        this.#waiting = { number, settle: Promise.withResolvers() };
        this.#begun.resolve();
        await this.#waiting.settle.promise;
      },
      onFailure: (error) => this.events.push(`told ${(error as Error).message}`),
    });
  }

  /** Waits until a transaction has begun. */
  async begun(): Promise<void> {
    await this.#begun.promise;
  }

  /** Ends the transaction that runs. */
  async end(failure?: string): Promise<void> {
    await this.begun();
    const { number, settle } = this.#waiting!;
    this.events.push(`${failure === undefined ? "end" : "fail"} ${number}`);
    this.#waiting = undefined;
    this.#begun = Promise.withResolvers();
    if (failure === undefined) settle.resolve();
    else settle.reject(new Error(failure));
  }

  /** What happened since the last call. */
  take(): string[] {
    return this.events.splice(0);
  }

  /** Notes in the order of events when something is answered. */
  noted(name: string, work: Promise<void>): Promise<void> {
    return work.then(
      () => void this.events.push(`${name} ok`),
      (error) => void this.events.push(`${name} refused: ${error.message}`),
    );
  }
}

/** Lets everything run that waits for nothing outside. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

Deno.test("Committer writes batches one after the other", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const first = committer.committed();
  assert.equal(committer.committed(), first, "one transaction for a turn");
  await gated.begun();
  const second = committer.committed();
  assert.notEqual(first, second);
  await gated.end();
  await first;
  await gated.end();
  await second;
  await committer.idle();
  assert.deepEqual(
    gated.take(),
    ["take 1", "begin 1", "end 1", "take 2", "begin 2", "end 2"],
  );
});

Deno.test("Committer writes what failed before anything newer, the oldest first", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const first = gated.noted("first", committer.committed());
  await gated.end("disk full");
  await first;
  assert.equal(committer.healthy, false);
  // Changes are refused meanwhile, but those already made in memory are asked to be stored.
  const second = gated.noted("second", committer.committed());
  await gated.end("disk full");
  await second;
  const third = gated.noted("third", committer.committed());
  for (let i = 0; i < 3; i++) await gated.end();
  await third;
  assert.equal(committer.healthy, true);
  assert.deepEqual(gated.take(), [
    ...["take 1", "begin 1", "fail 1", "told disk full", "first refused: disk full"],
    ...["take 2", "begin 1", "fail 1", "told disk full", "second refused: disk full"],
    ...["take 3", "begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3", "third ok"],
  ]);
});

Deno.test("a request without a change is answered after the commit that holds what it saw", async () => {
  const gated = new Gated();
  const { committer } = gated;
  // Nothing to wait for.
  await committer.caughtUp();
  // Not begun yet.
  const change = gated.noted("change", committer.committed());
  const same = gated.noted("same", committer.caughtUp());
  await gated.begun();
  // Begun: what is being written may be what it saw.
  const late = gated.noted("late", committer.caughtUp());
  await turn();
  assert.deepEqual(gated.take(), ["take 1", "begin 1"]);
  await gated.end();
  await Promise.all([change, same, late]);
  const [ended, ...answers] = gated.take();
  assert.equal(ended, "end 1");
  assert.deepEqual(answers.sort(), ["change ok", "late ok", "same ok"]);
});

Deno.test("a request without a change is refused when what it saw could not be stored", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const change = gated.noted("change", committer.committed());
  const same = gated.noted("same", committer.caughtUp());
  await gated.begun();
  const late = gated.noted("late", committer.caughtUp());
  await gated.end("disk full");
  await Promise.all([change, same, late]);
  await gated.noted("later", committer.caughtUp());
  assert.deepEqual(gated.take().slice(2).sort(), [
    "change refused: disk full",
    "fail 1",
    "late refused: an earlier change is not stored",
    "later refused: an earlier change is not stored",
    "same refused: disk full",
    "told disk full",
  ]);
});

Deno.test("a retry reports its failure, does not reject, and waits for the running transaction", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const first = gated.noted("first", committer.committed());
  await gated.begun();
  const retry = gated.noted("retry", committer.retry());
  await turn();
  assert.deepEqual(gated.take(), ["take 1", "begin 1"]);
  await gated.end("disk full");
  await gated.end("still full");
  await Promise.all([first, retry]);
  assert.deepEqual(
    gated.take().filter((event) => !event.startsWith("first")),
    ["fail 1", "told disk full", "begin 1", "fail 1", "told still full", "retry ok"],
  );
  assert.equal(committer.healthy, false);
  const again = gated.noted("again", committer.retry());
  await gated.end();
  await again;
  assert.equal(committer.healthy, true);
  assert.deepEqual(gated.take(), ["begin 1", "end 1", "again ok"]);
});

Deno.test("a commit waits for every retry that has queued up behind the transaction before it", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const first = gated.noted("first", committer.committed());
  await gated.begun();
  const second = gated.noted("second", committer.committed());
  await turn(); // the second waits for the first's transaction by now
  const retry = gated.noted("retry", committer.retry());
  await gated.end("disk full");
  await first;
  // The retry has the turn: the second must not take its changes yet.
  await gated.begun();
  await turn();
  assert.deepEqual(
    gated.take().filter((event) => !event.startsWith("first")),
    ["take 1", "begin 1", "fail 1", "told disk full", "begin 1"],
  );
  await gated.end();
  await gated.end();
  await Promise.all([retry, second]);
  assert.deepEqual(
    gated.take().filter((event) => !event.startsWith("retry")),
    ["end 1", "take 2", "begin 2", "end 2", "second ok"],
  );
});

Deno.test("idle waits for what has been asked for and for what runs, whatever comes of it", async () => {
  const gated = new Gated();
  const { committer } = gated;
  const first = gated.noted("first", committer.committed());
  const idle = gated.noted("idle", committer.idle());
  await gated.begun();
  const second = gated.noted("second", committer.committed());
  await gated.end("disk full");
  await gated.end();
  await gated.end();
  await Promise.all([first, second, idle]);
  const retry = committer.retry(); // nothing left to write
  await retry;
  const third = gated.noted("third", committer.committed());
  await gated.begun();
  const running = gated.noted("running", committer.idle());
  await turn();
  assert.ok(!gated.events.includes("running ok"));
  await gated.end();
  await Promise.all([third, running]);
  const events = gated.take();
  assert.ok(events.indexOf("idle ok") > events.indexOf("end 2"));
  assert.ok(events.includes("running ok"));
});
