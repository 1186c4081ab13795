import assert from "node:assert/strict";
import { loadLibcryptoAead } from "../../../daemon/crypto/aead_libcrypto.ts";
import { chooseAead } from "../../../daemon/crypto/choose.ts";
import type { AeadKind } from "../../../platform/settings/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { testAead } from "../../protocol/crypto/aead_suite.ts";

const KEY = new Uint8Array(32).fill(7);
const NONCE = new Uint8Array(12);

function load(): ReturnType<typeof loadLibcryptoAead> | undefined {
  try {
    return loadLibcryptoAead();
  } catch {
    return undefined; // A machine without the library; the other implementations serve there.
  }
}

const shared = load();
const ignore = shared === undefined;
if (shared !== undefined) {
  testAead("libcrypto", shared.factory);
  globalThis.addEventListener("unload", () => shared.close());
}

Deno.test({
  name: "libcrypto keeps keys apart when many are in use and some are destroyed",
  ignore,
  fn() {
    const { factory, close } = loadLibcryptoAead();
    const keys = Array.from({ length: 50 }, (_, i) => new Uint8Array(32).fill(i));
    const aeads = keys.map((key) => factory(key));
    const sealed = aeads.map((aead, i) => {
      const buf = new Uint8Array(100).fill(i, 0, 84);
      aead.seal(NONCE, KEY, buf, 0, 84);
      return buf;
    });
    for (let i = 0; i < aeads.length; i += 2) aeads[i]!.destroy();
    for (let i = 1; i < aeads.length; i += 2) {
      assert.equal(aeads[i]!.open(NONCE, KEY, sealed[i - 1]!.slice(), 0, 100), false);
      assert.equal(aeads[i]!.open(NONCE, KEY, sealed[i]!, 0, 100), true);
      assert.deepEqual(sealed[i]!.slice(0, 84), new Uint8Array(84).fill(i));
    }
    close();
  },
});

Deno.test({
  name: "libcrypto throws invalid_state instead of crashing once it is unloaded",
  ignore,
  fn() {
    const { factory, close } = loadLibcryptoAead();
    const aead = factory(KEY);
    close();
    close();
    const isUnloaded = (error: unknown) =>
      error instanceof PilotError && error.code === "invalid_state";
    const buf = new Uint8Array(64);
    assert.throws(() => aead.seal(NONCE, KEY, buf, 0, 8), isUnloaded);
    assert.throws(() => aead.open(NONCE, KEY, buf, 0, 24), isUnloaded);
    assert.throws(() => factory(KEY), isUnloaded);
    aead.destroy();
  },
});

Deno.test({
  name: "libcrypto refuses a buffer that was transferred away",
  ignore,
  fn() {
    const { factory, close } = loadLibcryptoAead();
    const aead = factory(KEY);
    const buf = new Uint8Array(64);
    aead.seal(NONCE, KEY, buf, 0, 8);
    const moved = buf.buffer.transfer();
    assert.throws(() => aead.seal(NONCE, KEY, buf, 0, 8), PilotError);
    assert.throws(() => aead.open(NONCE, KEY, buf, 0, 24), PilotError);
    assert.equal(aead.open(NONCE, KEY, new Uint8Array(moved), 0, 24), true);
    aead.destroy();
    close();
  },
});

Deno.test({
  name: "libcrypto refuses a nonce that was transferred away",
  ignore,
  fn() {
    const { factory, close } = loadLibcryptoAead();
    const aead = factory(KEY);
    const buf = new Uint8Array(64);
    const nonce = new Uint8Array(12);
    aead.seal(nonce, KEY, buf, 0, 8);
    nonce.buffer.transfer();
    assert.throws(() => aead.seal(nonce, KEY, buf, 0, 8), PilotError);
    aead.destroy();
    close();
  },
});

for (
  const [kind, name] of [["wasm", "WebAssembly"], ["node", "node:crypto"], [
    "noble",
    "@noble/ciphers",
  ]]
) {
  Deno.test(`chooseAead takes ${kind} when asked for`, () => {
    const chosen = chooseAead(kind as AeadKind);
    assert.equal(chosen.name, name);
    chosen.factory(KEY).destroy();
    chosen.close();
  });
}

Deno.test("chooseAead auto takes libcrypto where it loads, and never the slowest", () => {
  const chosen = chooseAead();
  assert.equal(chosen.name, ignore ? "WebAssembly" : "libcrypto");
  chosen.close();
});

Deno.test({
  name:
    "chooseAead throws unavailable for libcrypto when FFI is not permitted, and auto does without",
  permissions: { ffi: false },
  fn() {
    assert.throws(
      () => chooseAead("libcrypto"),
      (error) => error instanceof PilotError && error.code === "unavailable",
    );
    const chosen = chooseAead("auto");
    assert.equal(chosen.name, "WebAssembly");
    chosen.close();
  },
});
