import assert from "node:assert/strict";
import fc from "fast-check";
import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeRecvCredit,
  IPC_RECV_WINDOW_BYTES,
  IPC_SEND_WINDOW_BYTES,
} from "../../protocol/ipc/mod.ts";
import { SEND_CHUNK_BYTES } from "../../sdk/conn_sender.ts";
import { FakeDaemon, until } from "./fake_daemon.ts";
import {
  bytes,
  dialPair,
  isPending,
  MODES,
  pattern,
  pushData,
  readAll,
  rejectsWith,
  roundTrip,
  text,
} from "./support.ts";

const MIB = 1024 * 1024;

for (const mode of MODES) {
  Deno.test(`Conn.write delivers any sequence of writes in order (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const pair = await dialPair(daemon);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 300_000 }), { maxLength: 8 }),
        fc.boolean(),
        async (sizes, together) => {
          const data = sizes.map((size, i) => pattern(size, i));
          const writes = data.map((part) => {
            const write = pair.conn.write(part);
            return together ? write : write.then(() => write);
          });
          const total = sizes.reduce((a, b) => a + b, 0);
          const got = await pair.stream.read(total);
          await Promise.all(writes);
          let offset = 0;
          for (const part of data) {
            assert.deepEqual(
              got.subarray(offset, offset + part.length),
              part,
            );
            offset += part.length;
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  Deno.test(`Conn.read gives every byte once however frames are cut (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const pair = await dialPair(daemon);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200_000 }),
        fc.integer({ min: 1, max: 70_000 }),
        async (size, cut) => {
          const data = pattern(size);
          pushData(pair.stream, data, Math.max(cut, size >> 8));
          assert.deepEqual(await readAll(pair.conn, size), data);
        },
      ),
      { numRuns: 20 },
    );
  });

  Deno.test(`Conn.read ends after buffered data when the peer closes (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { conn, stream } = await dialPair(daemon);
    stream.write(bytes("last"));
    stream.end();
    await stream.awaitClose(); // the SDK lets the daemon finish alone
    assert.equal(text(await conn.read()), "last");
    assert.equal(await conn.read(), undefined);
    assert.equal(await conn.read(), undefined);
    await rejectsWith(conn.write("x"), "connection_closed", /by the peer/);
    await conn.close();
  });

  Deno.test(`Conn reports the loss of the daemon to every caller (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { conn, client, driver, stream } = await dialPair(daemon);
    stream.auto = false;
    const reading = conn.read();
    const writing = mode === "tagged" ? conn.write("x") : Promise.resolve();
    if (mode === "tagged") await stream.read(1);
    client.close();
    await rejectsWith(reading, "connection_closed", /daemon/);
    if (mode === "tagged") await rejectsWith(writing, "connection_closed");
    await rejectsWith(conn.read(), "connection_closed", /daemon/);
    await rejectsWith(conn.write("x"), "connection_closed", /daemon/);
    await conn.close();
    assert.equal((await driver.closed)?.code, "connection_closed");
    await rejectsWith(driver.info(), "connection_closed");
  });

  Deno.test(`Conn works as Web Streams (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { conn, stream } = await dialPair(daemon);
    const echo = conn.readable.pipeTo(conn.writable);
    const data = pattern(700_000);
    pushData(stream, data, 50_000);
    assert.deepEqual(await stream.read(data.length), data);
    stream.end();
    await echo;
    await stream.awaitClose();
  });

  Deno.test(`Conn.close delivers pending writes first (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { conn, stream } = await dialPair(daemon);
    const data = pattern(3 * MIB);
    const writing = conn.write(data);
    const closing = conn.close();
    assert.deepEqual(await stream.read(data.length), data);
    await writing;
    await closing;
    assert.ok(stream.closed);
    await rejectsWith(conn.write("x"), "connection_closed");
    assert.equal(await conn.read(), undefined);
  });
}

Deno.test("Conn.write keeps within the window of unanswered bytes and frames", async () => {
  await using daemon = new FakeDaemon();
  const pair = await dialPair(daemon);
  const { conn, stream } = pair;
  stream.auto = false;
  const data = pattern(5 * MIB);
  const writing = conn.write(data);
  await roundTrip(pair);
  assert.equal(stream.available, IPC_SEND_WINDOW_BYTES);
  for (const { payload } of stream.unanswered) {
    assert.ok(payload.length - 4 <= SEND_CHUNK_BYTES);
  }
  assert.ok(await isPending(writing));
  stream.answerSends(1);
  await roundTrip(pair); // the answer has been read
  await roundTrip(pair); // what it allowed has been sent
  assert.equal(stream.available, IPC_SEND_WINDOW_BYTES + SEND_CHUNK_BYTES);
  stream.auto = true;
  stream.answerSends();
  assert.deepEqual(await stream.read(data.length), data);
  await writing;
});

