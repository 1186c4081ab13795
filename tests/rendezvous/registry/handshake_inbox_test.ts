import assert from "node:assert/strict";
import { type InboxEntry, Inboxes } from "../../../rendezvous/registry/handshake_inbox.ts";
import { MAX_INBOX, MAX_INBOX_PER_SOURCE } from "../../../rendezvous/registry/registry_limits.ts";

const TARGET = 1;

/** Inboxes in which senders 1000 to 1999 come from one host, 2000 to 2999 from another, and so on. */
function inboxes() {
  const stored = new Map<string, InboxEntry>();
  const it = new Inboxes<InboxEntry>(
    (target, sender, entry) => {
      if (entry === undefined) stored.delete(`${target} ${sender}`);
      else stored.set(`${target} ${sender}`, entry);
    },
    (sender) => `host ${Math.floor(sender / 1000)}`,
  );
  const put = (sender: number) => it.put({ target: TARGET, sender, created: 100 });
  const senders = () => it.hand(TARGET, 0).entries.map(({ sender }) => sender);
  return { it, stored, put, senders };
}

Deno.test("Inboxes: one host with many nodes pushes out its own entries only", () => {
  const { it, put, senders, stored } = inboxes();
  put(7);
  for (let i = 0; i < 500; i++) {
    const dropped = put(1000 + i);
    const isFull = i >= MAX_INBOX_PER_SOURCE;
    assert.deepEqual(
      dropped,
      isFull ? { target: 1, sender: 1000 + i - 25, created: 100 } : undefined,
    );
  }
  assert.equal(it.size, 1 + MAX_INBOX_PER_SOURCE);
  assert.ok(senders().includes(7));
  assert.equal(stored.size, it.size);
});

Deno.test("Inboxes: many hosts together leave every source its place", () => {
  const { it, put, senders } = inboxes();
  put(7);
  for (let i = 0; i < 20; i++) {
    for (let host = 1; host <= 20; host++) put(host * 1000 + i);
  }
  assert.equal(it.size, MAX_INBOX);
  assert.ok(senders().includes(7));
});

Deno.test("Inboxes: one host that fills the whole table, with its own nodes as targets, makes room for the others", () => {
  const stored = new Set<string>();
  const it = new Inboxes<InboxEntry>(
    (target, sender, entry) => {
      if (entry === undefined) stored.delete(`${target} ${sender}`);
      else stored.add(`${target} ${sender}`);
    },
    (sender) => `host ${Math.floor(sender / 1000)}`,
    100,
  );
  const put = (target: number, sender: number) => it.put({ target, sender, created: 100 });
  put(1, 7);
  for (let i = 0; i < 300; i++) put(1000 + i % 50, 1000 + i);
  assert.equal(it.size, 100);
  assert.equal(it.has(1, 7), true);
  assert.equal(put(2, 8)?.sender, 1201, "the oldest of who has the most");
  assert.equal(it.has(2, 8), true);
  assert.equal(stored.size, it.size);
  // What is gone does not count for its source any more.
  for (let i = 0; i < 300; i++) it.remove(1000 + i % 50, 1000 + i);
  assert.equal(it.size, 2);
  for (let i = 0; i < 200; i++) put(10 + i, 2000 + i);
  assert.equal(it.has(2, 8), true);
});

Deno.test("Inboxes keep what was handed over until it is taken, and not what came since", () => {
  const { it, put, senders, stored } = inboxes();
  put(7);
  put(8);
  assert.equal(it.isWaiting(TARGET, 7), true);
  const { seq } = it.hand(TARGET, 0);
  assert.equal(it.isWaiting(TARGET, 7), false);
  put(7);
  put(9);
  it.taken(TARGET, seq);
  assert.deepEqual(senders(), [7, 9]);
  assert.deepEqual([...stored.keys()].sort(), ["1 7", "1 9"]);
  // A number that was never handed over takes nothing.
  put(10);
  it.taken(TARGET, 1e9);
  assert.deepEqual(senders(), [10]);
});

Deno.test("Inboxes drop what is too old, at a hand-over and otherwise", () => {
  const { it, stored } = inboxes();
  for (const [target, created] of [[1, 100], [2, 100], [2, 200]] as const) {
    it.put({ target, sender: created, created });
  }
  assert.deepEqual(it.hand(2, 150).entries, [{ target: 2, sender: 200, created: 200 }]);
  it.expire(150);
  assert.deepEqual([...stored.keys()], ["2 200"]);
  assert.equal(it.size, 1);
});
