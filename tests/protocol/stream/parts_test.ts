import assert from "node:assert/strict";
import fc from "fast-check";
import { NewReno } from "../../../protocol/stream/congestion.ts";
import { InFlight } from "../../../protocol/stream/in_flight.ts";
import { Pacer } from "../../../protocol/stream/pacer.ts";
import { Reassembly } from "../../../protocol/stream/reassembly.ts";
import { RecvBuffer } from "../../../protocol/stream/recv_buffer.ts";
import { RttEstimator } from "../../../protocol/stream/rtt.ts";
import {
  collidesWithSack,
  encodeSack,
  hasSackShape,
  parseSack,
  RangeSet,
} from "../../../protocol/stream/sack.ts";
import { SendBuffer } from "../../../protocol/stream/send_buffer.ts";
import { CHUNK_BYTES, StreamMemory } from "../../../protocol/stream/stream_memory.ts";
import { seqAdd, seqDiff, SeqSpace } from "../../../protocol/stream/seq.ts";
import { bytes } from "./support.ts";

const MEMORY = new StreamMemory(Infinity);
const LIMITS = { minRtoMs: 200, maxRtoMs: 10_000 };
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

Deno.test("seqDiff is the signed distance in serial arithmetic", () => {
  assert.equal(seqDiff(5, 0xffff_fffe), 7);
  assert.equal(seqDiff(0xffff_fffe, 5), -7);
  fc.assert(fc.property(uint32, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (seq, d) => {
    assert.equal(seqDiff(seqAdd(seq, d), seq), d);
  }));
});

Deno.test("SeqSpace maps offsets to the wire and back across wraps", () => {
  fc.assert(fc.property(
    uint32,
    fc.integer({ min: 0, max: 2 ** 40 }),
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    (isn, near, distance) => {
      const space = new SeqSpace(isn);
      const offset = near + distance;
      assert.equal(space.toOffset(space.toWire(offset), near), offset);
    },
  ));
  assert.equal(new SeqSpace(77).toWire(-1), 77, "the SYN");
});

Deno.test("encodeSack gives the vector of docs/protocol/streams.md §13", () => {
  const vector = "5341434b0200000801000010010000180100001c01";
  const blocks = [{ left: 2049, right: 4097 }, { left: 6145, right: 7169 }];
  assert.equal(encodeSack(blocks).toHex(), vector);
  assert.deepEqual(parseSack(encodeSack(blocks), 1, 9000), blocks);
});

Deno.test("parseSack refuses blocks outside of what is in flight, out of order, or overlapping", () => {
  const parse = (...blocks: Array<[number, number]>) =>
    parseSack(encodeSack(blocks.map(([left, right]) => ({ left, right }))), 100, 1000);
  assert.ok(parse([200, 300]));
  assert.ok(parse([100, 1000]));
  for (
    const bad of [[[99, 300]], [[200, 1001]], [[300, 200]], [[200, 200]], [[300, 400], [
      200,
      300,
    ]], [[200, 300], [250, 400]]] as Array<Array<[number, number]>>
  ) assert.equal(parse(...bad), undefined, JSON.stringify(bad));
  assert.equal(parseSack(encodeSack([{ left: 100, right: 200 }]), 100, 100), undefined);
});

Deno.test("parseSack is total, and exact in length", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 50 }), uint32, uint32, (tail, ack, next) => {
    const payload = Uint8Array.from([0x53, 0x41, 0x43, 0x4b, ...tail]);
    const blocks = parseSack(payload, ack, next);
    if (blocks === undefined) return;
    assert.equal(payload.length, 5 + 8 * blocks.length);
    assert.deepEqual(encodeSack(blocks), payload);
  }));
  assert.equal(collidesWithSack(Uint8Array.from([0x53, 0x41, 0x43, 0x4b, 5])), false);
  assert.equal(collidesWithSack(Uint8Array.from([0x53, 0x41, 0x43, 0x4b, 4, 9])), true);
  assert.equal(hasSackShape(Uint8Array.from([0x53, 0x41, 0x43, 0x4b, 1])), false);
});

Deno.test("RangeSet reports each offset as new exactly once", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 20 }), fc.nat(60)), { maxLength: 40 }),
    (adds) => {
      const set = new RangeSet();
      const model = new Set<number>();
      let low = 0;
      for (const [left, length, trim] of adds) {
        const fresh: number[] = [];
        const from = Math.max(left, low);
        if (from < left + length) {
          set.add(from, left + length, (l, r) => {
            for (let i = l; i < r; i++) fresh.push(i);
          });
        }
        const expected: number[] = [];
        for (let i = from; i < left + length; i++) {
          if (!model.has(i)) expected.push(i);
          model.add(i);
        }
        assert.deepEqual(fresh, expected);
        if (trim > low && trim % 7 === 0) {
          low = trim;
          set.trim(low);
          for (const i of model) if (i < low) model.delete(i);
        }
        let runs = 0;
        for (const i of model) if (!model.has(i - 1)) runs++;
        assert.equal(set.size, runs);
      }
    },
  ));
});

