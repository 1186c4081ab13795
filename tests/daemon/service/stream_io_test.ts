import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import { StreamIo } from "../../../daemon/service/stream_io.ts";
import { FakeBackend } from "../fake_backend.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import type { Clock } from "../../../platform/clock.ts";

function pair(bufferBytes = 1000, clock: Clock = new ManualClock()): [StreamIo, StreamIo] {
  const backend = new FakeBackend();
  backend.bufferBytes = bufferBytes;
  const [one, two] = backend.pair(1, 2);
  return [new StreamIo(one, clock), new StreamIo(two, clock)];
}

Deno.test("StreamIo writes more than the buffer takes, and reads it back whole", async () => {
  const [a, b] = pair();
  const data = Uint8Array.from({ length: 10_000 }, (_, n) => n * 3);
  const sending = a.write(data).then(() => a.close());
  const got: number[] = [];
  for (;;) {
    const chunk = await b.readChunk({ maxBytes: 333 });
    if (chunk === undefined) break;
    assert.ok(chunk.length <= 333);
    got.push(...chunk);
  }
  await sending;
  assert.deepEqual(Uint8Array.from(got), data);
});

Deno.test("StreamIo reads and writes end with timeout, abort or the connection's error", async () => {
  const clock = new ManualClock();
  const [a, b] = pair(1000, clock);
  const code = (wanted: string) => (error: unknown) =>
    error instanceof PilotError && error.code === wanted;
  const late = assert.rejects(a.readChunk({ timeoutMs: 5000 }), code("timeout"));
  await clock.run(4999);
  const stuck = assert.rejects(
    a.write(new Uint8Array(2000), { timeoutMs: 5000 }),
    code("timeout"),
  );
  await clock.finish(late, 1);
  await clock.finish(stuck, 4999);
  assert.equal(clock.pending, 0);
  const stop = new AbortController();
  const reading = a.readChunk({ signal: stop.signal });
  stop.abort();
  await assert.rejects(reading, code("aborted"));
  await assert.rejects(a.readChunk({ signal: stop.signal }), code("aborted"));
  const waiting = a.readChunk();
  b.abort();
  await assert.rejects(waiting, code("connection_closed"));
  await assert.rejects(a.write(new Uint8Array(1)), code("connection_closed"));
});

Deno.test("StreamIo.close waits for the end when asked, dropping what still comes", async () => {
  const [a, b] = pair();
  await b.write(new Uint8Array(500));
  const closing = a.close({ timeoutMs: 5000 });
  assert.equal(await b.readChunk(), undefined);
  await b.close();
  await closing;
  assert.equal(a.over, true);
  assert.equal(await a.readChunk(), undefined);
});

Deno.test("StreamIo.close resets a peer that keeps sending", async () => {
  const [a, b] = pair(64 * 1024);
  await a.close();
  await assert.rejects(async () => {
    for (;;) {
      await b.write(new Uint8Array(64 * 1024));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }, { code: "connection_closed" });
});
