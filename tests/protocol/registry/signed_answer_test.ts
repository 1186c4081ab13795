import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase64, encodeBase64, Identity } from "../../../protocol/crypto/mod.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { MAX_SIGNED_DEPTH } from "../../../protocol/canonical.ts";
import {
  answerProblem,
  SIGN_NONCE_BYTES,
  signedAnswerBytes,
  wantsSignature,
} from "../../../protocol/registry/signed_answer.ts";

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);
const NONCE = encodeBase64(Uint8Array.from({ length: SIGN_NONCE_BYTES }, (_, i) => i));
const REQUEST: JsonObject = { type: "lookup", node_id: 42, sign: NONCE };
const REPLY: JsonObject = {
  type: "lookup_ok",
  node_id: 42,
  address: "0:0000.0000.002A",
  networks: [0, 3],
  public_key: "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
  public: false,
  hostname: "ä",
  tags: null,
};
const TIME = 1_700_000_000;
/** Computed with another implementation (Python, `cryptography`). */
const SIGNATURE =
  "U3184ql9K2ek0n4iaVe8oHzIbfRvkBFVdffw1wsJr3UT8V9wRI3291nzlQ98rUIlH/Jk2tMh/OR/cUEDCU5vBw==";

/** What arrives when a message was sent as JSON. */
function received(message: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(message));
}

async function signedBy(
  identity: Identity,
  request: JsonObject,
  reply: JsonObject,
): Promise<JsonObject> {
  const bytes = signedAnswerBytes(request, reply, TIME);
  assert.ok(bytes !== undefined);
  const signature = encodeBase64(await identity.sign(bytes));
  return { ...reply, signed: { key: identity.publicKeyBase64, time: TIME, signature } };
}

Deno.test("signedAnswerBytes gives the signature that another implementation computes", async () => {
  const identity = await Identity.fromSeed(SEED);
  const bytes = signedAnswerBytes(REQUEST, REPLY, TIME);
  assert.equal(bytes?.length, 341);
  assert.equal(encodeBase64(await identity.sign(bytes)), SIGNATURE);
  const signed = { key: identity.publicKeyBase64, time: TIME, signature: SIGNATURE };
  const problem = await answerProblem(identity.publicKey, REQUEST, { ...REPLY, signed });
  assert.equal(problem, undefined);
});

Deno.test("signedAnswerBytes does not depend on the order of fields or on absent ones", () => {
  const turned = Object.fromEntries(Object.entries(REPLY).reverse());
  const expected = signedAnswerBytes(REQUEST, REPLY, TIME);
  assert.deepEqual(signedAnswerBytes(REQUEST, turned, TIME), expected);
  assert.deepEqual(
    signedAnswerBytes({ ...REQUEST, x: undefined }, { ...REPLY, signed: { x: 1 } }, TIME),
    expected,
  );
});

Deno.test("signedAnswerBytes is the same before and after JSON, for any messages", () => {
  const message = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }));
  fc.assert(fc.property(message, message, (request, reply) => {
    const sent = signedAnswerBytes(request as JsonObject, reply as JsonObject, TIME);
    const arrived = signedAnswerBytes(
      received(request as JsonObject),
      received(reply as JsonObject),
      TIME,
    );
    assert.ok(sent !== undefined);
    assert.deepEqual(arrived, sent);
  }));
});

Deno.test("signedAnswerBytes differs for messages that differ", () => {
  const message = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));
  const canonical = (value: unknown): string =>
    JSON.stringify(
      value,
      (_, inner) =>
        typeof inner === "object" && inner !== null && !Array.isArray(inner)
          ? Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1)
          : inner,
    );
  fc.assert(fc.property(message, message, (a, b) => {
    const bytes = (reply: unknown) =>
      String(signedAnswerBytes(REQUEST, received(reply as JsonObject), TIME));
    const strip = (reply: JsonObject) => {
      const { signed: _, ...rest } = received(reply);
      return canonical(rest);
    };
    const isSame = strip(a as JsonObject) === strip(b as JsonObject);
    assert.equal(bytes(a) === bytes(b), isSame);
  }));
});

