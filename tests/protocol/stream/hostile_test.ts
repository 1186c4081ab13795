import assert from "node:assert/strict";
import fc from "fast-check";
import { Stream } from "../../../protocol/stream/mod.ts";
import { encodeSack } from "../../../protocol/stream/sack.ts";
import { bytes, OWN_ISN, PEER_ISN, Script, segment } from "./support.ts";

/** Numbers near what matters, and far from it. */
function near(base: number): fc.Arbitrary<number> {
  return fc.oneof(
    fc.integer({ min: -3000, max: 3000 }).map((d) => (base + d) >>> 0),
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1),
  );
}

const payload = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc.integer({ min: 1, max: 3000 }).map((n) => bytes(n)),
  fc.array(fc.tuple(near(OWN_ISN), near(OWN_ISN)), { minLength: 1, maxLength: 4 }).map((list) =>
    encodeSack(list.map(([left, right]) => ({ left, right })))
  ),
  fc.constant(bytes(65_535)),
);

type Turn =
  | { kind: "segment"; flags: number; seq: number; ack: number; window: number; data: Uint8Array }
  | { kind: "pass"; ms: number }
  | { kind: "write"; n: number }
  | { kind: "read"; n: number }
  | { kind: "call"; name: "close" | "abort" | "closeRead" | "onPeerRestarted" | "setMss" };

function turns(peerIsn: number): fc.Arbitrary<Turn[]> {
  const turn: fc.Arbitrary<Turn> = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constant("segment" as const),
        flags: fc.oneof(fc.constant(2), fc.integer({ min: 0, max: 15 })),
        seq: near(peerIsn),
        ack: near(OWN_ISN),
        window: fc.constantFrom(0, 1, 5, 512, 65_535),
        data: payload,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("pass" as const),
        ms: fc.constantFrom(1, 10, 300, 5000, 100_000),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("write" as const), n: fc.nat(200_000) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("read" as const), n: fc.nat(100_000) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("call" as const),
        name: fc.constantFrom(
          "close" as const,
          "abort" as const,
          "closeRead" as const,
          "onPeerRestarted" as const,
          "setMss" as const,
        ),
      }),
    },
  );
  return fc.array(turn, { maxLength: 60 });
}

/** Plays hostile turns; every state must stay bounded and every deadline must lead somewhere. */
function play(script: Script, list: Turn[]): void {
  for (const turn of list) {
    let sent = 0;
    switch (turn.kind) {
      case "segment":
        sent = script.in({
          flags: turn.flags,
          seq: turn.seq,
          ack: turn.ack,
          window: turn.window,
          payload: turn.data,
        }).length;
        break;
      case "pass":
        sent = script.pass(turn.ms).length;
        assert.ok(sent < 100 + turn.ms, `${sent} segments in ${turn.ms} ms`);
        sent = 0;
        break;
      case "write":
        script.stream.write(bytes(turn.n), script.now);
        script.out();
        break;
      case "read":
        script.stream.read(turn.n);
        script.out();
        break;
      case "call":
        if (turn.name === "closeRead") script.stream.closeRead();
        else if (turn.name === "setMss") script.stream.setMss(turn.name.length * 50);
        else script.stream[turn.name](script.now);
        script.out();
    }
    assert.ok(sent <= 1024, "one segment does not let loose a flood");
    const stats = script.stream.stats();
    assert.ok(stats.recv_buf + stats.ooo_buf <= (4 << 20) + 2 * 65_535);
    assert.ok(stats.ooo_buf <= 1024 && stats.unacked <= 8192);
    assert.ok(stats.send_buf <= 1 << 20 && stats.send_buf >= 0);
    assert.ok(stats.in_flight >= 0 && stats.cong_win > 0);
    assert.ok(stats.recv_win >= 0 && stats.recv_win <= 0xffff);
    assert.ok(!Number.isNaN(script.stream.deadline()));
    if (stats.state === "CLOSED") assert.equal(script.stream.deadline(), Infinity);
  }
}

Deno.test("no sequence of segments and calls throws, spins, or grows an open stream", () => {
  for (const isn of [PEER_ISN, 0]) {
    fc.assert(
      fc.property(turns(isn), (list) => play(Script.established({}, isn), list)),
      { numRuns: 250 },
    );
  }
});

Deno.test("no sequence of segments and calls throws, spins, or grows an opening stream", () => {
  fc.assert(
    fc.property(turns(PEER_ISN), fc.boolean(), (list, active) => {
      const syn = segment({ flags: 1, seq: PEER_ISN });
      const options = { isn: OWN_ISN };
      const stream = active ? Stream.connect(options, 0) : Stream.accept(options, syn, 0);
      const script = new Script(stream, PEER_ISN);
      script.out();
      play(script, list);
    }),
    { numRuns: 250 },
  );
});

Deno.test("out-of-order data beyond every window is not kept", () => {
  const script = Script.established();
  script.data(5_000_000, bytes(100));
  assert.equal(script.stream.stats().ooo_buf, 0);
  for (let i = 0; i < 3000; i++) script.data(10 + 2 * i, bytes(1));
  assert.equal(script.stream.stats().ooo_buf, 227, "one per slot that was advertised");
});

Deno.test("out-of-order data is bounded in bytes", () => {
  const script = Script.established({ recvBufferBytes: 128 << 10 });
  let kept = 0;
  for (let i = 1; i < 100; i += 2) {
    script.data(i * 4096, bytes(4096));
    kept = script.stream.stats().ooo_buf;
  }
  assert.ok(kept <= 32, `${kept} segments kept`);
  // And it never blocks the bytes that would release it.
  for (let i = 0; i < 100; i += 2) {
    script.data(i * 4096, bytes(4096));
    script.read();
  }
  assert.ok(script.stream.stats().bytes_recv >= 40 * 4096);
});
