import assert from "node:assert/strict";
import { join } from "node:path";
import { PilotError } from "../../../protocol/errors.ts";
import { FILE_STREAM_CHUNK_BYTES } from "../../../protocol/service/file_stream.ts";
import { idOf, pattern, sha256, startExchange } from "./exchange_peer.ts";

const MB = 1024 * 1024;

Deno.test("a file of 20 MB arrives whole and is renamed only when it is", async () => {
  await using rig = await startExchange();
  const data = pattern(20 * MB + 17);
  const peer = rig.connect();
  const answer = await peer.init(data, "big.bin");
  assert.deepEqual([answer.kind, "offset" in answer && answer.offset], [
    "init_ack",
    0,
  ]);
  await peer.chunks(data, 0);
  assert.deepEqual(await rig.received(), []);
  assert.equal((await rig.partials()).length, 1);
  const done = await peer.done(data);
  assert.deepEqual(
    [done.kind, "ok" in done && done.ok, "text" in done && done.text],
    ["complete", true, `ACK FILE ${data.length} bytes`],
  );
  const [name] = await rig.received();
  assert.match(name!, /^big-\d{8}-\d{6}\.\d{3}-\d{6}-from-2\.bin$/);
  const path = join(rig.receivedDir, name!);
  assert.deepEqual(sha256(await Deno.readFile(path)), sha256(data));
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.deepEqual(await rig.partials(), []);
  assert.deepEqual(rig.backend.events, [{
    event: "file.received",
    data: {
      filename: "big.bin",
      size: data.length,
      path,
      from: "0:0000.0000.0002",
    },
  }]);
});

Deno.test("an empty file arrives", async () => {
  await using rig = await startExchange();
  const data = new Uint8Array(0);
  const peer = rig.connect();
  await peer.init(data, "empty");
  const done = await peer.done(data);
  assert.equal("ok" in done && done.ok, true);
  assert.equal((await rig.received()).length, 1);
});

Deno.test("a broken transfer resumes where it stopped, also after a restart", async () => {
  await using rig = await startExchange();
  const data = pattern(3 * MB);
  const half = FILE_STREAM_CHUNK_BYTES * 30;
  const first = rig.connect();
  await first.init(data, "a.bin");
  await first.chunks(data, 0, half);
  first.io.abort();
  await rig.restart();
  const second = rig.connect();
  const answer = await second.init(data, "a.bin");
  assert.equal("offset" in answer && answer.offset, half);
  await second.chunks(data, half);
  const done = await second.done(data);
  assert.equal("ok" in done && done.ok, true);
  const [name] = await rig.received();
  assert.deepEqual(
    await Deno.readFile(join(rig.receivedDir, name!)),
    data,
  );
});

Deno.test("a transfer is taken over from a connection that hangs", async () => {
  await using rig = await startExchange();
  const data = pattern(MB);
  const hanging = rig.connect();
  await hanging.init(data, "a.bin");
  await hanging.chunks(data, 0, FILE_STREAM_CHUNK_BYTES);
  const next = rig.connect();
  const answer = await next.init(data, "a.bin");
  assert.equal(
    "offset" in answer && answer.offset,
    FILE_STREAM_CHUNK_BYTES,
  );
  await next.chunks(data, FILE_STREAM_CHUNK_BYTES);
  await hanging.sendStream(idOf(data), {
    kind: "chunk",
    offset: FILE_STREAM_CHUNK_BYTES,
    data: new Uint8Array(100),
  });
  const abort = await hanging.nextStream();
  assert.equal(abort.kind, "abort");
  const done = await next.done(data);
  assert.equal("ok" in done && done.ok, true);
});

