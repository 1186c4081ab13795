/** Helpers of the codec tests: hex, hostile bytes, chunked reading. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import type { FrameReader } from "../../protocol/frame_reader.ts";

/** Bytes of a hex text; blanks are ignored. */
export function hex(text: string): Uint8Array {
  const bytes = Buffer.from(text.replace(/\s+/g, ""), "hex");
  return new Uint8Array(bytes);
}

/** Hex text of bytes. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Unsigned 16-bit numbers, edges included. */
export const u16 = fc.integer({ min: 0, max: 0xffff });
/** Unsigned 32-bit numbers, edges included. */
export const u32 = fc.integer({ min: 0, max: 0xffffffff });
/** `fc.record` whose values have the ordinary prototype, as decoded values do. */
export function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** Up to 64 bytes. */
export const bytes = fc.uint8Array({ maxLength: 64 });
/** Text of any Unicode characters. */
export const text = fc.string({ unit: "binary" });

/** The value of a decode that must succeed. */
export function decoded<T>(result: T | DecodeError): T {
  assert.ok(!(result instanceof DecodeError), `unexpected ${JSON.stringify(result)}`);
  return result;
}

/** Asserts a decode error of one kind. */
export function assertDecodeError(result: unknown, kind: DecodeError["kind"]): void {
  assert.ok(result instanceof DecodeError, `not an error: ${JSON.stringify(result)}`);
  assert.equal(result.kind, kind);
}

/** Asserts a thrown PilotError of one code. */
export function throwsPilot(action: () => unknown, code: PilotError["code"]): void {
  assert.throws(action, (error) => error instanceof PilotError && error.code === code);
}

/** Flips, cuts and extends valid bytes. */
function mutated(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const flip = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 4 });
  return fc.tuple(flip, fc.nat({ max: valid.length }), fc.uint8Array({ maxLength: 16 }))
    .map(([flips, cut, tail]) => {
      const copy = valid.slice();
      for (const [at, mask] of flips) {
        if (copy.length > 0) copy[at % copy.length]! ^= mask;
      }
      const out = new Uint8Array(cut + tail.length);
      out.set(copy.subarray(0, cut));
      out.set(tail, cut);
      return out;
    });
}

/** Bytes a stranger might send: noise, or one of the valid forms damaged. */
export function hostile(...valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    ...valid.map(mutated),
    ...valid.map((v) => fc.constant(v)),
  );
}

/**
 * Asserts that a decoder gives a value or a DecodeError for hostile bytes, and never reads outside of them: the
 * same bytes inside a larger buffer of other content must give the same result.
 */
export function assertTotal(
  decode: (bytes: Uint8Array) => unknown,
  ...valid: readonly Uint8Array[]
): void {
  fc.assert(
    fc.property(hostile(...valid), (input) => {
      const framed = new Uint8Array(input.length + 32).fill(0xa5);
      framed.set(input, 16);
      assert.deepEqual(decode(framed.subarray(16, 16 + input.length)), decode(input));
    }),
    { numRuns: 300 },
  );
}

/** Reads everything out of a reader, copying what it gives. */
export function drain<T>(reader: FrameReader<T>): (T | DecodeError)[] {
  const out: (T | DecodeError)[] = [];
  for (;;) {
    const frame = reader.next();
    if (frame === undefined) return out;
    out.push(structuredCloneFrame(frame));
    if (frame instanceof DecodeError) return out;
  }
}

function structuredCloneFrame<T>(frame: T | DecodeError): T | DecodeError {
  return frame instanceof DecodeError ? frame : structuredClone(frame);
}

/**
 * Asserts that a reader gives the same frames however its input is cut, keeps no more than `limit` bytes, and
 * does not look at a chunk again after it was drained (the chunk is overwritten).
 */
export function assertChunking<T>(
  make: () => FrameReader<T>,
  input: Uint8Array,
  cuts: readonly number[],
  limit: number,
): void {
  const whole = make();
  whole.push(input.slice());
  const expected = drain(whole);
  const reader = make();
  const actual: (T | DecodeError)[] = [];
  let start = 0;
  for (const end of [...cuts, input.length]) {
    const chunk = input.slice(start, end);
    start = end;
    reader.push(chunk);
    actual.push(...drain(reader));
    assert.ok(reader.bufferedBytes <= limit, `holds ${reader.bufferedBytes} bytes`);
    chunk.fill(0xee);
    if (actual.at(-1) instanceof DecodeError) break;
  }
  assert.deepEqual(actual, expected);
}

/** Ascending cut positions within a length: every byte, or a few at random. */
export function cutsOf(length: number): fc.Arbitrary<number[]> {
  const every = Array.from({ length: Math.max(0, length - 1) }, (_, i) => i + 1);
  const some = fc.array(fc.nat({ max: length }), { maxLength: 8 })
    .map((cuts) => cuts.sort((a, b) => a - b));
  return fc.oneof(fc.constant(every), some);
}
