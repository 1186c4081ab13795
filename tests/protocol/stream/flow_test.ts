import assert from "node:assert/strict";
import { ACK, RST } from "../../../protocol/packet.ts";
import { hasSackShape } from "../../../protocol/stream/sack.ts";
import type { Segment } from "../../../protocol/stream/mod.ts";
import { Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes, OWN_ISN, PEER_ISN, Script } from "./support.ts";

const MSS = 1152;

function data(list: Segment[]): Segment[] {
  return list.filter((s) => s.payload.length > 0 && !hasSackShape(s.payload));
}

Deno.test("stream has no more segments in flight than the peer's window", () => {
  const script = Script.established({}, PEER_ISN, 3);
  script.stream.write(bytes(20 * MSS), script.now);
  assert.equal(script.out().length, 3);
  const more = script.in({ seq: script.peer(0), ack: script.own(MSS), window: 5 });
  assert.equal(more.length, 3, "5 slots, 2 in use");
  assert.equal(script.in({ seq: script.peer(0), ack: script.own(MSS), window: 5 }).length, 0);
});

Deno.test("stream counts large segments in bytes too: a slot stands for 4096 with older peers, for 1152 with ours", () => {
  for (const [isn, count] of [[0, 2], [PEER_ISN, 4]] as const) {
    const slots = isn === 0 ? 8 : 4 * 15;
    const script = Script.established({ mss: 16_384, noDelay: true }, isn, slots);
    script.stream.write(new Uint8Array(200_000), script.now);
    assert.equal(script.out().length, count);
  }
});

Deno.test("older window announcements do not undo newer ones", () => {
  const script = Script.established({}, PEER_ISN, 8);
  script.data(0, bytes(10));
  script.in({ seq: script.peer(10), ack: script.own(0), window: 9 });
  script.in({ seq: script.peer(0), ack: script.own(0), window: 2 });
  assert.equal(script.stream.stats().peer_recv_win, 9);
});

Deno.test("a closed window is probed with one real segment after 200 ms doubling to 5 s, and never closes the stream", () => {
  const script = Script.established({}, PEER_ISN, 2);
  script.stream.write(bytes(10 * MSS), script.now);
  script.out();
  script.now = 20;
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS), window: 0 });
  const start = script.now;
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const wait = script.stream.deadline() - script.now;
    const probes = data(script.pass(wait));
    if (probes.length === 0) continue;
    assert.deepEqual(probes.map((s) => [s.seq, s.payload.length]), [[script.own(2 * MSS), MSS]]);
    times.push(script.now - start);
    // The peer lives and stays full.
    script.in({ seq: script.peer(0), ack: script.own(2 * MSS), window: 0 });
  }
  assert.deepEqual(times.slice(0, 6), [200, 600, 1400, 3000, 6200, 11_200]);
  assert.ok(times.length > 100);
  assert.equal(script.stream.state, "ESTABLISHED");
  const after = script.in({ seq: script.peer(0), ack: script.own(2 * MSS), window: 4 });
  assert.deepEqual(after.map((s) => s.seq), [2, 3, 4, 5].map((n) => script.own(n * MSS)));
});

Deno.test("zero-window probing ends with timeout when the peer is gone", () => {
  const script = Script.established({}, PEER_ISN, 2);
  script.stream.write(bytes(10 * MSS), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS), window: 0 });
  script.pass(120_000);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
});

Deno.test("an app that never reads stops the sender within the receive buffer, and gets everything later", () => {
  for (const isn of [1, 0x2000_0001]) {
    const recvBufferBytes = 256 << 10;
    const pair = new Pair({ server: { isn, recvBufferBytes } }).established();
    pair.server.reading = false;
    const total = 2_000_000;
    const there = new Transfer(pair.client, { write: total, read: 0, close: false });
    pair.client.run(pair.now);
    pair.pass(600_000);
    const stats = pair.server.stream?.stats();
    assert.ok((stats?.recv_buf ?? 0) > recvBufferBytes / 8);
    assert.ok((stats?.recv_buf ?? Infinity) <= recvBufferBytes + 65_535);
    assert.equal(pair.client.stream?.state, "ESTABLISHED", "ten minutes closed and alive");
    const sent = pair.sent[0];
    pair.pass(60_000);
    assert.ok((pair.sent[0] ?? 0) - (sent ?? 0) < 20, "only probes");
    const check = new Transfer(pair.server, { write: 0, read: total, close: false });
    pair.server.reading = true;
    pair.server.run(pair.now);
    pair.drive(() => check.done, 60_000);
    assert.ok(there.done);
  }
});

