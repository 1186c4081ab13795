import assert from "node:assert/strict";
import { RST } from "../../../protocol/packet.ts";
import { encodeSack, hasSackShape } from "../../../protocol/stream/sack.ts";
import { NewReno, type Segment } from "../../../protocol/stream/mod.ts";
import { Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes, Script } from "./support.ts";

const MSS = 1152;

/** Segments with data. */
function data(list: Segment[]): Segment[] {
  return list.filter((s) => s.payload.length > 0 && !hasSackShape(s.payload));
}

/** A script that has sent `count` full segments, with the quick acknowledgements of the start used up. */
function sending(count: number, peerIsn?: number): Script {
  const script = Script.established({ noDelay: true }, peerIsn);
  script.stream.write(bytes(count * MSS), script.now);
  script.out();
  return script;
}

function sack(...blocks: Array<[number, number]>): Uint8Array {
  return encodeSack(blocks.map(([left, right]) => ({ left, right })));
}

Deno.test("stream resends a hole after selective acknowledgements, without the timer", () => {
  const script = sending(10);
  script.now = 30;
  const sent: Segment[] = [];
  for (const n of [2, 3, 4]) {
    sent.push(...script.in({
      seq: script.peer(0),
      ack: script.own(0),
      payload: sack([script.own(MSS), script.own(n * MSS)]),
    }));
  }
  assert.deepEqual(sent.map((s) => [s.seq, s.payload.length]), [[script.own(0), MSS]]);
  const stats = script.stream.stats();
  assert.deepEqual([stats.retransmits, stats.fast_retx, stats.sack_recv, stats.dup_acks], [
    1,
    1,
    3,
    3,
  ]);
  assert.ok(stats.in_recovery);
});

Deno.test("stream counts a byte once, however often it is reported", () => {
  const script = sending(10);
  script.now = 30;
  const before = script.stream.stats().in_flight;
  for (let i = 0; i < 50; i++) {
    script.in({
      seq: script.peer(0),
      ack: script.own(0),
      payload: sack([script.own(8 * MSS), script.own(9 * MSS)]),
    });
  }
  const { in_flight, cong_win } = script.stream.stats();
  assert.ok(in_flight >= 0 && in_flight <= before);
  assert.ok(cong_win <= 11 * MSS, `window grew to ${cong_win}`);
});

Deno.test("stream resends after three plain duplicates when the peer sends no reports", () => {
  const script = sending(10);
  script.now = 30;
  const sent: Segment[] = [];
  for (let i = 0; i < 3; i++) sent.push(...script.in({ seq: script.peer(0), ack: script.own(0) }));
  assert.deepEqual(sent.map((s) => s.seq), [script.own(0)]);
  script.now = 50;
  const next = script.in({ seq: script.peer(0), ack: script.own(3 * MSS) });
  assert.ok(next.some((s) => s.seq === script.own(3 * MSS)), "partial ACK uncovers the next hole");
});

Deno.test("stream resends a lost retransmission without waiting for the timer", () => {
  const pair = new Pair({ record: true }).established();
  let drops = 0;
  let total = 0;
  pair.network.links[0].filter = (datagram) => {
    // The first data segment and its first repetition.
    if (datagram.length < 1000) return false;
    total++;
    const first = new DataView(datagram.buffer, datagram.byteOffset).getUint32(20) ===
      0x1000_0002;
    return first && drops++ < 2;
  };
  pair.client.stream?.write(bytes(60 * MSS), pair.now);
  pair.client.run(pair.now);
  const start = pair.now;
  pair.drive(() => pair.server.data.length === 60 * MSS);
  assert.ok(drops >= 3 && total >= 60);
  assert.ok(pair.now - start < 150, `took ${pair.now - start} ms`);
});

Deno.test("stream repairs a lost tail faster than the timer", () => {
  const pair = new Pair().established();
  pair.client.stream?.write(bytes(5 * MSS), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 5 * MSS);
  let n = 0;
  pair.network.links[0].filter = (datagram) => datagram.length > 1000 && ++n === 4;
  const start = pair.now;
  pair.client.stream?.write(bytes(4 * MSS), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 9 * MSS);
  assert.ok(pair.now - start < 150, `took ${pair.now - start} ms`);
});

