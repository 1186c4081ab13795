/**
 * Cost of sealing and opening a packet, by implementation.
 *
 * Run: deno bench -A tests/bench/aead_bench.ts
 */

import { loadLibcryptoAead } from "../../daemon/crypto/aead_libcrypto.ts";
import { AEAD_TAG_BYTES, type AeadFactory } from "../../protocol/crypto/aead.ts";
import { nobleAead } from "../../protocol/crypto/aead_noble.ts";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";

const HEADER_BYTES = 20;
const factories: Record<string, AeadFactory> = {
  libcrypto: loadLibcryptoAead().factory,
  node: nodeAead,
  noble: nobleAead,
};

for (const size of [64, 1152, 8192]) {
  for (const [name, factory] of Object.entries(factories)) {
    const aead = factory(new Uint8Array(32).fill(1));
    const frame = new Uint8Array(HEADER_BYTES + size + AEAD_TAG_BYTES);
    const sealed = frame.slice();
    const aad = frame.subarray(4, 8);
    const nonce = frame.subarray(8, HEADER_BYTES);
    aead.seal(nonce, aad, sealed, HEADER_BYTES, size);
    const baseline = name === "libcrypto";
    Deno.bench(`seal ${size} B, ${name}`, { group: `seal ${size}`, baseline }, () => {
      aead.seal(nonce, aad, frame, HEADER_BYTES, size);
    });
    Deno.bench(`copy and open ${size} B, ${name}`, { group: `open ${size}`, baseline }, () => {
      frame.set(sealed);
      if (!aead.open(nonce, aad, frame, HEADER_BYTES, size + AEAD_TAG_BYTES)) {
        throw new Error("refused");
      }
    });
  }
}