Deno.test("answerProblem refuses any change of what was asked or answered", async () => {
  const identity = await Identity.generate();
  const { publicKey } = identity;
  const reply = received(await signedBy(identity, REQUEST, REPLY));
  assert.equal(await answerProblem(publicKey, REQUEST, reply), undefined);
  const verify = "its signature does not verify";
  for (
    const changed of [
      { ...reply, node_id: 43 },
      { ...reply, public_key: encodeBase64(publicKey) },
      { ...reply, public: true },
      { ...reply, networks: [0, 4] },
      { ...reply, real_addr: "192.0.2.1:1" },
      { ...reply, type: "error" },
      { ...reply, hostname: undefined },
      { ...reply, signed: { ...reply["signed"] as JsonObject, time: TIME + 1 } },
    ]
  ) {
    assert.equal(await answerProblem(publicKey, REQUEST, received(changed)), verify);
  }
  assert.equal(await answerProblem(publicKey, { ...REQUEST, node_id: 7 }, reply), verify);
  const other = encodeBase64(new Uint8Array(SIGN_NONCE_BYTES));
  assert.equal(await answerProblem(publicKey, { ...REQUEST, sign: other }, reply), verify);
});

Deno.test("answerProblem refuses answers without a signature, with another key's, and invalid ones", async () => {
  const [identity, stranger] = [await Identity.generate(), await Identity.generate()];
  const problem = (reply: JsonObject) => answerProblem(identity.publicKey, REQUEST, reply);
  assert.equal(await problem(REPLY), "it is not signed");
  assert.equal(
    await problem(await signedBy(stranger, REQUEST, REPLY)),
    "it is signed with another key than the pinned one",
  );
  const own = await signedBy(stranger, REQUEST, REPLY);
  const claimed = { ...own["signed"] as JsonObject, key: identity.publicKeyBase64 };
  assert.equal(await problem({ ...REPLY, signed: claimed }), "its signature does not verify");
  await fc.assert(fc.asyncProperty(fc.jsonValue(), async (signed) => {
    assert.notEqual(await problem({ ...REPLY, signed }), undefined);
  }));
  await fc.assert(fc.asyncProperty(
    fc.record({
      key: fc.constant(identity.publicKeyBase64),
      time: fc.oneof(fc.double(), fc.string()),
      signature: fc.oneof(fc.base64String(), fc.uint8Array().map(encodeBase64)),
    }),
    async (signed) => {
      assert.notEqual(await problem({ ...REPLY, signed }), undefined);
    },
  ));
});

Deno.test("answerProblem stands deep and long answers", async () => {
  const { publicKey, publicKeyBase64 } = await Identity.generate();
  const signature = encodeBase64(new Uint8Array(64));
  const signed = { key: publicKeyBase64, time: 1, signature };
  const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));
  const problem = (x: unknown) => answerProblem(publicKey, REQUEST, { x, signed });
  assert.equal(await problem(deep), "it is nested too deep");
  let allowed: unknown = 1;
  for (let level = 1; level < MAX_SIGNED_DEPTH; level++) allowed = [allowed];
  assert.equal(await problem(allowed), "its signature does not verify");
  assert.equal(await problem([allowed]), "it is nested too deep");
  assert.equal(await problem(Array(1_000_000).fill(null)), "its signature does not verify");
});

Deno.test("wantsSignature wants a nonce and a request that is signed", () => {
  assert.ok(wantsSignature(REQUEST));
  assert.equal(decodeBase64(NONCE)?.length, SIGN_NONCE_BYTES);
  for (
    const request of [
      { ...REQUEST, sign: undefined },
      { ...REQUEST, sign: "" },
      { ...REQUEST, sign: 5 },
      { ...REQUEST, sign: NONCE.slice(1) },
      { ...REQUEST, sign: encodeBase64(new Uint8Array(15)) },
      { ...REQUEST, sign: encodeBase64(new Uint8Array(17)) },
      { ...REQUEST, type: "heartbeat" },
      { ...REQUEST, type: 7 },
      {},
    ]
  ) assert.equal(wantsSignature(request), false, JSON.stringify(request));
});
