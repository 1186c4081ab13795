/**
 * Signed answers of the registry, our extension of docs/protocol/registry.md §1.7 (optional to clients). A client that
 * pins the registry's Ed25519 key puts a nonce into a JSON request, `"sign": "<base64 of 16 bytes>"`; the reply then
 * carries `"signed": {"key", "time", "signature"}`. Registries that do not know the field ignore it.
 *
 * Signed is the whole of request and reply, so that nobody on the path can change what was asked, what was answered,
 * or repeat an answer. The nonce alone proves that an answer is fresh; the time is information, so clocks need not
 * agree.
 *
 * @module
 */

import { canonicalBytes } from "../canonical.ts";
import { decodeBase64, encodeBase64 } from "../crypto/base64.ts";
import { verifySignature } from "../crypto/verify_signature.ts";
import { isJsonObject, type JsonObject, textField } from "./registry_fields.ts";

/** Bytes of the nonce: enough that a client never draws one twice. */
export const SIGN_NONCE_BYTES = 16;
/** What the signature is for, so that it never counts as a signature over anything else. */
const DOMAIN = "pilot registry answer 1\n";

/** Requests whose answers a registry signs when asked: all that a daemon's decisions about peers rest on. */
export const SIGNED_REQUESTS: ReadonlySet<string> = new Set([
  "register",
  "lookup",
  "resolve",
  "resolve_hostname",
  "check_trust",
  "poll_handshakes",
]);

/** Field `signed` of a reply. */
export interface AnswerSignature {
  /** The registry's public key, base64. Information: what counts is the key that the client has pinned. */
  readonly key: string;
  /** Unix seconds of the registry's clock when it signed. */
  readonly time: number;
  /** Ed25519 over {@linkcode signedAnswerBytes}, base64. */
  readonly signature: string;
}

/**
 * Does a request ask for a signed answer, and can it have one?
 *
 * @param request The request.
 * @returns True when its type is one of {@linkcode SIGNED_REQUESTS} and its nonce is well formed.
 */
export function wantsSignature(request: JsonObject): boolean {
  if (!Object.hasOwn(request, "sign") || !SIGNED_REQUESTS.has(textField(request, "type"))) {
    return false;
  }
  return decodeBase64(textField(request, "sign"))?.length === SIGN_NONCE_BYTES;
}

/**
 * The bytes that are signed: the domain, then request, reply without `signed`, and time, each as one value (see
 * `canonicalBytes`).
 *
 * @param request The request as sent, nonce included.
 * @param reply The reply.
 * @param time Unix seconds of the signature.
 * @returns The bytes; undefined for messages nested deeper than {@linkcode MAX_SIGNED_DEPTH}.
 */
export function signedAnswerBytes(
  request: JsonObject,
  reply: JsonObject,
  time: number,
): Uint8Array | undefined {
  const { signed: _, ...content } = reply;
  return canonicalBytes(DOMAIN, [request, content, time]);
}

/**
 * Checks the signature of an answer.
 *
 * @param key The pinned public key, 32 bytes.
 * @param request The request exactly as it was sent.
 * @param reply The reply, off the wire.
 * @returns What is wrong with it, one phrase; undefined when the registry with that key gave this answer to this
 * request.
 */
export async function answerProblem(
  key: Uint8Array,
  request: JsonObject,
  reply: JsonObject,
): Promise<string | undefined> {
  const signed = Object.hasOwn(reply, "signed") ? reply["signed"] : undefined;
  if (!isJsonObject(signed)) return "it is not signed";
  const time = signed["time"];
  const signature = decodeBase64(textField(signed, "signature"));
  if (typeof time !== "number" || signature === undefined) return "its signature is malformed";
  if (textField(signed, "key") !== encodeBase64(key)) {
    return "it is signed with another key than the pinned one";
  }
  const bytes = signedAnswerBytes(request, reply, time);
  if (bytes === undefined) return "it is nested too deep";
  return await verifySignature(key, bytes, signature) ? undefined : "its signature does not verify";
}
