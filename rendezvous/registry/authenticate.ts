/**
 * Who may do what: node signatures and tokens (docs/protocol/registry.md §2).
 *
 * @module
 */

import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import { EMPTY } from "../../protocol/bytes.ts";
import { textField } from "../../protocol/registry/registry_fields.ts";
import {
  type ReadFields,
  type RegistryRequest,
  signedForms,
} from "../../protocol/registry/request_schema.ts";
import { type Actor, nodeTarget } from "./change_record.ts";
import { type RequestContext, requireWhole, WholeSignatureRequired } from "./context.ts";
import { confirmedPlace } from "./endpoint.ts";
import { nodeNotFound, RegistryFailure } from "./failure.ts";
import type { NodeRecord } from "./node_entry.ts";
import { tokenMatches } from "./networks/tokens.ts";
import type { TokenKind } from "./token_guard.ts";
import { verifies } from "./verify_sync.ts";

/** The texts one of which must be signed; made only when one is. */
export type Challenge = () => readonly Uint8Array[];

/**
 * Checks a signature by a key.
 *
 * @param key Canonical base64 of the key.
 * @param challenge What must be signed.
 * @param signature Raw signature of any length.
 * @throws {RegistryFailure} When it does not verify.
 */
export function checkSignature(key: string, challenge: Challenge, signature: Uint8Array): void {
  const publicKey = decodeBase64(key);
  const isGood = publicKey !== undefined &&
    challenge().some((form) => verifies(publicKey, form, signature));
  if (!isGood) throw badSignature();
}

function badSignature(): RegistryFailure {
  return new RegistryFailure("denied", "signature verification failed");
}

/**
 * Checks that a node signed, with the key it has at the end of the check. A signature over the whole request counts
 * for more than one over its challenge, and a node that has made one is held to it from then on.
 *
 * @param context The request.
 * @param node The node, live or not.
 * @param challenge What must be signed.
 * @param signature Raw signature over it; not looked at where the whole request is signed.
 * @returns The node as the one who asks.
 * @throws {RegistryFailure} When it does not verify, is not enough, or the node changed meanwhile.
 */
export async function checkNodeSignature(
  context: RequestContext,
  node: NodeRecord,
  challenge: Challenge,
  signature: Uint8Array,
): Promise<Actor> {
  const { core, peer, wholeKey } = context;
  const { key } = node;
  if (wholeKey === undefined) {
    if (node.held) throw heldToWhole(node.id);
    checkSignature(key, challenge, signature);
  } else if (wholeKey !== key) {
    throw badSignature();
  }
  const proof = wholeKey === undefined ? "signature" : "whole";
  const actor: Actor = { kind: "node", node: node.id, proof };
  await learn(context, node, actor);
  // That may wait, and the node may have rotated its key or left meanwhile.
  if (core.nodes.known(node.id) !== node || node.state === "left") {
    throw nodeNotFound(node.id);
  }
  if (node.key !== key) throw badSignature();
  peer.auth.noteNode(node.id);
  return actor;
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
  { core, peer, wholeKey }: RequestContext,
  node: NodeRecord,
  actor: Actor,
): Promise<void> {
  const isHeldNow = wholeKey !== undefined && !node.held;
  const place = confirmedPlace(node, peer);
  // Heartbeats are served while the store cannot be written; the next request after that shows the same.
  if ((!isHeldNow && place === undefined) || !core.isWritable) return;
  await core.change({ actor, action: "node.confirm", target: nodeTarget(node.id) }, () => {
    core.nodes.edit(node).held ||= isHeldNow;
    if (place !== undefined) Object.assign(node, place, { pending: undefined });
  });
}

/**
 * Reads the signature of a JSON request.
 *
 * @param context The request.
 * @returns Raw bytes; none where the whole of it is signed.
 * @throws {RegistryFailure} When there is none or it is not base64.
 */
export function signatureOf({ request, wholeKey }: RequestContext): Uint8Array {
  if (wholeKey !== undefined) return EMPTY;
  const text = textField(request, "signature");
  if (text === "") {
    throw new RegistryFailure("invalid_argument", "signature required for authenticated node");
  }
  const signature = decodeBase64(text);
  if (signature === undefined) {
    throw new RegistryFailure("invalid_argument", "invalid signature encoding: not base64");
  }
  return signature;
}

