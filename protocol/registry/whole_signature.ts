/**
 * Signatures of nodes over whole requests, our extension of docs/protocol/registry.md §2.4. The wire's signatures cover
 * a text such as `set_visibility:7`, not the value, and hold neither nonce nor time: who has seen one may send it again
 * with values of its own. So our nodes add a field `auth` to each JSON request that they sign:
 *
 * `"auth": {"v": 1, "key", "challenge", "seq", "sig"}`
 *
 * `challenge` is 16 random bytes that the registry has chosen for this connection, `seq` counts up from 1 under it, and
 * `sig` covers the registry's own public key, both of them and all of the request but `auth`. So a request counts once,
 * on one connection, at one registry, as it was written. There is no time in it: clocks of laptops are wrong, and a
 * table of nonces would have to survive restarts.
 *
 * A node that does not know the challenge yet sends `"auth": {"v": 1}`. A registry that speaks the extension then
 * refuses, and its error carries `"auth": {"v": 1, "key", "challenge"}`, as every such refusal
 * does; others ignore the field and look at `signature`, which is there, too.
 *
 * @module
 */

import { canonicalBytes } from "../canonical.ts";
import { decodeBase64 } from "../crypto/base64.ts";
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from "../crypto/verify_signature.ts";
import { isJsonObject, type JsonObject, textField } from "./registry_fields.ts";

/** Version of the field `auth`. */
export const WHOLE_VERSION = 1;
/** Bytes of a challenge: enough that no registry ever draws one twice. */
export const CHALLENGE_BYTES = 16;
/** What the signature is for, so that it never counts as a signature over anything else. */
const DOMAIN = "pilot registry request 1\n";

/** What a registry reports about itself for whole signatures: field `auth` of a refusal. */
export interface WholeOffer {
  /** The registry's public key, base64. */
  readonly key: string;
  /** Challenge of this connection, base64. */
  readonly challenge: string;
}

/** Field `auth` of a request that is signed as a whole. */
export interface WholeAuth {
  /** The signer's public key, base64. */
  readonly key: string;
  /** The registry's challenge, base64. */
  readonly challenge: string;
  /** From 1, growing with each request under one challenge. */
  readonly seq: number;
  /** Ed25519 over {@linkcode wholeRequestBytes}, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * The bytes that are signed (see `canonicalBytes`): the registry's key, challenge, count, and the request without
 * `auth`.
 *
 * @param registry The registry's public key, base64.
 * @param challenge The registry's challenge, base64.
 * @param seq Count under this challenge.
 * @param request The request; its field `auth` is left out.
 * @returns The bytes; undefined for a request nested deeper than `MAX_SIGNED_DEPTH`.
 */
export function wholeRequestBytes(
  registry: string,
  challenge: string,
  seq: number,
  request: JsonObject,
): Uint8Array | undefined {
  const { auth: _, ...content } = request;
  return canonicalBytes(DOMAIN, [registry, challenge, seq, content]);
}

/**
 * Reads the field `auth` of a request.
 *
 * @param request The request, off the wire.
 * @returns What it says; `hello` when it only asks for a challenge or makes no sense; undefined when there is none.
 */
export function wholeAuthOf(request: JsonObject): WholeAuth | "hello" | undefined {
  if (!Object.hasOwn(request, "auth")) return undefined;
  const { auth } = request;
  if (!isJsonObject(auth) || auth["v"] !== WHOLE_VERSION) return "hello";
  const signature = decodeBase64(textField(auth, "sig"));
  const seq = auth["seq"];
  if (
    typeof seq !== "number" || !Number.isSafeInteger(seq) || signature?.length !== SIGNATURE_BYTES
  ) {
    return "hello";
  }
  return { key: textField(auth, "key"), challenge: textField(auth, "challenge"), seq, signature };
}

/**
 * Reads a registry's data for whole signatures from its refusal.
 *
 * @param reply The reply, off the wire.
 * @returns Key and challenge; undefined when it is no such refusal.
 */
export function wholeOfferOf(reply: JsonObject): WholeOffer | undefined {
  const auth = Object.hasOwn(reply, "auth") ? reply["auth"] : undefined;
  if (typeof reply["error"] !== "string" || !isJsonObject(auth)) return undefined;
  const [key, challenge] = [textField(auth, "key"), textField(auth, "challenge")];
  const isOffer = auth["v"] === WHOLE_VERSION &&
    decodeBase64(key)?.length === PUBLIC_KEY_BYTES &&
    decodeBase64(challenge)?.length === CHALLENGE_BYTES;
  return isOffer ? { key, challenge } : undefined;
}
