import assert from "node:assert/strict";
import fc from "fast-check";
import { ACK, FIN } from "../../../protocol/packet.ts";
import { encodeSack, hasSackShape } from "../../../protocol/stream/sack.ts";
import type { Segment } from "../../../protocol/stream/mod.ts";
import { Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes, Script } from "./support.ts";

const MSS = 1152;

/** Segments with data. */
function data(list: Segment[]): Segment[] {
  return list.filter((s) => s.payload.length > 0 && !hasSackShape(s.payload));
}

function sack(...blocks: Array<[number, number]>): Uint8Array {
  return encodeSack(blocks.map(([left, right]) => ({ left, right })));
}

Deno.test("stream cuts full segments and keeps the rest together", () => {
  const script = Script.established();
  assert.equal(script.stream.write(bytes(3000), script.now), 3000);
  const sent = script.out();
  assert.deepEqual(sent.map((s) => s.payload.length), [1152, 1152, 696]);
  assert.deepEqual(sent.map((s) => s.seq), [0, 1152, 2304].map((n) => script.own(n)));
  assert.ok(sent.every((s) => s.flags === ACK && s.ack === script.peer(0)));
});

Deno.test("setMss: repeats are cut to the smaller size, begin where they began, and never grow together", () => {
  const script = Script.established();
  script.stream.write(bytes(2 * MSS), script.now);
  script.out();
  script.stream.setMss(500);
  script.stream.write(bytes(1000), script.now);
  assert.deepEqual(data(script.out()).map((s) => s.payload.length), [500, 500]);
  const again = data(script.pass(3000));
  const starts = [0, 500, 1000, MSS, MSS + 500, MSS + 1000, 2 * MSS, 2 * MSS + 500];
  const lengths = [500, 500, MSS - 1000, 500, 500, MSS - 1000, 500, 500];
  const expected = new Map(starts.map((start, i) => [script.own(start), lengths[i]]));
  for (const s of again) assert.equal(s.payload.length, expected.get(s.seq));
  assert.ok(again.some((s) => s.seq === script.own(0)));
  const next = data(script.in({ seq: script.peer(0), ack: script.own(500) }));
  assert.deepEqual(next.map((s) => s.seq), [500, 1000].map((n) => script.own(n)));
  script.stream.setMss(MSS);
  for (const s of data(script.pass(3000))) assert.equal(s.payload.length, expected.get(s.seq));
});

Deno.test("stream has one small segment in flight at most, and never delays an idle sender", () => {
  const script = Script.established();
  const write = (n: number) => {
    script.stream.write(bytes(n), script.now);
    return data(script.out()).map((s) => s.payload.length);
  };
  assert.deepEqual(write(10), [10], "idle: at once");
  assert.deepEqual(write(20), [], "one small segment is on its way");
  assert.deepEqual(write(5), []);
  assert.deepEqual(data(script.pass(50)), [], "no timer sends it");
  const next = script.in({ seq: script.peer(0), ack: script.own(10) });
  assert.deepEqual(next.map((s) => s.payload.length), [25], "both together after the ACK");
  assert.deepEqual(write(MSS), [MSS], "a full segment goes");
});

Deno.test("noDelay sends every small segment, and close flushes the tail", () => {
  const eager = Script.established({ noDelay: true });
  eager.stream.write(bytes(10), eager.now);
  eager.out();
  eager.stream.write(bytes(10), eager.now);
  assert.equal(data(eager.out()).length, 1);
  const closing = Script.established();
  closing.stream.write(bytes(10), closing.now);
  closing.out();
  closing.stream.write(bytes(10), closing.now);
  closing.stream.close(closing.now);
  assert.equal(data(closing.out()).length, 1);
});

Deno.test("stream acknowledges the first 32 segments at once, then every second or after delayedAckMs", () => {
  const script = Script.established();
  for (let i = 0; i < 32; i++) {
    assert.equal(script.data(i * 100, bytes(100)).length, 1, `segment ${i}`);
  }
  assert.equal(script.data(3200, bytes(100)).length, 0);
  assert.deepEqual(script.data(3300, bytes(100)).map((s) => s.ack), [script.peer(3400)]);
  script.data(3400, bytes(100));
  const late = script.pass(100);
  assert.deepEqual(late.map((s) => [s.at - script.now + 100, s.ack]), [[5, script.peer(3500)]]);
});