Deno.test("after a timeout the next holes leave as ACKs arrive, not one per timeout", () => {
  const pair = new Pair({ record: true }).established();
  // Everything of the first flight and its probe is lost, for 300 ms.
  const until = pair.now + 300;
  pair.network.links[0].filter = (_, now) => now < until;
  pair.client.stream?.write(bytes(10 * MSS), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 10 * MSS);
  assert.ok(pair.now < until + 700, `took until ${pair.now}`);
  const lengths = new Map<number, number>();
  for (const s of pair.wire) {
    if (s.from !== 0 || s.payload.length === 0) continue;
    assert.equal(lengths.get(s.seq) ?? s.payload.length, s.payload.length, "same boundaries");
    lengths.set(s.seq, s.payload.length);
  }
});

Deno.test("a peer that forgets what it reported gets it again after the timeout", () => {
  const script = sending(4);
  script.now = 20;
  script.in({
    seq: script.peer(0),
    ack: script.own(0),
    payload: sack([script.own(0), script.own(4 * MSS)]),
  });
  const again = data(script.pass(2000));
  assert.ok(again.some((s) => s.seq === script.own(0)));
});

Deno.test("at most 128 segments are in flight to an older peer, more to one of our kind", () => {
  for (const [isn, most] of [[0, 128], [5000, 512]] as const) {
    const congestion = (mss: number) => new NewReno(mss);
    const script = Script.established({ isn: 1000, congestion }, isn);
    let acked = 0;
    script.stream.write(new Uint8Array(1 << 20), script.now);
    script.out();
    // Acknowledged one by one, the window grows past every limit of ours.
    for (let i = 0; i < 600; i++) {
      script.now += 1;
      acked += MSS;
      script.in({ seq: script.peer(0), ack: script.own(acked) });
      script.stream.write(new Uint8Array(64 << 10), script.now);
      script.pass(1);
      assert.ok(script.stream.stats().unacked <= most);
    }
    assert.ok(script.stream.stats().unacked >= most - 2, `${script.stream.stats().unacked}`);
  }
});

Deno.test("black hole ends with timeout after 8 retransmissions and a reset", () => {
  const script = sending(3);
  const sent = script.pass(120_000);
  const resends = sent.filter((s) => s.seq === script.own(0) && s.payload.length > 0);
  assert.equal(resends.length, 8);
  assert.deepEqual(sent.filter((s) => s.flags & RST).length, 1);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
  const gone = sent.at(-1)?.at ?? 0;
  assert.ok(gone > 10_000 && gone < 90_000, `gave up after ${gone} ms`);
  assert.deepEqual(script.events(), ["closed"]);
  assert.equal(script.stream.deadline(), Infinity);
});

Deno.test("a path that turns slow does not trip the limit of retransmissions", () => {
  const pair = new Pair({ link: { delayMs: 10 } }).established();
  const transfer = new Transfer(pair.client, { write: 300_000, read: 0, close: false });
  const check = new Transfer(pair.server, { write: 0, read: 300_000, close: false });
  pair.client.run(pair.now);
  pair.drive(() => check.checked > 20_000);
  for (const link of pair.network.links) link.options.delayMs = 4_000;
  pair.drive(() => check.done, 3_600_000);
  assert.equal(transfer.written, 300_000);
});

Deno.test("a path that loses a quarter each way is slow, and works", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const pair = new Pair({ seed, link: { loss: 0.25 } });
    const transfer = new Transfer(pair.client, { write: 100_000, read: 0, close: false });
    const check = new Transfer(pair.server, { write: 0, read: 100_000, close: false });
    pair.connect();
    pair.drive(() => check.done, 3_600_000);
    assert.ok(transfer.done);
  }
});

Deno.test("a needless timeout is undone: the window is back once the ACK proves it", () => {
  const pair = new Pair({ link: { delayMs: 20 } }).established();
  new Transfer(pair.client, { write: 400_000, read: 0, close: false });
  const check = new Transfer(pair.server, { write: 0, read: 400_000, close: false });
  pair.client.run(pair.now);
  pair.drive(() => check.checked > 100_000);
  const before = pair.client.stream?.stats().cong_win ?? 0;
  // ACKs stand still for longer than the timer, once.
  const held = pair.network.links[1];
  held.options.delayMs = 600;
  pair.pass(30);
  held.options.delayMs = 20;
  pair.drive(() => check.done);
  const after = pair.client.stream?.stats().cong_win ?? 0;
  assert.ok(after >= before / 2, `${before} became ${after}`);
});

Deno.test("a timeout that the ACK of an original disproves gives the window back", () => {
  const script = sending(10);
  const before = script.stream.stats().cong_win;
  script.pass(300);
  assert.ok(script.stream.stats().cong_win <= MSS, "the timer fired");
  assert.ok(script.stream.stats().in_recovery);
  // The second segment was never repeated, so its acknowledgement can only be that of the original.
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS) });
  const { cong_win, in_recovery } = script.stream.stats();
  assert.ok(cong_win >= before && !in_recovery, `${before} became ${cong_win}`);
  const again = data(script.pass(100)).filter((s) => s.seq !== script.own(9 * MSS));
  assert.deepEqual(again, [], "and nothing more is repeated, the tail probe apart");
});

