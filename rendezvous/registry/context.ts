/**
 * What is known of a request besides its fields: where it came from, and who has signed all of it. Kept beside the
 * request, so that handlers need not pass it on.
 *
 * @module
 */

import type { JsonObject } from "../../protocol/registry/registry_message.ts";
import {
  type WholeAuth,
  wholeAuthOf,
  wholeRequestBytes,
} from "../../protocol/registry/whole_signature.ts";
import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import type { RegistryCore } from "./core.ts";
import { RegistryFailure } from "./failure.ts";
import type { Peer } from "./handler.ts";
import { canonicalKey } from "./node_names.ts";
import { verifies } from "./verify_sync.ts";

/** See the module. */
export interface RequestContext {
  readonly peer: Peer;
  /** Key that has signed the whole request, canonical base64; undefined when it came without such a signature. */
  readonly wholeKey: string | undefined;
}

const CONTEXTS = new WeakMap<JsonObject, RequestContext>();

/** The context of a request; undefined for one that came by no connection, which only tests make. */
export function contextOf(request: JsonObject): RequestContext | undefined {
  return CONTEXTS.get(request);
}

/** A refusal for want of a signature over the whole request; the reply tells under which challenge to make it. */
export class WholeSignatureRequired extends RegistryFailure {
  /** @param why What is the matter. */
  constructor(why: string) {
    super(`signature over the whole request required: ${why}`);
    this.name = "WholeSignatureRequired";
  }
}

/**
 * Makes sure that a request is signed as a whole, for what no existing client signs otherwise.
 *
 * @param core The registry.
 * @param request The request.
 * @param why What it does.
 * @throws {WholeSignatureRequired} When it is not. A registry without a key cannot ask for it.
 */
export function requireWhole(core: RegistryCore, request: JsonObject, why: string): void {
  if (core.signer === undefined || contextOf(request)?.wholeKey !== undefined) return;
  throw new WholeSignatureRequired(why);
}

/**
 * Notes where a request came from, and checks its signature over the whole if it carries one.
 *
 * @param core The registry.
 * @param request The request.
 * @param peer Where it came from.
 * @throws {WholeSignatureRequired} When it carries one that does not count: made without or under another challenge,
 * used before, wrong.
 */
export function attachContext(core: RegistryCore, request: JsonObject, peer: Peer): void {
  // A registry without a key of its own could not be told from others, so it does not offer this.
  const auth = core.signer === undefined ? undefined : wholeAuthOf(request);
  const wholeKey = auth === undefined ? undefined : checkWhole(core, request, auth, peer);
  CONTEXTS.set(request, { peer, wholeKey });
}

function checkWhole(
  core: RegistryCore,
  request: JsonObject,
  auth: WholeAuth | "hello",
  peer: Peer,
): string {
  if (auth === "hello") throw new WholeSignatureRequired("this registry checks them");
  const { challenge, seq, signature } = auth;
  if (!peer.auth.isFresh(challenge, seq, core.clock.monotonicMs())) {
    throw new WholeSignatureRequired("its challenge or count is not good any more");
  }
  const key = canonicalKey(auth.key);
  const bytes = wholeRequestBytes(core.signer!.publicKey, challenge, seq, request);
  if (bytes === undefined) {
    throw new RegistryFailure("invalid request: nested too deep to be signed");
  }
  if (key === undefined || !verifies(decodeBase64(key)!, bytes, signature)) {
    throw new WholeSignatureRequired("it does not verify");
  }
  peer.auth.accept(seq);
  return key;
}
