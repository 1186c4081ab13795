/** Small parts of the SDK on their own. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd, encodeHelloOk, encodeIpcFrame } from "../../protocol/ipc/mod.ts";
import { formatAddress, formatSocketAddress } from "../../protocol/address.ts";
import { abortError, delay, withDeadline } from "../../sdk/abort.ts";
import { AsyncQueue } from "../../sdk/async_queue.ts";
import { blobSource, readPieces } from "../../sdk/file_source.ts";
import { connect, type Transport } from "../../sdk/mod.ts";
import { Outbox } from "../../sdk/frame_outbox.ts";
import { readTarget, splitTargetPort } from "../../sdk/target.ts";
import { isPending, pattern, rejectsWith, turn } from "./support.ts";

Deno.test("Only files named _deno touch Deno in the SDK", async () => {
  const dir = new URL("../../sdk/", import.meta.url);
  for await (const { name } of Deno.readDir(dir)) {
    if (!name.endsWith(".ts") || name.endsWith("_deno.ts")) continue;
    const source = await Deno.readTextFile(new URL(name, dir));
    assert.doesNotMatch(source, /\bDeno\./, name);
  }
});

Deno.test("connect works over any transport", async () => {
  const written: Uint8Array[] = [];
  const incoming: (Uint8Array | undefined)[] = [];
  let wake = () => {};
  let path = "";
  const transport: Transport = {
    async read() {
      if (incoming.length === 0) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      return incoming.shift();
    },
    write(bytes) {
      written.push(bytes);
      incoming.push(
        encodeIpcFrame(
          Cmd.HelloOk,
          encodeHelloOk({ daemonVersion: "1", features: [] }),
        ),
      );
      wake();
      return Promise.resolve();
    },
    close() {
      incoming.push(undefined);
      wake();
    },
  };
  const driver = await connect({
    socket: "/some/where",
    connector: (where) => {
      path = where;
      return Promise.resolve(transport);
    },
  });
  assert.equal(path, "/some/where");
  assert.equal(written.length, 1);
  await driver.close();
  assert.equal(await driver.closed, undefined);
});

Deno.test("splitTargetPort and readTarget read every address and port", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 1, max: 0xfffffffe }),
      fc.integer({ min: 0, max: 0xffff }),
      (network, node, port) => {
        const text = formatSocketAddress({ network, node, port });
        const [target, got] = splitTargetPort(text);
        assert.equal(got, port);
        assert.deepEqual(readTarget(target), { network, node });
        assert.throws(
          () => splitTargetPort(formatAddress({ network, node })),
          PilotError,
        );
      },
    ),
  );
});

Deno.test("readTarget throws nothing but invalid_argument", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        readTarget(text);
      } catch (error) {
        assert.ok(error instanceof PilotError);
        assert.equal(error.code, "invalid_argument");
      }
    }),
  );
});

Deno.test("AsyncQueue gives items in order, up to its limit", async () => {
  const queue = new AsyncQueue<number>(2, "waiting");
  assert.equal(queue.push(1), true);
  assert.equal(queue.push(2), true);
  assert.equal(queue.push(3), false);
  assert.equal(await queue.next(), 1);
  assert.equal(await queue.next(), 2);
  const [first, second] = [queue.next(), queue.next()];
  queue.push(4);
  queue.push(5);
  assert.deepEqual(await Promise.all([first, second]), [4, 5]);
  queue.push(6);
  const error = new PilotError("connection_closed", "gone");
  queue.end(error);
  assert.equal(queue.push(7), false);
  assert.equal(await queue.next(), 6);
  await rejectsWith(queue.next(), "connection_closed");
});

Deno.test("AsyncQueue keeps no more bytes than it may, and counts those that were taken", async () => {
  const weight = { bytesOf: (item: number) => item, limitBytes: 10 };
  const queue = new AsyncQueue<number>(100, "waiting", weight);
  assert.equal(queue.push(7), true);
  assert.equal(queue.push(4), false);
  assert.equal(queue.push(3), true);
  assert.equal(queue.push(1), false);
  assert.equal(await queue.next(), 7);
  assert.equal(queue.push(7), true);
  assert.deepEqual(queue.drain(), [3, 7]);
  assert.equal(queue.push(10), true);
});

Deno.test("Outbox writes frames in order whatever their sizes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 40 }),
      async (sizes) => {
        const got: number[] = [];
        let writes = 0;
        const outbox = new Outbox({
          read: () => Promise.resolve(undefined),
          write: async (bytes) => {
            writes++;
            for (const byte of bytes) got.push(byte);
            await Promise.resolve();
          },
          close: () => {},
        }, () => assert.fail());
        const frames = sizes.map((size, i) => pattern(size, i));
        for (const frame of frames) outbox.push(frame);
        await outbox.flushed();
        assert.deepEqual(got, frames.flatMap((frame) => [...frame]));
        assert.ok(writes <= frames.length);
      },
    ),
    { numRuns: 20 },
  );
});

Deno.test("Outbox reports a broken socket once and lets nobody wait", async () => {
  const errors: unknown[] = [];
  const outbox = new Outbox({
    read: () => Promise.resolve(undefined),
    write: () => Promise.reject(new Error("broken pipe")),
    close: () => {},
  }, (error) => errors.push(error));
  outbox.push(pattern(10));
  outbox.push(pattern(10));
  await outbox.flushed();
  outbox.push(pattern(10));
  await outbox.flushed();
  await turn();
  assert.equal(errors.length, 1);
});

Deno.test("withDeadline names timeouts and aborts, also those thrown by the runtime", async () => {
  const hang = (signal: AbortSignal) =>
    new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  await rejectsWith(
    withDeadline({ timeoutMs: 5 }, "Thing", hang),
    "timeout",
    /Thing: no answer within 0.005 s/,
  );
  const controller = new AbortController();
  const waiting = withDeadline({ signal: controller.signal }, "Thing", hang);
  controller.abort(new DOMException("The signal timed out", "TimeoutError"));
  await rejectsWith(waiting, "timeout");
  await rejectsWith(
    withDeadline({ signal: controller.signal }, "Thing", hang),
    "timeout",
  );
  const own = new PilotError("denied", "no");
  assert.equal(abortError(AbortSignal.abort(own), "Thing"), own);
  await assert.rejects(
    withDeadline({}, "Thing", () => Promise.reject(new TypeError("bug"))),
    TypeError,
  );
});

Deno.test("delay ends early when aborted", async () => {
  const controller = new AbortController();
  const waiting = delay(1_000_000, controller.signal, "Waiting");
  assert.ok(await isPending(waiting));
  controller.abort();
  await rejectsWith(waiting, "aborted");
  await rejectsWith(delay(1, controller.signal, "Waiting"), "aborted");
  await delay(0, undefined, "Waiting");
});

Deno.test("readPieces cuts any source into equal pieces", async () => {
  const { signal } = new AbortController();
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 0, max: 5000 }),
      async (size, pieceBytes, from) => {
        const offset = Math.min(from, size);
        const content = pattern(size);
        const source = blobSource(
          new Blob([content as Uint8Array<ArrayBuffer>]),
          "x",
        );
        const got: number[] = [];
        const lengths: number[] = [];
        for await (const piece of readPieces(source, offset, pieceBytes, signal)) {
          got.push(...piece);
          lengths.push(piece.length);
        }
        assert.deepEqual(got, [...content.subarray(offset)]);
        assert.ok(lengths.slice(0, -1).every((n) => n === pieceBytes));
      },
    ),
    { numRuns: 40 },
  );
});
