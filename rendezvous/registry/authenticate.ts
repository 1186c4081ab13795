/**
 * Who may do what: node signatures and the admin token (docs/protocol/registry.md §2).
 *
 * @module
 */

import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { EMPTY } from "../../protocol/bytes.ts";
import { contextOf, type RequestContext, requireWhole, WholeSignatureRequired } from "./context.ts";
import type { RegistryCore } from "./core.ts";
import { confirmedPlace } from "./endpoint.ts";
import { nodeNotFound, RegistryFailure } from "./failure.ts";
import { type JsonObject, textField } from "../../protocol/registry/registry_message.ts";
import type { NodeRecord } from "./node_entry.ts";
import { tokenMatches } from "./networks/tokens.ts";
import type { TokenKind } from "./token_guard.ts";
import { verifies } from "./verify_sync.ts";

/**
 * Checks a signature by a key.
 *
 * @param key Canonical base64 of the key.
 * @param challenge What must be signed.
 * @param signature Raw signature of any length.
 * @returns Rejects with a {@linkcode RegistryFailure} when it does not verify.
 */
export function checkSignature(
  key: string,
  challenge: Challenge,
  signature: Uint8Array,
): Promise<void> {
  const publicKey = decodeBase64(key);
  const forms = challenge instanceof Uint8Array ? [challenge] : challenge;
  return publicKey !== undefined && forms.some((form) => verifies(publicKey, form, signature))
    ? Promise.resolve()
    : Promise.reject(new RegistryFailure("signature verification failed"));
}

/** What must be signed; one of several where peers of different ages sign different texts. */
export type Challenge = Uint8Array | readonly Uint8Array[];

/** What a request brings to show who made it. */
export interface Proof {
  /** Raw signature over the challenge of the request; empty where the whole request is signed. */
  readonly signature: Uint8Array;
  /** Where it came from, and who signed all of it. */
  readonly context: RequestContext | undefined;
}

/**
 * Checks that a node signed, with the key it has at the end of the check. A signature over the whole request counts
 * for more than one over its challenge, and a node that has made one is held to it from then on.
 *
 * @param core The registry.
 * @param node The node, live or not.
 * @param challenge What must be signed.
 * @param proof What the request brought.
 * @throws {RegistryFailure} When it does not verify, is not enough, or the node changed meanwhile.
 */
export async function checkNodeSignature(
  core: RegistryCore,
  node: NodeRecord,
  challenge: Challenge,
  { signature, context }: Proof,
): Promise<void> {
  const { key } = node;
  const wholeKey = context?.wholeKey;
  if (wholeKey === undefined) {
    if (node.held) throw heldToWhole(node.id);
    await checkSignature(key, challenge, signature);
  } else if (wholeKey !== key) {
    throw new RegistryFailure("signature verification failed");
  }
  if (context !== undefined) await learn(core, node, context);
  // Verification waits, and the node may have rotated its key or left meanwhile.
  if (core.directory.known(node.id) !== node || node.state === "left") {
    throw nodeNotFound(node.id);
  }
  if (node.key !== key) {
    throw new RegistryFailure("signature verification failed");
  }
  context?.peer.auth.noteNode(node.id);
}

/** The refusal for a node that signs whole requests, and something that came in its name without. */
export function heldToWhole(node: number): WholeSignatureRequired {
  return new WholeSignatureRequired(`node ${node} is held to it`);
}

/**
 * What the signature shows beside who asks: that the node signs whole requests, and that it is where an unsigned
 * registration came from. Only its own key comes here, so nobody can shut a node out or move it by this.
 */
async function learn(
  core: RegistryCore,
  node: NodeRecord,
  { peer, wholeKey }: RequestContext,
): Promise<void> {
  const isHeldNow = wholeKey !== undefined && !node.held;
  const place = confirmedPlace(node, peer);
  // Heartbeats go on while the store cannot be written; the next request after that tells the same.
  if ((!isHeldNow && place === undefined) || !core.isWritable) return;
  await core.change(() => {
    core.directory.edit(node).held ||= isHeldNow;
    if (place !== undefined) Object.assign(node, place, { pending: undefined });
  });
}

