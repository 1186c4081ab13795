import assert from "node:assert/strict";
import {
  LARGE_REPEATS,
  LARGE_SILENCE_MS,
  LargeSegments,
} from "../../../daemon/stream/large_segments.ts";
import { DEFAULT_MSS_BYTES, type Segment } from "../../../protocol/stream/mod.ts";

const LARGE = 1402;

function segment(seq: number, bytes: number = LARGE): Segment {
  return { flags: 0, seq, ack: 0, window: 0, payload: new Uint8Array(bytes) };
}

Deno.test("LargeSegments finds nothing wrong with segments that leave once", () => {
  const watch = new LargeSegments();
  // Sequence numbers wrap around on the way.
  for (let i = 0, seq = 2 ** 32 - 5 * LARGE; i < 10; i++, seq = (seq + LARGE) >>> 0) {
    assert.equal(watch.sent(segment(seq), i * 1_000), false);
  }
});

Deno.test("LargeSegments suspects the path when one is repeated into silence", () => {
  const watch = new LargeSegments();
  watch.heard(0);
  watch.sent(segment(100), 0);
  watch.sent(segment(100 + LARGE), 0);
  assert.equal(watch.sent(segment(100), LARGE_SILENCE_MS - 1), false);
  assert.equal(watch.sent(segment(100 + LARGE), LARGE_SILENCE_MS), true);
});

Deno.test("LargeSegments suspects the path when one is repeated again and again beside others", () => {
  const watch = new LargeSegments();
  watch.sent(segment(100), 0);
  const found = Array.from({ length: LARGE_REPEATS }, (_, i) => {
    watch.heard(i);
    return watch.sent(segment(100), i);
  });
  assert.deepEqual(found, [...Array(LARGE_REPEATS - 1).fill(false), true]);
});

Deno.test("LargeSegments takes repeats of different segments for loss", () => {
  const watch = new LargeSegments();
  for (let i = 0; i < 10; i++) watch.sent(segment(i * LARGE), 0);
  for (let i = 0; i < 10; i++) {
    watch.heard(i);
    assert.equal(watch.sent(segment(i * LARGE), i), false);
  }
});

Deno.test("LargeSegments does not look at segments that pass every path", () => {
  const watch = new LargeSegments();
  for (let i = 0; i < 10; i++) {
    assert.equal(watch.sent(segment(100, DEFAULT_MSS_BYTES), i * LARGE_SILENCE_MS), false);
  }
});
