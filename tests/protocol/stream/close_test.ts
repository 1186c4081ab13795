import assert from "node:assert/strict";
import { ACK, FIN, RST, SYN } from "../../../protocol/packet.ts";
import { Stream } from "../../../protocol/stream/mod.ts";
import { End, Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes, flagNames, Script, segment } from "./support.ts";

const MSS = 1152;

/** Everything a closed stream could still hold. */
function held(stream: Stream | undefined): number {
  const s = stream?.stats();
  return (s?.send_buf ?? 0) + (s?.recv_buf ?? 0) + (s?.ooo_buf ?? 0) + (s?.unacked ?? 0) +
    (s?.in_flight ?? 0);
}

function bothClosed(pair: Pair): boolean {
  return pair.client.events.includes("closed") && pair.server.events.includes("closed");
}

Deno.test("close is FIN, FIN|ACK, ACK; the closer waits 10 s and then both hold nothing", () => {
  const pair = new Pair({ record: true }).established();
  pair.wire.length = 0;
  pair.client.stream?.close(pair.now);
  assert.equal(pair.client.stream?.state, "FIN_WAIT");
  pair.client.run(pair.now);
  pair.drive(() => bothClosed(pair));
  assert.deepEqual(pair.wire.map((s) => [s.from, flagNames(s.flags)]), [
    [0, "FIN|ACK"],
    [1, "FIN|ACK"],
    [0, "ACK"],
  ]);
  assert.equal(pair.client.stream?.state, "TIME_WAIT");
  assert.equal(pair.server.stream?.state, "CLOSED");
  assert.deepEqual(pair.server.events, ["established", "end", "closed"]);
  pair.pass(9_900);
  assert.equal(pair.client.stream?.state, "TIME_WAIT");
  pair.pass(200);
  assert.equal(pair.client.stream?.state, "CLOSED");
  for (const end of [pair.client, pair.server]) {
    assert.equal(held(end.stream), 0);
    assert.equal(end.stream?.error, undefined);
    assert.equal(end.stream?.deadline(), Infinity);
  }
});

Deno.test("FIN leaves only after everything is acknowledged", () => {
  const script = Script.established();
  script.stream.write(bytes(3 * MSS), script.now);
  script.stream.close(script.now);
  assert.equal(script.stream.write(bytes(1), script.now), 0);
  assert.ok(script.out().every((s) => (s.flags & FIN) === 0));
  script.in({ seq: script.peer(0), ack: script.own(2 * MSS) });
  assert.deepEqual(script.pass(100).filter((s) => s.flags & FIN), []);
  const fin = script.in({ seq: script.peer(0), ack: script.own(3 * MSS) });
  assert.deepEqual(fin.map((s) => [flagNames(s.flags), s.seq]), [["FIN|ACK", script.own(3 * MSS)]]);
});

Deno.test("a graceful close takes as long as there is progress", () => {
  const pair = new Pair({ link: { rate: 20, delayMs: 20 } }).established();
  const there = new Transfer(pair.client, { write: 800_000, read: 0 });
  const check = new Transfer(pair.server, { write: 0, read: 800_000, close: false });
  pair.client.run(pair.now);
  const start = pair.now;
  pair.drive(() => bothClosed(pair));
  assert.ok(pair.now - start > 30_000);
  assert.ok(there.done && check.done);
  assert.equal(pair.client.stream?.error, undefined);
});

Deno.test("a close without progress is reset after 10 s", () => {
  const script = Script.established({}, 5000, 1);
  script.stream.write(bytes(3 * MSS), script.now);
  script.out();
  script.stream.close(script.now);
  // Alive, but never reading.
  let sent: ReturnType<Script["pass"]> = [];
  for (let i = 0; i < 12 && script.stream.state !== "CLOSED"; i++) {
    script.in({ seq: script.peer(0), ack: script.own(0), window: 0 });
    sent = script.pass(1000);
  }
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
  assert.match(script.stream.error?.message ?? "", /3456 bytes/);
  assert.equal(sent.filter((s) => s.flags & RST).length, 1);
});