Deno.test("Conn.write joins small writes that wait for answers", async () => {
  await using daemon = new FakeDaemon();
  const pair = await dialPair(daemon);
  const { conn, stream } = pair;
  stream.auto = false;
  const writes = Array.from({ length: 5000 }, (_, i) => conn.write(pattern(10, i)));
  await roundTrip(pair);
  assert.equal(stream.unanswered.length, 16);
  stream.auto = true;
  stream.answerSends();
  await Promise.all(writes);
  const got = await stream.read(50_000);
  for (let i = 0; i < 5000; i++) {
    assert.deepEqual(got.subarray(i * 10, i * 10 + 10), pattern(10, i));
  }
});

Deno.test("Conn grants credit only for what the application has read", async () => {
  await using daemon = new FakeDaemon();
  const pair = await dialPair(daemon);
  const { client, conn, stream } = pair;
  const data = pattern(IPC_RECV_WINDOW_BYTES);
  pushData(stream, data, 64 * 1024);
  await roundTrip(pair);
  const credits = () => client.log.filter(({ cmd }) => cmd === Cmd.RecvCredit);
  assert.equal(credits().length, 0);
  assert.deepEqual(await readAll(conn, data.length), data);
  await roundTrip(pair);
  let granted = 0;
  for (const { payload } of credits()) {
    const credit = decodeRecvCredit(payload);
    assert.ok("bytes" in credit && credit.conn === conn.id);
    granted += credit.bytes;
  }
  assert.ok(granted <= data.length && granted > data.length / 2, `${granted}`);
});

Deno.test("Conn stops reading from a daemon without credit when too much is unread", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { client, conn, stream } = await dialPair(daemon);
  const frame = pattern(MIB / 2);
  let pushed = 0;
  const pushing = (async () => {
    for (let i = 0; i < 60; i++) {
      stream.write(frame);
      await client.flushed();
      pushed += frame.length;
    }
  })();
  await until("the brake is on", () => pushed >= 4 * MIB);
  assert.ok(await isPending(pushing));
  assert.ok(pushed <= 8 * MIB, `${pushed}`);
  for (let i = 0; i < 60; i++) {
    assert.deepEqual(await readAll2(frame.length), frame);
  }
  await pushing;

  async function readAll2(length: number): Promise<Uint8Array> {
    while (rest.length < length) {
      const chunk = await conn.read();
      assert.ok(chunk);
      const joined = new Uint8Array(rest.length + chunk.length);
      joined.set(rest);
      joined.set(chunk, rest.length);
      rest = joined;
    }
    const out = rest.subarray(0, length);
    rest = rest.subarray(length);
    return out;
  }
});
let rest = new Uint8Array(0);

Deno.test("Conn.read loses nothing when a wait is aborted", async () => {
  await using daemon = new FakeDaemon();
  const { conn, stream } = await dialPair(daemon);
  const controller = new AbortController();
  const first = conn.read({ signal: controller.signal });
  const second = conn.read();
  controller.abort();
  await rejectsWith(first, "aborted");
  stream.write(bytes("data"));
  assert.equal(text(await second), "data");
  await rejectsWith(conn.read({ signal: controller.signal }), "aborted");
  await rejectsWith(conn.read({ signal: AbortSignal.abort() }), "aborted");
});

Deno.test("Conn.write withdraws an aborted write that has not left", async () => {
  await using daemon = new FakeDaemon();
  const pair = await dialPair(daemon);
  const { conn, stream } = pair;
  stream.auto = false;
  const before = pattern(IPC_SEND_WINDOW_BYTES, 1);
  const controller = new AbortController();
  const first = conn.write(before);
  const doomed = conn.write(pattern(500, 2), { signal: controller.signal });
  const after = conn.write(pattern(500, 3));
  controller.abort();
  await rejectsWith(doomed, "aborted");
  stream.auto = true;
  stream.answerSends();
  assert.deepEqual(await stream.read(before.length), before);
  assert.deepEqual(await stream.read(500), pattern(500, 3));
  await Promise.all([first, after]);
  await conn.close();
});

Deno.test("Conn refuses writes after an aborted write left half of its bytes", async () => {
  await using daemon = new FakeDaemon();
  const pair = await dialPair(daemon);
  const { conn, stream } = pair;
  stream.auto = false;
  const controller = new AbortController();
  const doomed = conn.write(pattern(2 * MIB), { signal: controller.signal });
  await roundTrip(pair);
  controller.abort();
  await rejectsWith(doomed, "aborted");
  await rejectsWith(conn.write("x"), "connection_closed", /half/);
  stream.answerSends();
  await conn.close();
});

