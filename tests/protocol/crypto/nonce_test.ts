import assert from "node:assert/strict";
import fc from "fast-check";
import { nonceCounter, noncePrefix, NonceSequence } from "../../../protocol/crypto/nonce.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { bytes, hex } from "../hex.ts";

/** A random source that hands out the given bytes again and again. */
const constant = (pattern: string) => (out: Uint8Array) => out.set(bytes(pattern));

function next(sequence: NonceSequence): string {
  const out = new Uint8Array(12);
  sequence.next(out);
  return hex(out);
}

Deno.test("NonceSequence.start begins at counter 1 under the random prefix", () => {
  const sequence = NonceSequence.start(constant("deadbeef"));
  assert.equal(sequence.prefix, 0xdeadbeef);
  assert.equal(sequence.counter, 0);
  assert.equal(next(sequence), "deadbeef0000000000000001");
  assert.equal(next(sequence), "deadbeef0000000000000002");
  assert.equal(sequence.counter, 2);
});

Deno.test("NonceSequence carries over into the upper half of the counter", () => {
  const sequence = new NonceSequence({ prefix: 1, counter: 0xfffffffe });
  assert.equal(next(sequence), "0000000100000000ffffffff");
  assert.equal(next(sequence), "000000010000000100000000");
  assert.equal(next(sequence), "000000010000000100000001");
});

Deno.test("NonceSequence continues from a saved state", () => {
  const first = NonceSequence.start(constant("00000009"));
  next(first);
  const second = new NonceSequence(first);
  assert.equal(next(second), "000000090000000000000002");
});

Deno.test("changePrefix changes the prefix and continues the counter", () => {
  const sequence = NonceSequence.start(constant("00000001"));
  next(sequence);
  sequence.changePrefix(constant("00000002"));
  assert.equal(next(sequence), "000000020000000000000002");
});

Deno.test("changePrefix leaves the old prefix even when chance repeats it", () => {
  const sequence = NonceSequence.start(constant("ffffffff"));
  next(sequence);
  sequence.changePrefix(constant("ffffffff"));
  assert.equal(next(sequence), "000000000000000000000002");
});

Deno.test("next throws internal once 2^53-1 was given out, and writes nothing", () => {
  const sequence = new NonceSequence({
    prefix: 1,
    counter: Number.MAX_SAFE_INTEGER - 1,
  });
  assert.equal(next(sequence), "00000001001fffffffffffff");
  const out = new Uint8Array(12);
  assert.throws(
    () => sequence.next(out),
    (error) => error instanceof PilotError && error.code === "internal",
  );
  assert.deepEqual(out, new Uint8Array(12));
});

Deno.test("next writes at the offset and throws invalid_argument when there is no room", () => {
  const sequence = NonceSequence.start(constant("0a0b0c0d"));
  const frame = new Uint8Array(22);
  sequence.next(frame, 8);
  assert.equal(hex(frame), "00".repeat(8) + "0a0b0c0d0000000000000001" + "0000");
  assert.throws(
    () => sequence.next(frame, 11),
    (error) => error instanceof PilotError && error.code === "invalid_argument",
  );
  assert.equal(sequence.counter, 1);
});

Deno.test("noncePrefix and nonceCounter read back what next wrote", () => {
  const prefix = fc.nat(0xffffffff);
  const counter = fc.maxSafeNat().filter((n) => n < Number.MAX_SAFE_INTEGER);
  fc.assert(fc.property(prefix, counter, (prefix, counter) => {
    const out = new Uint8Array(12);
    new NonceSequence({ prefix, counter }).next(out);
    assert.equal(noncePrefix(out), prefix);
    assert.equal(nonceCounter(out), counter + 1);
  }));
});

Deno.test("nonceCounter stays above 2^53-1 for every counter that is", () => {
  for (
    const counter of ["0020000000000000", "0020000000000001", "ffffffffffffffff"]
  ) {
    const value = nonceCounter(bytes("00000000" + counter));
    assert.equal(Number.isSafeInteger(value), false, counter);
  }
});
