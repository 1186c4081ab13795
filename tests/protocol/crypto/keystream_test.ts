import assert from "node:assert/strict";
import { BlockCipher, Keystream } from "../../../protocol/crypto/keystream.ts";
import { GhashMachine, type GhashTables, ghashTables } from "../../../protocol/crypto/ghash.ts";
import { PilotError } from "../../../protocol/errors.ts";

const KEY = new Uint8Array(32).fill(9);
const BLOCKS = 5;

/** Counts what a packet costs. */
class CountingCipher extends BlockCipher {
  calls = 0;
  bytes = 0;
  /** Throws instead. */
  isFailing = false;

  override encrypt(blocks: Uint8Array): Uint8Array {
    this.calls++;
    this.bytes += blocks.length;
    if (this.isFailing) throw new RangeError("Array buffer allocation failed");
    return super.encrypt(blocks);
  }
}

function nonceOf(counter: number | bigint): Uint8Array {
  const nonce = new Uint8Array(12).fill(1, 0, 4);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter));
  return nonce;
}

/** Opens as a receiver does, and gives the packet's part. */
function receive(
  keystream: Keystream,
  counter: number | bigint,
  isAuthentic: boolean,
  blocks: number = BLOCKS,
): Uint8Array {
  const nonce = nonceOf(counter);
  const at = keystream.find(nonce, blocks);
  const part = at < 0 ? keystream.once(nonce, blocks) : keystream.bytes.slice(at, at + blocks * 16);
  if (isAuthentic) keystream.follow(nonce, blocks, at >= 0);
  return part;
}

