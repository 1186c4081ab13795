import assert from "node:assert/strict";
import { PENDING_MAX } from "../../../protocol/trust/trust_peer.ts";
import { TrustState } from "../../../protocol/trust/state.ts";
import { range } from "../hex.ts";

const NOW = 1_700_000_000_000;
const context = { now: NOW, publicKey: range(1, 32) };

Deno.test("a request that came directly has the source that the registry names with its copy", () => {
  const state = new TrustState();
  const flood = (first: number) => {
    for (let node = first; node < first + 2 * PENDING_MAX; node++) {
      state.onRequest(node, { ...context, order: NOW });
    }
  };
  state.onRequest(1, { ...context, order: NOW });
  const copy = { ...context, order: NOW, source: "honest" };
  assert.deepEqual(state.onRequest(1, copy), { action: "ignore", reason: "stale" });
  flood(1000);
  assert.equal(state.pending().length, PENDING_MAX);
  assert.equal(state.pending()[0]!.nodeId, 1);
  assert.equal(state.pending()[0]!.source, "honest");
  // It is told once.
  state.onRequest(1, { ...copy, source: "another" });
  assert.equal(state.pending()[0]!.source, "honest");
});
