/**
 * One form of bytes for what JSON carries, so that both sides sign and check the same ones whatever their JSON looks
 * like on the wire.
 *
 * @module
 */

import { encodeText } from "./bytes.ts";
import { isJsonObject } from "./registry/registry_message.ts";

/** Levels of lists and objects in a signed message; real ones have three, and hostile ones must not use up the stack. */
export const MAX_SIGNED_DEPTH = 16;

/**
 * The bytes that are signed: a domain, then each value.
 *
 * A value is a letter and its content: `n`, `t`, `f` for null, true, false; `d` and the IEEE 754 double, big-endian;
 * `s`, a 32-bit length in bytes and the UTF-8; `a`, a 32-bit count and the values; `o`, a 32-bit count and for each
 * field its name (as a value) and its value, the names sorted by their UTF-16 code units, as RFC 8785 does. It is what
 * JSON carries: fields that are undefined are absent.
 *
 * @param domain What the signature is for, ending with a line feed.
 * @param values What JSON can carry.
 * @returns The bytes; undefined for values nested deeper than {@linkcode MAX_SIGNED_DEPTH}.
 */
export function canonicalBytes(
  domain: string,
  values: readonly unknown[],
): Uint8Array | undefined {
  const out = new Writer();
  out.raw(encodeText(domain));
  const isWhole = values.every((value) => append(out, value, 0));
  return isWhole ? out.bytes() : undefined;
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

const ENCODER = new TextEncoder();

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
    this.head("s", 0);
    const at = this.#reserve(3 * text.length); // the most that UTF-8 needs for UTF-16
    const { written } = ENCODER.encodeInto(text, this.#buffer.subarray(at));
    this.#view.setUint32(at - 4, written);
    this.#length = at + written;
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