Deno.test("a peer does not resume another one's unfinished file", async () => {
  await using rig = await startExchange();
  const data = pattern(MB);
  const first = rig.connect();
  await first.init(data, "a.bin");
  await first.chunks(data, 0, FILE_STREAM_CHUNK_BYTES * 3);
  const other = rig.connect({ network: 0, node: 9 });
  const answer = await other.init(data, "a.bin");
  assert.equal("offset" in answer && answer.offset, 0);
  assert.equal((await rig.partials()).length, 2);
});

Deno.test("content that is not what was announced is refused and removed", async () => {
  await using rig = await startExchange();
  const data = pattern(200_000);
  const peer = rig.connect();
  await peer.init(data, "a.bin");
  const id = idOf(data);
  const wrong = data.slice();
  wrong[100_000]! ^= 1;
  for (let offset = 0; offset < wrong.length; offset += 50_000) {
    await peer.sendStream(id, {
      kind: "chunk",
      offset,
      data: wrong.subarray(offset, offset + 50_000),
    });
    await peer.nextStream();
  }
  const done = await peer.done(data);
  assert.equal("ok" in done && done.ok, false);
  assert.match("text" in done ? done.text : "", /SHA-256/);
  assert.deepEqual(await rig.received(), []);
  assert.deepEqual(await rig.partials(), []);
  assert.deepEqual(rig.backend.events, []);
  const again = await peer.init(data, "a.bin");
  assert.equal("offset" in again && again.offset, 0);
  await peer.chunks(data, 0);
  const second = await peer.done(data);
  assert.equal("ok" in second && second.ok, true);
});

Deno.test("a gap, bytes beyond the end, and an unknown transfer are aborted", async () => {
  await using rig = await startExchange();
  const data = pattern(1000);
  const id = idOf(data);
  const peer = rig.connect();
  const faults: [number, Uint8Array][] = [
    [10, data.subarray(0, 10)],
    [0, pattern(1001)],
  ];
  for (const [offset, bytes] of faults) {
    await peer.init(data, "a.bin");
    await peer.sendStream(id, { kind: "chunk", offset, data: bytes });
    assert.equal((await peer.nextStream()).kind, "abort");
  }
  await peer.sendStream(id, { kind: "done" });
  assert.equal((await peer.nextStream()).kind, "abort");
  await peer.init(data, "a.bin");
  await peer.chunks(data, 0, 500);
  const early = await peer.done(data);
  assert.equal("ok" in early && early.ok, false);
  assert.match("text" in early ? early.text : "", /incomplete: 500 of 1000/);
});

Deno.test("a chunk sent twice is acknowledged and kept once", async () => {
  await using rig = await startExchange();
  const data = pattern(1000);
  const id = idOf(data);
  const peer = rig.connect();
  await peer.init(data, "a.bin");
  const chunk = { kind: "chunk", offset: 0, data: data.subarray(0, 600) } as const;
  for (let n = 0; n < 2; n++) {
    await peer.sendStream(id, chunk);
    const ack = await peer.nextStream();
    assert.equal("offset" in ack && ack.offset, 600);
  }
  await peer.sendStream(id, {
    kind: "chunk",
    offset: 500,
    data: data.subarray(500),
  });
  await peer.nextStream();
  const done = await peer.done(data);
  assert.equal("ok" in done && done.ok, true);
});

Deno.test("a transfer id that does not belong to the hash is refused", async () => {
  await using rig = await startExchange();
  const data = pattern(10);
  const peer = rig.connect();
  await peer.sendStream(new Uint8Array(16), {
    kind: "init",
    size: 10,
    sha256: sha256(data),
    chunkBytes: 10,
    name: "x",
  });
  assert.equal((await peer.nextStream()).kind, "abort");
});

Deno.test("at most 64 files at once on one connection", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  for (let n = 0; n < 64; n++) {
    assert.equal((await peer.init(pattern(10, n + 1), "x")).kind, "init_ack");
  }
  assert.equal((await peer.init(pattern(10, 99), "x")).kind, "abort");
});