Deno.test("SendBuffer gives back what was written, in any pieces, up to its limit, and holds little more", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(30_000), fc.nat(30_000)), { maxLength: 30 }),
    (turns) => {
      const buffer = new SendBuffer(65_536, MEMORY);
      for (const [write, take] of turns) {
        const data = bytes(write, buffer.end);
        const room = buffer.free;
        assert.equal(buffer.append(data), Math.min(write, room));
        let left = Math.min(take, buffer.end - buffer.start);
        while (left > 0) {
          const at = buffer.start;
          const length = Math.min(left, 9_000);
          assert.deepEqual(buffer.view(at, length), bytes(length, at));
          buffer.release(at + length);
          left -= length;
        }
        assert.ok(buffer.allocated <= buffer.end - buffer.start + 2 * CHUNK_BYTES);
      }
    },
  ));
  const buffer = new SendBuffer(1000, MEMORY);
  assert.equal(buffer.limit, 1024);
  buffer.append(bytes(10));
  assert.ok(buffer.allocated > 0);
  buffer.release(10);
  assert.equal(buffer.allocated, 0);
});

Deno.test("RecvBuffer keeps order and size under any reads, and what it handed over stays", () => {
  fc.assert(fc.property(
    fc.array(
      fc.oneof(
        fc.record({ add: fc.integer({ min: 1, max: 5000 }) }),
        fc.record({ add: fc.integer({ min: 40_000, max: 65_000 }) }),
        fc.record({ read: fc.integer({ min: 1, max: 9000 }) }),
        fc.record({ copy: fc.integer({ min: 1, max: 150_000 }) }),
      ),
      { maxLength: 60 },
    ),
    (turns) => {
      const buffer = new RecvBuffer(MEMORY);
      const lent: { at: number; piece: Uint8Array }[] = [];
      let added = 0;
      let taken = 0;
      for (const turn of turns) {
        if ("add" in turn) {
          buffer.append(bytes(turn.add, added));
          added += turn.add;
        } else if ("read" in turn) {
          const piece = buffer.read(turn.read);
          assert.equal(piece === undefined, added === taken);
          if (piece !== undefined) {
            assert.ok(piece.length > 0 && piece.length <= turn.read);
            lent.push({ at: taken, piece });
            taken += piece.length;
          }
        } else {
          const out = new Uint8Array(turn.copy);
          const copied = buffer.readInto(out);
          assert.equal(copied, Math.min(turn.copy, added - taken));
          assert.deepEqual(out.subarray(0, copied), bytes(copied, taken));
          taken += copied;
        }
        assert.equal(buffer.size, added - taken);
      }
      for (const { at, piece } of lent) assert.deepEqual(piece, bytes(piece.length, at));
    },
  ));
});

Deno.test("Reassembly runs are ascending, disjoint, and never adjacent", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 40 })), { maxLength: 80 }),
    (pieces) => {
      const store = new Reassembly();
      for (const [at, length] of pieces) store.add(at, bytes(length, at));
      let last = -1;
      let total = 0;
      let parts = 0;
      for (const run of store.runs) {
        assert.ok(run.left > last && run.right > run.left);
        last = run.right;
        const whole = Uint8Array.from(run.parts.flatMap((p) => [...p]));
        assert.deepEqual(whole, bytes(run.right - run.left, run.left));
        total += whole.length;
        parts += run.parts.length;
      }
      assert.equal(store.bytes, total);
      assert.equal(store.segments, parts);
    },
  ));
});

Deno.test("InFlight keeps each segment in one condition and its counts true", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(8), fc.nat(1000)), { maxLength: 200 }),
    (turns) => {
      const flight = new InFlight();
      let end = 0;
      let now = 0;
      for (const [kind, n] of turns) {
        now++;
        const s = flight.count === 0 ? undefined : flight.at(n % flight.count);
        if (kind <= 1) flight.push(end, end += 1 + n % 100, now);
        else if (s !== undefined && kind === 2 && !s.sacked) flight.markLost(s);
        else if (s !== undefined && kind === 3 && !s.sacked) flight.markSacked(s);
        else if (s !== undefined && kind === 4 && !s.sacked) flight.resent(s, now);
        else if (kind === 5) flight.shift();
        else if (s !== undefined && kind === 7 && !s.sacked && s.end - s.offset > 1) {
          const { offset, end } = s;
          const at = offset + 1 + n % (end - offset - 1);
          const rest = flight.split(s, at);
          assert.deepEqual([s.offset, s.end, rest.offset, rest.end], [offset, at, at, end]);
          assert.equal(s.next, rest);
        } else if (kind === 8) {
          flight.markLongerLost(n % 100);
          for (let t = flight.oldest; t !== undefined; t = t.next) {
            assert.ok(t.end - t.offset <= n % 100);
          }
        } else if (kind === 6 && n % 3 === 0) flight.markAllLost();
        else if (kind === 6 && n % 3 === 1) flight.restoreLost();
        else if (kind === 6) flight.forgetSacked();
        let onTheWay = 0;
        let sacked = 0;
        let lost = 0;
        for (let i = 0; i < flight.count; i++) {
          const t = flight.at(i);
          assert.ok(t);
          assert.ok(!(t.sacked && t.lost));
          if (i > 0) assert.equal(flight.at(i - 1)!.end, t.offset, "no byte is in two, or in none");
          if (t.sacked) sacked++;
          else if (t.lost) lost++;
          else onTheWay += t.end - t.offset;
          assert.equal(flight.lowerBound(t.offset), i);
        }
        assert.equal(flight.bytes, onTheWay);
        assert.equal(flight.sacked, sacked);
        let listed = 0;
        for (let t = flight.nextLost; t !== undefined; t = t.next) listed++;
        assert.equal(listed, lost);
        let way = 0;
        for (let t = flight.oldest; t !== undefined; t = t.next) way += t.end - t.offset;
        assert.equal(way, onTheWay);
      }
    },
  ));
});