/** Takes the part of a packet to seal. */
function send(keystream: Keystream, counter: number, blocks: number = BLOCKS): Uint8Array {
  const at = keystream.take(nonceOf(counter), blocks);
  return keystream.bytes.slice(at, at + blocks * 16);
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

Deno.test("Keystream continues in eights behind gaps, and late packets move nothing", () => {
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

/** Blocks of the largest datagram. */
const LARGEST = 1 + 65_536 / 16;

Deno.test("Keystream computes no more for the packets of a peer because of forged ones", () => {
  const costs = [false, true].map((isAttacked) => {
    let spent = 0;
    withCipher((cipher, keystream) => {
      for (let counter = 1; counter <= 1000; counter++) {
        if (isAttacked) receive(keystream, counter + 3, false, LARGEST);
        const before = cipher.bytes;
        receive(keystream, counter, true);
        spent += cipher.bytes - before;
      }
    });
    return spent;
  });
  assert.equal(costs[1], costs[0]);
});

Deno.test("Keystream computes a few times what was received at most, whatever the lengths, and keeps little", () => {
  const patterns: [string, (i: number) => { blocks: number; step: number }][] = [
    ["one large one, then small ones", (i) => ({ blocks: i === 50 ? LARGEST : 2, step: 1 })],
    ["a large one among seven", (i) => ({ blocks: i % 8 === 0 ? LARGEST : 2, step: 1 })],
    ["large and small in turn", (i) => ({ blocks: i % 2 === 0 ? LARGEST : 2, step: 1 })],
    ["longer and longer", (i) => ({ blocks: 1 + i * 2, step: 1 })],
    ["medium ones in leaps", (i) => ({ blocks: 90, step: i < 50 ? 1 : 20 })],
    ["large ones, some missing", (i) => ({ blocks: 2000, step: i % 3 === 0 ? 2 : 1 })],
  ];
  for (const [name, pattern] of patterns) {
    withCipher((cipher, keystream) => {
      let received = 0;
      let counter = 0;
      for (let i = 0; i < 2000; i++) {
        const { blocks, step } = pattern(i);
        received += blocks * 16;
        receive(keystream, counter += step, true, blocks);
        assert.ok(keystream.bytes.length <= 24_576, `${name}: keeps ${keystream.bytes.length}`);
      }
      // The packet itself, and as much ahead.
      assert.ok(cipher.bytes <= 2.5 * received, `${name}: ${cipher.bytes} of ${received}`);
      for (let i = 0; i < 100; i++) receive(keystream, ++counter, true, 2);
      assert.ok(keystream.bytes.length <= 16 * 16, `${name}: keeps ${keystream.bytes.length}`);
    });
  }
});

Deno.test("Keystream gives every nonce its own, however long the packets and wherever they are", () => {
  withCipher((cipher, keystream) => {
    withCipher((_, reference) => {
      const parts = new Set<string>();
      const start = 2n ** 32n - 20n;
      for (let i = 0n; i < 60n; i++) {
        const blocks = 2 + Number(i * 7n % 5n);
        const part = receive(keystream, start + i, true, blocks);
        assert.deepEqual(part, reference.once(nonceOf(start + i), blocks));
        for (let at = 0; at < part.length; at += 16) parts.add(part.slice(at, at + 16).toHex());
      }
      assert.equal(
        parts.size,
        Array.from({ length: 60 }, (_, i) => 2 + i * 7 % 5).reduce((a, b) => a + b),
      );
    });
    assert.ok(cipher.calls < 40, `in step across 2^32: ${cipher.calls} calls`);
  });
});

Deno.test("Keystream never gives a part that was not computed when the cipher fails", () => {
  withCipher((cipher, keystream) => {
    withCipher((_, reference) => {
      let counter = 1;
      for (; counter <= 20; counter++) send(keystream, counter);
      for (; counter <= 40; counter++) {
        cipher.isFailing = true;
        // Until a part is needed that is not there yet.
        for (let isThere = true; isThere; counter++) {
          try {
            const part = send(keystream, counter);
            assert.deepEqual(part, reference.once(nonceOf(counter), BLOCKS));
          } catch (error) {
            assert.ok(error instanceof RangeError);
            isThere = false;
          }
        }
        cipher.isFailing = false;
        const next = [counter - 1, counter, counter + 1, counter + 8];
        for (const again of next) assert.equal(keystream.find(nonceOf(again), BLOCKS), -1);
        for (const again of next) {
          assert.deepEqual(send(keystream, again), reference.once(nonceOf(again), BLOCKS));
        }
      }
      cipher.isFailing = true;
      assert.throws(() => keystream.follow(nonceOf(counter + 8), BLOCKS, false), RangeError);
      for (let i = -2; i < 100; i++) assert.equal(keystream.find(nonceOf(counter + i), BLOCKS), -1);
    });
  });
});

Deno.test("Keystream wipes what it gives up", () => {
  withCipher((_, keystream) => {
    const given: Uint8Array[] = [];
    for (let counter = 1; counter <= 100; counter++) {
      receive(keystream, counter, true);
      if (keystream.bytes !== given.at(-1)) given.push(keystream.bytes);
    }
    keystream.wipe();
    assert.ok(given.length > 10);
    for (const bytes of given) assert.ok(bytes.every((byte) => byte === 0));
    assert.equal(keystream.find(nonceOf(101), BLOCKS), -1);
  });
});

Deno.test("BlockCipher gives nothing any more once it is destroyed", () => {
  const cipher = new BlockCipher(KEY);
  cipher.encrypt(new Uint8Array(32));
  cipher.destroy();
  cipher.destroy();
  assert.throws(
    () => cipher.encrypt(new Uint8Array(16)),
    (error) => error instanceof PilotError && error.code === "invalid_state",
  );
});

Deno.test("GhashMachine keeps nothing of a key that is forgotten, though others were used since", () => {
  const { Instance } = WebAssembly;
  let memory = new Uint8Array(0);
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module) {
      super(module);
      memory = new Uint8Array((this.exports["memory"] as WebAssembly.Memory).buffer as ArrayBuffer);
    }
  };
  let machine: GhashMachine;
  try {
    machine = new GhashMachine();
  } finally {
    WebAssembly.Instance = Instance;
  }
  const isClean = () => memory.every((byte) => byte === 0);
  const [a, b] = [1, 2].map((byte) => ghashTables(new Uint8Array(16).fill(byte)));
  for (const isLast of [true, false]) {
    machine.put(new Uint8Array(4).fill(5), new Uint8Array(1000).fill(6));
    machine.mask(new Uint8Array(1008).fill(7));
    machine.hash(a!);
    if (!isLast) {
      machine.put(new Uint8Array(0), new Uint8Array(0));
      machine.hash(b!);
    }
    assert.ok(!isClean());
    machine.forget(a!.slice());
    assert.ok(isClean());
  }
  const of = (tables: GhashTables) => {
    machine.put(new Uint8Array(0), new Uint8Array(16).fill(1));
    return machine.hash(tables).slice();
  };
  const hash = of(b!);
  machine.forget(a!);
  assert.ok(a!.every((byte) => byte === 0));
  assert.deepEqual(of(b!), hash);
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