Deno.test("data of ours carries the acknowledgement and spares the empty one", () => {
  const script = Script.established();
  for (let i = 0; i < 32; i++) script.data(i * 100, bytes(100));
  script.data(3200, bytes(100));
  script.stream.write(bytes(7), script.now);
  const sent = script.out();
  assert.deepEqual(sent.map((s) => [s.payload.length, s.ack]), [[7, script.peer(3300)]]);
  assert.deepEqual(script.pass(100).filter((s) => s.payload.length === 0), []);
});

Deno.test("stream acknowledges gaps, filled gaps and duplicates at once", () => {
  const script = Script.established();
  for (let i = 0; i < 32; i++) script.data(i * 100, bytes(100));
  const gap = script.data(3300, bytes(100));
  assert.equal(gap.length, 1);
  assert.equal(gap[0]?.ack, script.peer(3200));
  assert.deepEqual(gap[0]?.payload, sack([script.peer(3300), script.peer(3400)]));
  assert.deepEqual(script.data(3200, bytes(100)).map((s) => [s.ack, s.payload.length]), [[
    script.peer(3400),
    0,
  ]]);
  assert.deepEqual(script.data(100, bytes(100)).map((s) => s.ack), [script.peer(3400)]);
});

Deno.test("stream reports the lowest runs ascending, and the latest one when there are more than four", () => {
  const script = Script.established();
  for (const i of [1, 3, 5, 7]) script.data(i * 100, bytes(100));
  const fifth = script.data(1100, bytes(100));
  const block = (i: number): [number, number] => [script.peer(i * 100), script.peer(i * 100 + 100)];
  assert.deepEqual(fifth[0]?.payload, sack(block(1), block(3), block(5), block(11)));
  const sixth = script.data(900, bytes(100));
  assert.deepEqual(sixth[0]?.payload, sack(block(1), block(3), block(5), block(9)));
});

Deno.test("stream adds plain duplicate ACKs to gap reports for older peers only", () => {
  const own = Script.established();
  assert.equal(own.data(100, bytes(100)).length, 1);
  const old = Script.established({}, 0);
  for (const i of [1, 2, 3]) {
    const answer = old.data(i * 100, bytes(100));
    assert.deepEqual(answer.map((s) => s.payload.length), [13, 0], `arrival ${i}`);
    assert.ok(answer.every((s) => s.ack === old.peer(0) && s.flags === ACK));
  }
  assert.deepEqual(old.data(0, bytes(100)).map((s) => s.payload.length), [0]);
});

Deno.test("stream reassembles any overlapping segments", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 120 })), {
      maxLength: 60,
    }),
    (pieces) => {
      const script = Script.established();
      const whole = bytes(600);
      for (const [at, length] of pieces) script.data(at, whole.subarray(at, at + length));
      for (let at = 0; at < 600; at += 50) script.data(at, whole.subarray(at, at + 50));
      assert.deepEqual(script.read(), whole);
      assert.equal(script.stream.stats().ooo_buf, 0);
    },
  ));
});

Deno.test("duplicates owed to an older peer are dropped when the gap closes first", () => {
  const script = Script.established({}, 0);
  for (const i of [1, 2, 3, 0]) {
    script.stream.onSegment({
      flags: ACK,
      seq: script.peer(i * 100),
      ack: script.own(0),
      window: 512,
      payload: bytes(100),
    }, script.now);
  }
  // The acknowledgement goes with data of ours, and nothing else goes.
  script.stream.write(bytes(9), script.now);
  assert.deepEqual(script.out().map((s) => [s.ack, s.payload.length]), [[script.peer(400), 9]]);
});

Deno.test("an older peer's data with acknowledgement number 0 is data", () => {
  // Zero would lie ahead of everything sent.
  const script = Script.established({ isn: 2 ** 32 - 1000 }, 0);
  script.in({ seq: script.peer(0), ack: 0, payload: bytes(7) });
  assert.deepEqual(script.read(), bytes(7));
});

