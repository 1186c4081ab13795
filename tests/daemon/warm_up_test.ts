/** The warm-up: it really plays contacts through, and leaves nothing (the sanitizers see to that). */

import assert from "node:assert/strict";
import { nodeAead } from "../../protocol/crypto/aead_node.ts";
import { wasmAead } from "../../protocol/crypto/aead_wasm.ts";
import { turnClock } from "../../platform/system_clock.ts";
import { DIALS, warmUp } from "../../daemon/warm_up.ts";

const random = (out: Uint8Array) => void crypto.getRandomValues(out as Uint8Array<ArrayBuffer>);

Deno.test("warmUp plays every contact through", async () => {
  assert.equal(await warmUp({ clock: turnClock, random, aead: nodeAead }), DIALS);
});

Deno.test("warmUp leaves no key behind wherever it ends", async () => {
  for (const limitMs of [0, 1, 3, 10, 30]) {
    const contacts = await warmUp({ clock: turnClock, random, aead: wasmAead, limitMs });
    assert.ok(contacts <= DIALS);
  }
});

Deno.test("warmUp ends quietly when the cipher does not work", async () => {
  const aead = () => {
    throw new Error("no cipher");
  };
  // Nothing is answered, so the first dial has to give up.
  assert.equal(await warmUp({ clock: turnClock, random, aead, limitMs: 200 }), 0);
});
