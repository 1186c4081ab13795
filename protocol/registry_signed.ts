/**
 * Signed answers of the registry, our extension of rendezvous.md §1 (optional to clients). A client that pins the
 * registry's Ed25519 key puts a nonce into a JSON request, `"sign": "<base64 of 16 bytes>"`; the reply then carries
 * `"signed": {"key", "time", "signature"}`. Registries that do not know the field ignore it.
 *
 * Signed is the whole of request and reply, so that nobody on the path can change what was asked, what was answered,
 * or repeat an answer. The nonce alone proves that an answer is fresh; the time is information, so clocks need not
 * agree.
 *
 * @module
 */

import { encodeText } from "./bytes.ts";
import { decodeBase64, encodeBase64 } from "./crypto/base64.ts";
import { verifySignature } from "./crypto/verify.ts";
import { isJsonObject, type JsonObject, textField } from "./registry.ts";

/** Bytes of the nonce: enough that a client never draws one twice. */
export const SIGN_NONCE_BYTES = 16;
/** What the signature is for, so that it never counts as a signature over anything else. */
const DOMAIN = "pilot registry answer 1\n";
/** Levels of lists and objects in a signed message; real ones have three, and hostile ones must not use up the stack. */
export const MAX_SIGNED_DEPTH = 16;

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
 * The bytes that are signed: the domain, then request, reply without `signed`, and time, each as one value.
 *
 * A value is a letter and its content: `n`, `t`, `f` for null, true, false; `d` and the IEEE 754 double, big-endian;
 * `s`, a 32-bit length in bytes and the UTF-8; `a`, a 32-bit count and the values; `o`, a 32-bit count and for each
 * field its name (as a value) and its value, the names sorted by their UTF-16 code units, as RFC 8785 does. It is what
 * JSON carries: fields that are undefined are absent.
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
  const out = new Writer();
  out.raw(encodeText(DOMAIN));
  const isWhole = [request, content, time].every((value) => append(out, value, 0));
  return isWhole ? out.bytes() : undefined;
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

/** Appends one value. False when it is nested too deep. */
function append(out: Writer, value: unknown, depth: number): boolean {
  if (depth > MAX_SIGNED_DEPTH) return false;
  if (typeof value === "string") {
    out.text(value);
  } else if (typeof value === "number" && Number.isFinite(value)) {
    out.number(value);
  } else if (typeof value === "boolean") {
    out.letter(value ? "t" : "f");
  } else if (Array.isArray(value)) {
    out.head("a", value.length);
    return (value as unknown[]).every((item) => append(out, item, depth + 1));
  } else if (isJsonObject(value)) {
    const names = Object.keys(value).filter((name) => value[name] !== undefined).sort();
    out.head("o", names.length);
    return names.every((name) => {
      out.text(name);
      return append(out, value[name], depth + 1);
    });
  } else {
    out.letter("n");
  }
  return true;
}

/** Bytes at first; a usual answer fits, a longer one doubles it. */
const WRITER_BYTES = 1024;

/** A buffer that grows: a hostile reply may hold millions of values, too many for an array of parts. */
class Writer {
  #buffer = new Uint8Array(WRITER_BYTES);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  letter(letter: string): void {
    const at = this.#reserve(1);
    this.#buffer[at] = letter.charCodeAt(0);
  }

  head(letter: string, count: number): void {
    this.letter(letter);
    const at = this.#reserve(4);
    this.#view.setUint32(at, count);
  }

  text(text: string): void {
    const bytes = encodeText(text);
    this.head("s", bytes.length);
    this.raw(bytes);
  }

  number(value: number): void {
    this.letter("d");
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value + 0); // JSON has no negative zero
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#buffer.length));
      larger.set(this.#buffer);
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
