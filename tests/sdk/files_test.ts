import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { Cmd } from "../../protocol/ipc/mod.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { DataType, decodeFile } from "../../protocol/service/mod.ts";
import { fileSource, streamSource } from "../../sdk/file_source_deno.ts";
import type { FileProgress } from "../../sdk/mod.ts";
import { FakeDaemon, type FakeStream } from "./fake_daemon.ts";
import { isPending, MODES, pattern, rejectsWith } from "./support.ts";
import { dataFrames, say, streamMessage, TARGET, tell } from "./frames.ts";

/** A receiver of file streams: what it got and how it behaves. */
async function receiveFile(
  stream: FakeStream,
  options: {
    resume?: Uint8Array;
    window?: number;
    verdict?: (content: Uint8Array, sha256: Uint8Array) => string | undefined;
    stopAfter?: number;
  } = {},
): Promise<{ content: Uint8Array; name: string; outstanding: number }> {
  const frames = dataFrames(stream);
  const init = await streamMessage(frames);
  assert.ok(init.kind === "init");
  const { transferId, size, sha256, name, chunkBytes } = init;
  assert.deepEqual(transferId, sha256.subarray(0, 16));
  const content = new Uint8Array(size);
  let offset = options.resume?.length ?? 0;
  content.set(options.resume ?? [], 0);
  tell(stream, { kind: "init_ack", transferId, offset });
  let outstanding = 0;
  for (;;) {
    const message = await streamMessage(frames);
    if (message.kind === "done") break;
    assert.ok(message.kind === "chunk");
    assert.equal(message.offset, offset);
    assert.ok(message.data.length <= chunkBytes);
    content.set(message.data, offset);
    offset += message.data.length;
    if (offset === options.stopAfter) {
      tell(stream, { kind: "abort", transferId, text: "disk full" });
      return { content, name, outstanding };
    }
    outstanding = Math.max(outstanding, stream.available);
    tell(stream, { kind: "ack", transferId, offset });
  }
  assert.equal(offset, size);
  const hash = new Uint8Array(createHash("sha256").update(content).digest());
  const same = hash.every((byte, i) => byte === sha256[i]);
  tell(stream, {
    kind: "complete",
    transferId,
    ok: same,
    text: same ? `ACK FILE ${size} bytes` : "hash differs",
  });
  return { content, name, outstanding };
}

async function withFile(
  content: Uint8Array,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "report.bin");
    await Deno.writeFile(path, content);
    await use(path);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

