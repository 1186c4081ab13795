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
    for (const [at, length] of [[0, 49], [-1, 8], [60, 1], [NaN, 8], [0, NaN]]) {
      assert.throws(() => aead.seal(NONCE, AAD, buf, at!, length!), bad);
    }
    for (const [at, length] of [[0, 65], [-1, 20], [60, 20], [NaN, 20]]) {
      assert.throws(() => aead.open(NONCE, AAD, buf, at!, length!), bad);
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
        { weight: 6, arbitrary: fc.constant(1) },
        fc.integer({ min: -20, max: 100 }),
        fc.constantFrom(2 ** 32, -(2 ** 32), 2 ** 31),
      ),
      length: fc.oneof(fc.nat(80), fc.nat(1500), fc.constantFrom(0, 15, 16, 17, 1400)),
      isForged: fc.boolean(),
      hasOtherPrefix: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.boolean()),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(0, 2 ** 32 - 10, 2 ** 40),
        fc.constantFrom(0, 6),
        (steps, start, prefix) => {
          const aead = factory(KEY);
          let counter = start;
          for (const { move, length, isForged, hasOtherPrefix } of steps) {
            counter = Math.max(0, counter + move);
            const nonce = new Uint8Array(AEAD_NONCE_BYTES);
            const view = new DataView(nonce.buffer);
            view.setUint32(0, hasOtherPrefix ? 7 : prefix);
            view.setBigUint64(4, BigInt(counter));
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
