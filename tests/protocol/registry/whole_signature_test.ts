import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBase64 } from "../../../protocol/crypto/mod.ts";
import {
  CHALLENGE_BYTES,
  wholeAuthOf,
  wholeOfferOf,
  wholeRequestBytes,
} from "../../../protocol/registry/whole_signature.ts";
import { hex } from "../hex.ts";

const KEY = encodeBase64(new Uint8Array(32).fill(7));
const CHALLENGE = encodeBase64(new Uint8Array(CHALLENGE_BYTES).fill(9));

function hexOf(request: Record<string, unknown>, seq = 1, challenge = CHALLENGE, key = KEY) {
  const bytes = wholeRequestBytes(key, challenge, seq, request);
  assert.ok(bytes !== undefined);
  return hex(bytes);
}

Deno.test("wholeRequestBytes covers registry, challenge, count and each field, and is the same for any order of them", () => {
  const request = { type: "set_tags", node_id: 7, tags: ["a"], signature: "s" };
  const bytes = hexOf(request);
  assert.equal(hexOf({ tags: ["a"], signature: "s", node_id: 7, type: "set_tags" }), bytes);
  assert.equal(
    hexOf({ ...request, auth: { v: 1, sig: "x" } }),
    bytes,
    "the signature itself is not covered",
  );
  for (
    const other of [
      hexOf({ ...request, tags: ["b"] }),
      hexOf({ ...request, node_id: 8 }),
      hexOf({ ...request, type: "set_hostname" }),
      hexOf({ ...request, signature: "t" }),
      hexOf({ ...request, admin_token: "t" }),
      hexOf(request, 2),
      hexOf(request, 1, encodeBase64(new Uint8Array(CHALLENGE_BYTES))),
      hexOf(request, 1, CHALLENGE, encodeBase64(new Uint8Array(32))),
    ]
  ) assert.notEqual(other, bytes);
});

Deno.test("wholeRequestBytes has no bytes for a request nested too deep", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 20; i++) deep = [deep];
  assert.equal(wholeRequestBytes(KEY, CHALLENGE, 1, { deep }), undefined);
});

Deno.test("wholeAuthOf reads what is complete, and takes all else for a question", () => {
  const sig = encodeBase64(new Uint8Array(64));
  const auth = { v: 1, key: KEY, challenge: CHALLENGE, seq: 3, sig };
  assert.deepEqual(wholeAuthOf({ auth }), {
    ...{ key: KEY, challenge: CHALLENGE, seq: 3 },
    signature: new Uint8Array(64),
  });
  assert.equal(wholeAuthOf({ type: "lookup" }), undefined);
  for (
    const other of [
      ...[null, 1, "x", [], {}, { v: 1 }, { ...auth, v: 2 }],
      ...[{ ...auth, seq: 1.5 }, { ...auth, seq: "1" }, { ...auth, sig: "!" }, { ...auth, sig: 1 }],
    ]
  ) assert.equal(wholeAuthOf({ auth: other }), "hello", JSON.stringify(other));
});

Deno.test("wholeAuthOf and wholeOfferOf are total", () => {
  fc.assert(fc.property(fc.jsonValue(), (auth) => {
    const read = wholeAuthOf({ auth });
    assert.ok(read === "hello" || typeof read === "object");
    wholeOfferOf({ error: "x", auth });
  }));
});

Deno.test("wholeOfferOf reads a refusal only, with a key and a challenge of the right sizes", () => {
  const auth = { v: 1, key: KEY, challenge: CHALLENGE };
  assert.deepEqual(wholeOfferOf({ error: "x", auth }), { key: KEY, challenge: CHALLENGE });
  assert.equal(wholeOfferOf({ auth }), undefined);
  assert.equal(wholeOfferOf({ error: "x" }), undefined);
  assert.equal(wholeOfferOf({ error: "x", auth: { ...auth, v: 2 } }), undefined);
  assert.equal(wholeOfferOf({ error: "x", auth: { ...auth, key: "AAAA" } }), undefined);
  assert.equal(wholeOfferOf({ error: "x", auth: { ...auth, challenge: KEY } }), undefined);
});
