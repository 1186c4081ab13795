import assert from "node:assert/strict";
import { ACK, RST } from "../../../protocol/packet.ts";
import { Pair } from "../../sim/pair.ts";
import { bytes, Script } from "./support.ts";

const HOUR_MS = 3_600_000;

Deno.test("an idle hour sends only keepalives, and the connection works afterwards", () => {
  const pair = new Pair({ record: true }).established();
  pair.client.stream?.write(bytes(100_000), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.client.stream?.stats().send_buf === 0);
  pair.pass(1000);
  pair.wire.length = 0;
  pair.pass(HOUR_MS);
  assert.ok(pair.wire.length <= 2 * 91 && pair.wire.length >= 2 * 85, `${pair.wire.length}`);
  for (const s of pair.wire) {
    assert.equal(s.flags, ACK);
    assert.equal(s.payload.length, 0);
    assert.ok(s.window > 0, "with the real window");
  }
  pair.server.received.length = 0;
  pair.client.stream?.write(bytes(50_000), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 50_000, 1000);
  assert.deepEqual(pair.server.data, bytes(50_000));
});

Deno.test("an idle stream survives a lossy path", () => {
  const pair = new Pair({ seed: 4, link: { loss: 0.2 } }).established();
  pair.pass(HOUR_MS);
  assert.equal(pair.client.stream?.state, "ESTABLISHED");
  assert.equal(pair.server.stream?.state, "ESTABLISHED");
});

Deno.test("a silent peer is asked for an answer, and given up with timeout", () => {
  const script = Script.established();
  const sent = script.pass(200_000);
  assert.equal(sent[0]?.at, 10 + 40_000);
  assert.equal(sent[0]?.payload.length, 0);
  const probes = sent.filter((s) => s.payload.length === 1);
  assert.deepEqual(probes.map((s) => s.at - 10), [45_000, 50_000, 55_000, 60_000, 65_000, 70_000]);
  assert.ok(probes.every((s) => s.seq === script.own(-1)));
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "timeout");
  assert.deepEqual([sent.at(-1)?.at, sent.at(-1)?.flags], [75_010, RST]);
});

Deno.test("an older peer that never sends keepalives of its own stays connected", () => {
  const script = Script.established({}, 0);
  script.stream.write(bytes(10), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(10) });
  let segments = 0;
  for (let i = 0; i < 3600; i++) {
    for (const s of script.pass(1000)) {
      segments++;
      // It ignores empty ACKs and acknowledges old bytes.
      if (s.payload.length === 0) continue;
      assert.equal(s.seq, script.own(9));
      script.in({ seq: script.peer(0), ack: script.own(10) });
    }
  }
  assert.equal(script.stream.state, "ESTABLISHED");
  assert.ok(segments < 200, `${segments} segments in an hour`);
});

Deno.test("a probe is acknowledged and leaves no trace", () => {
  const script = Script.established();
  const first = script.in({ seq: script.peer(-1), ack: script.own(0), payload: new Uint8Array(1) });
  assert.deepEqual(first.map((s) => [s.ack, s.payload.length]), [[script.peer(0), 0]]);
  assert.equal(script.stream.readableBytes, 0);
});

Deno.test("an older peer's keepalive with window 0 is answered once in 10 s with the real window, and not believed", () => {
  const script = Script.established({}, 0);
  const keepalive = { seq: script.peer(0), ack: script.own(0), window: 0 };
  const answer = script.in(keepalive);
  assert.deepEqual(answer.map((s) => [s.payload.length, s.window]), [[0, 128]]);
  assert.equal(script.stream.stats().peer_recv_win, 512);
  for (let i = 0; i < 9; i++) {
    script.now += 1000;
    assert.deepEqual(script.in(keepalive), []);
  }
  script.now += 1000;
  assert.equal(script.in(keepalive).length, 1);
});

Deno.test("an empty ACK with a window is never answered", () => {
  const script = Script.established();
  for (let i = 0; i < 100; i++) {
    script.now += 500;
    assert.deepEqual(script.in({ seq: script.peer(0), ack: script.own(0), window: 512 }), []);
  }
});

Deno.test("window 0 counts while data waits", () => {
  const script = Script.established();
  script.stream.write(bytes(10), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(0), window: 0 });
  assert.equal(script.stream.stats().peer_recv_win, 0);
});

Deno.test("idleTimeoutMs closes a stream without data, keepalives or not", () => {
  const pair = new Pair({ client: { idleTimeoutMs: 90_000 } }).established();
  pair.pass(89_000);
  assert.equal(pair.client.stream?.state, "ESTABLISHED");
  pair.pass(2_000);
  assert.equal(pair.client.stream?.state, "TIME_WAIT");
  assert.equal(pair.server.stream?.state, "CLOSED");
  assert.equal(pair.server.stream?.error, undefined);
});

Deno.test("after a restart of the peer a stream it does not know fails at once by its reset", () => {
  const pair = new Pair().established();
  pair.server.stream = undefined;
  pair.client.stream?.onPeerRestarted(pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.client.events.includes("closed"), 100);
  assert.equal(pair.client.stream?.error?.code, "connection_closed");
});

Deno.test("after a restart of an older peer, which stays silent, the stream fails in 3 s", () => {
  const script = Script.established({}, 0);
  script.stream.write(bytes(10), script.now);
  script.out();
  script.in({ seq: script.peer(0), ack: script.own(10) });
  script.now = 5000;
  script.stream.onPeerRestarted(script.now);
  const sent = script.pass(3000);
  assert.deepEqual(sent.map((s) => [s.at, s.payload.length]), [[5000, 1], [6000, 1], [7000, 1]]);
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(script.stream.error?.code, "connection_closed");
});

Deno.test("a peer that only renewed its key answers, and the stream continues", () => {
  const pair = new Pair().established();
  for (const end of [pair.client, pair.server]) {
    end.stream?.onPeerRestarted(pair.now);
    end.run(pair.now);
  }
  pair.pass(10_000);
  pair.client.stream?.write(bytes(100), pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.server.data.length === 100, 100);
});

Deno.test("a renewed key in mid-transfer does not hurt", () => {
  const pair = new Pair({ link: { rate: 100 } }).established();
  pair.client.stream?.write(bytes(250_000), pair.now);
  pair.client.run(pair.now);
  pair.pass(1000);
  pair.client.stream?.onPeerRestarted(pair.now);
  pair.server.stream?.onPeerRestarted(pair.now);
  pair.drive(() => pair.server.data.length === 250_000);
  assert.deepEqual(pair.server.data, bytes(250_000));
});

Deno.test("a dial continues at once when the peer's key is known", () => {
  const script = Script.established();
  assert.equal(script.stream.state, "ESTABLISHED");
  const pair = new Pair();
  pair.network.links[0].filter = (_, now) => now < 1;
  pair.connect();
  pair.pass(50);
  pair.client.stream?.onPeerRestarted(pair.now);
  pair.client.run(pair.now);
  pair.drive(() => pair.client.stream?.state === "ESTABLISHED", 50);
});