/** Does the request carry a signature, over its challenge or over the whole of it? */
export function isSigned({ request, wholeKey }: RequestContext): boolean {
  return wholeKey !== undefined || textField(request, "signature") !== "";
}

/** A node in whose name something is asked, and who asks: it, or an admin in its place. */
export interface Asking {
  readonly node: NodeRecord;
  readonly actor: Actor;
}

/**
 * Finds the live node that asks and checks that it signed the request.
 *
 * @param context The request.
 * @param request What it is; it names its requester.
 * @param fields Its fields.
 * @param options `admin`: the global admin token in the request may stand in for the signature (§2.1).
 * `silent`: the node need not be live. `whole`: why the wire's signature is not enough.
 * @returns Who asks.
 * @throws {RegistryFailure} Not found, or not authenticated.
 */
export async function authenticate<F extends object>(
  context: RequestContext,
  request: RegistryRequest<F>,
  fields: ReadFields<F>,
  options: { admin?: boolean; silent?: boolean; whole?: string } = {},
): Promise<Asking> {
  const id = askerOf(request, fields);
  const node = context.core.nodes.known(id);
  const present = () =>
    node?.state === "live" || (node?.state === "silent" && options.silent === true);
  if (node === undefined || !present()) throw nodeNotFound(id);
  let actor: Actor | undefined;
  try {
    if (options.whole !== undefined) requireWhole(context, options.whole);
    const challenge = () => signedForms(request, fields);
    actor = await checkNodeSignature(context, node, challenge, signatureOf(context));
  } catch (error) {
    if (options.admin === true) actor = adminOf(context);
    if (actor === undefined) throw error;
  }
  if (!present()) throw nodeNotFound(id);
  return { node, actor };
}

/** The number of the node in whose name a request is made; 0 when it names none. */
export function askerOf<F extends object>(
  { asker }: RegistryRequest<F>,
  fields: ReadFields<F>,
): number {
  return asker === undefined ? 0 : Number(fields[asker]);
}

/**
 * Does the request carry the global admin token?
 *
 * @param context The request.
 * @returns The admin, if so.
 * @throws {RegistryFailure} When its source has sent too many wrong tokens.
 */
export function adminOf(context: RequestContext): Actor | undefined {
  const { core, request } = context;
  const token = textField(request, "admin_token");
  if (core.adminToken === undefined || token === "") return undefined;
  const isAdmin = checkToken(context, "admin", () => core.isAdminToken(token));
  return isAdmin ? { kind: "admin" } : undefined;
}

/**
 * Does the request carry the global admin token, or the one of a network?
 *
 * @param context The request.
 * @param network Its number, and the hash of its admin token.
 * @returns The admin, if so.
 * @throws {RegistryFailure} As {@linkcode adminOf}.
 */
export function adminOfNetwork(
  context: RequestContext,
  { id, adminTokenHash }: { readonly id: number; readonly adminTokenHash: string },
): Actor | undefined {
  const { core, request } = context;
  const token = textField(request, "admin_token");
  if (token === "" || (core.adminToken === undefined && adminTokenHash === "")) return undefined;
  let actor: Actor | undefined;
  checkToken(context, "admin", () => {
    if (core.isAdminToken(token)) actor = { kind: "admin" };
    else if (tokenMatches(token, adminTokenHash)) actor = { kind: "network_admin", network: id };
    return actor !== undefined;
  });
  return actor;
}

/**
 * Is a token the one for joining a network?
 *
 * @param context The request.
 * @param token The token, as sent.
 * @param network Its number and the hash of its token.
 * @throws {RegistryFailure} As {@linkcode adminOf}.
 */
export function mayJoinByToken(
  context: RequestContext,
  token: string,
  { id, tokenHash }: { readonly id: number; readonly tokenHash: string },
): boolean {
  if (token === "") return false;
  return checkToken(context, "join", () => tokenMatches(token, tokenHash), id);
}

function checkToken(
  { core, peer }: RequestContext,
  kind: TokenKind,
  matches: () => boolean,
  network?: number,
): boolean {
  const now = core.clock.now();
  return core.tokens.check(
    { source: peer.key, kind, now, ...(network === undefined ? {} : { network }) },
    matches,
  );
}
