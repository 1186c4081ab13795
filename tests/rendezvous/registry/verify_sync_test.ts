import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity, verifySignature } from "../../../protocol/crypto/identity.ts";
import { verifies } from "../../../rendezvous/registry/verify_sync.ts";

/** The order of the group of Ed25519, little endian. */
const ORDER = Uint8Array.from(
  "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010".match(/../g)!,
  (byte) => parseInt(byte, 16),
);

Deno.test("verifies takes what a node signed and nothing else", async () => {
  const node = await Identity.generate();
  const message = new TextEncoder().encode("heartbeat:7");
  const signature = await node.sign(message);
  assert.equal(verifies(node.publicKey, message, signature), true);
  assert.equal(verifies((await Identity.generate()).publicKey, message, signature), false);
  assert.equal(verifies(node.publicKey, message.subarray(1), signature), false);
  assert.equal(verifies(node.publicKey, message, signature.subarray(1)), false);
  assert.equal(verifies(node.publicKey.subarray(1), message, signature), false);
  assert.equal(verifies(new Uint8Array(32), message, new Uint8Array(64)), false, "small order");
});

Deno.test("verifies refuses the second form of a signature, S plus the order of the group", async () => {
  const node = await Identity.generate();
  const message = new TextEncoder().encode("heartbeat:7");
  const signature = await node.sign(message);
  for (let i = 0, carry = 0; i < 32; i++) {
    carry += signature[32 + i]! + ORDER[i]!;
    signature[32 + i] = carry;
    carry >>= 8;
  }
  assert.equal(verifies(node.publicKey, message, signature), false);
});

Deno.test("verifies agrees with WebCrypto on any bytes", async () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  await fc.assert(
    fc.asyncProperty(bytes(32), fc.uint8Array(), bytes(64), async (key, message, signature) => {
      assert.equal(
        verifies(key, message, signature),
        await verifySignature(key, message, signature),
      );
    }),
  );
});
