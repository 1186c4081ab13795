/**
 * Who may do what, and what becomes of a request whose node changes while it is checked (docs/protocol/registry.md §2).
 */

import assert from "node:assert/strict";
import { encodeBase64, Identity } from "../../../protocol/crypto/mod.ts";
import { challenges, type JsonObject } from "../../../protocol/registry/registry_message.ts";
import { wholeRequestBytes } from "../../../protocol/registry/whole_signature.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import {
  authenticate,
  checkNodeSignature,
  checkSignature,
  isAdmin,
  isAdminOf,
  isSigned,
  mayJoinByToken,
  signatureField,
} from "../../../rendezvous/registry/authenticate.ts";
import { ConnectionAuth } from "../../../rendezvous/registry/connection_auth.ts";
import { attachContext } from "../../../rendezvous/registry/context.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";
import type { Peer } from "../../../rendezvous/registry/handler.ts";
import { hashToken } from "../../../rendezvous/registry/networks/tokens.ts";
import type { NodeRecord } from "../../../rendezvous/registry/node_entry.ts";
import { WRONG_TOKENS_BURST } from "../../../rendezvous/registry/registry_limits.ts";
import { AnswerSigner } from "../../../rendezvous/registry/signing.ts";
import { fakeKey, newCore } from "./networks/core_support.ts";
import { ADMIN } from "./networks/support.ts";

const CHALLENGE = challenges.setTags(1);
const BAD_SIGNATURE = { name: "RegistryFailure", message: "signature verification failed" };
const NOT_FOUND = { name: "RegistryFailure", message: /not found/ };

function peer(): Peer {
  const auth = new ConnectionAuth();
  return { ip: "192.0.2.1", key: "192.0.2.1", port: 1, loopback: false, auth };
}

/** A registry with one node whose key is known, and a request that it has signed. */
async function setup(signer?: AnswerSigner) {
  const core = newCore({ signer });
  const identity = await Identity.generate();
  const node = await core.change(() => core.nodes.create(identity.publicKeyBase64));
  const request: JsonObject = {
    type: "set_tags",
    node_id: node.id,
    tags: [],
    signature: encodeBase64(await identity.sign(CHALLENGE)),
  };
  const from = peer();
  attachContext(core, request, from);
  return { core, node, identity, request, from };
}

/** Applies a change in the turn in which a request is being checked. */
async function meanwhile(
  core: RegistryCore,
  asked: Promise<unknown>,
  apply: () => void,
): Promise<unknown> {
  const [{ reason, value }] = await Promise.all([
    asked.then((value) => ({ value, reason: undefined }), (reason) => ({ reason, value: true })),
    core.change(apply),
  ]);
  if (reason !== undefined) throw reason;
  return value;
}

Deno.test("a signed request of a live node is its own, and its connection is known to speak for it", async () => {
  const { core, node, request, from } = await setup();
  assert.equal(await authenticate(core, node.id, request, CHALLENGE), node);
  assert.deepEqual([...from.auth.nodes], [node.id]);
  await core.close();
});

Deno.test("a request is refused that is not signed, or by another, or of a node that is not there", async () => {
  const { core, node, request } = await setup();
  const ask = (change: object, id = node.id) =>
    authenticate(core, id, { ...request, ...change } as JsonObject, CHALLENGE);
  const stranger = await Identity.generate();
  const forged = encodeBase64(await stranger.sign(CHALLENGE));
  await assert.rejects(ask({ signature: forged }), BAD_SIGNATURE);
  await assert.rejects(ask({ signature: "" }), /signature required/);
  await assert.rejects(ask({}, 99), NOT_FOUND);
  await core.change(() => core.leave(node));
  await assert.rejects(ask({ signature: "" }), NOT_FOUND, "whoever it is that asks");
  await core.close();
});