Deno.test("RttEstimator follows RFC 6298 within 200 ms and 10 s", () => {
  const rtt = new RttEstimator(LIMITS, 1);
  assert.equal(rtt.rto, 1000);
  rtt.sample(100, 0);
  assert.deepEqual([rtt.srtt, rtt.rttvar, rtt.rto], [100, 50, 300]);
  rtt.sample(200, 10);
  assert.deepEqual([rtt.srtt, rtt.rttvar], [112.5, 62.5]);
  for (let i = 0; i < 100; i++) rtt.sample(1, 20);
  assert.equal(rtt.rto, 200);
  rtt.back();
  assert.ok(rtt.rto >= 400 && rtt.rto <= 440, "doubled, and spread by a tenth at most");
  for (let i = 0; i < 50; i++) rtt.back();
  assert.equal(rtt.rto, 10_000);
  rtt.sample(1, 30);
  assert.equal(rtt.rto, 200, "a sample ends the backoff");
});

Deno.test("RttEstimator spreads the timeouts of different streams", () => {
  const seen = new Set<number>();
  for (let seed = 1; seed <= 20; seed++) {
    const rtt = new RttEstimator(LIMITS, seed * 7919);
    rtt.sample(50, 0);
    rtt.back();
    seen.add(rtt.rto);
  }
  assert.ok(seen.size > 15);
});

Deno.test("RttEstimator forgets an old minimum", () => {
  const rtt = new RttEstimator(LIMITS, 1);
  rtt.sample(5, 0);
  rtt.sample(50, 1000);
  assert.equal(rtt.min, 5);
  rtt.sample(50, 70_000);
  assert.equal(rtt.min, 50);
});

Deno.test("NewReno doubles in slow start, adds a segment per window later, halves on loss", () => {
  const cc = new NewReno(1000);
  assert.equal(cc.window, 10_000);
  cc.onAck(10_000, 10_000);
  assert.equal(cc.window, 20_000);
  cc.onAck(1000, 2000);
  assert.equal(cc.window, 20_000, "an unused window does not grow");
  cc.onLoss(20_000);
  assert.deepEqual([cc.window, cc.threshold], [10_000, 10_000]);
  cc.onAck(10_000, 10_000);
  assert.equal(cc.window, 11_000);
  cc.onTimeout(11_000);
  assert.deepEqual([cc.window, cc.threshold], [1000, 5500]);
  cc.undo();
  assert.deepEqual([cc.window, cc.threshold], [11_000, 10_000]);
  cc.undo();
  assert.equal(cc.window, 11_000);
  for (let i = 0; i < 10; i++) cc.onLoss(2000);
  assert.equal(cc.window, 2000, "two segments at least");
});

Deno.test("Pacer lets a round trip's worth pass per round trip, in small bursts", () => {
  const pacer = new Pacer();
  let sent = 0;
  let now = 0;
  while (now < 1000) {
    let burst = 0;
    while (pacer.take(1000, now, 100_000, false, 100, 1000)) burst++;
    assert.ok(burst <= 17);
    sent += burst;
    assert.ok(pacer.readyAt > now);
    now = pacer.readyAt;
  }
  // 1.25 windows of 100 segments per 100 ms.
  assert.ok(sent >= 1200 && sent <= 1300, `${sent}`);
});

Deno.test("Pacer makes up for a timer that fired late, by 4 ms at most", () => {
  const burst = (lateMs: number) => {
    const pacer = new Pacer();
    const take = (now: number) => pacer.take(1000, now, 1_600_000, false, 100, 1000);
    while (take(0));
    let count = 0;
    const at = pacer.readyAt + lateMs;
    while (take(at)) count++;
    return count;
  };
  // 20 segments a millisecond.
  assert.deepEqual([0, 2, 4, 100].map(burst), [20, 60, 100, 100]);
});

Deno.test("collidesWithSack looks at the first five bytes, which are enough", () => {
  const sack = (count: number, length: number) =>
    Uint8Array.of(0x53, 0x41, 0x43, 0x4b, count, 0).subarray(0, length);
  assert.deepEqual([4, 5, 6].map((length) => collidesWithSack(sack(1, length))), [
    false,
    true,
    true,
  ]);
  assert.deepEqual([0, 1, 4, 5].map((count) => collidesWithSack(sack(count, 5))), [
    ...[false, true, true, false],
  ]);
});
