import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import { ACK, RST, SYN } from "../../../protocol/packet.ts";
import { Stream } from "../../../protocol/stream/mod.ts";
import { Pair } from "../../sim/pair.ts";
import { bytes, flagNames, OWN_ISN, PEER_ISN, Script, segment } from "./support.ts";

const SYN_SEGMENT = segment({ flags: SYN, seq: PEER_ISN, window: 512 });

Deno.test("Stream.connect sends SYN at 0, then after 250 ms doubling to 4 s", () => {
  const script = new Script(Stream.connect({ isn: OWN_ISN }, 0), PEER_ISN);
  const first = script.out();
  assert.equal(first.length, 1);
  assert.deepEqual(
    [first[0]?.flags, first[0]?.seq, first[0]?.ack, first[0]?.window],
    [SYN, OWN_ISN, 0, 128],
  );
  const times = script.pass(20_000).map((s) => s.at);
  assert.deepEqual(times, [250, 750, 1750, 3750, 7750, 11_750, 15_750, 19_750]);
});

Deno.test("Stream.connect fails with timeout when nothing answers in dialTimeoutMs", () => {
  const script = new Script(
    Stream.connect({ isn: OWN_ISN, dialTimeoutMs: 3000 }, 0),
    PEER_ISN,
  );
  script.pass(2999);
  assert.equal(script.stream.state, "SYN_SENT");
  script.pass(1);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
  assert.deepEqual(script.events(), ["closed"]);
  assert.equal(script.stream.deadline(), Infinity);
});

Deno.test("Stream.connect refuses options out of range", () => {
  const bad: Array<[string, Record<string, number>]> = [
    ["isn", { isn: 0 }],
    ["isn", { isn: 2 ** 32 }],
    ["isn", { isn: 1.5 }],
    ["mss", { mss: 63 }],
    ["mss", { mss: 65_536 }],
    ["recvBufferBytes", { recvBufferBytes: 1000 }],
    ["recvBufferSegments", { recvBufferSegments: 0 }],
    ["sendBufferBytes", { sendBufferBytes: 0 }],
    ["keepaliveMs", { keepaliveMs: 0 }],
  ];
  for (const [name, options] of bad) {
    assert.throws(
      () => Stream.connect({ isn: OWN_ISN, ...options }, 0),
      (e) => e instanceof PilotError && e.code === "invalid_argument" && e.message.includes(name),
    );
  }
});

Deno.test("Stream opens with random numbers of both sides", () => {
  const script = new Script(Stream.connect({ isn: OWN_ISN }, 0), PEER_ISN);
  script.out();
  script.now = 20;
  const answer = script.in({ flags: SYN | ACK, seq: PEER_ISN, ack: OWN_ISN + 1 });
  assert.equal(script.stream.state, "ESTABLISHED");
  assert.deepEqual(script.events(), ["established"]);
  assert.deepEqual(
    answer.map((s) => [s.flags, s.seq, s.ack]),
    [[ACK, OWN_ISN + 1, PEER_ISN + 1]],
  );
  // The handshake measured the round trip.
  assert.equal(script.stream.stats().srtt_ms, 20);
});

Deno.test("Stream.accept answers at once, repeats the SYN-ACK, and gives up after 10 s", () => {
  const script = new Script(
    Stream.accept({ isn: OWN_ISN }, SYN_SEGMENT, 0),
    PEER_ISN,
  );
  const [first] = script.out();
  assert.deepEqual(
    [first?.flags, first?.seq, first?.ack],
    [SYN | ACK, OWN_ISN, PEER_ISN + 1],
  );
  script.now = 100;
  const again = script.in(SYN_SEGMENT);
  assert.deepEqual(again.map((s) => [s.flags, s.seq]), [[SYN | ACK, OWN_ISN]]);
  assert.ok(script.pass(9000).every((s) => s.flags === (SYN | ACK) && s.seq === OWN_ISN));
  script.pass(1000);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
});

Deno.test("Stream.accept takes the third segment with data, and not one that acknowledges nothing", () => {
  const script = new Script(Stream.accept({ isn: OWN_ISN }, SYN_SEGMENT, 0), PEER_ISN);
  script.out();
  script.in({ seq: PEER_ISN + 1, ack: OWN_ISN });
  assert.equal(script.stream.state, "SYN_RECV");
  script.in({ seq: PEER_ISN + 1, ack: OWN_ISN + 2 });
  assert.equal(script.stream.state, "SYN_RECV");
  script.in({ seq: PEER_ISN + 1, ack: OWN_ISN + 1, payload: bytes(5) });
  assert.equal(script.stream.state, "ESTABLISHED");
  assert.deepEqual(script.events(), ["established", "readable"]);
  assert.deepEqual(script.read(), bytes(5));
});

Deno.test("Stream in SYN_SENT takes a plausible reset only", () => {
  const plausible = [
    segment({ flags: RST, seq: 0, ack: 0 }),
    segment({ flags: RST | ACK, seq: 0, ack: OWN_ISN + 1 }),
  ];
  for (const rst of plausible) {
    const script = new Script(Stream.connect({ isn: OWN_ISN }, 0), PEER_ISN);
    script.out();
    assert.deepEqual(script.in(rst), []);
    assert.equal(script.stream.error?.code, "connection_refused");
    assert.equal(script.stream.state, "CLOSED");
  }
  const script = new Script(Stream.connect({ isn: OWN_ISN }, 0), PEER_ISN);
  script.out();
  script.in({ flags: RST, seq: 77, ack: OWN_ISN + 50 });
  assert.equal(script.stream.state, "SYN_SENT");
});