Deno.test("quota and disk are checked before a transfer begins", async () => {
  await using rig = await startExchange({
    received: { limits: { maxBytes: 3 * MB }, freeBytes: () => Promise.resolve(18 * MB) },
  });
  const peer = rig.connect();
  const quota = await peer.init(pattern(4 * MB), "a");
  assert.match("text" in quota ? quota.text : "", /^limit_exceeded: .*no room/);
  const disk = await peer.init(pattern(2 * MB + 1), "b");
  assert.match("text" in disk ? disk.text : "", /^limit_exceeded: no space/);
  const data = pattern(2 * MB - 1);
  assert.equal((await peer.init(data, "c")).kind, "init_ack");
  // What is promised counts: two files on their way must fit together.
  const second = await peer.init(pattern(1.5 * MB), "d");
  assert.equal(second.kind, "abort");
  await peer.chunks(data, 0, MB);
  peer.io.abort();
  await rig.restart();
  const resumed = rig.connect();
  // The part on disk is not counted beside the promise.
  const answer = await resumed.init(data, "c");
  assert.equal(answer.kind, "init_ack");
});

Deno.test("a disk error aborts the transfer in words of ours", async () => {
  await using rig = await startExchange({
    received: {
      freeBytes: () => Promise.reject(new PilotError("io_error", "/home/me: disk on fire")),
    },
  });
  const peer = rig.connect();
  const words = { text: "io_error: the receiver cannot store it" };
  assert.partialDeepStrictEqual(await peer.init(pattern(10), "a"), { kind: "abort", ...words });
  await Deno.remove(rig.receivedDir, { recursive: true });
  await Deno.writeTextFile(rig.receivedDir, "in the way");
  assert.partialDeepStrictEqual(await peer.init(pattern(10), "a"), { kind: "abort", ...words });
});

Deno.test("a disk that is full at the end of a transfer is reported without its path", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  const data = pattern(10);
  await peer.init(data, "a");
  await peer.chunks(data, 0);
  await Deno.rename(rig.receivedDir, `${rig.receivedDir}.away`);
  const end = await peer.done(data);
  assert.partialDeepStrictEqual(end, {
    kind: "complete",
    ok: false,
    text: "ERR FILE save failed: io_error: the receiver cannot store it",
  });
});

Deno.test("a file on its way counts with its size, an unfinished one with what is there, and neither after it went", async () => {
  await using rig = await startExchange({
    received: { limits: { maxBytesPerSender: 3 * MB, maxFilesPerSender: 3 } },
  });
  const [first, second, third] = [pattern(2 * MB, 1), pattern(2 * MB, 2), pattern(MB, 3)];
  const peer = rig.connect();
  assert.equal((await peer.init(first, "a")).kind, "init_ack");
  const refused = await peer.init(second, "b");
  assert.match("text" in refused ? refused.text : "", /^limit_exceeded: .*most for one sender/);
  await peer.chunks(first, 0, MB / 2);
  peer.io.abort();
  await rig.restart();

  const again = rig.connect();
  // Half of a megabyte lies there: two fit beside it, and the rest of the first does not then.
  assert.equal((await again.init(second, "b")).kind, "init_ack");
  assert.equal((await again.init(first, "a")).kind, "abort");
  // Another sender has a share of its own.
  assert.equal((await rig.connect({ network: 0, node: 3 }).init(first, "a")).kind, "init_ack");
  // Another network is no other sender.
  assert.equal((await rig.connect({ network: 9, node: 2 }).init(third, "c")).kind, "abort");
  await again.sendStream(idOf(second), { kind: "abort", text: "" });
  const resumed = await again.init(first, "a");
  assert.ok(resumed.kind === "init_ack" && resumed.offset > 0, "the part was kept");
  await again.chunks(first, resumed.offset);
  assert.partialDeepStrictEqual(await again.done(first), { kind: "complete", ok: true });
  assert.equal((await again.init(third, "c")).kind, "init_ack");
});