Deno.test("an abandoned stream ends in a reset behind its data, and in a FIN towards an existing peer", () => {
  const pair = new Pair().established();
  pair.pass(1000);
  pair.client.stream?.write(bytes(20_000), pair.now);
  pair.client.stream?.abandon(pair.now);
  pair.client.run(pair.now);
  pair.pass(2_000);
  assert.deepEqual(pair.server.data, bytes(20_000));
  assert.equal(pair.server.stream?.error?.code, "connection_closed");
  assert.equal(pair.client.stream?.state, "CLOSED");
  const script = Script.established({}, 0);
  script.stream.abandon(script.now);
  assert.ok(script.out().some(({ flags }) => (flags & FIN) !== 0));
  const closing = new Pair().established();
  closing.pass(1000);
  closing.client.stream?.close(closing.now);
  closing.client.stream?.abandon(closing.now);
  closing.client.run(closing.now);
  closing.drive(() => bothClosed(closing), 5_000);
  assert.equal(closing.server.stream?.error, undefined, "it was closed before");
});

Deno.test("a close waits for data that is lost several times in a row, and for one that never arrives no longer than repeats do", () => {
  for (const isLost of [false, true]) {
    const pair = new Pair().established();
    pair.pass(1000);
    pair.client.stream?.write(bytes(100), pair.now);
    pair.network.links[0].filter = (packet) => packet.length > 100;
    pair.client.stream?.close(pair.now);
    pair.client.run(pair.now);
    // The sixth repeat comes after 12.6 s.
    pair.pass(12_000);
    const codeOf = () => pair.client.stream?.error?.code;
    assert.equal(codeOf(), undefined);
    if (!isLost) pair.network.links[0].filter = () => false;
    pair.pass(60_000);
    assert.equal(pair.client.stream?.state, "CLOSED");
    assert.equal(codeOf(), isLost ? "timeout" : undefined);
    assert.equal(pair.server.data.length, isLost ? 0 : 100);
  }
});

for (const [name, from, nth] of [["FIN", 0, 1], ["FIN|ACK", 1, 1], ["last ACK", 0, 2]] as const) {
  Deno.test(`a lost ${name} is repeated`, () => {
    const pair = new Pair().established();
    pair.pass(1000);
    let n = 0;
    pair.network.links[from].filter = () => ++n === nth;
    pair.client.stream?.close(pair.now);
    pair.client.run(pair.now);
    pair.drive(() => bothClosed(pair), 5000);
    assert.equal(pair.network.links[from].counters.dropped, 1);
    pair.pass(30_000);
    for (const end of [pair.client, pair.server]) {
      assert.equal(end.stream?.state, "CLOSED");
      assert.equal(end.stream?.error, undefined);
    }
  });
}

Deno.test("both ends close at once", () => {
  const pair = new Pair().established();
  pair.client.stream?.write(bytes(5000), pair.now);
  pair.server.stream?.write(bytes(7000), pair.now);
  for (const end of [pair.client, pair.server]) {
    end.stream?.close(pair.now);
    end.run(pair.now);
  }
  pair.drive(() => bothClosed(pair), 5000);
  assert.equal(pair.client.data.length, 7000);
  assert.equal(pair.server.data.length, 5000);
  assert.equal(pair.client.stream?.state, "TIME_WAIT");
  assert.equal(pair.server.stream?.state, "TIME_WAIT");
  pair.pass(11_000);
  assert.equal(held(pair.client.stream) + held(pair.server.stream), 0);
});

Deno.test("FIN is repeated by the RTO, 8 times, and the end is not an error", () => {
  const script = Script.established();
  script.stream.close(script.now);
  script.out();
  const sent = script.pass(120_000);
  assert.equal(sent.filter((s) => s.flags & FIN).length, 8);
  assert.equal(sent.filter((s) => s.flags & RST).length, 1);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error, undefined);
});

Deno.test("what was written before the peer's FIN still arrives at a peer of our kind", () => {
  const pair = new Pair().established();
  pair.server.stream?.write(bytes(50_000), pair.now);
  pair.client.stream?.close(pair.now);
  pair.client.run(pair.now);
  pair.server.run(pair.now);
  pair.drive(() => bothClosed(pair), 5000);
  assert.deepEqual(pair.client.data, bytes(50_000));
  assert.equal(pair.server.stream?.error, undefined);
});

