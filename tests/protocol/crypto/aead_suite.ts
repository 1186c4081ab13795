/** The cases that every implementation of `Aead` must pass. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { gcm } from "@noble/ciphers/aes.js";
import {
  type Aead,
  AEAD_KEY_BYTES,
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type AeadFactory,
} from "../../../protocol/crypto/aead.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { bytes, hex, range } from "../hex.ts";

const KEY = range(0, AEAD_KEY_BYTES);
const NONCE = range(0x50, 12);
const AAD = bytes("00000005");

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof PilotError && error.code === code;
}

/** A buffer with `plaintext` sealed at `offset` and bytes of 0xEE around it. */
function sealed(factory: AeadFactory, plaintext: Uint8Array, offset: number) {
  const buf = new Uint8Array(offset + plaintext.length + AEAD_TAG_BYTES + 9)
    .fill(0xee);
  buf.set(plaintext, offset);
  factory(KEY).seal(NONCE, AAD, buf, offset, plaintext.length);
  return buf;
}

/** Registers the suite under the name of the implementation. */
export function testAead(name: string, implementation: AeadFactory): void {
  /** A test whose ciphers are destroyed after it. */
  function test(what: string, run: (factory: AeadFactory) => void): void {
    Deno.test(`${name} ${what}`, () => {
      const made: Aead[] = [];
      try {
        run((key) => {
          const aead = implementation(key);
          made.push(aead);
          return aead;
        });
      } finally {
        for (const aead of made) aead.destroy();
      }
    });
  }

  test("seals as NIST's AES-256-GCM test case 16 says", (factory) => {
    const key = bytes(
      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
    );
    const plaintext = bytes(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    );
    const buf = new Uint8Array(plaintext.length + AEAD_TAG_BYTES);
    buf.set(plaintext);
    factory(key).seal(
      bytes("cafebabefacedbaddecaf888"),
      bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
      buf,
      0,
      plaintext.length,
    );
    assert.equal(
      hex(buf),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" +
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662" +
        "76fc6ece0f4e1768cddf8853bb2d551b",
    );
  });

  test("agrees with noble and restores the plaintext for any input", (factory) => {
    const blob = (max: number) => fc.uint8Array({ maxLength: max });
    const fixed = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(
      fc.property(
        fixed(32),
        fixed(12),
        blob(40),
        blob(1500),
        fc.nat(30),
        (key, nonce, aad, plaintext, offset) => {
          const aead = factory(key);
          const buf = new Uint8Array(offset + plaintext.length + 16 + 3);
          buf.set(plaintext, offset);
          aead.seal(nonce, aad, buf, offset, plaintext.length);
          const end = offset + plaintext.length + 16;
          assert.deepEqual(
            buf.slice(offset, end),
            new Uint8Array(gcm(key, nonce, aad).encrypt(plaintext)),
          );
          assert.equal(
            aead.open(nonce, aad, buf, offset, plaintext.length + 16),
            true,
          );
          assert.deepEqual(buf.slice(offset, end - 16), plaintext);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("touches nothing outside the range", (factory) => {
    const plaintext = range(1, 33);
    const buf = sealed(factory, plaintext, 7);
    const outside = [...buf.subarray(0, 7), ...buf.subarray(7 + 33 + 16)];
    assert.deepEqual(outside, Array(7 + 9).fill(0xee));
    assert.equal(factory(KEY).open(NONCE, AAD, buf, 7, 33 + 16), true);
    const after = [...buf.subarray(0, 7), ...buf.subarray(7 + 33 + 16)];
    assert.deepEqual(after, Array(7 + 9).fill(0xee));
  });

  test("works when nonce and aad are views of the sealed buffer", (factory) => {
    const frame = new Uint8Array(20 + 40 + 16);
    frame.set(bytes("50494c53"), 0);
    frame.set(AAD, 4);
    frame.set(NONCE, 8);
    frame.set(range(9, 40), 20);
    const aad = frame.subarray(4, 8);
    const nonce = frame.subarray(8, 20);
    const aead = factory(KEY);
    aead.seal(nonce, aad, frame, 20, 40);
    assert.deepEqual(
      frame.slice(20),
      new Uint8Array(gcm(KEY, NONCE, AAD).encrypt(range(9, 40))),
    );
    assert.equal(aead.open(nonce, aad, frame, 20, 56), true);
    assert.deepEqual(frame.slice(20, 60), range(9, 40));
  });

  test("works on a buffer that is a view into a larger one", (factory) => {
    const backing = new Uint8Array(200).fill(0xee);
    const buf = backing.subarray(50, 150);
    buf.set(range(0, 20), 10);
    const aead = factory(KEY);
    aead.seal(NONCE, AAD, buf, 10, 20);
    assert.equal(
      backing.subarray(0, 60).every((byte) => byte === 0xee),
      true,
    );
    assert.equal(aead.open(NONCE, AAD, buf, 10, 36), true);
    assert.deepEqual(backing.slice(60, 80), range(0, 20));
  });

  test("refuses every single flipped bit and releases no plaintext", (factory) => {
    const plaintext = new TextEncoder().encode("attack at dawn");
    const good = sealed(factory, plaintext, 0);
    const length = plaintext.length + AEAD_TAG_BYTES;
    const aead = factory(KEY);
    for (let bit = 0; bit < length * 8; bit++) {
      const buf = good.slice();
      buf[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(aead.open(NONCE, AAD, buf, 0, length), false, `bit ${bit}`);
      assert.notDeepEqual(buf.slice(2, plaintext.length), plaintext.slice(2));
    }
  });

  test("refuses another key, nonce, aad, or a shortened message", (factory) => {
    const good = sealed(factory, range(0, 50), 0);
    const aead = factory(KEY);
    const cases: [string, () => boolean][] = [
      [
        "key",
        () => factory(range(1, 32)).open(NONCE, AAD, good.slice(), 0, 66),
      ],
      ["nonce", () => aead.open(range(0x51, 12), AAD, good.slice(), 0, 66)],
      ["aad", () => aead.open(NONCE, bytes("00000007"), good.slice(), 0, 66)],
      ["no aad", () => aead.open(NONCE, bytes(""), good.slice(), 0, 66)],
      ["one short", () => aead.open(NONCE, AAD, good.slice(), 0, 65)],
      ["one long", () => aead.open(NONCE, AAD, good.slice(), 0, 67)],
      ["shifted", () => aead.open(NONCE, AAD, good.slice(), 1, 66)],
      ["tag only", () => aead.open(NONCE, AAD, good.slice(), 50, 16)],
    ];
    for (let length = 0; length < AEAD_TAG_BYTES; length++) {
      cases.push([
        `${length} bytes`,
        () => aead.open(NONCE, AAD, good.slice(), 0, length),
      ]);
    }
    for (const [what, open] of cases) assert.equal(open(), false, what);
    assert.equal(aead.open(NONCE, AAD, good.slice(), 0, 66), true);
  });

  test("seals and opens an empty plaintext", (factory) => {
    const buf = sealed(factory, new Uint8Array(0), 0);
    assert.equal(factory(KEY).open(NONCE, AAD, buf, 0, 16), true);
  });

  test("throws invalid_argument when key, nonce or range do not fit", (factory) => {
    const aead = factory(KEY);
    const buf = new Uint8Array(64);
    const bad = hasCode("invalid_argument");
    for (const length of [0, 16, 31, 33]) {
      assert.throws(() => factory(new Uint8Array(length)), bad);
    }
    for (const length of [0, 8, 11, 13, 16]) {
      const nonce = new Uint8Array(length);
      assert.throws(() => aead.seal(nonce, AAD, buf, 0, 8), bad);
      assert.throws(() => aead.open(nonce, AAD, buf, 0, 24), bad);
    }
    // A text of less than nothing would have its tag before it.
    const negative = [[20, -1], [20, -15], [20, -16], [20, -20], [-16, 16]] as const;
    const fractions = [[0.5, 8], [0, 8.5], [0.5, 8.5], [0, Infinity], [-Infinity, 8]] as const;
    const outside = [[-1, 8], [NaN, 8], [0, NaN], ...negative, ...fractions] as const;
    for (const [at, length] of [[0, 49], [60, 1], ...outside] as const) {
      assert.throws(() => aead.seal(NONCE, AAD, buf, at, length), bad, `seal ${at}, ${length}`);
    }
    for (const [at, length] of [[0, 65], [60, 20], [-1, 20], [0.5, 20.5], ...outside] as const) {
      assert.throws(() => aead.open(NONCE, AAD, buf, at, length), bad, `open ${at}, ${length}`);
    }
    assert.deepEqual(buf, new Uint8Array(64));
  });

  test("copies its key and throws invalid_state once destroyed", (factory) => {
    const key = KEY.slice();
    const aead = factory(key);
    key.fill(0);
    const buf = sealed(factory, range(0, 8), 0);
    assert.equal(aead.open(NONCE, AAD, buf, 0, 24), true);
    aead.destroy();
    aead.destroy();
    assert.throws(
      () => aead.seal(NONCE, AAD, buf, 0, 8),
      hasCode("invalid_state"),
    );
    assert.throws(
      () => aead.open(NONCE, AAD, buf, 0, 24),
      hasCode("invalid_state"),
    );
  });

  test("agrees with noble on a sequence of nonces with gaps, repeats, forgeries and any lengths", (factory) => {
    const step = fc.record({
      // Mostly the next one, as between two daemons; sometimes late ones, jumps, and the ends of 32 bits.
      move: fc.oneof(
        { weight: 6, arbitrary: fc.constant(1n) },
        fc.bigInt({ min: -20n, max: 100n }),
        fc.constantFrom(2n ** 32n, -(2n ** 32n), 2n ** 31n, 2n ** 53n),
      ),
      length: fc.oneof(
        fc.nat(80),
        fc.nat(1500),
        fc.constantFrom(0, 15, 16, 17, 1400, 9000, 65_536),
      ),
      isForged: fc.boolean(),
      hasOtherPrefix: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.boolean()),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(0n, 2n ** 32n - 10n, 2n ** 40n, 2n ** 64n - 10n),
        fc.constantFrom(0, 6),
        (steps, start, prefix) => {
          const aead = factory(KEY);
          let counter = start;
          for (const { move, length, isForged, hasOtherPrefix } of steps) {
            counter = BigInt.asUintN(64, counter + move);
            const nonce = new Uint8Array(AEAD_NONCE_BYTES);
            const view = new DataView(nonce.buffer);
            view.setUint32(0, hasOtherPrefix ? 7 : prefix);
            view.setBigUint64(4, counter);
            const plaintext = new Uint8Array(length).fill(length);
            const expected = new Uint8Array(gcm(KEY, nonce, AAD).encrypt(plaintext));
            const buf = new Uint8Array(length + AEAD_TAG_BYTES);
            buf.set(plaintext);
            aead.seal(nonce, AAD, buf, 0, length);
            assert.deepEqual(buf, expected);
            if (isForged) {
              const forged = buf.slice();
              forged[length >> 1]! ^= 4;
              assert.equal(aead.open(nonce, AAD, forged, 0, forged.length), false);
            }
            assert.equal(aead.open(nonce, AAD, buf, 0, buf.length), true);
            assert.deepEqual(buf.subarray(0, length), plaintext);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("keeps two keys apart that take turns", (factory) => {
    const keys = [KEY, range(1, AEAD_KEY_BYTES)];
    const aeads = keys.map((key) => factory(key));
    for (let i = 0; i < 20; i++) {
      const nonce = range(i, AEAD_NONCE_BYTES);
      const buf = new Uint8Array(100 + AEAD_TAG_BYTES).fill(i, 0, 100);
      const plaintext = buf.slice(0, 100);
      aeads[i % 2]!.seal(nonce, AAD, buf, 0, 100);
      assert.deepEqual(buf, new Uint8Array(gcm(keys[i % 2]!, nonce, AAD).encrypt(plaintext)));
      assert.equal(aeads[(i + 1) % 2]!.open(nonce, AAD, buf.slice(), 0, buf.length), false);
    }
    aeads[0]!.destroy();
    const buf = sealed(factory, range(0, 40), 0);
    assert.equal(factory(KEY).open(NONCE, AAD, buf, 0, 56), true);
  });

  test("keeps many keys apart of which some are destroyed in between", (factory) => {
    const keys = Array.from({ length: 12 }, (_, i) => new Uint8Array(AEAD_KEY_BYTES).fill(i));
    const aeads = new Map(keys.map((key) => [key, factory(key)]));
    const nonce = new Uint8Array(AEAD_NONCE_BYTES);
    for (let round = 1; aeads.size > 0; round++) {
      nonce[AEAD_NONCE_BYTES - 1] = round;
      for (const [key, aead] of aeads) {
        const length = 7 * round;
        const buf = new Uint8Array(length + AEAD_TAG_BYTES).fill(round, 0, length);
        const expected = new Uint8Array(gcm(key, nonce, AAD).encrypt(buf.slice(0, length)));
        aead.seal(nonce, AAD, buf, 0, length);
        assert.deepEqual(buf, expected);
        assert.equal(aead.open(nonce, AAD, buf, 0, buf.length), true);
      }
      const [first, last] = [keys.shift()!, keys.pop()!];
      for (const key of [last, first, last]) aeads.get(key)!.destroy();
      aeads.delete(first);
      aeads.delete(last);
    }
  });

  test("takes nonce and aad as they were when they lie in the text itself", (factory) => {
    const aead = factory(KEY);
    for (let counter = 1; counter <= 20; counter++) {
      const frame = range(counter, 64 + AEAD_TAG_BYTES);
      const nonce = frame.slice(20, 32);
      const aad = frame.slice(10, 14);
      const text = frame.slice(0, 64);
      const expected = new Uint8Array(gcm(KEY, nonce, aad).encrypt(text));
      aead.seal(frame.subarray(20, 32), frame.subarray(10, 14), frame, 0, 64);
      assert.deepEqual(frame, expected);
      // What was sealed over them is no longer the nonce.
      assert.equal(aead.open(frame.subarray(20, 32), frame.subarray(10, 14), frame, 0, 80), false);
      assert.equal(aead.open(nonce, aad, expected, 0, 80), true);
      assert.deepEqual(expected.subarray(0, 64), text);
    }
  });

  test("seals and opens at the very end of a buffer, and nothing at all", (factory) => {
    const aead = factory(KEY);
    const buf = new Uint8Array(40).fill(0xee);
    aead.seal(NONCE, AAD, buf, 24, 0);
    assert.deepEqual(buf.slice(24), new Uint8Array(gcm(KEY, NONCE, AAD).encrypt(bytes(""))));
    assert.deepEqual(buf.slice(0, 24), new Uint8Array(24).fill(0xee));
    assert.equal(aead.open(NONCE, AAD, buf, 24, 16), true);
    assert.equal(aead.open(NONCE, AAD, buf, 40, 0), false);
    assert.throws(() => aead.seal(NONCE, AAD, buf, 40, 0), hasCode("invalid_argument"));
    const nothing = new Uint8Array(0);
    assert.equal(aead.open(NONCE, AAD, nothing, 0, 0), false);
    assert.throws(() => aead.seal(NONCE, AAD, nothing, 0, 0), hasCode("invalid_argument"));
    const moved = new Uint8Array(64);
    moved.buffer.transfer();
    assert.throws(() => aead.seal(NONCE, AAD, moved, 0, 8), hasCode("invalid_argument"));
    assert.throws(() => aead.open(NONCE, AAD, moved, 0, 24), hasCode("invalid_argument"));
  });

  test("works on resizable memory, and refuses what was cut off it", (factory) => {
    const aead = factory(KEY);
    const memory = new ArrayBuffer(64, { maxByteLength: 1024 });
    const buf = new Uint8Array(memory);
    buf.set(range(0, 30));
    aead.seal(NONCE, AAD, buf, 0, 30);
    memory.resize(46);
    assert.equal(aead.open(NONCE, AAD, buf, 0, 46), true);
    assert.deepEqual(buf.slice(0, 30), range(0, 30));
    memory.resize(45);
    assert.throws(() => aead.open(NONCE, AAD, buf, 0, 46), hasCode("invalid_argument"));
    assert.throws(() => aead.seal(NONCE, AAD, buf, 0, 30), hasCode("invalid_argument"));
    memory.resize(1024);
    aead.seal(NONCE, AAD, buf, 1000, 8);
    assert.equal(aead.open(NONCE, AAD, buf, 1000, 24), true);
  });

  test("works on memory that is shared with other threads", (factory) => {
    const aead = factory(KEY);
    const [buf, nonce, aad] = [64, NONCE.length, AAD.length].map((length) =>
      new Uint8Array(new SharedArrayBuffer(length))
    ) as [Uint8Array, Uint8Array, Uint8Array];
    nonce.set(NONCE);
    aad.set(AAD);
    buf.set(range(0, 30));
    aead.seal(nonce, aad, buf, 0, 30);
    const expected = new Uint8Array(gcm(KEY, NONCE, AAD).encrypt(range(0, 30)));
    assert.deepEqual(new Uint8Array(buf.slice(0, 46)), expected);
    assert.equal(aead.open(nonce, aad, buf, 0, 46), true);
    assert.deepEqual(new Uint8Array(buf.slice(0, 30)), range(0, 30));
  });

  test("seals and opens what is larger than any datagram", (factory) => {
    const plaintext = new Uint8Array(70_000).fill(3);
    const aad = new Uint8Array(1000).fill(4);
    for (const [text, data] of [[plaintext, AAD], [plaintext.subarray(0, 10), aad]] as const) {
      const buf = new Uint8Array(text.length + AEAD_TAG_BYTES);
      buf.set(text);
      const aead = factory(KEY);
      aead.seal(NONCE, data, buf, 0, text.length);
      assert.deepEqual(buf, new Uint8Array(gcm(KEY, NONCE, data).encrypt(text)));
      assert.equal(aead.open(NONCE, data, buf, 0, buf.length), true);
      assert.deepEqual(buf.subarray(0, text.length), text);
    }
  });
}
