/**
 * What is known of a request besides its fields: where it came from, and who has signed all of it.
 *
 * @module
 */

import type { JsonObject } from "../../protocol/registry/registry_fields.ts";
import {
  type WholeAuth,
  wholeAuthOf,
  wholeRequestBytes,
} from "../../protocol/registry/whole_signature.ts";
import { decodeBase64 } from "../../protocol/crypto/base64.ts";
import type { ConnectionAuth } from "./connection_auth.ts";
import type { RegistryCore } from "./core.ts";
import { RegistryFailure } from "./failure.ts";
import { canonicalKey } from "./node_names.ts";
import { verifies } from "./verify_sync.ts";

/** Where a request came from. */
export interface Peer {
  /** Source IP, IPv4-mapped addresses as IPv4. */
  readonly ip: string;
  /** What limits count by, see `sourceOf`. */
  readonly key: string;
  /** TCP source port. */
  readonly port: number;
  /** The source is this machine. */
  readonly loopback: boolean;
  /** What its connection has shown of who is behind it. */
  readonly auth: ConnectionAuth;
}

/** One request on its way through the registry. */
export interface RequestContext {
  readonly core: RegistryCore;
  readonly peer: Peer;
  /** As it came, for what proves who asks; its fields are the handler's. Empty for those of binary mode. */
  readonly request: JsonObject;
  /** Key that has signed the whole request, canonical base64; undefined when it came without such a signature. */
  readonly wholeKey: string | undefined;
}

/** A refusal for a missing signature over the whole request; the reply tells under which challenge to make it. */
export class WholeSignatureRequired extends RegistryFailure {
  /** @param why What is the matter. */
  constructor(why: string) {
    // No "denied", which would be a refusal by right.
    super("protocol_error", `signature over the whole request required: ${why}`);
    this.name = "WholeSignatureRequired";
  }
}

/**
 * Makes sure that a request is signed as a whole, for what no existing client signs otherwise.
 *
 * @param context The request.
 * @param why What it does.
 * @throws {WholeSignatureRequired} When it is not. A registry without a key cannot ask for it.
 */
export function requireWhole({ core, wholeKey }: RequestContext, why: string): void {
  if (core.signer === undefined || wholeKey !== undefined) return;
  throw new WholeSignatureRequired(why);
}

/**
 * Takes a request in, and checks its signature over the whole if it carries one.
 *
 * @param core The registry.
 * @param request The request.
 * @param peer Where it came from.
 * @returns Its context.
 * @throws {WholeSignatureRequired} When it carries one that does not count: made without or under another challenge,
 * used before, wrong.
 */
export function contextOf(core: RegistryCore, request: JsonObject, peer: Peer): RequestContext {
  // A registry without a key of its own cannot be distinguished from others, so it does not offer this.
  const auth = core.signer === undefined ? undefined : wholeAuthOf(request);
  const wholeKey = auth === undefined ? undefined : checkWhole(core, request, auth, peer);
  return { core, peer, request, wholeKey };
}

function checkWhole(
  core: RegistryCore,
  request: JsonObject,
  auth: WholeAuth | "hello",
  peer: Peer,
): string {
  if (auth === "hello") throw new WholeSignatureRequired("this registry checks them");
  const { challenge, seq, signature } = auth;
  if (!peer.auth.isFresh(challenge, seq, core.clock.now())) {
    throw new WholeSignatureRequired("its challenge or count is not good any more");
  }
  const key = canonicalKey(auth.key);
  const bytes = wholeRequestBytes(core.signer!.publicKey, challenge, seq, request);
  if (bytes === undefined) {
    throw new RegistryFailure(
      "invalid_argument",
      "invalid request: nested too deep to be signed",
    );
  }
  if (key === undefined || !verifies(decodeBase64(key)!, bytes, signature)) {
    throw new WholeSignatureRequired("it does not verify");
  }
  peer.auth.accept(seq);
  return key;
}
