/**
 * Who may do what, and what becomes of a request whose node changes while it is checked (docs/protocol/registry.md §2).
 */

import assert from "node:assert/strict";
import { encodeBase64, Identity } from "../../../protocol/crypto/mod.ts";
import type { JsonObject } from "../../../protocol/registry/registry_message.ts";
import { challenges } from "../support/challenges.ts";
import { wholeRequestBytes } from "../../../protocol/registry/whole_signature.ts";
import { answerJson } from "../../../rendezvous/registry/answer.ts";
import {
  adminOf,
  adminOfNetwork,
  authenticate,
  checkNodeSignature,
  checkSignature,
  isSigned,
  mayJoinByToken,
  signatureOf,
} from "../../../rendezvous/registry/authenticate.ts";
import type { RequestContext } from "../../../rendezvous/registry/context.ts";
import type { RegistryCore } from "../../../rendezvous/registry/core.ts";
import { hashToken } from "../../../rendezvous/registry/networks/tokens.ts";
import type { NodeRecord } from "../../../rendezvous/registry/node_entry.ts";
import { WRONG_TOKENS_BURST } from "../../../rendezvous/registry/registry_limits.ts";
import { AnswerSigner } from "../../../rendezvous/registry/signing.ts";
import { fakeKey, newCore } from "./networks/core_support.ts";
import { ADMIN } from "./networks/support.ts";
import { setTags } from "../../../protocol/registry/requests/mod.ts";
import { CHANGE, contextFor, newPeer } from "../support/context.ts";

const CHALLENGE = challenges.setTags(1);
const CHALLENGES = () => [CHALLENGE];
const BAD_SIGNATURE = { name: "RegistryFailure", message: "signature verification failed" };
const NOT_FOUND = { name: "RegistryFailure", message: /not found/ };

/** Asks in the name of a node for what the request is about. */
async function ask(
  context: RequestContext,
  id: number,
  options?: { admin?: boolean; silent?: boolean; whole?: string },
): Promise<NodeRecord> {
  const fields = { node_id: id, tags: [] };
  return (await authenticate(context, setTags, fields, options)).node;
}

/** A registry with one node whose key is known, and a request that it has signed. */
async function setup(signer?: AnswerSigner) {
  const core = newCore({ signer });
  const identity = await Identity.generate();
  const node = await core.change(CHANGE, () => core.nodes.create(identity.publicKeyBase64));
  const request: JsonObject = {
    type: "set_tags",
    node_id: node.id,
    tags: [],
    signature: encodeBase64(await identity.sign(CHALLENGE)),
  };
  const from = newPeer();
  const context = contextFor(core, request, from);
  return { core, node, identity, request, from, context };
}

/** Applies a change in the turn in which a request is being checked. */
async function meanwhile(
  core: RegistryCore,
  asked: Promise<unknown>,
  apply: () => void,
): Promise<unknown> {
  const [{ reason, value }] = await Promise.all([
    asked.then((value) => ({ value, reason: undefined }), (reason) => ({ reason, value: true })),
    core.change(CHANGE, apply),
  ]);
  if (reason !== undefined) throw reason;
  return value;
}

Deno.test("a signed request of a live node is its own, and its connection is known to speak for it", async () => {
  const { core, node, context, from } = await setup();
  assert.equal(await ask(context, node.id), node);
  assert.deepEqual([...from.auth.nodes], [node.id]);
  await core.close();
});

Deno.test("a request is refused that is not signed, or by another, or of a node that is not there", async () => {
  const { core, node, request } = await setup();
  const asks = (change: object, id = node.id) =>
    ask(contextFor(core, { ...request, ...change }), id);
  const stranger = await Identity.generate();
  const forged = encodeBase64(await stranger.sign(CHALLENGE));
  await assert.rejects(asks({ signature: forged }), BAD_SIGNATURE);
  await assert.rejects(asks({ signature: "" }), /signature required/);
  await assert.rejects(asks({}, 99), NOT_FOUND);
  await core.change(CHANGE, () => core.leave(node));
  await assert.rejects(asks({ signature: "" }), NOT_FOUND, "whoever it is that asks");
  await core.close();
});

Deno.test("the admin's token stands in for a signature where that is allowed, and nowhere else", async () => {
  const { core, node } = await setup();
  const asks = (admin_token: string, options?: { admin?: boolean }) =>
    ask(contextFor(core, { admin_token }), node.id, options);
  assert.equal(await asks(ADMIN, { admin: true }), node);
  await assert.rejects(asks("guess", { admin: true }), /signature required/);
  for (const options of [undefined, {}, { admin: false }]) {
    await assert.rejects(asks(ADMIN, options), /signature required/);
  }
  await core.close();
});

