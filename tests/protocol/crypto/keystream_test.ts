import assert from "node:assert/strict";
import { BlockCipher, Keystream } from "../../../protocol/crypto/keystream.ts";
import { GhashMachine } from "../../../protocol/crypto/ghash.ts";
import { PilotError } from "../../../protocol/errors.ts";

const KEY = new Uint8Array(32).fill(9);
const BLOCKS = 5;

/** Counts what a packet costs. */
class CountingCipher extends BlockCipher {
  calls = 0;

  override encrypt(blocks: Uint8Array): Uint8Array {
    this.calls++;
    return super.encrypt(blocks);
  }
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12).fill(1, 0, 4);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter));
  return nonce;
}

/** Opens as a receiver does, and gives the packet's part. */
function receive(keystream: Keystream, counter: number, isAuthentic: boolean): Uint8Array {
  const nonce = nonceOf(counter);
  const at = keystream.find(nonce, BLOCKS);
  const part = at < 0 ? keystream.once(nonce, BLOCKS) : keystream.bytes.slice(at, at + BLOCKS * 16);
  if (isAuthentic) keystream.follow(nonce, BLOCKS, at >= 0);
  return part;
}

function withCipher(run: (cipher: CountingCipher, keystream: Keystream) => void): void {
  const cipher = new CountingCipher(KEY);
  try {
    run(cipher, new Keystream(cipher));
  } finally {
    cipher.destroy();
  }
}

Deno.test("Keystream computes a sequence in a call for eight packets", () => {
  withCipher((cipher, keystream) => {
    for (let counter = 1; counter <= 1000; counter++) receive(keystream, counter, true);
    assert.ok(cipher.calls <= 1000 / 8 + 8, `${cipher.calls} calls`);
  });
});

Deno.test("Keystream goes on in eights behind gaps, and late packets move nothing", () => {
  withCipher((cipher, keystream) => {
    for (let counter = 1; counter <= 100; counter++) receive(keystream, counter, true);
    cipher.calls = 0;
    for (let counter = 101; counter <= 900; counter++) {
      // One in 50 comes 40 later than it should.
      if (counter % 50 !== 0) receive(keystream, counter, true);
      if (counter % 50 === 40) receive(keystream, counter - 40, true);
    }
    assert.ok(cipher.calls <= 800 / 8 + 3 * 800 / 50, `${cipher.calls} calls`);
  });
});

Deno.test("Keystream moves for nobody but authentic packets, who forges pays for one call", () => {
  withCipher((_, keystream) => {
    for (let counter = 1; counter <= 100; counter++) receive(keystream, counter, true);
    const parts = Array.from({ length: 800 }, (_, i) => receive(keystream, 101 + i, true));
    withCipher((attacked, other) => {
      for (let counter = 1; counter <= 100; counter++) receive(other, counter, true);
      attacked.calls = 0;
      for (let i = 0; i < 800; i++) {
        for (const forged of [101 + i, 102 + i, 108 + i, 5000 + i]) receive(other, forged, false);
        assert.deepEqual(receive(other, 101 + i, true), parts[i]);
      }
      assert.ok(attacked.calls <= 4 * 800 + 800 / 8 + 8, `${attacked.calls} calls`);
    });
  });
});

Deno.test("Keystream takes a packet now and then for itself", () => {
  withCipher((cipher, keystream) => {
    for (let counter = 1; counter <= 100; counter++) receive(keystream, counter * 1000, true);
    // Alone, and the one that may come next.
    assert.ok(cipher.calls <= 200, `${cipher.calls} calls`);
    assert.equal(keystream.bytes.length, BLOCKS * 16);
  });
});

Deno.test("GhashMachine refuses a key stream that would leave text as it is", () => {
  const machine = new GhashMachine();
  machine.put(new Uint8Array(4), new Uint8Array(40));
  for (const bytes of [0, 16, 40, 64]) {
    assert.throws(
      () => machine.mask(new Uint8Array(bytes)),
      (error) => error instanceof PilotError && error.code === "internal",
    );
  }
  machine.mask(new Uint8Array(48));
});