Deno.test("sequence numbers wrap without a trace", () => {
  for (const start of [2 ** 32 - 1, 2 ** 32 - 2, 2 ** 32 - 5000, 2 ** 31 - 5000]) {
    const pair = new Pair({
      seed: 9,
      link: { loss: 0.05, reorder: 0.1 },
      client: { isn: start },
      server: { isn: start - 700 },
    });
    const there = new Transfer(pair.client, { write: 200_000, read: 200_000, readFrom: 99 });
    const back = new Transfer(pair.server, { write: 200_000, read: 200_000, writeFrom: 99 });
    pair.connect();
    pair.drive(() =>
      pair.client.events.includes("closed") && pair.server.events.includes("closed")
    );
    assert.ok(there.done && back.done);
    assert.equal(pair.client.stream?.error, undefined);
  }
});

Deno.test("an acknowledgement number of zero counts when it is the right one", () => {
  const script = Script.established({ isn: 2 ** 32 - 101 });
  script.stream.write(bytes(100), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: 0 });
  assert.equal(script.stream.stats().send_buf, 0);
});

Deno.test("segments that acknowledge what was never sent belong to another stream", () => {
  const script = Script.established();
  script.in({ seq: script.peer(0), ack: script.own(50), payload: bytes(5) });
  assert.equal(script.stream.readableBytes, 0);
});

Deno.test("data without the ACK flag is ignored", () => {
  const script = Script.established();
  script.in({ flags: 0, seq: script.peer(0), ack: 0, payload: bytes(5) });
  assert.equal(script.stream.readableBytes, 0);
});

// A user's bytes that look like a selective acknowledgement, and parts of it.
const sackLike = fc.array(
  fc.oneof(
    fc.constant([0x53, 0x41, 0x43, 0x4b, 1]),
    fc.constant([0x53, 0x41, 0x43, 0x4b]),
    fc.constant([0x53, 0x41, 0x43]),
    fc.constant([0x53, 0x41, 0x43, 0x4b, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 }),
  ),
  { maxLength: 12 },
).map((parts) => Uint8Array.from(parts.flat()));

Deno.test("user data that looks like a selective acknowledgement arrives in any chunking", () => {
  fc.assert(
    fc.property(
      fc.array(sackLike, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 1000 }),
      (chunks, noDelay, seed) => {
        const pair = new Pair({
          seed,
          record: true,
          link: { loss: 0.1 },
          client: { noDelay, mss: 64 },
        });
        let next = 0;
        pair.client.app = (end, now) => {
          const chunk = chunks[next];
          if (end.stream?.state !== "ESTABLISHED" || chunk === undefined) return;
          end.stream.write(chunk, now);
          next++;
        };
        pair.connect();
        const total = chunks.reduce((n, c) => n + c.length, 0);
        pair.drive(() => {
          if (next < chunks.length) pair.client.run(pair.now);
          return next === chunks.length && pair.server.data.length >= total;
        });
        assert.deepEqual(pair.server.data, Uint8Array.from(chunks.flatMap((c) => [...c])));
        for (const s of pair.wire) {
          if (s.from !== 0 || (s.flags & FIN) !== 0) continue;
          const [a, b, c, d, count = 0] = s.payload;
          const word = String.fromCharCode(a ?? 0, b ?? 0, c ?? 0, d ?? 0);
          const begins = word === "SACK" && count >= 1 && count <= 4;
          assert.ok(!begins, "no segment of ours begins like a report");
        }
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("an older peer's data of sack shape is data unless every block makes sense", () => {
  const fake = sack([0x4141_4141, 0x4242_4242]);
  const old = Script.established({}, 0);
  old.data(0, fake);
  assert.deepEqual(old.read(), fake);
  // With unacknowledged data of ours and blocks inside it, it is a report.
  old.stream.write(bytes(100), old.now);
  old.out();
  old.in({ seq: old.peer(13), ack: old.own(0), payload: sack([old.own(10), old.own(20)]) });
  assert.equal(old.stream.readableBytes, 0);
  // Longer than its count says: data.
  const longer = Uint8Array.from([...sack([old.own(10), old.own(20)]), 1]);
  old.data(13, longer);
  assert.deepEqual(old.read(), longer);
});

Deno.test("a stale report of a peer of our kind never becomes data", () => {
  const script = Script.established();
  script.stream.write(bytes(2 * MSS), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS) });
  const stale = sack([script.own(MSS), script.own(2 * MSS)]);
  script.in({ seq: script.peer(0), ack: script.own(0), payload: stale });
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS), payload: sack([1, 2]) });
  assert.equal(script.stream.readableBytes, 0);
});
