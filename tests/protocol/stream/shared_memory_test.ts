import assert from "node:assert/strict";
import fc from "fast-check";
import { Chunks } from "../../../protocol/stream/chunks.ts";
import {
  EARLY_SEGMENT_OVERHEAD_BYTES,
  LEAST_RECV_WINDOW_BYTES,
} from "../../../protocol/stream/stream_config.ts";
import { CHUNK_BYTES, StreamMemory } from "../../../protocol/stream/stream_memory.ts";
import { Pair } from "../../sim/pair.ts";
import { Transfer } from "../../sim/transfer.ts";
import { bytes } from "./support.ts";

const MSS = 1152;
/** What a stream may hold beyond the limit: a chunk to send or the least window, begun chunks, and a late segment. */
const BEYOND_BYTES = LEAST_RECV_WINDOW_BYTES + 2 * CHUNK_BYTES + MSS + EARLY_SEGMENT_OVERHEAD_BYTES;

Deno.test("Chunks hold what was appended, in little more memory, and give all of it back", () => {
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(40_000), fc.nat(40_000)), { maxLength: 40 }),
    (turns) => {
      const memory = new StreamMemory(1 << 20);
      const chunks = new Chunks(memory);
      for (const [add, take] of turns) {
        chunks.append(bytes(add, chunks.end));
        const { start } = chunks;
        const length = Math.min(take, chunks.size);
        const out = new Uint8Array(length);
        chunks.copy(start, out);
        assert.deepEqual(out, bytes(length, start));
        const view = chunks.view(start, Math.min(length, 100));
        if (view !== undefined) assert.deepEqual(view, bytes(view.length, start));
        chunks.release(start + length);
        assert.equal(memory.used, chunks.allocated);
        assert.ok(chunks.allocated < chunks.size + 2 * CHUNK_BYTES);
        assert.ok(chunks.size > 0 || chunks.allocated === 0);
      }
      chunks.release(chunks.end);
      assert.equal(memory.used, 0);
    },
  ));
});

Deno.test("StreamMemory keeps unused chunks only as far as the limit leaves room", () => {
  const memory = new StreamMemory(10 * CHUNK_BYTES);
  const chunks = Array.from({ length: 15 }, () => memory.takeChunk());
  assert.equal(memory.used, 15 * CHUNK_BYTES);
  for (const chunk of chunks) memory.giveChunk(chunk);
  assert.equal(memory.used, 0);
  assert.equal(memory.kept, 10 * CHUNK_BYTES);
  memory.take(4 * CHUNK_BYTES);
  assert.equal(memory.kept, 6 * CHUNK_BYTES);
  assert.ok(chunks.includes(memory.takeChunk()), "a kept one is used again");
  assert.equal(memory.kept, 5 * CHUNK_BYTES);
});

Deno.test("all buffers together stay below the limit whatever streams do, and those that are read finish", () => {
  const turn = fc.record({
    stream: fc.nat(7),
    write: fc.nat(400_000),
    isReading: fc.boolean(),
    ms: fc.nat(300),
  });
  fc.assert(
    fc.property(
      fc.array(turn, { minLength: 5, maxLength: 30 }),
      fc.integer({ min: 64 << 10, max: 1 << 20 }),
      fc.nat(1000),
      (turns, limit, seed) => {
        const [client, server] = [new StreamMemory(limit), new StreamMemory(limit)];
        const options = { client: { memory: client }, server: { memory: server } };
        const link = { delayMs: 5, loss: 0.02 };
        const open = (i: number) => new Pair({ link, seed: seed + i, ...options }).established();
        const pairs = Array.from({ length: 8 }, (_, i) => open(i));
        const check = () => {
          for (const { used, kept } of [client, server]) {
            const most = limit + pairs.length * BEYOND_BYTES;
            assert.ok(used + kept <= most, `${used} used and ${kept} kept of ${limit}`);
          }
        };
        for (const { stream, write, isReading, ms } of turns) {
          const pair = pairs[stream]!;
          pair.client.stream!.write(new Uint8Array(write), pair.now);
          pair.client.run(pair.now);
          pair.server.reading = isReading;
          pair.server.run(pair.now);
          for (const other of pairs) {
            other.pass(ms);
            check();
          }
        }
        // Everybody else stalls with all the memory there is.
        for (const pair of pairs) {
          pair.server.reading = false;
          pair.client.stream!.write(new Uint8Array(4 << 20), pair.now);
          pair.pass(2_000);
          check();
        }
        assert.ok(client.used > limit / 2, "the memory is used up");
        const fresh = open(100);
        pairs.push(fresh);
        const there = new Transfer(fresh.server, { write: 0, read: 100_000 });
        new Transfer(fresh.client, { write: 100_000, read: 0 });
        fresh.client.run(fresh.now);
        fresh.drive(() => {
          check();
          return there.done;
        });
        for (const { client, server, now } of pairs) {
          client.stream?.abort(now);
          server.stream?.abort(now);
        }
        assert.equal(client.used, 0);
        assert.equal(server.used, 0);
      },
    ),
    { numRuns: 20 },
  );
});