/**
 * Reads the signature of a JSON request.
 *
 * @param request The request.
 * @returns What it brings: raw bytes, and who signed the whole of it.
 * @throws {RegistryFailure} When there is none or it is not base64.
 */
export function signatureField(request: JsonObject): Proof {
  const context = contextOf(request);
  if (context?.wholeKey !== undefined) return { signature: EMPTY, context };
  const text = textField(request, "signature");
  if (text === "") {
    throw new RegistryFailure("signature required for authenticated node");
  }
  const signature = decodeBase64(text);
  if (signature === undefined) {
    throw new RegistryFailure("invalid signature encoding: not base64");
  }
  return { signature, context };
}

/** Does the request carry a signature, over its challenge or over the whole of it? */
export function isSigned(request: JsonObject): boolean {
  return textField(request, "signature") !== "" || contextOf(request)?.wholeKey !== undefined;
}

/**
 * Finds a live node and checks that it signed the request.
 *
 * @param core The registry.
 * @param id Number of the node that must have signed.
 * @param request The JSON request.
 * @param challenge What must be signed.
 * @param options `admin`: the global admin token in the request may stand in for the signature (§2.1).
 * `silent`: the node need not be live. `whole`: why the wire's signature is not enough.
 * @returns The node.
 * @throws {RegistryFailure} Not found, or not authenticated.
 */
export async function authenticate(
  core: RegistryCore,
  id: number,
  request: JsonObject,
  challenge: Challenge,
  options: { admin?: boolean; silent?: boolean; whole?: string } = {},
): Promise<NodeRecord> {
  const node = core.directory.known(id);
  const present = () =>
    node?.state === "live" || (node?.state === "silent" && options.silent === true);
  if (node === undefined || !present()) throw nodeNotFound(id);
  try {
    if (options.whole !== undefined) requireWhole(core, request, options.whole);
    await checkNodeSignature(core, node, challenge, signatureField(request));
  } catch (error) {
    if (options.admin !== true || !isAdmin(core, request)) throw error;
  }
  if (!present()) throw nodeNotFound(id);
  return node;
}

/**
 * Does the request carry the global admin token?
 *
 * @param core The registry.
 * @param request The JSON request.
 * @throws {RegistryFailure} When its source has sent too many wrong tokens.
 */
export function isAdmin(core: RegistryCore, request: JsonObject): boolean {
  const token = textField(request, "admin_token");
  if (core.adminToken === undefined || token === "") return false;
  return checkToken(core, request, "admin", () => core.isAdminToken(token));
}

/**
 * Does the request carry the global admin token, or the one of a network?
 *
 * @param core The registry.
 * @param request The JSON request.
 * @param network Hash of the network's admin token.
 * @throws {RegistryFailure} As {@linkcode isAdmin}.
 */
export function isAdminOf(
  core: RegistryCore,
  request: JsonObject,
  { adminTokenHash }: { readonly adminTokenHash: string },
): boolean {
  const token = textField(request, "admin_token");
  if (token === "" || (core.adminToken === undefined && adminTokenHash === "")) return false;
  return checkToken(
    core,
    request,
    "admin",
    () => core.isAdminToken(token) || tokenMatches(token, adminTokenHash),
  );
}

/**
 * Does the request carry the token for joining a network?
 *
 * @param core The registry.
 * @param request The JSON request.
 * @param network Its number and the hash of its token.
 * @throws {RegistryFailure} As {@linkcode isAdmin}.
 */
export function mayJoinByToken(
  core: RegistryCore,
  request: JsonObject,
  { id, tokenHash }: { readonly id: number; readonly tokenHash: string },
): boolean {
  const token = textField(request, "token");
  if (token === "") return false;
  return checkToken(core, request, "join", () => tokenMatches(token, tokenHash), id);
}

function checkToken(
  core: RegistryCore,
  request: JsonObject,
  kind: TokenKind,
  matches: () => boolean,
  network?: number,
): boolean {
  const source = contextOf(request)?.peer.key ?? "";
  const now = core.clock.monotonicMs();
  return core.tokens.check(
    { source, kind, now, ...(network === undefined ? {} : { network }) },
    matches,
  );
}