Deno.test("the admin's token stands in for a signature where that is allowed, and nowhere else", async () => {
  const { core, node } = await setup();
  const ask = (admin_token: string, options?: { admin?: boolean }) =>
    authenticate(core, node.id, { admin_token }, CHALLENGE, options);
  assert.equal(await ask(ADMIN, { admin: true }), node);
  await assert.rejects(ask("guess", { admin: true }), /signature required/);
  for (const options of [undefined, {}, { admin: false }]) {
    await assert.rejects(ask(ADMIN, options), /signature required/);
  }
  await core.close();
});

Deno.test("what only a signature over the whole request may do, less does not, nor another's", async () => {
  const signer = await AnswerSigner.load(undefined);
  const { core, node, identity, request, from } = await setup(signer);
  const whole = { whole: "it gives much away" };
  await assert.rejects(
    authenticate(core, node.id, request, CHALLENGE, whole),
    { name: "WholeSignatureRequired", message: /it gives much away/ },
  );
  const challenge = from.auth.challenge(core.clock.monotonicMs());
  const signed = async (by: Identity, seq: number) => {
    const asked: JsonObject = { type: "set_tags", node_id: node.id, tags: [] };
    const sig = encodeBase64(
      await by.sign(wholeRequestBytes(signer.publicKey, challenge, seq, asked)!),
    );
    const full: JsonObject = {
      ...asked,
      auth: { v: 1, key: by.publicKeyBase64, challenge, seq, sig },
    };
    attachContext(core, full, from);
    return full;
  };
  const good = await signed(identity, 1);
  assert.equal(isSigned(good), true);
  assert.equal(signatureField(good).signature.length, 0, "the whole is signed, not a challenge");
  assert.equal(await authenticate(core, node.id, good, CHALLENGE, whole), node);
  assert.equal(node.held, true);
  const other = await signed(await Identity.generate(), 2);
  await assert.rejects(authenticate(core, node.id, other, CHALLENGE, whole), BAD_SIGNATURE);
  await core.close();
});

Deno.test("a request is refused when the node's key is rotated in the turn in which it is checked", async () => {
  const { core, node, request, from } = await setup();
  const asked = authenticate(core, node.id, request, CHALLENGE);
  const rotated = meanwhile(core, asked, () => core.nodes.setKey(node, fakeKey(2)));
  await assert.rejects(rotated, BAD_SIGNATURE);
  assert.deepEqual([...from.auth.nodes], [], "the connection speaks for nobody");
  await core.close();
});

Deno.test("a request is refused when the node leaves in the turn in which it is checked", async () => {
  const { core, node, request, from } = await setup();
  const leave = () => core.leave(node);
  await assert.rejects(
    meanwhile(core, authenticate(core, node.id, request, CHALLENGE), leave),
    NOT_FOUND,
  );
  assert.deepEqual([...from.auth.nodes], []);
  await core.change(() => core.nodes.revive(node));
  // As the binary forms and the requests of networks are checked.
  const proof = signatureField(request);
  await assert.rejects(
    meanwhile(core, checkNodeSignature(core, node, CHALLENGE, proof), leave),
    NOT_FOUND,
  );
  await core.close();
});

Deno.test("a node that goes silent or leaves meanwhile is not found, the admin's word or not", async () => {
  const { core, node, request } = await setup();
  const silent = () => void (core.nodes.edit(node).state = "silent");
  const ask = (options: { admin?: boolean; silent?: boolean } = {}) =>
    authenticate(core, node.id, { ...request, admin_token: ADMIN }, CHALLENGE, options);
  await assert.rejects(meanwhile(core, ask(), silent), NOT_FOUND);
  await core.change(() => core.nodes.revive(node));
  assert.equal(await meanwhile(core, ask({ silent: true }), silent), node);
  assert.equal(await ask({ silent: true }), node);
  await assert.rejects(ask(), NOT_FOUND);
  await core.change(() => core.nodes.revive(node));
  const leave = () => core.leave(node);
  await assert.rejects(meanwhile(core, ask({ admin: true, silent: true }), leave), NOT_FOUND);
  await assert.rejects(ask({ admin: true, silent: true }), NOT_FOUND);
  await core.close();
});