Deno.test("an older peer that closed is answered with FIN|ACK at once: it takes no more data", () => {
  const script = Script.established({}, 0);
  script.stream.write(bytes(3 * MSS), script.now);
  script.out();
  const answer = script.in({ flags: FIN, seq: script.peer(0), ack: 0, window: 0 });
  assert.deepEqual(answer.map((s) => [flagNames(s.flags), s.seq, s.ack]), [
    ["FIN|ACK", script.own(3 * MSS), script.peer(1)],
  ]);
  assert.deepEqual(script.events(), ["end"]);
  script.in({ seq: script.peer(1), ack: script.own(3 * MSS + 1), window: 0 });
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(held(script.stream), 0);
});

Deno.test("an early FIN waits for the data before it", () => {
  const script = Script.established({}, 0);
  const answer = script.in({ flags: FIN, seq: script.peer(300), ack: 0, window: 0 });
  assert.ok(answer.every((s) => (s.flags & FIN) === 0 && s.ack === script.peer(0)));
  assert.deepEqual(script.events(), []);
  script.data(100, bytes(200, 100));
  const done = script.data(0, bytes(100));
  assert.deepEqual(done.map((s) => [flagNames(s.flags), s.ack]), [["FIN|ACK", script.peer(301)]]);
  assert.deepEqual(script.read(), bytes(300));
  assert.deepEqual(script.events(), ["readable", "end"]);
  assert.equal(script.stream.error, undefined);
});

Deno.test("an early FIN ends with an error when the data never comes, later while some still does", () => {
  const script = Script.established({}, 0);
  script.in({ flags: FIN, seq: script.peer(1000), ack: 0, window: 0 });
  for (let i = 0; i < 5; i++) {
    script.pass(300);
    script.data(i * 100, bytes(100));
  }
  assert.equal(script.stream.state, "ESTABLISHED");
  const sent = script.pass(500);
  assert.deepEqual(sent.map((s) => [flagNames(s.flags), s.ack]), [["FIN|ACK", script.peer(1001)]]);
  assert.equal(script.read().length, 500);
  assert.deepEqual(script.events(), ["readable", "end"]);
  assert.equal(script.stream.error?.code, "connection_closed");
});

Deno.test("a FIN with a number that is too low ends the stream after the data in order", () => {
  const script = Script.established({}, 0);
  script.data(0, bytes(300));
  script.in({ flags: FIN, seq: script.peer(100), ack: 0, window: 0 });
  assert.deepEqual(script.read(), bytes(300));
  assert.deepEqual(script.events(), ["readable", "end"]);
  assert.equal(script.stream.error, undefined);
});

Deno.test("a FIN that names the first hole does not hide that data is missing", () => {
  const script = Script.established({}, 0);
  script.data(0, bytes(100));
  script.data(200, bytes(100));
  // An older peer repeats its FIN with the number of its first unacknowledged byte.
  script.in({ flags: FIN, seq: script.peer(100), ack: 0, window: 0 });
  assert.equal(script.stream.state, "ESTABLISHED");
  script.pass(2000);
  assert.equal(script.stream.error?.code, "connection_closed");
});

Deno.test("a FIN in SYN_RECV opens and ends the stream", () => {
  const syn = segment({ flags: SYN, seq: 0 });
  const script = new Script(Stream.accept({ isn: 1000 }, syn, 0), 0);
  script.out();
  script.in({ flags: FIN, seq: script.peer(0), ack: 0, window: 0 });
  assert.deepEqual(script.events(), ["established", "end"]);
});

Deno.test("a repeated FIN of the peer brings ours again at once", () => {
  const script = Script.established();
  const fin = { flags: FIN | ACK, seq: script.peer(0), ack: script.own(0), window: 0 };
  assert.deepEqual(script.in(fin).map((s) => flagNames(s.flags)), ["FIN|ACK"]);
  script.now += 50;
  assert.deepEqual(script.in(fin).map((s) => flagNames(s.flags)), ["FIN|ACK"]);
});

Deno.test("TIME_WAIT answers a repeated FIN and nothing else", () => {
  const script = Script.established();
  script.stream.close(script.now);
  script.out();
  script.in({ flags: FIN | ACK, seq: script.peer(0), ack: script.own(1) });
  assert.equal(script.stream.state, "TIME_WAIT");
  const again = script.in({ flags: FIN | ACK, seq: script.peer(0), ack: script.own(1) });
  assert.deepEqual(again.map((s) => [flagNames(s.flags), s.seq, s.ack]), [
    ["ACK", script.own(1), script.peer(1)],
  ]);
  assert.deepEqual(script.in({ seq: script.peer(1), ack: script.own(1) }), []);
  assert.deepEqual(script.data(0, bytes(5), 1), []);
});

