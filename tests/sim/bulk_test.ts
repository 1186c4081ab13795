import assert from "node:assert/strict";
import { Pair } from "./pair.ts";
import { Transfer } from "./transfer.ts";

const BYTES = 10_000_000;
const SEEDS = 100;

Deno.test("10 MB each way at once arrives intact and in order under loss, reordering, duplication and corruption, for 100 seeds", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const pair = new Pair({
      seed,
      link: {
        loss: 0.1,
        reorder: 0.1,
        duplicate: 0.05,
        corrupt: 0.01,
        delayMs: 5,
        jitterMs: 2,
      },
      // Any seed starts somewhere else in the sequence space, every fourth one shortly before it wraps.
      client: { isn: seed % 4 === 0 ? 2 ** 32 - seed * 1000 : seed * 7_654_321 },
      server: { isn: seed % 4 === 1 ? 2 ** 32 - seed * 1000 : seed * 9_876_543 },
    });
    const there = new Transfer(pair.client, { write: BYTES, read: BYTES, readFrom: 777 });
    const back = new Transfer(pair.server, { write: BYTES, read: BYTES, writeFrom: 777 });
    pair.connect();
    pair.drive(
      () => pair.client.events.includes("closed") && pair.server.events.includes("closed"),
      3_600_000,
    );
    assert.ok(there.done && back.done, `seed ${seed}`);
    for (const link of pair.network.links) {
      const { dropped, reordered, duplicated, corrupted } = link.counters;
      assert.ok(dropped > 0 && reordered > 0 && duplicated > 0 && corrupted > 0);
    }
    assert.ok(pair.rejected > 0, "the checksum rejected corrupted packets");
    pair.pass(60_000);
    for (const end of [pair.client, pair.server]) {
      assert.equal(end.stream?.error, undefined, `seed ${seed}`);
      const stats = end.stream?.stats();
      assert.equal(stats?.state, "CLOSED");
      const { send_buf = 1, recv_buf = 1, ooo_buf = 1, unacked = 1, in_flight = 1 } = stats ?? {};
      assert.deepEqual([send_buf, recv_buf, ooo_buf, unacked, in_flight], [0, 0, 0, 0, 0]);
      assert.equal(end.stream?.deadline(), Infinity);
    }
  }
});

Deno.test("a link with a rate and a short queue is filled, without loss of goodput to bursts", () => {
  // 10 Mbit/s, 40 ms round trip, a queue of 60 kB.
  const pair = new Pair({ link: { rate: 1250, delayMs: 20, queueBytes: 60_000 } });
  const total = 10_000_000;
  new Transfer(pair.client, { write: total, read: 0, close: false });
  const check = new Transfer(pair.server, { write: 0, read: total, close: false });
  pair.connect();
  pair.drive(() => check.done);
  const share = total / pair.now / 1250;
  assert.ok(share > 0.85, `${(share * 100).toFixed(0)} % of the link`);
});

Deno.test("a clean link with a long round trip is filled by its window", () => {
  const pair = new Pair({ link: { delayMs: 50 } });
  const total = 20_000_000;
  new Transfer(pair.client, { write: total, read: 0, close: false });
  const check = new Transfer(pair.server, { write: 0, read: total, close: false });
  pair.connect();
  pair.drive(() => check.done);
  assert.equal(pair.client.stream?.stats().retransmits, 0);
  // The send buffer of 1 MiB per round trip of 100 ms is the limit.
  assert.ok(total / pair.now > 6_000, `${(total / pair.now).toFixed(0)} kB/s`);
});

Deno.test("reordering alone costs few needless retransmissions", () => {
  const pair = new Pair({ seed: 3, link: { reorder: 0.1, reorderMs: 3, delayMs: 10 } });
  const total = 5_000_000;
  new Transfer(pair.client, { write: total, read: 0, close: false });
  const check = new Transfer(pair.server, { write: 0, read: total, close: false });
  pair.connect();
  pair.drive(() => check.done);
  const { retransmits = 0 } = pair.client.stream?.stats() ?? {};
  assert.ok(retransmits < total / 1152 * 0.02, `${retransmits} retransmits`);
});