/** Two requests of one turn, the first of which waits for the commit of where it came from; the node is as it was. */
async function twoRequests(
  second: (ids: { node: NodeRecord; identity: Identity }) => Promise<JsonObject>,
) {
  const { core, node, identity, request, from } = await setup();
  await core.change(() => void (core.nodes.edit(node).realAddr = "198.51.100.7:1"));
  const place = { realAddr: "192.0.2.1:4000", lanAddrs: [], relayOnly: false };
  node.pending = new Map([["192.0.2.1", place]]);
  const other = await second({ node, identity });
  const answers = await Promise.all([
    answerJson(core, { ...request, tags: ["late"] }, from),
    answerJson(core, other, peer()),
  ]) as JsonObject[];
  await core.close();
  return { node, from, types: answers.map((answer) => answer["type"]) };
}

Deno.test("two requests of one turn: the node that deregisters by one does nothing by the other", async () => {
  const { node, from, types } = await twoRequests(async ({ node, identity }) => ({
    type: "deregister",
    node_id: node.id,
    signature: encodeBase64(await identity.sign(challenges.deregister(node.id))),
  }));
  assert.deepEqual(types, ["error", "deregister_ok"]);
  assert.deepEqual([node.state, node.tags, [...from.auth.nodes]], ["left", [], []]);
});

Deno.test("two requests of one turn: the key that is rotated away by one does nothing by the other", async () => {
  const next = await Identity.generate();
  const { node, from, types } = await twoRequests(async ({ node, identity }) => ({
    type: "rotate_key",
    node_id: node.id,
    new_public_key: next.publicKeyBase64,
    signature: encodeBase64(await identity.sign(challenges.rotateKey(node.id))),
  }));
  assert.deepEqual(types, ["error", "rotate_key_ok"]);
  assert.deepEqual(
    [node.key, node.tags, [...from.auth.nodes]],
    [next.publicKeyBase64, [], []],
  );
});

Deno.test("a signature counts by one of the texts that peers sign, with the node's key alone", async () => {
  const identity = await Identity.generate();
  const key = identity.publicKeyBase64;
  const signature = await identity.sign(CHALLENGE);
  const other = challenges.setTags(2);
  await checkSignature(key, CHALLENGE, signature);
  await checkSignature(key, [other, CHALLENGE], signature);
  for (
    const [by, text, bytes] of [
      [key, other, signature],
      [key, [other], signature],
      [key, [], signature],
      [fakeKey(1), CHALLENGE, signature],
      ["no key", CHALLENGE, signature],
      [key, CHALLENGE, signature.subarray(1)],
      [key, CHALLENGE, new Uint8Array(64)],
    ] as const
  ) await assert.rejects(checkSignature(by, text, bytes), BAD_SIGNATURE);
});

Deno.test("a request without a signature, or with one that is no base64, says so", () => {
  assert.throws(() => signatureField({}), /signature required for authenticated node/);
  assert.throws(() => signatureField({ signature: "###" }), /not base64/);
  assert.deepEqual(signatureField({ signature: "AQI=" }), {
    signature: Uint8Array.of(1, 2),
    context: undefined,
  });
  assert.deepEqual([isSigned({}), isSigned({ signature: "AQI=" })], [false, true]);
});

Deno.test("a node that is held to whole signatures is refused with less, and with a whole one of another", async () => {
  const { core, node, request } = await setup();
  await core.change(() => void (core.nodes.edit(node).held = true));
  await assert.rejects(
    authenticate(core, node.id, request, CHALLENGE),
    { name: "WholeSignatureRequired", message: /node 1 is held to it/ },
  );
  const { signature } = signatureField(request);
  const by = (wholeKey: string) => ({ signature, context: { peer: peer(), wholeKey } });
  await assert.rejects(checkNodeSignature(core, node, CHALLENGE, by(fakeKey(3))), BAD_SIGNATURE);
  await checkNodeSignature(core, node, CHALLENGE, by(node.key));
  await core.close();
});

