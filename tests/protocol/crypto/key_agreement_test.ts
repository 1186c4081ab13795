import assert from "node:assert/strict";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { x25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { hkdfSha256, sha256Hex } from "../../../protocol/crypto/hkdf.ts";
import { KeyPair } from "../../../protocol/crypto/key_agreement.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { bytes, hex, range } from "../hex.ts";

// cspell:ignore grün

const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** All points of small order on Curve25519 and its twist, with their non-canonical encodings. */
const LOW_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "0100000000000000000000000000000000000000000000000000000000000080",
];

Deno.test("KeyPair agrees with noble for any pair of keys", async () => {
  await fc.assert(
    fc.asyncProperty(key32, key32, async (own, other) => {
      const pair = await KeyPair.fromPrivate(own);
      assert.equal(hex(pair.publicKey), hex(x25519.getPublicKey(own)));
      const peer = x25519.getPublicKey(other);
      const shared = x25519.getSharedSecret(own, peer);
      const info = (text: string) => new TextEncoder().encode(text);
      assert.equal(
        hex((await pair.deriveTunnelKey(peer))!),
        hex(hkdf(sha256, shared, undefined, info("pilot-tunnel-v1"), 32)),
      );
      assert.equal(
        hex((await pair.deriveSecureKey(peer))!),
        hex(hkdf(sha256, shared, undefined, info("pilot-secure-v1"), 32)),
      );
    }),
    { numRuns: 10 },
  );
});

Deno.test("KeyPair.generate makes pairs that agree and differ", async () => {
  const [a, b] = [await KeyPair.generate(), await KeyPair.generate()];
  assert.notDeepEqual(a.publicKey, b.publicKey);
  assert.deepEqual(
    await a.deriveTunnelKey(b.publicKey),
    await b.deriveTunnelKey(a.publicKey),
  );
});

Deno.test("deriveTunnelKey gives undefined for every point of low order", async () => {
  const pair = await KeyPair.generate();
  for (const point of LOW_ORDER) {
    assert.equal(await pair.deriveTunnelKey(bytes(point)), undefined, point);
    assert.equal(await pair.deriveSecureKey(bytes(point)), undefined, point);
  }
});

Deno.test("deriveTunnelKey gives undefined for a key of the wrong length", async () => {
  const pair = await KeyPair.generate();
  for (const length of [0, 31, 33, 64]) {
    assert.equal(await pair.deriveTunnelKey(range(9, length)), undefined);
  }
});

Deno.test("deriveTunnelKey takes a copy of the peer's key before it waits", async () => {
  const [a, b] = [await KeyPair.generate(), await KeyPair.generate()];
  const reused = b.publicKey.slice();
  const derived = a.deriveTunnelKey(reused);
  reused.fill(0);
  assert.deepEqual(await derived, await b.deriveTunnelKey(a.publicKey));
});

Deno.test("KeyPair.fromPrivate throws invalid_argument for a wrong length", async () => {
  await assert.rejects(
    KeyPair.fromPrivate(new Uint8Array(31)),
    (error) => error instanceof PilotError && error.code === "invalid_argument",
  );
});

Deno.test("hkdfSha256 and sha256Hex agree with noble", async () => {
  const secret = range(3, 40);
  assert.equal(
    hex(await hkdfSha256(secret, "label")),
    hex(hkdf(sha256, secret, undefined, new TextEncoder().encode("label"), 32)),
  );
  assert.equal(sha256Hex(secret), hex(sha256(secret)));
  assert.equal(
    sha256Hex("grün"),
    hex(sha256(new TextEncoder().encode("grün"))),
  );
});
