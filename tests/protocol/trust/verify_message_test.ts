import assert from "node:assert/strict";
import { decodeBase64, encodeBase64 } from "../../../protocol/crypto/base64.ts";
import { Identity, verifySignature } from "../../../protocol/crypto/identity.ts";
import {
  decodeHandshake,
  encodeHandshake,
  handshakeChallenge,
  handshakeContent,
  type HandshakeMessage,
} from "../../../protocol/trust/message.ts";
import {
  type HandshakeContext,
  signHandshake,
  verifyHandshake,
} from "../../../protocol/trust/verify_message.ts";
import { bytes, range } from "../hex.ts";

const NOW = 1_700_000_000;
const CONTEXT: HandshakeContext = { self: 7, now_s: NOW, remoteNode: 5 };
const alice = await Identity.fromSeed(range(0xa0, 32));
const mallory = await Identity.fromSeed(range(0x10, 32));

function request(
  change: Partial<Parameters<typeof signHandshake>[1]> = {},
): Promise<HandshakeMessage> {
  return signHandshake(alice, {
    type: "handshake_request",
    from: 5,
    to: 7,
    timestamp: NOW,
    justification: "please",
    ...change,
  });
}

async function reasonOf(
  message: HandshakeMessage,
  context: Partial<HandshakeContext> = {},
): Promise<string> {
  const verdict = await verifyHandshake(message, { ...CONTEXT, ...context });
  return verdict.ok ? "ok" : verdict.reason;
}

Deno.test("signHandshake signs what docs/protocol/trust.md §9 says, afresh each time, and sig2 over the whole content", async () => {
  const message = await request();
  const vector =
    "eRk5wUJL+3LSfsSq9OD/k053mnn+uZJXHqDRUcabxYSLjzaV9zuHN3MvkVtDkh4Eu0tFRl9zg2UDX98EEw51Bg==";
  for (const signature of [vector, message.signature]) {
    const bytes = decodeBase64(signature)!;
    assert.ok(await verifySignature(alice.publicKey, handshakeChallenge(5, 7), bytes));
  }
  assert.notEqual(message.signature, (await request()).signature);
  assert.equal(
    message.sig2,
    encodeBase64(await alice.sign(handshakeContent(message, 7))),
  );
});

Deno.test("verifyHandshake takes what signHandshake made, after a trip over the wire", async () => {
  const sent = await request({ justification: "lone \ud800 surrogate, é" });
  const message = decodeHandshake(encodeHandshake(sent)) as HandshakeMessage;
  assert.deepEqual(
    await verifyHandshake(message, {
      ...CONTEXT,
      registryKey: alice.publicKey,
      pinnedKey: alice.publicKey,
    }),
    { ok: true, publicKey: alice.publicKey, bound: true, full: true },
  );
});

Deno.test("verifyHandshake takes an old peer's message without sig2 and says so", async () => {
  const { sig2: _, ...old } = await request();
  assert.deepEqual(await verifyHandshake(old, CONTEXT), {
    ok: true,
    publicKey: alice.publicKey,
    bound: false,
    full: false,
  });
});

Deno.test("verifyHandshake judges the age to the second", async () => {
  const cases: [number, string][] = [
    [NOW - 301, "expired"],
    [NOW - 300, "ok"],
    [NOW + 30, "ok"],
    [NOW + 31, "from_the_future"],
    [0, "expired"],
    [Number.MAX_SAFE_INTEGER, "from_the_future"],
  ];
  for (const [timestamp, expected] of cases) {
    assert.equal(await reasonOf(await request({ timestamp })), expected);
  }
});

Deno.test("verifyHandshake refuses a sender that is not the remote end, or is ourselves", async () => {
  const message = await request();
  assert.equal(await reasonOf(message, { remoteNode: 6 }), "wrong_sender");
  const own = await request({ from: 7 });
  assert.equal(await reasonOf(own, { remoteNode: 7 }), "wrong_sender");
});

Deno.test("verifyHandshake always requires a usable key", async () => {
  const message = await request();
  const smallOrder = encodeBase64(bytes("01" + "00".repeat(31)));
  for (const publicKey of ["", "rubbish", "aGVsbG8=", smallOrder]) {
    assert.equal(await reasonOf({ ...message, publicKey }), "no_key");
  }
});

Deno.test("verifyHandshake refuses another key than the registry's or the pinned one", async () => {
  const message = await request();
  const other = mallory.publicKey;
  assert.equal(await reasonOf(message, { registryKey: other }), "key_mismatch");
  assert.equal(await reasonOf(message, { pinnedKey: other }), "key_changed");
  // The registry vouching for the new key does not unpin the old one.
  assert.equal(
    await reasonOf(message, { pinnedKey: other, registryKey: alice.publicKey }),
    "key_changed",
  );
  assert.equal(
    await reasonOf(message, { pinnedKey: other, registryKey: other }),
    "key_changed",
  );
  const short = new Uint8Array(5);
  assert.equal(await reasonOf(message, { registryKey: short }), "key_mismatch");
});

Deno.test("verifyHandshake refuses a wrong or missing signature", async () => {
  const message = await request();
  const forged = encodeBase64(
    await mallory.sign(new TextEncoder().encode("handshake:5:7")),
  );
  for (const signature of ["", "rubbish", "aGVsbG8=", forged]) {
    assert.equal(await reasonOf({ ...message, signature }), "bad_signature");
  }
  const toAnother = await request({ to: 8 });
  assert.equal(await reasonOf(toAnother), "bad_signature");
});

Deno.test("verifyHandshake refuses content that sig2 does not cover", async () => {
  const message = await request();
  const changes: Partial<HandshakeMessage>[] = [
    { type: "handshake_revoke" },
    { timestamp: NOW + 1 },
    { justification: "pretty please" },
    { reason: "because" },
    { sig2: "" },
    { sig2: "rubbish" },
    { sig2: message.signature },
  ];
  for (const change of changes) {
    assert.equal(
      await reasonOf({ ...message, ...change }),
      "bad_content_signature",
    );
  }
});
