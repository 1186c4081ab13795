/**
 * Cost of sealing and opening a packet, by implementation.
 *
 * Run: deno bench -A tests/bench/aead_bench.ts
 */

import { loadLibcryptoAead } from "../../daemon/crypto/aead_libcrypto.ts";
import { AEAD_TAG_BYTES, type AeadFactory } from "../../protocol/crypto/aead.ts";
import { nobleAead } from "../../protocol/crypto/aead_noble.ts";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";
import { wasmAead } from "../../protocol/crypto/aead_wasm.ts";

const HEADER_BYTES = 20;
const factories: Record<string, AeadFactory> = {
  libcrypto: loadLibcryptoAead().factory,
  wasm: wasmAead,
  node: nodeAead,
  noble: nobleAead,
};

for (const size of [64, 1152, 8192]) {
  for (const [name, factory] of Object.entries(factories)) {
    const sender = factory(new Uint8Array(32).fill(1));
    const receiver = factory(new Uint8Array(32).fill(1));
    const frame = new Uint8Array(HEADER_BYTES + size + AEAD_TAG_BYTES);
    const aad = frame.subarray(4, 8);
    const nonce = frame.subarray(8, HEADER_BYTES);
    const baseline = name === "libcrypto";
    const counter = new DataView(frame.buffer, HEADER_BYTES - 4, 4);
    let sent = 0;
    // Nonces count up, as in a session: some forms work ahead.
    const seal = (): void => {
      counter.setUint32(0, ++sent);
      sender.seal(nonce, aad, frame, HEADER_BYTES, size);
    };
    Deno.bench(`seal ${size} B, ${name}`, { group: `seal ${size}`, baseline }, seal);
    Deno.bench(`seal and open ${size} B, ${name}`, { group: `open ${size}`, baseline }, () => {
      seal();
      if (!receiver.open(nonce, aad, frame, HEADER_BYTES, size + AEAD_TAG_BYTES)) {
        throw new Error("refused");
      }
    });
  }
}
