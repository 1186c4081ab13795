import assert from "node:assert/strict";
import fc from "fast-check";
import { attachEcho } from "../../../daemon/service/echo.ts";
import { StreamIo } from "../../../daemon/service/stream_io.ts";
import { FakeBackend } from "../fake_backend.ts";
import { systemClock } from "../../../platform/system_clock.ts";

Deno.test("echo returns every byte in order, in any chunking", async () => {
  for (const synchronous of [false, true]) await echoProperty(synchronous);
});

async function echoProperty(synchronous: boolean): Promise<void> {
  const backend = new FakeBackend();
  backend.bufferBytes = 100;
  backend.synchronous = synchronous;
  const echo = attachEcho(backend);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
      async (chunks) => {
        const io = new StreamIo(backend.connectFrom(7)!, systemClock);
        const sending = (async () => {
          for (const chunk of chunks) await io.write(chunk);
        })();
        const wanted = chunks.flatMap((chunk) => [...chunk]);
        const got: number[] = [];
        while (got.length < wanted.length) {
          got.push(...await io.readChunk({ maxBytes: 37 }) ?? []);
        }
        await sending;
        await io.close({});
        assert.deepEqual(got, wanted);
      },
    ),
    { numRuns: 50 },
  );
  assert.equal(backend.openConns.length, 0);
  await echo.close();
}

Deno.test("echo of a peer that does not read back stops taking", async () => {
  const backend = new FakeBackend();
  backend.bufferBytes = 1000;
  const echo = attachEcho(backend);
  const theirs = backend.connectFrom(7)!;
  theirs.setListener({ onReadable() {}, onWritable() {}, onClosed() {} });
  let sent = 0;
  for (let n = 0; n < 100; n++) {
    sent += theirs.write(new Uint8Array(100));
    await Promise.resolve();
  }
  assert.ok(sent <= 2000, `${sent} bytes were taken`);
  await echo.close();
  assert.equal(backend.ports.size, 0);
});

Deno.test("echo closes its side when the peer has closed", async () => {
  const backend = new FakeBackend();
  const echo = attachEcho(backend);
  const io = new StreamIo(backend.connectFrom(7)!, systemClock);
  await io.write(new TextEncoder().encode("last"));
  io.conn.close();
  assert.equal(new TextDecoder().decode(await io.readChunk()), "last");
  assert.equal(await io.readChunk(), undefined);
  await echo.close();
});