Deno.test("Stream resets a stale connection of the peer and then dials again", () => {
  for (const flags of [SYN | ACK, ACK]) {
    const script = new Script(Stream.connect({ isn: OWN_ISN }, 0), PEER_ISN);
    script.out();
    script.now = 10;
    const answer = script.in({ flags, seq: 700, ack: 800 });
    assert.deepEqual(answer.map((s) => [s.flags, s.seq]), [[RST, 800]]);
    assert.equal(script.stream.state, "SYN_SENT");
    const next = script.pass(60);
    assert.deepEqual(next.map((s) => s.flags), [SYN]);
    script.in({ flags: SYN | ACK, seq: PEER_ISN, ack: OWN_ISN + 1 });
    assert.equal(script.stream.state, "ESTABLISHED");
  }
});

Deno.test("Stream answers a repeated SYN-ACK with an ACK", () => {
  const script = Script.established();
  const answer = script.in({ flags: SYN | ACK, seq: PEER_ISN, ack: OWN_ISN + 1 });
  assert.deepEqual(answer.map((s) => flagNames(s.flags)), ["ACK"]);
});

Deno.test("two streams that dial each other become one connection", () => {
  const pair = new Pair();
  pair.server.listening = undefined;
  pair.connect();
  pair.server.stream = Stream.connect({ isn: 77 }, 0);
  pair.server.run(0);
  pair.drive(() =>
    pair.client.stream?.state === "ESTABLISHED" &&
    pair.server.stream?.state === "ESTABLISHED"
  );
  pair.client.stream?.write(bytes(10), pair.now);
  pair.client.run(pair.now);
  pair.server.stream?.write(bytes(20), pair.now);
  pair.server.run(pair.now);
  pair.drive(() => pair.client.data.length === 20 && pair.server.data.length === 10);
});

for (const direction of [0, 1, 2]) {
  for (
    const [name, drop] of [
      ["first", (n: number) => n === 1],
      ["first three", (n: number) => n <= 3],
      ["every third", (n: number) => n % 3 === 0],
    ] as const
  ) {
    for (const speaker of ["client", "server"] as const) {
      const way = ["client to server", "server to client", "both"][direction];
      Deno.test(`handshake succeeds when the ${name} datagrams ${way} are lost and the ${speaker} speaks first`, () => {
        const pair = new Pair();
        pair.network.links.forEach((link, i) => {
          let n = 0;
          if (direction !== 2 && direction !== i) return;
          link.filter = () => drop(++n);
        });
        const speak = pair[speaker];
        let spoke = false;
        speak.app = (end, now) => {
          if (spoke || end.stream?.state !== "ESTABLISHED") return;
          spoke = true;
          end.stream.write(bytes(3000), now);
        };
        pair.connect();
        const other = speaker === "client" ? pair.server : pair.client;
        pair.drive(() => other.data.length === 3000, 20_000);
        assert.deepEqual(other.data, bytes(3000));
        const dropped = pair.network.links.map((l) => l.counters.dropped);
        assert.ok((dropped[direction] ?? Math.min(...dropped)) > 0);
      });
    }
  }
}

Deno.test("isRestart distinguishes a restarted peer from a repeated SYN", () => {
  const syn = (seq: number) => segment({ flags: SYN, seq });
  const own = Script.established();
  assert.equal(own.stream.isRestart(syn(PEER_ISN)), false);
  assert.equal(own.stream.isRestart(syn(PEER_ISN + 9)), true);
  assert.equal(own.stream.isRestart(segment({ flags: SYN | ACK, seq: 3 })), false);
  own.stream.close(own.now);
  assert.equal(own.stream.isRestart(syn(PEER_ISN)), false);

  const dialling = Stream.connect({ isn: OWN_ISN }, 0);
  assert.equal(dialling.isRestart(syn(PEER_ISN)), false);

  const half = Stream.accept({ isn: OWN_ISN }, syn(0), 0);
  assert.equal(half.isRestart(syn(0)), false);
  assert.equal(half.isRestart(syn(5)), true);

  const old = Script.established({}, 0);
  assert.equal(old.stream.isRestart(syn(0)), false, "no progress: a copy");
  old.data(0, bytes(3));
  assert.equal(old.stream.isRestart(syn(0)), true);
  assert.equal(old.stream.isRestart(syn(0), old.now + 100), false, "late copy");
  assert.equal(old.stream.isRestart(syn(0), old.now + 3000), true);
  const closing = Script.established({}, 0);
  closing.stream.close(closing.now);
  assert.equal(closing.stream.isRestart(syn(0)), true);
});

Deno.test("a peer that restarts on the same ports gets a new connection at once", () => {
  const pair = new Pair().established();
  pair.client.stream?.write(bytes(100), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 100);
  pair.server.received.length = 0;
  const old = pair.server.stream;
  pair.connect({ isn: 0x0bad_cafe });
  pair.client.stream?.write(bytes(50, 7), pair.now);
  pair.drive(() => pair.server.data.length === 50, 1000);
  assert.deepEqual(pair.server.data, bytes(50, 7));
  assert.deepEqual(pair.server.dropped, [old]);
});