Deno.test("a node is held to whole signatures from its first on, once that is stored", async () => {
  const { core, node } = await setup();
  const context = { peer: peer(), wholeKey: node.key };
  assert.equal(node.held, false);
  await checkNodeSignature(core, node, CHALLENGE, { signature: new Uint8Array(), context });
  assert.equal(node.held, true);
  await core.close();
});

Deno.test("a signed request confirms the place that its source has said without a signature, and no other", async () => {
  const { core, node, request } = await setup();
  const place = (realAddr: string) => ({ realAddr, lanAddrs: [], relayOnly: true });
  await core.change(() => void (core.nodes.edit(node).realAddr = "198.51.100.7:1"));
  node.pending = new Map([["192.0.2.9", place("192.0.2.9:5")]]);
  await authenticate(core, node.id, request, CHALLENGE);
  assert.equal(node.realAddr, "198.51.100.7:1");
  node.pending = new Map([["192.0.2.1", place("192.0.2.1:5")]]);
  await authenticate(core, node.id, request, CHALLENGE);
  assert.deepEqual(
    [node.realAddr, node.relayOnly, node.pending, node.held],
    ["192.0.2.1:5", true, undefined, false],
  );
  await core.close();
});

/** A record that only its number and tokens count of. */
const network = (adminToken: string, joinToken = "") => ({
  id: 7,
  adminTokenHash: hashToken(adminToken),
  tokenHash: hashToken(joinToken),
});

Deno.test("tokens: the admin's everywhere, a network's own there, none where none is set, an empty one never", async () => {
  const core = newCore();
  const asks = (admin_token: unknown): JsonObject => ({ admin_token } as JsonObject);
  assert.deepEqual(
    [isAdmin(core, asks(ADMIN)), isAdmin(core, asks("guess")), isAdmin(core, {})],
    [true, false, false],
  );
  assert.equal(isAdminOf(core, asks(ADMIN), network("own")), true);
  assert.equal(isAdminOf(core, asks(ADMIN), network("")), true);
  assert.equal(isAdminOf(core, asks("own"), network("own")), true);
  assert.equal(isAdminOf(core, asks("own"), network("other")), false);
  assert.equal(isAdminOf(core, asks(""), network("")), false);
  assert.equal(mayJoinByToken(core, { token: "join" }, network("", "join")), true);
  assert.equal(mayJoinByToken(core, { token: "guess" }, network("", "join")), false);
  assert.equal(mayJoinByToken(core, { token: "" }, network("", "")), false);
  assert.equal(mayJoinByToken(core, {}, network("", "join")), false);
  // Wrong ones are counted, by kind; those that cannot be right are not looked at.
  assert.deepEqual(core.tokens.counts, { admin: 2, join: 1, refused: 0 });
  await core.close();
});

Deno.test("wrong tokens to join one network shut nobody out of another", async () => {
  const core = newCore();
  const ask = (token: string, id: number) =>
    mayJoinByToken(core, { token }, { id, tokenHash: hashToken("join") });
  for (let i = 0; i < WRONG_TOKENS_BURST; i++) assert.equal(ask("guess", 7), false);
  assert.throws(() => ask("join", 7), /too many wrong tokens/);
  assert.equal(ask("join", 8), true);
  assert.equal(isAdmin(core, { admin_token: ADMIN }), true);
  await core.close();
});

Deno.test("a server without an admin token takes none, and looks at a network's own only", async () => {
  const core = newCore({ adminToken: "" });
  assert.equal(isAdmin(core, { admin_token: "any" }), false);
  assert.equal(isAdminOf(core, { admin_token: "any" }, network("")), false);
  assert.deepEqual(core.tokens.counts, { admin: 0, join: 0, refused: 0 });
  assert.equal(isAdminOf(core, { admin_token: "own" }, network("own")), true);
  assert.equal(isAdminOf(core, { admin_token: "any" }, network("own")), false);
  await core.close();
});