Deno.test("abort sends one reset and drops everything", () => {
  const script = Script.established();
  script.data(0, bytes(100));
  script.stream.write(bytes(100), script.now);
  script.stream.abort(script.now);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.deadline(), 0);
  assert.deepEqual(script.out().map((s) => [flagNames(s.flags), s.seq, s.ack]), [
    ["RST", script.own(0), script.peer(100)],
  ]);
  assert.equal(script.stream.deadline(), Infinity);
  assert.equal(held(script.stream), 0);
  assert.deepEqual(script.in({ seq: script.peer(0), ack: script.own(0) }), []);
});

Deno.test("a reset ends the stream; what was received stays readable", () => {
  const resets = [
    { flags: RST, seq: 0, ack: 0 },
    { flags: RST, seq: 5001 + 100, ack: 1001 },
  ];
  for (const rst of resets) {
    const script = Script.established();
    script.data(0, bytes(100));
    assert.deepEqual(script.in(rst), [], "a reset is never answered");
    assert.equal(script.stream.state, "CLOSED");
    assert.equal(script.stream.error?.code, "connection_closed");
    assert.deepEqual(script.read(), bytes(100));
  }
  const script = Script.established();
  script.in({ flags: RST, seq: 0x7000_0000, ack: 9 });
  assert.equal(script.stream.state, "ESTABLISHED", "far from anything expected");
});

Deno.test("a reset after our FIN is the end, not an error", () => {
  const script = Script.established();
  script.stream.close(script.now);
  script.out();
  script.in({ flags: RST, seq: 0, ack: 0 });
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error, undefined);
});

Deno.test("a peer that confirms our FIN and never closes is reset after the linger time", () => {
  const script = Script.established();
  script.stream.close(script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(1) });
  const sent = script.pass(11_000);
  assert.deepEqual(sent.map((s) => flagNames(s.flags)), ["RST"]);
  assert.equal(script.stream.error, undefined);
});

Deno.test("close before the handshake waits for what was written", () => {
  const pair = new Pair();
  pair.connect();
  pair.client.stream?.write(bytes(100), pair.now);
  pair.client.stream?.close(pair.now);
  pair.drive(() => bothClosed(pair), 5000);
  assert.deepEqual(pair.server.data, bytes(100));
  const quiet = new Script(Stream.connect({ isn: 1000 }, 0), 5000);
  quiet.out();
  quiet.stream.close(0);
  assert.equal(quiet.stream.state, "CLOSED");
  assert.deepEqual(quiet.out(), []);
});

Deno.test("a connection the peer does not know ends by its reset", () => {
  const pair = new Pair().established();
  pair.server.stream = undefined;
  pair.client.stream?.write(bytes(10), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.client.events.includes("closed"), 100);
  assert.equal(pair.client.stream?.error?.code, "connection_closed");
  assert.ok(pair.client instanceof End);
});

Deno.test("no close leaves anything behind, whatever the network does", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const pair = new Pair({
      seed,
      link: { loss: 0.2, duplicate: 0.1, reorder: 0.2, corrupt: 0.02 },
    });
    const there = new Transfer(pair.client, { write: 20_000, read: 30_000, readFrom: 5 });
    const back = new Transfer(pair.server, { write: 30_000, read: 20_000, writeFrom: 5 });
    pair.connect();
    pair.drive(() => bothClosed(pair), 600_000);
    assert.ok(there.done && back.done, `seed ${seed}`);
    pair.pass(120_000);
    for (const end of [pair.client, pair.server]) {
      assert.equal(end.stream?.state, "CLOSED");
      assert.equal(held(end.stream), 0);
      assert.equal(end.stream?.deadline(), Infinity);
    }
    assert.equal(pair.network.size, 0);
  }
});

Deno.test("close keeps acknowledging what the peer still sends", () => {
  const script = Script.established();
  script.stream.write(bytes(10), script.now);
  script.out();
  script.stream.close(script.now);
  const answer = script.data(0, bytes(20));
  assert.ok(answer.some((s) => s.ack === script.peer(20) && s.flags === ACK));
  assert.deepEqual(script.read(), bytes(20));
});