Deno.test("Conn surfaces why the daemon could not send", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.auto = false;
  const writing = conn.write("x");
  const queued = conn.write(pattern(2 * MIB));
  await stream.read(1);
  client.fail(
    stream.unanswered.shift()!,
    new PilotError("untrusted", "Trust was revoked"),
  );
  await rejectsWith(writing, "untrusted", /revoked/);
  await rejectsWith(queued, "untrusted");
  await rejectsWith(conn.write("y"), "untrusted");
  stream.end(new PilotError("untrusted", "Trust was revoked"));
  await rejectsWith(conn.read(), "untrusted");
  await conn.close();
});

Deno.test("Conn surfaces why the connection failed to readers and writers", async () => {
  await using daemon = new FakeDaemon();
  const { conn, stream } = await dialPair(daemon);
  const reading = conn.read();
  stream.end(new PilotError("connection_failed", "Reset by the peer"));
  await rejectsWith(reading, "connection_failed", /Reset/);
  await rejectsWith(conn.write("x"), "connection_failed", /Reset/);
  await conn.close();
  assert.equal(stream.closed, false); // the daemon has forgotten it already
});

Deno.test("Conn.close waits for the daemon and can be given up", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.autoClose = false;
  const controller = new AbortController();
  const closing = conn.close();
  const impatient = conn.close({ signal: controller.signal });
  await stream.awaitClose();
  assert.ok(await isPending(closing));
  controller.abort();
  await rejectsWith(impatient, "aborted");
  await client.expect(Cmd.CancelTag); // which makes the daemon reset it
  await rejectsWith(closing, "aborted");
});

Deno.test("Conn.close reports that written data was not delivered", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.autoClose = false;
  await conn.write("data");
  const closing = conn.close();
  await stream.awaitClose();
  client.fail(
    stream.closes.shift()!,
    new PilotError("connection_failed", "The peer stopped answering"),
  );
  await rejectsWith(closing, "connection_failed", /stopped answering/);
});

Deno.test("Conn.close returns credit for data nobody will read", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.autoClose = false;
  const closing = conn.close();
  await stream.awaitClose();
  pushData(stream, pattern(MIB / 2), 64 * 1024);
  await client.expect(Cmd.RecvCredit);
  stream.answerClose();
  await closing;
});

Deno.test("Conn.abort fails pending calls at once and cancels at the daemon", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.auto = false;
  stream.autoClose = false;
  const reading = conn.read();
  const writing = conn.write(pattern(3 * MIB));
  conn.abort();
  await rejectsWith(reading, "aborted");
  await rejectsWith(writing, "aborted");
  await rejectsWith(conn.write("x"), "aborted");
  await conn.close();
  await stream.awaitClose();
  await client.expect(Cmd.CancelTag);
});

Deno.test("Conn.writable keeps the window full and reports failures", async () => {
  await using daemon = new FakeDaemon();
  const { client, conn, stream } = await dialPair(daemon);
  stream.auto = false;
  const writer = conn.writable.getWriter();
  for (let i = 0; i < 4; i++) await writer.write(pattern(100_000));
  assert.ok(stream.unanswered.length <= 4);
  await stream.read(400_000);
  client.fail(
    stream.unanswered.shift()!,
    new PilotError("connection_failed", "Reset by the peer"),
  );
  await rejectsWith(writer.close(), "connection_failed");
});

Deno.test("Conn.readable serves BYOB readers to the end", async () => {
  await using daemon = new FakeDaemon();
  const { conn, stream } = await dialPair(daemon);
  const reader = conn.readable.getReader({ mode: "byob" });
  stream.write(bytes("hello"));
  const first = await reader.read(new Uint8Array(3));
  assert.equal(text(first.value), "hel");
  const second = await reader.read(new Uint8Array(10));
  assert.equal(text(second.value), "lo");
  stream.end();
  assert.equal((await reader.read(new Uint8Array(10))).done, true);
});

Deno.test("Conn iterates and stays open when the loop is left", async () => {
  await using daemon = new FakeDaemon();
  const { conn, stream } = await dialPair(daemon);
  stream.write(bytes("one"));
  for await (const chunk of conn) {
    assert.equal(text(chunk), "one");
    break;
  }
  stream.write(bytes("two"));
  assert.equal(text(await conn.read()), "two");
  stream.end();
  for await (const chunk of conn) assert.fail(`unexpected ${text(chunk)}`);
});

Deno.test("Conn.asyncDispose closes in order", async () => {
  await using daemon = new FakeDaemon();
  const { conn, stream } = await dialPair(daemon);
  {
    await using disposed = conn;
    await disposed.write("bye");
  }
  assert.equal(text(await stream.read(3)), "bye");
  assert.ok(stream.closed);
});