Deno.test("what only a signature over the whole request may do, less does not, nor another's", async () => {
  const signer = await AnswerSigner.load(undefined);
  const { core, node, identity, context, from } = await setup(signer);
  const whole = { whole: "it gives much away" };
  await assert.rejects(
    ask(context, node.id, whole),
    { name: "WholeSignatureRequired", message: /it gives much away/ },
  );
  const challenge = from.auth.challenge(core.clock.now());
  const signed = async (by: Identity, seq: number) => {
    const asked: JsonObject = { type: "set_tags", node_id: node.id, tags: [] };
    const sig = encodeBase64(
      await by.sign(wholeRequestBytes(signer.publicKey, challenge, seq, asked)!),
    );
    const full: JsonObject = {
      ...asked,
      auth: { v: 1, key: by.publicKeyBase64, challenge, seq, sig },
    };
    return contextFor(core, full, from);
  };
  const good = await signed(identity, 1);
  assert.equal(isSigned(good), true);
  assert.equal(signatureOf(good).length, 0, "the whole is signed, not a challenge");
  assert.equal(await ask(good, node.id, whole), node);
  assert.equal(node.held, true);
  const other = await signed(await Identity.generate(), 2);
  await assert.rejects(ask(other, node.id, whole), BAD_SIGNATURE);
  await core.close();
});

Deno.test("a request is refused when the node's key is rotated in the turn in which it is checked", async () => {
  const { core, node, context, from } = await setup();
  const asked = ask(context, node.id);
  const rotated = meanwhile(core, asked, () => core.nodes.setKey(node, fakeKey(2)));
  await assert.rejects(rotated, BAD_SIGNATURE);
  assert.deepEqual([...from.auth.nodes], [], "the connection speaks for nobody");
  await core.close();
});

Deno.test("a request is refused when the node leaves in the turn in which it is checked", async () => {
  const { core, node, context, from } = await setup();
  const leave = () => core.leave(node);
  await assert.rejects(
    meanwhile(core, ask(context, node.id), leave),
    NOT_FOUND,
  );
  assert.deepEqual([...from.auth.nodes], []);
  await core.change(CHANGE, () => core.nodes.revive(node));
  // As the binary forms and the requests of networks are checked.
  const signature = signatureOf(context);
  await assert.rejects(
    meanwhile(core, checkNodeSignature(context, node, CHALLENGES, signature), leave),
    NOT_FOUND,
  );
  await core.close();
});

Deno.test("a node that goes silent or leaves meanwhile is not found, with an admin token or not", async () => {
  const { core, node, request } = await setup();
  const silent = () => void (core.nodes.edit(node).state = "silent");
  const asks = (options: { admin?: boolean; silent?: boolean } = {}) =>
    ask(contextFor(core, { ...request, admin_token: ADMIN }), node.id, options);
  await assert.rejects(meanwhile(core, asks(), silent), NOT_FOUND);
  await core.change(CHANGE, () => core.nodes.revive(node));
  assert.equal(await meanwhile(core, asks({ silent: true }), silent), node);
  assert.equal(await asks({ silent: true }), node);
  await assert.rejects(asks(), NOT_FOUND);
  await core.change(CHANGE, () => core.nodes.revive(node));
  const leave = () => core.leave(node);
  await assert.rejects(meanwhile(core, asks({ admin: true, silent: true }), leave), NOT_FOUND);
  await assert.rejects(asks({ admin: true, silent: true }), NOT_FOUND);
  await core.close();
});