for (const mode of MODES) {
  Deno.test(`Driver.sendFile streams a file with progress and hash (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const content = pattern(3_000_000);
    await withFile(content, async (path) => {
      const progress: FileProgress[] = [];
      const sending = driver.sendFile(TARGET, path, {
        onProgress: (step) => progress.push(step),
      });
      const stream = await client.acceptDial(4);
      const got = await receiveFile(stream);
      assert.deepEqual(got.content, content);
      assert.equal(got.name, "report.bin");
      const receipt = await sending;
      assert.deepEqual(receipt, {
        address: TARGET,
        name: "report.bin",
        bytes: content.length,
        resumed: 0,
        sha256: createHash("sha256").update(content).digest("hex"),
        transport: "filestream",
        verified: true,
        ack: "ACK FILE 3000000 bytes",
      });
      assert.deepEqual(progress[0], { bytes: 0, total: content.length });
      assert.deepEqual(progress.at(-1), {
        bytes: content.length,
        total: content.length,
      });
      const steps = progress.map((step) => step.bytes);
      assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
    });
  });
}

Deno.test("Driver.sendFile sends any content from every kind of source", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.integer({ min: 0, max: 200_000 }),
        fc.constantFrom(0, 1, 48 * 1024, 48 * 1024 * 16, 48 * 1024 * 17 + 1),
      ),
      fc.constantFrom("blob", "stream", "source"),
      async (size, kind) => {
        const content = pattern(size, size);
        const blob = new Blob([content as Uint8Array<ArrayBuffer>]);
        const name = "thing.dat";
        const sending = kind === "blob"
          ? driver.sendFile(TARGET, blob, { name })
          : kind === "stream"
          ? driver.sendFile(TARGET, { stream: blob.stream(), size, name })
          : driver.sendFile(TARGET, {
            name: "other",
            size,
            open: (offset) => Promise.resolve(blob.slice(offset).stream()),
            release: () => Promise.resolve(),
          }, { name });
        const stream = await client.acceptDial(4);
        const got = await receiveFile(stream);
        assert.deepEqual(got.content, content);
        assert.equal(got.name, name);
        assert.equal((await sending).verified, true);
        await stream.awaitClose();
      },
    ),
    { numRuns: 15 },
  );
});

Deno.test("Driver.sendFile resumes where an earlier attempt ended", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const content = pattern(500_000);
  await withFile(content, async (path) => {
    for (const resumed of [1, 123_456, 500_000]) {
      const sending = driver.sendFile(TARGET, path);
      const stream = await client.acceptDial(4);
      const got = await receiveFile(stream, {
        resume: content.subarray(0, resumed),
      });
      assert.deepEqual(got.content, content);
      assert.equal((await sending).resumed, resumed);
      await stream.awaitClose();
    }
  });
});

Deno.test("Driver.sendFile keeps within the window while nothing is acknowledged", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const content = pattern(2_000_000);
  await withFile(content, async (path) => {
    const controller = new AbortController();
    const sending = driver.sendFile(TARGET, path, {
      signal: controller.signal,
    });
    const failed = rejectsWith(sending, "aborted");
    const stream = await client.acceptDial(4);
    const frames = dataFrames(stream);
    const init = await streamMessage(frames);
    tell(stream, {
      kind: "init_ack",
      transferId: init.transferId,
      offset: 0,
    });
    for (let i = 0; i < 16; i++) {
      assert.equal((await streamMessage(frames)).kind, "chunk");
    }
    assert.ok(await isPending(stream.read(1)));
    controller.abort();
    await failed;
    await stream.awaitClose();
    await client.expect(Cmd.CancelTag);
  });
});

Deno.test("Driver.sendFile says why the other side refused", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const content = pattern(500_000);
  const blob = new Blob([content as Uint8Array<ArrayBuffer>]);
  const attempt = async (
    receive: (stream: FakeStream) => Promise<unknown>,
    code: Parameters<typeof rejectsWith>[1],
    message: RegExp,
  ) => {
    const failed = rejectsWith(
      driver.sendFile(TARGET, blob, { name: "x" }),
      code,
      message,
    );
    const stream = await client.acceptDial(4);
    await receive(stream);
    await failed;
    await stream.awaitClose();
  };
  await attempt(
    (stream) => receiveFile(stream, { stopAfter: 48 * 1024 * 2 }),
    "denied",
    /disk full/,
  );
  await attempt(
    // A receiver whose resumed part is not what was sent finds another hash.
    (stream) => receiveFile(stream, { resume: new Uint8Array(1000) }),
    "denied",
    /hash differs/,
  );
  await attempt(
    async (stream) => {
      const { transferId } = await streamMessage(dataFrames(stream));
      tell(stream, { kind: "abort", transferId, text: "quota" });
    },
    "denied",
    /quota/,
  );
  await attempt(
    async (stream) => {
      const { transferId } = await streamMessage(dataFrames(stream));
      tell(stream, { kind: "abort", transferId, text: "limit_exceeded: no room for more files" });
    },
    "limit_exceeded",
    /no room for more files/,
  );
  await attempt(
    async (stream) => {
      await streamMessage(dataFrames(stream));
      say(stream, "ERR FILESTREAM save failed: no room");
    },
    "denied",
    /no room/,
  );
  await attempt(
    async (stream) => {
      const frames = dataFrames(stream);
      const { transferId } = await streamMessage(frames);
      tell(stream, { kind: "init_ack", transferId, offset: 0 });
      await streamMessage(frames);
      stream.end();
    },
    "connection_closed",
    /closed/,
  );
});

for (const reply of ["ACK UNKNOWN(7) 90 bytes", "ERR UNKNOWN(7) x", "end"]) {
  Deno.test(`Driver.sendFile uses one frame when the answer is "${reply}"`, async () => {
    await using daemon = new FakeDaemon();
    const { driver, client } = await daemon.connect();
    const content = pattern(200_000);
    await withFile(content, async (path) => {
      const sending = driver.sendFile(TARGET, path);
      const first = await client.acceptDial(4);
      await streamMessage(dataFrames(first));
      if (reply === "end") first.end();
      else say(first, reply);
      const second = await client.acceptDial(5);
      const frame = await dataFrames(second).next();
      assert.equal(frame.type, DataType.file);
      const file = decodeFile(frame.payload);
      assert.ok(!(file instanceof DecodeError));
      assert.equal(file.name, "report.bin");
      assert.deepEqual(new Uint8Array(file.data), content);
      say(second, "ACK FILE 200000 bytes");
      const receipt = await sending;
      assert.equal(receipt.transport, "file");
      assert.equal(receipt.verified, false);
      await second.awaitClose();
    });
  });
}

Deno.test("Driver.sendFile refuses what an agent without file streams cannot take", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const failed = rejectsWith(
    driver.sendFile(TARGET, new Blob([new Uint8Array(16 * 1024 * 1024)]), {
      name: "x",
    }),
    "limit_exceeded",
    /16 MiB/,
  );
  const stream = await client.acceptDial(4);
  await streamMessage(dataFrames(stream));
  say(stream, "ACK UNKNOWN(7) 90 bytes");
  await failed;
});

Deno.test("Driver.sendFile reports files that cannot be sent before dialling", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const dir = await Deno.makeTempDir();
  await rejectsWith(
    driver.sendFile(TARGET, join(dir, "none")),
    "not_found",
    /No such file/,
  );
  await rejectsWith(driver.sendFile(TARGET, dir), "invalid_argument");
  await Deno.remove(dir, { recursive: true });
  const blob = new Blob(["x"]);
  for (const name of ["", "../x", "a/b", "x".repeat(300)]) {
    await rejectsWith(
      driver.sendFile(TARGET, blob, { name }),
      "invalid_argument",
    );
  }
  for (const size of [0, 2, 20_000_000]) {
    await rejectsWith(
      driver.sendFile(TARGET, { stream: blob.stream(), size, name: "x" }),
      "invalid_argument",
      /does not have/,
    );
  }
  await rejectsWith(
    driver.sendFile(TARGET, {
      name: "x",
      size: 5,
      open: () => Promise.resolve(blob.stream()),
      release: () => Promise.resolve(),
    }),
    "io_error",
    /changed/,
  );
  assert.equal(client.log.length, 0);
});

Deno.test("streamSource stores a large stream privately and removes it again", async () => {
  const dir = await Deno.makeTempDir();
  const content = pattern(9 * 1024 * 1024);
  const blob = new Blob([content as Uint8Array<ArrayBuffer>]);
  const { signal } = new AbortController();
  const file = { stream: blob.stream(), size: content.length, name: "big" };
  const source = await streamSource(file, signal, dir);
  const [entry] = [...Deno.readDirSync(dir)];
  const stored = await Deno.stat(join(dir, entry!.name, "content"));
  assert.equal(stored.mode! & 0o777, 0o600);
  const tail = await source.open(content.length - 5);
  assert.deepEqual(
    new Uint8Array(await new Response(tail as BodyInit).arrayBuffer()),
    content.subarray(-5),
  );
  await source.release();
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  const wrong = { ...file, stream: blob.stream(), size: content.length + 1 };
  await rejectsWith(streamSource(wrong, signal, dir), "invalid_argument");
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  await Deno.remove(dir);
});

Deno.test("streamSource takes a stream whose length only its end shows", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { signal } = new AbortController();
    const stream = new Blob(["one ", "two"]).stream();
    const source = await streamSource({ stream, name: "x" }, signal, dir);
    assert.deepEqual([source.name, source.size], ["x", 7]);
    assert.equal(await new Response(await source.open(4) as BodyInit).text(), "two");
    await source.release();
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("fileSource does not say that a file is missing whose name it could not be given", async () => {
  const error = await rejectsWith(
    fileSource("/nowhere/bad\ufffd.txt"),
    "invalid_argument",
    /UTF-8/,
  );
  assert.deepEqual(error.advice, { id: "pipe_renamed" });
  await rejectsWith(fileSource("/nowhere/good.txt"), "not_found");
});