Deno.test("a real timeout leaves one segment of window", () => {
  const script = sending(10);
  script.pass(300);
  script.in({ seq: script.peer(0), ack: script.own(MSS) });
  const { cong_win, ssthresh, in_recovery } = script.stream.stats();
  assert.ok(cong_win <= 3 * MSS && ssthresh >= 2 * MSS && in_recovery);
});

Deno.test("progress between timeouts keeps a stream alive, however many there are", () => {
  const script = sending(20);
  for (let i = 1; i <= 20; i++) {
    // Five retransmissions of each segment before one comes through.
    let seen = 0;
    while (seen < 5) {
      const wait = script.stream.deadline() - script.now;
      seen += data(script.pass(wait)).filter((s) => s.seq === script.own((i - 1) * MSS)).length;
    }
    script.in({ seq: script.peer(0), ack: script.own(i * MSS) });
    assert.equal(script.stream.state, "ESTABLISHED");
  }
  assert.equal(script.stream.stats().send_buf, 0);
});

Deno.test("a repetition never spoils the round-trip estimate", () => {
  const script = sending(3);
  // The first is lost until 3 s; the second arrived early, but its ACK could not say so.
  script.pass(3000);
  script.in({ seq: script.peer(0), ack: script.own(3 * MSS) });
  assert.equal(script.stream.stats().srtt_ms, 10);
});

Deno.test("a pause longer than the timeout shrinks the window to its start", () => {
  const script = sending(200);
  let acked = 0;
  while (script.stream.stats().send_buf > 0) {
    script.pass(1);
    acked = Math.min(acked + 4 * MSS, script.stream.stats().bytes_sent);
    script.in({ seq: script.peer(0), ack: script.own(acked) });
  }
  assert.ok(script.stream.stats().cong_win > 20 * MSS);
  script.pass(5000);
  script.stream.write(bytes(MSS), script.now);
  script.out();
  assert.equal(script.stream.stats().cong_win, 10 * MSS);
});

/** A stream with 10 segments in flight, the first of them reported lost, and the reductions it made. */
function recovering(): { script: Script; reductions: () => number } {
  let count = 0;
  class Counting extends NewReno {
    override onLoss(inFlight: number): void {
      count++;
      super.onLoss(inFlight);
    }
  }
  const script = Script.established({ noDelay: true, congestion: (mss) => new Counting(mss) });
  script.stream.write(bytes(100 * MSS), script.now);
  script.out();
  script.now = 30;
  script.in({ seq: script.peer(0), ack: script.own(0), payload: report(script, [1, 4]) });
  return { script, reductions: () => count };
}

function report(script: Script, ...blocks: Array<[number, number]>): Uint8Array {
  return sack(
    ...blocks.map(([l, r]): [number, number] => [script.own(l * MSS), script.own(r * MSS)]),
  );
}

Deno.test("new segments leave throughout a recovery, fewer than arrive until half the flight is left", () => {
  const { script } = recovering();
  const before = script.stream.stats().bytes_sent;
  const sent: number[] = [];
  for (let n = 5; n <= 10; n++) {
    script.now += 1;
    script.in({ seq: script.peer(0), ack: script.own(0), payload: report(script, [1, n]) });
    sent.push((script.stream.stats().bytes_sent - before) / MSS);
  }
  // Nothing is held back for half a round trip; from the fourth on as many leave as arrive.
  assert.deepEqual(sent, [1, 1, 1, 2, 3, 4]);
});

Deno.test("a segment first sent during a recovery and lost is a new loss, when the recovery is over", () => {
  for (const again of [false, true]) {
    const { script, reductions } = recovering();
    script.in({ seq: script.peer(0), ack: script.own(0), payload: report(script, [1, 10]) });
    const end = script.stream.stats().bytes_sent / MSS;
    assert.ok(end >= 12, `${end} sent`);
    script.now += 10;
    if (again) {
      const payload = report(script, [1, 10], [11, end]);
      script.in({ seq: script.peer(0), ack: script.own(0), payload });
    }
    assert.equal(reductions(), 1);
    script.in({ seq: script.peer(0), ack: script.own(10 * MSS) });
    assert.equal(reductions(), again ? 2 : 1);
    assert.equal(script.stream.stats().in_recovery, again);
  }
});
