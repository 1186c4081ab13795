/** A path that becomes narrower: what was sent before is repeated in pieces (RFC 8899 §4.6.2). */

import assert from "node:assert/strict";
import fc from "fast-check";
import { HEADER_BYTES } from "../../../protocol/packet.ts";
import type { End } from "../../sim/pair.ts";
import { Pair } from "../../sim/pair.ts";
import { Random } from "../../sim/random.ts";
import { ReferencePeer } from "../../sim/reference_peer.ts";
import { Transfer } from "../../sim/transfer.ts";

const WIDE = 1402;
const NARROW = 1152;
/** What passes the narrow link, without a word about the rest. */
const NARROW_BYTES = 1202 + HEADER_BYTES;

/** From now on segments of more than {@linkcode NARROW_BYTES} vanish both ways. */
function narrow(pair: Pair): void {
  for (const link of pair.network.links) {
    link.filter = (bytes) => bytes.length > NARROW_BYTES;
  }
}

/** Everything that says of a stream's send side that all has arrived. */
function assertSettled(end: End, what: string): void {
  const { send_buf = 1, unacked = 1, in_flight = 1, ooo_buf = 1 } = end.stream?.stats() ?? {};
  assert.deepEqual({ send_buf, unacked, in_flight, ooo_buf }, {
    ...{ send_buf: 0, unacked: 0, in_flight: 0, ooo_buf: 0 },
  }, what);
}

Deno.test("a path becomes narrower under a full flight each way: repeats are cut to what passes", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new Pair({
      ...{ seed, link: { delayMs: 10, rate: 1250 }, record: true },
      ...{ client: { mss: WIDE }, server: { mss: WIDE } },
    });
    const total = 1_000_000;
    const there = new Transfer(pair.client, { write: total, read: total, readFrom: 777 });
    const back = new Transfer(pair.server, { write: total, read: total, writeFrom: 777 });
    pair.established();
    pair.pass(100 + seed);
    narrow(pair);
    const narrowedMs = pair.now;
    // The daemon learns it from the first large segment that is repeated after a silence.
    for (const end of [pair.client, pair.server]) {
      const stream = end.stream!;
      pair.drive(() =>
        pair.wire.some((s) => {
          const side = end === pair.client ? 0 : 1;
          return s.from === side && s.at > narrowedMs + 150 && s.payload.length > NARROW;
        })
      );
      stream.setMss(NARROW);
    }
    const knownMs = pair.now;
    pair.drive(() => there.done && back.done, 10_000);
    assert.ok(pair.wire.every((s) => s.at <= knownMs || s.payload.length <= NARROW));
    pair.drive(() =>
      pair.client.events.includes("closed") && pair.server.events.includes("closed")
    );
    for (const end of [pair.client, pair.server]) {
      assert.equal(end.stream?.error, undefined);
      assertSettled(end, `seed ${seed}`);
    }
  }
});

Deno.test("towards an older peer pieces come in turn: none stays in its buffer, whatever arrives late", () => {
  for (let seed = 1; seed <= 20; seed++) {
    // Held back for longer than a timeout, so that first copies arrive between pieces.
    const link = { delayMs: 10, reorder: 0.02, reorderMs: 900 };
    const pair = new Pair({ seed, link, back: { delayMs: 10 }, client: { mss: WIDE } });
    const old = new ReferencePeer({ mss: WIDE, send: (s, now) => pair.send(1, s, now) });
    pair.ends[1] = old;
    pair.connect();
    pair.drive(() => old.state === "ESTABLISHED");
    const total = 600_000;
    const data = new Random(seed).fill(new Uint8Array(total));
    let written = 0;
    pair.client.app = (end, now) => {
      written += end.stream?.write(data.subarray(written), now) ?? 0;
    };
    pair.client.run(pair.now);
    pair.pass(60 + seed);
    narrow(pair);
    pair.pass(400);
    pair.client.stream!.setMss(NARROW);
    pair.drive(() => old.receivedBytes === total, 60_000);
    let at = 0;
    for (const part of old.received) {
      assert.deepEqual(part, data.subarray(at, at += part.length), `seed ${seed}`);
    }
    assert.deepEqual(old.stale, [], `seed ${seed}`);
    pair.drive(() => pair.client.stream?.stats().unacked === 0, 10_000);
    assertSettled(pair.client, `seed ${seed}`);
  }
});

Deno.test("whatever sizes a path takes on, and whatever it loses, bytes arrive once and in order", () => {
  // Sizes beside each other, so that pieces of pieces come about; text that looks like reports is cut again.
  const size = fc.constantFrom(64, 100, 500, 1152, 1402, 8_930);
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(1_000_000),
        loss: fc.constantFrom(0, 0.05, 0.1),
        reorder: fc.constantFrom(0, 0.1),
        changes: fc.array(fc.tuple(fc.nat(120), size), { minLength: 1, maxLength: 12 }),
        isOld: fc.boolean(),
        isTricky: fc.boolean(),
      }),
      ({ seed, loss, reorder, changes, isOld, isTricky }) => {
        const link = {
          loss: isOld ? Math.min(loss, 0.05) : loss,
          reorder,
          reorderMs: 40,
          duplicate: 0.02,
          delayMs: 5,
        };
        const pair = new Pair({ seed, link, client: { mss: 8_930 } });
        const old = new ReferencePeer({ send: (s, now) => pair.send(1, s, now) });
        if (isOld) pair.ends[1] = old;
        pair.connect();
        pair.drive(() => pair.client.stream?.state === "ESTABLISHED");
        const data = new Random(seed).fill(new Uint8Array(150_000));
        const report = Uint8Array.from([0x53, 0x41, 0x43, 0x4b, 1, 0, 0, 0, 1, 0, 0, 0, 9]);
        // The fifth byte after "SACK" is a count; a run of these begins a segment wherever it is cut.
        if (isTricky) { for (let i = 0; i < data.length; i++) data[i] = report[i % 5]!; }
        let written = 0;
        pair.client.app = (end, now) => {
          written += end.stream?.write(data.subarray(written), now) ?? 0;
        };
        pair.client.run(pair.now);
        for (const [afterMs, wanted] of changes) {
          pair.pass(afterMs);
          // In turn and lost so often, hundreds of the smallest would take hours.
          const mss = isOld ? Math.max(wanted, 500) : wanted;
          pair.client.stream!.setMss(mss);
          pair.network.links[0].filter = (bytes) => bytes.length > mss + HEADER_BYTES;
        }
        const received = () => isOld ? old.received : pair.server.received;
        pair.drive(
          () => received().reduce((sum, part) => sum + part.length, 0) >= data.length,
          3_600_000,
        );
        pair.drive(() => pair.client.stream?.stats().unacked === 0);
        let at = 0;
        for (const part of received()) {
          assert.deepEqual(part, data.subarray(at, at += part.length));
        }
        assert.equal(at, data.length);
        assert.equal(old.sackReceived, 0, "nothing was taken for a report");
        assert.deepEqual(old.stale, []);
        assertSettled(pair.client, "at the end");
        assert.equal(pair.client.stream?.error, undefined);
        assert.equal(pair.client.stream?.stats().bytes_sent, data.length);
      },
    ),
    { numRuns: 300 },
  );
});