Deno.test("a stall of the reader ends at once when it reads: the window is announced", () => {
  const pair = new Pair({ server: { recvBufferBytes: 128 << 10 } }).established();
  pair.server.reading = false;
  new Transfer(pair.client, { write: 300_000, read: 0, close: false });
  pair.client.run(pair.now);
  pair.pass(30_000);
  const check = new Transfer(pair.server, { write: 0, read: 300_000, close: false });
  const start = pair.now;
  pair.server.reading = true;
  pair.server.run(pair.now);
  pair.drive(() => check.done);
  assert.ok(pair.now - start < 500, `took ${pair.now - start} ms`);
});

Deno.test("a lost window announcement is found out by the next probe", () => {
  const pair = new Pair({ server: { recvBufferBytes: 128 << 10 } }).established();
  pair.server.reading = false;
  new Transfer(pair.client, { write: 300_000, read: 0, close: false });
  pair.client.run(pair.now);
  pair.pass(30_000);
  const check = new Transfer(pair.server, { write: 0, read: 300_000, close: false });
  const start = pair.now;
  const until = pair.now + 100;
  pair.network.links[1].filter = (_, now) => now < until;
  pair.server.reading = true;
  pair.server.run(pair.now);
  pair.drive(() => check.done);
  assert.ok(pair.network.links[1].counters.dropped > 0);
  assert.ok(pair.now - start < 6_000, `took ${pair.now - start} ms`);
});

Deno.test("stream advertises slots within its buffer: of 4096 bytes to older peers, of 1152 to ours", () => {
  for (const [isn, slots, slot] of [[0, 64, 4096], [PEER_ISN, 227, 1152]] as const) {
    const script = Script.established({ recvBufferBytes: 256 << 10 }, isn);
    assert.equal(script.stream.stats().recv_win, slots);
    for (let i = 0; i < 10; i++) script.data(i * slot, bytes(slot));
    assert.equal(script.stream.stats().recv_win, slots - 10);
    script.read();
    assert.equal(script.stream.stats().recv_win, slots);
  }
});

Deno.test("an older peer is offered 128 slots at most", () => {
  const old = Script.established({}, 0);
  assert.equal(old.stream.stats().recv_win, 128);
  // However much is read.
  for (let i = 0; i < 5000; i++) {
    old.now += 0.1;
    old.data(i * 4096, bytes(4096));
    while (old.stream.read() !== undefined);
  }
  assert.equal(old.stream.stats().recv_win, 128);
  assert.equal(Script.established().stream.stats().recv_win, 227);
});

Deno.test("a burst of 4096-byte segments into the whole advertised window is taken, gap or not", () => {
  for (const first of [0, 1]) {
    const script = Script.established({ recvBufferBytes: 512 << 10 }, 0);
    const slots = script.stream.stats().recv_win;
    for (let i = first; i < slots; i++) script.data(i * 4096, bytes(4096));
    if (first === 1) script.data(0, bytes(4096));
    assert.equal(script.stream.readableBytes, slots * 4096);
    assert.equal(script.stream.stats().recv_win, 0);
  }
});

Deno.test("segments of 65535 bytes are received", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  for (let i = 0; i < 5; i++) {
    script.data(i * 65_535, new Uint8Array(65_535).fill(i));
    assert.equal(script.read().length, 65_535);
  }
});

Deno.test("what does not fit is dropped with an ACK that says so", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  let at = 0;
  while (script.stream.stats().recv_win > 0) {
    script.data(at, bytes(4096));
    at += 4096;
  }
  for (let i = 0; i < 30; i++) {
    const answer = script.data(at, bytes(4096));
    if (script.stream.readableBytes === at) {
      assert.deepEqual(answer.map((s) => [s.ack, s.window]), [[script.peer(at), 0]]);
    } else at += 4096;
  }
  assert.ok(script.stream.readableBytes <= (128 << 10) + 65_535);
});

Deno.test("an open window is announced when it was nearly closed and a quarter is free again", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  for (let i = 0; i < 32; i++) script.data(i * 4096, bytes(4096));
  assert.equal(script.stream.stats().recv_win, 0);
  let announced: Segment[] = [];
  let read = 0;
  while (announced.length === 0) {
    read += script.stream.read(4096)?.length ?? 0;
    announced = script.out();
  }
  // A quarter of 113 slots of 1152 bytes is 29; eight pieces make 28.
  assert.deepEqual(announced.map((s) => [s.flags, s.window]), [[ACK, 32]]);
  assert.equal(read, 9 * 4096);
});

Deno.test("a probe of our closed window is answered five times a second at most", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  for (let i = 0; i < 32; i++) script.data(i * 4096, bytes(4096));
  assert.equal(script.stream.stats().recv_win, 0);
  let answers = 0;
  for (let i = 0; i < 1000; i++) {
    script.now += 1;
    answers += script.in({ seq: script.peer(32 * 4096), ack: script.own(0) }).length;
  }
  assert.ok(answers >= 4 && answers <= 5, `${answers} answers`);
});

