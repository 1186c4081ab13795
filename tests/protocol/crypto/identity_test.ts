import assert from "node:assert/strict";
import { ed25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { Identity } from "../../../protocol/crypto/identity.ts";
import {
  isUsablePublicKey,
  KEY_CACHE_ENTRIES,
  verifySignature,
} from "../../../protocol/crypto/verify_signature.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { bytes, hex, range } from "../hex.ts";

const isInvalid = (error: unknown) =>
  error instanceof PilotError && error.code === "invalid_argument";

Deno.test("Identity agrees with noble for any seed and message", async () => {
  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const text = fc.uint8Array({ maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(seed, text, async (seed, message) => {
      const identity = await Identity.fromSeed(seed);
      assert.equal(hex(identity.publicKey), hex(ed25519.getPublicKey(seed)));
      const signature = await identity.sign(message);
      assert.equal(hex(signature), hex(ed25519.sign(message, seed)));
      assert.equal(
        await verifySignature(identity.publicKey, message, signature),
        true,
      );
    }),
    { numRuns: 10 },
  );
});

Deno.test("Identity.fromFile restores what toFile wrote", async () => {
  const identity = await Identity.generate();
  const restored = await Identity.fromFile(identity.toFile());
  assert.deepEqual(restored.publicKey, identity.publicKey);
  const message = range(0, 9);
  assert.deepEqual(await restored.sign(message), await identity.sign(message));
});

Deno.test("Identity.toFile writes seed and public key as existing daemons do", async () => {
  const seed = range(0, 32);
  const identity = await Identity.fromSeed(seed);
  const pair = new Uint8Array([...seed, ...identity.publicKey]);
  assert.equal(
    identity.toFile(),
    `{\n  "private_key": "${
      encodeBase64(pair)
    }",\n  "public_key": "${identity.publicKeyBase64}"\n}\n`,
  );
});

Deno.test("Identity.fromSeed copies the seed and refuses a wrong length", async () => {
  const seed = range(0, 32);
  const identity = await Identity.fromSeed(seed);
  const before = identity.toFile();
  seed.fill(0);
  assert.equal(identity.toFile(), before);
  await assert.rejects(Identity.fromSeed(new Uint8Array(31)), isInvalid);
  await assert.rejects(Identity.fromSeed(new Uint8Array(64)), isInvalid);
});

Deno.test("Identity.fromFile refuses damaged files without quoting them", async () => {
  const good = JSON.parse((await Identity.generate()).toFile());
  const other = JSON.parse((await Identity.generate()).toFile());
  const secret: string = good.private_key;
  const mixed = encodeBase64(
    new Uint8Array([...range(7, 32), ...(await Identity.generate()).publicKey]),
  );
  const cases: [string, string][] = [
    ["empty", ""],
    ["cut off", JSON.stringify(good).slice(0, 60)],
    ["not JSON", `${secret}`],
    ["null", "null"],
    ["array", "[]"],
    ["number", "7"],
    ["no private key", JSON.stringify({ public_key: good.public_key })],
    ["no public key", JSON.stringify({ private_key: secret })],
    ["number as key", JSON.stringify({ ...good, private_key: 5 })],
    ["short", JSON.stringify({ ...good, private_key: secret.slice(4) })],
    ["not base64", JSON.stringify({ ...good, private_key: "!" + secret })],
    [
      "public of another",
      JSON.stringify({
        ...good,
        public_key: other.public_key,
      }),
    ],
    ["halves do not match", JSON.stringify({ ...good, private_key: mixed })],
    ["huge", JSON.stringify({ ...good, more: "x".repeat(5000) })],
  ];
  for (const [what, json] of cases) {
    await assert.rejects(Identity.fromFile(json), (error) => {
      assert.ok(isInvalid(error), what);
      const shown = Deno.inspect(error);
      assert.equal(shown.includes(secret.slice(0, 10)), false, what);
      return true;
    });
  }
});

Deno.test("Identity does not show its secret when it is inspected or serialized", async () => {
  const seed = range(0, 32);
  const identity = await Identity.fromSeed(seed);
  const shown = Deno.inspect(identity) + JSON.stringify(identity);
  assert.equal(shown.includes(encodeBase64(seed).slice(0, 16)), false);
  assert.equal(shown.includes("#seed"), false);
});

Deno.test("verifySignature gives false for wrong lengths, keys, messages and signatures", async () => {
  const identity = await Identity.generate();
  const message = range(0, 40);
  const signature = await identity.sign(message);
  const key = identity.publicKey;
  const other = (await Identity.generate()).publicKey;
  const flipped = signature.slice();
  flipped[0]! ^= 1;
  const cases: [string, Uint8Array, Uint8Array, Uint8Array][] = [
    ["empty key", new Uint8Array(0), message, signature],
    ["short key", key.subarray(1), message, signature],
    ["long key", new Uint8Array([...key, 0]), message, signature],
    ["other key", other, message, signature],
    ["no point", new Uint8Array(32).fill(0xff), message, signature],
    ["other message", key, range(1, 40), signature],
    ["empty signature", key, message, new Uint8Array(0)],
    ["short signature", key, message, signature.subarray(1)],
    ["long signature", key, message, new Uint8Array([...signature, 0])],
    ["flipped bit", key, message, flipped],
    ["zeros", key, message, new Uint8Array(64)],
    ["ones", key, message, new Uint8Array(64).fill(0xff)],
  ];
  for (const [what, k, m, s] of cases) {
    assert.equal(await verifySignature(k, m, s), false, what);
  }
  assert.equal(await verifySignature(key, message, signature), true);
});

Deno.test("verifySignature refuses the second form of a signature (S + L)", async () => {
  const identity = await Identity.generate();
  const message = range(0, 40);
  const signature = await identity.sign(message);
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  let s = order;
  for (let i = 31; i >= 0; i--) s += BigInt(signature[32 + i]!) << BigInt(i * 8);
  const second = signature.slice();
  for (let i = 0; i < 32; i++) second[32 + i] = Number(s >> BigInt(i * 8) & 255n);
  assert.equal(
    await verifySignature(identity.publicKey, message, second),
    false,
  );
});

Deno.test("verifySignature refuses keys of small order, for which signatures prove nothing", async () => {
  const identityPoint = bytes("01" + "00".repeat(31));
  const forged = bytes("01" + "00".repeat(63));
  assert.equal(
    await verifySignature(identityPoint, range(0, 3), forged),
    false,
  );
  // Every multiple of a point of order 8, found by noble, in both signs.
  const torsion = ed25519.Point.fromHex(
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  );
  let point = torsion;
  for (let i = 0; i < 8; i++) {
    assert.equal(isUsablePublicKey(point.toBytes()), false);
    point = point.add(torsion);
  }
  assert.equal(isUsablePublicKey((await Identity.generate()).publicKey), true);
});

Deno.test("verifySignature takes copies before it waits", async () => {
  const identity = await Identity.generate();
  const message = range(0, 40);
  const signature = await identity.sign(message);
  const [m, s] = [message.slice(), signature.slice()];
  const verified = verifySignature(identity.publicKey.slice(), m, s);
  m.fill(0);
  s.fill(0);
  assert.equal(await verified, true);
});

Deno.test("verifySignature stays right when more keys are used than it keeps", async () => {
  const first = await Identity.generate();
  const message = range(0, 4);
  const signature = await first.sign(message);
  assert.equal(await verifySignature(first.publicKey, message, signature), true);
  const key = new Uint8Array(32);
  for (let i = 0; i < KEY_CACHE_ENTRIES + 10; i++) {
    key[0] = i;
    key[1] = 1 + (i >> 8);
    assert.equal(await verifySignature(key, message, signature), false);
  }
  assert.equal(await verifySignature(first.publicKey, message, signature), true);
});

Deno.test("verifySignature never throws on any bytes", async () => {
  const blob = fc.uint8Array({ maxLength: 70 });
  const exact = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(exact(32), blob),
      blob,
      fc.oneof(exact(64), blob),
      async (key, message, signature) => {
        assert.equal(await verifySignature(key, message, signature), false);
      },
    ),
  );
});

Deno.test("Identity.signAnew gives a new valid signature each time", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 200 }),
      async (seed, message) => {
        const identity = await Identity.fromSeed(seed);
        const [one, two] = [await identity.signAnew(message), await identity.signAnew(message)];
        assert.notDeepEqual(one, two);
        assert.notDeepEqual(
          one.subarray(0, 32),
          two.subarray(0, 32),
          "a nonce used twice gives the key away",
        );
        for (const signature of [one, two]) {
          assert.ok(await verifySignature(identity.publicKey, message, signature), "by WebCrypto");
          assert.ok(ed25519.verify(signature, message, identity.publicKey, { zip215: false }));
          const other = Uint8Array.from([...message, 1]);
          assert.ok(!await verifySignature(identity.publicKey, other, signature));
        }
      },
    ),
    { numRuns: 30 },
  );
});