/** Two requests of one turn, the first of which waits for the commit of where it came from; the node is as it was. */
async function twoRequests(
  second: (ids: { node: NodeRecord; identity: Identity }) => Promise<JsonObject>,
) {
  const { core, node, identity, request, from } = await setup();
  await core.change(CHANGE, () => void (core.nodes.edit(node).realAddr = "198.51.100.7:1"));
  const place = { realAddr: "192.0.2.1:4000", lanAddrs: [], relayOnly: false };
  node.pending = new Map([["192.0.2.1", place]]);
  const other = await second({ node, identity });
  const answers = await Promise.all([
    answerJson(core, { ...request, tags: ["late"] }, from),
    answerJson(core, other, newPeer()),
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
  checkSignature(key, () => [CHALLENGE], signature);
  checkSignature(key, () => [other, CHALLENGE], signature);
  for (
    const [by, texts, bytes] of [
      [key, [other], signature],
      [key, [], signature],
      [fakeKey(1), [CHALLENGE], signature],
      ["no key", [CHALLENGE], signature],
      [key, [CHALLENGE], signature.subarray(1)],
      [key, [CHALLENGE], new Uint8Array(64)],
    ] as const
  ) assert.throws(() => checkSignature(by, () => texts, bytes), BAD_SIGNATURE);
});

Deno.test("a request without a signature, or with one that is no base64, says so", async () => {
  const core = newCore();
  const asks = (request: JsonObject) => contextFor(core, request);
  assert.throws(() => signatureOf(asks({})), /signature required for authenticated node/);
  assert.throws(() => signatureOf(asks({ signature: "###" })), /not base64/);
  assert.deepEqual(signatureOf(asks({ signature: "AQI=" })), Uint8Array.of(1, 2));
  assert.deepEqual([isSigned(asks({})), isSigned(asks({ signature: "AQI=" }))], [false, true]);
  await core.close();
});

Deno.test("a node that is held to whole signatures is refused with less, and with a whole one of another", async () => {
  const { core, node, context } = await setup();
  await core.change(CHANGE, () => void (core.nodes.edit(node).held = true));
  await assert.rejects(
    ask(context, node.id),
    { name: "WholeSignatureRequired", message: /node 1 is held to it/ },
  );
  const by = (wholeKey: string) =>
    checkNodeSignature({ ...context, wholeKey }, node, CHALLENGES, signatureOf(context));
  await assert.rejects(by(fakeKey(3)), BAD_SIGNATURE);
  assert.deepEqual(await by(node.key), { kind: "node", node: node.id, proof: "whole" });
  await core.close();
});

Deno.test("a node is held to whole signatures from its first on, once that is stored", async () => {
  const { core, node, context } = await setup();
  assert.equal(node.held, false);
  const whole = { ...context, wholeKey: node.key };
  await checkNodeSignature(whole, node, CHALLENGES, new Uint8Array());
  assert.equal(node.held, true);
  await core.close();
});

Deno.test("a signed request confirms the place that its source has said without a signature, and no other", async () => {
  const { core, node, context } = await setup();
  const place = (realAddr: string) => ({ realAddr, lanAddrs: [], relayOnly: true });
  await core.change(CHANGE, () => void (core.nodes.edit(node).realAddr = "198.51.100.7:1"));
  node.pending = new Map([["192.0.2.9", place("192.0.2.9:5")]]);
  await ask(context, node.id);
  assert.equal(node.realAddr, "198.51.100.7:1");
  node.pending = new Map([["192.0.2.1", place("192.0.2.1:5")]]);
  await ask(context, node.id);
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
  const asks = (admin_token: string) => contextFor(core, { admin_token });
  const admin = { kind: "admin" };
  assert.deepEqual(
    [adminOf(asks(ADMIN)), adminOf(asks("guess")), adminOf(contextFor(core, {}))],
    [admin, undefined, undefined],
  );
  assert.deepEqual(adminOfNetwork(asks(ADMIN), network("own")), admin);
  assert.deepEqual(adminOfNetwork(asks(ADMIN), network("")), admin);
  assert.deepEqual(adminOfNetwork(asks("own"), network("own")), {
    kind: "network_admin",
    network: 7,
  });
  assert.equal(adminOfNetwork(asks("own"), network("other")), undefined);
  assert.equal(adminOfNetwork(asks(""), network("")), undefined);
  const context = contextFor(core, {});
  assert.equal(mayJoinByToken(context, "join", network("", "join")), true);
  assert.equal(mayJoinByToken(context, "guess", network("", "join")), false);
  assert.equal(mayJoinByToken(context, "", network("", "")), false);
  // Wrong ones are counted, by kind; those that cannot be right are not looked at.
  assert.deepEqual(core.tokens.counts, { admin: 2, join: 1, refused: 0 });
  await core.close();
});

Deno.test("wrong tokens to join one network shut nobody out of another", async () => {
  const core = newCore();
  const ask = (token: string, id: number) =>
    mayJoinByToken(contextFor(core, {}), token, { id, tokenHash: hashToken("join") });
  for (let i = 0; i < WRONG_TOKENS_BURST; i++) assert.equal(ask("guess", 7), false);
  assert.throws(() => ask("join", 7), /too many wrong tokens/);
  assert.equal(ask("join", 8), true);
  assert.deepEqual(adminOf(contextFor(core, { admin_token: ADMIN })), { kind: "admin" });
  await core.close();
});

Deno.test("a server without an admin token takes none, and looks at a network's own only", async () => {
  const core = newCore({ adminToken: "" });
  const asks = (admin_token: string) => contextFor(core, { admin_token });
  assert.equal(adminOf(asks("any")), undefined);
  assert.equal(adminOfNetwork(asks("any"), network("")), undefined);
  assert.deepEqual(core.tokens.counts, { admin: 0, join: 0, refused: 0 });
  assert.ok(adminOfNetwork(asks("own"), network("own")) !== undefined);
  assert.equal(adminOfNetwork(asks("any"), network("own")), undefined);
  await core.close();
});
