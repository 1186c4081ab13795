import assert from "node:assert/strict";
import { RST } from "../../../protocol/packet.ts";
import { StreamMemory } from "../../../protocol/stream/mod.ts";
import { LEAST_RECV_WINDOW_BYTES } from "../../../protocol/stream/stream_config.ts";
import { CHUNK_BYTES } from "../../../protocol/stream/stream_memory.ts";
import { WindowTuner } from "../../../protocol/stream/window_tuner.ts";
import { Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes, PEER_ISN, Script } from "./support.ts";

const MSS = 1152;

Deno.test("WindowTuner follows what is read per round trip, and its acceleration, up to its largest size", () => {
  const tuner = new WindowTuner(100_000, 1_000_000);
  let consumed = 0;
  let now = 0;
  const round = (rate: number) => {
    for (let i = 0; i < 50; i++) tuner.onData(consumed += rate / 50, now += 1, 50);
  };
  for (let i = 0; i < 10; i++) round(5_000);
  assert.equal(tuner.limit, 100_000, "small transfers leave it alone");
  round(80_000);
  round(80_000);
  const accelerating = tuner.limit;
  assert.ok(accelerating > 300_000 && accelerating <= 330_000, `${accelerating}`);
  round(10_000);
  const { limit } = tuner;
  assert.ok(limit >= accelerating && limit <= accelerating * 9 / 8, `${limit} never shrinks`);
  for (let i = 0; i < 5; i++) round(1_000_000);
  assert.equal(tuner.limit, 1_000_000);
});

Deno.test("WindowTuner opens up for a path whose round trip has become ten times as long", () => {
  const tuner = new WindowTuner(100_000, 10_000_000);
  let consumed = 0;
  // A window per 500 ms, where 50 ms were measured once.
  for (let now = 0; now < 15_000; now += 500) tuner.onData(consumed += tuner.limit, now, 50);
  assert.ok(tuner.limit > 1_000_000, `${tuner.limit}`);
});

Deno.test("a reader that does not read gets no larger window", () => {
  const script = Script.established();
  const { recv_win } = script.stream.stats();
  for (let i = 0; i < recv_win; i++) {
    script.now += 1;
    script.data(i * MSS, bytes(MSS));
  }
  const { recv_win: after, recv_buf } = script.stream.stats();
  assert.ok(after === 0 && recv_buf <= 256 << 10, `${after} slots, ${recv_buf} bytes`);
});

Deno.test("StreamMemory bounds what many streams hold together, and those whose data is read make progress", () => {
  const memory = new StreamMemory(1 << 20);
  const scripts = Array.from({ length: 50 }, () => Script.established({ memory }));
  const at = scripts.map(() => 0);
  for (let turn = 0; turn < 200; turn++) {
    for (const [i, script] of scripts.entries()) {
      script.now += 1;
      script.data(at[i] ?? 0, bytes(MSS));
      // A hole after every tenth: out-of-order data counts as well.
      if (turn % 10 === 9) script.data((at[i] ?? 0) + 5 * MSS, bytes(MSS));
      at[i] = script.stream.stats().bytes_recv;
    }
  }
  assert.ok(
    memory.used > 1 << 19 &&
      memory.used <= (1 << 20) + 50 * (LEAST_RECV_WINDOW_BYTES + CHUNK_BYTES),
    `${memory.used}`,
  );
  const { recv_win } = Script.established({ memory }).stream.stats();
  assert.equal(recv_win, Math.floor(LEAST_RECV_WINDOW_BYTES / MSS), "little is offered then");
  const reader = scripts[0];
  assert.ok(reader);
  reader.read();
  for (let i = 0; i < 100; i++) {
    const before = reader.stream.stats().bytes_recv;
    reader.data(before, bytes(MSS));
    assert.ok(reader.read().length >= MSS, "one segment at a time, at least");
  }
  for (const script of scripts) script.stream.abort(script.now);
  assert.equal(memory.used, 0, "and all of it comes back");
});

Deno.test("what a closed stream leaves unread is no longer counted, and still there", () => {
  const memory = new StreamMemory(1 << 20);
  const script = Script.established({ memory });
  script.data(0, bytes(5000));
  assert.ok(memory.used >= 5000 && memory.used <= 16_384, `${memory.used}`);
  script.in({ flags: RST });
  assert.equal(script.stream.state, "CLOSED");
  assert.equal(memory.used, 0);
  assert.equal(script.read().length, 5000);
  assert.equal(memory.used, 0);
});

Deno.test("StreamMemory holds streams that cannot send to a chunk each once it is used up", () => {
  const memory = new StreamMemory(1 << 20);
  const scripts = Array.from({ length: 100 }, () => Script.established({ memory }, PEER_ISN, 0));
  for (const script of scripts) script.stream.write(new Uint8Array(1 << 20), script.now);
  assert.ok(
    memory.used > 1 << 19 && memory.used <= (1 << 20) + 100 * CHUNK_BYTES,
    `${memory.used}`,
  );
  const last = scripts.at(-1);
  assert.ok((last?.stream.stats().send_buf ?? 0) >= CHUNK_BYTES, "nobody is shut out");
  for (const script of scripts) script.stream.abort(script.now);
  assert.equal(memory.used, 0);
});

Deno.test("transfers finish although the shared memory has room for none of them, and leave it empty", () => {
  for (const limit of [0, 64 << 10]) {
    const memory = new StreamMemory(limit);
    const options = { memory };
    const link = { delayMs: 5, loss: 0.02 };
    const pair = new Pair({ link, client: options, server: options });
    const there = new Transfer(pair.client, { write: 300_000, read: 300_000 });
    const back = new Transfer(pair.server, { write: 300_000, read: 300_000 });
    pair.connect();
    pair.drive(() => there.done && back.done);
    pair.pass(60_000);
    assert.equal(pair.client.stream?.state, "CLOSED");
    assert.equal(memory.used, 0);
  }
});

Deno.test("the send buffer grows with the congestion window, and only then", () => {
  const pair = new Pair({ link: { delayMs: 50, rate: 12_500 } });
  let most = 0;
  const check = new Transfer(pair.server, { write: 0, read: 6_000_000, close: false });
  new Transfer(pair.client, { write: 6_000_000, read: 0, close: false });
  pair.connect();
  pair.drive(() => {
    most = Math.max(most, pair.client.stream?.stats().send_buf ?? 0);
    return check.done;
  });
  assert.ok(most >= 2 << 20 && most <= 16 << 20, `${most}`);
  const slow = new Pair({ link: { delayMs: 1, rate: 100 } });
  const rest = new Transfer(slow.server, { write: 0, read: 1_000_000, close: false });
  new Transfer(slow.client, { write: 1_000_000, read: 0, close: false });
  slow.connect();
  most = 0;
  slow.drive(() => {
    most = Math.max(most, slow.client.stream?.stats().send_buf ?? 0);
    return rest.done;
  });
  assert.ok(most <= 512 << 10, `${most}`);
});