Deno.test("two full streams do not answer each other's answers", () => {
  const options = { recvBufferBytes: 128 << 10 };
  for (const delayMs of [1, 400]) {
    const pair = new Pair({ link: { delayMs }, client: options, server: options }).established();
    pair.client.reading = pair.server.reading = false;
    for (const end of [pair.client, pair.server]) {
      end.stream?.write(new Uint8Array(31 * 4096), pair.now);
      end.run(pair.now);
    }
    pair.drive(() =>
      pair.client.stream?.stats().send_buf === 0 && pair.server.stream?.stats().send_buf === 0
    );
    // Up to the last slot, so that both say 0.
    for (const end of [pair.client, pair.server]) {
      end.stream?.write(new Uint8Array(4096), pair.now);
      end.run(pair.now);
    }
    pair.pass(20_000);
    assert.equal(pair.client.stream?.stats().recv_win, 0);
    assert.equal(pair.server.stream?.stats().recv_win, 0);
    const before = (pair.sent[0] ?? 0) + (pair.sent[1] ?? 0);
    pair.pass(3_600_000);
    const count = (pair.sent[0] ?? 0) + (pair.sent[1] ?? 0) - before;
    // 90 keepalives each and a few answers to each.
    assert.ok(count <= 600, `${count} segments in an hour`);
    assert.equal(pair.client.stream?.state, "ESTABLISHED");
  }
});

Deno.test("a writer that filled the buffer is told when it can continue", () => {
  const script = Script.established({ sendBufferBytes: 65_536 }, PEER_ISN, 512);
  assert.equal(script.stream.write(new Uint8Array(100_000), script.now), 65_536);
  assert.equal(script.stream.write(new Uint8Array(1), script.now), 0);
  assert.equal(script.stream.writableBytes, 0);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS) });
  assert.deepEqual(script.events(), [], "too little to be worth a turn");
  for (let n = 4; n <= 20; n += 2) {
    script.now += 5;
    script.in({ seq: script.peer(0), ack: script.own(n * MSS) });
  }
  assert.deepEqual(script.events(), ["writable"]);
  assert.ok(script.stream.writableBytes >= 16_384);
});

Deno.test("sent segments are paced: a large window does not leave in one burst", () => {
  const script = Script.established({ noDelay: true });
  script.now = 110;
  // A round trip of 100 ms, then a window grown by acknowledgements of single segments.
  script.stream.write(new Uint8Array(1 << 20), script.now);
  let acked = 0;
  let largest = 0;
  let burst = script.out().length;
  for (let i = 0; i < 20; i++) {
    script.pass(100);
    const { bytes_sent } = script.stream.stats();
    largest = 0;
    while (acked + 2 * MSS <= bytes_sent) {
      acked += 2 * MSS;
      burst = script.in({ seq: script.peer(0), ack: script.own(acked) }).length;
      largest = Math.max(largest, burst);
    }
    script.stream.write(new Uint8Array(1 << 20), script.now);
  }
  assert.ok(script.stream.stats().cong_win > 100 * MSS);
  assert.ok(largest <= 40, `${largest} at once`);
});

Deno.test("read hands over pieces that stay as they are, whatever comes later", () => {
  const script = Script.established();
  const pieces: Uint8Array[] = [];
  const copies: Uint8Array[] = [];
  for (let i = 0; i < 300; i++) {
    script.data(i * 100, bytes(100, i));
    if (i % 3 !== 2) continue;
    const piece = script.stream.read(i % 2 === 0 ? 150 : undefined);
    assert.ok(piece);
    pieces.push(piece);
    copies.push(piece.slice());
  }
  assert.deepEqual(pieces, copies);
  const total = pieces.reduce((n, p) => n + p.length, 0) + script.stream.readableBytes;
  assert.equal(total, 30_000);
});

Deno.test("read gathers segments into few pieces", () => {
  const script = Script.established();
  let pieces = 0;
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 50; i++) script.data((round * 50 + i) * 1000, new Uint8Array(1000));
    while (script.stream.read() !== undefined) pieces++;
  }
  assert.ok(pieces <= 60, `${pieces} pieces for 1000 segments`);
});

Deno.test("closeRead acknowledges and drops what comes", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  script.data(0, bytes(1000));
  script.stream.closeRead();
  assert.equal(script.stream.readableBytes, 0);
  for (let i = 0; i < 100; i++) {
    const sent = script.data(1000 + i * 4096, bytes(4096));
    assert.ok(sent.every((s) => s.window > 0 && (s.flags & RST) === 0));
  }
  assert.equal(script.stream.stats().bytes_recv, 1000 + 100 * 4096);
  assert.equal(OWN_ISN, 1000);
});
