/**
 * Byte helpers shared by the codecs: text, big-endian writes, and the queue under every incremental reader.
 *
 * @module
 */

import { type Decoded, DecodeError } from "./errors.ts";

/** An empty array, shared. */
export const EMPTY: Uint8Array = new Uint8Array(0);

const encoder = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF, so that decode(encode(text)) is text again.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const NOT_UTF8 = new DecodeError("malformed", "text is not valid UTF-8");
const NOT_JSON = new DecodeError("malformed", "not valid JSON");

/**
 * Encodes text as UTF-8.
 *
 * @param text The text; lone surrogates become U+FFFD.
 * @returns Its bytes.
 */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/**
 * Decodes UTF-8, strictly.
 *
 * @param bytes The bytes.
 * @returns The text, or a {@linkcode DecodeError} when the bytes are not UTF-8.
 */
export function decodeText(bytes: Uint8Array): Decoded<string> {
  try {
    return decoder.decode(bytes);
  } catch {
    // A fatal decoder has only this one complaint.
    return NOT_UTF8;
  }
}

/**
 * Encodes a value as compact JSON in UTF-8.
 *
 * @param value What `JSON.stringify` takes; `undefined` becomes `null`.
 * @returns Its bytes.
 */
export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value ?? null));
}

/**
 * Decodes any JSON value.
 *
 * @param bytes UTF-8 JSON.
 * @returns The value, or a {@linkcode DecodeError} when it is not UTF-8 or not JSON.
 */
export function decodeJson(bytes: Uint8Array): Decoded<unknown> {
  const text = decodeText(bytes);
  if (text instanceof DecodeError) return text;
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the input; hostile text has no place in logs.
    return NOT_JSON;
  }
}

/**
 * A view for fixed-offset reads of all of `bytes`.
 *
 * @param bytes The bytes.
 * @returns A `DataView` of exactly these bytes.
 */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

let lastBuffer: ArrayBufferLike | undefined;
let lastView: DataView | undefined;

/**
 * A view for reads and writes at `bytes.byteOffset` and beyond, for the packet path: packets lie side by side in few
 * buffers, and a `DataView` of its own for each would be garbage a million times a second.
 *
 * @param bytes The bytes.
 * @returns A `DataView` of the whole buffer that `bytes` lies in. The one asked for last is kept alive.
 */
export function wholeViewOf(bytes: Uint8Array): DataView {
  const { buffer } = bytes;
  if (buffer !== lastBuffer || lastView === undefined) {
    lastBuffer = buffer;
    lastView = new DataView(buffer);
  }
  return lastView;
}

/**
 * Joins parts into one new array.
 *
 * @param parts What to join, in order.
 * @returns A copy of all of them.
 */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Smallest buffer made for a partial frame; spares the first few doublings of a byte-wise sender. */
const MIN_OWNED_BYTES = 256;
/** Largest buffer kept for the next partial frame, bytes: the largest Send frame of the SDK, 128 KiB with its headers. */
const MAX_SPARE_BYTES = (128 << 10) + 64;

/**
 * Bytes that arrived and were not consumed, first in, first out. Chunks are borrowed until {@linkcode own},
 * so that a frame inside one chunk costs no copy, and a partial frame does not pin the reader's buffers.
 */
export class ByteQueue {
  readonly #isReusing: boolean;
  /** An own buffer that has been consumed. */
  #spare: Uint8Array<ArrayBuffer> | undefined;
  /** Unread chunks; the first is a view of `#owned` when that is set. */
  #chunks: Uint8Array[] = [];
  /** Buffer of our own whose filled part ends where the first chunk ends. */
  #owned: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /**
   * Makes an empty queue.
   *
   * @param isReusing What {@linkcode take} gives is no longer needed when {@linkcode own} is called next, so that its
   * buffer may be filled again.
   */
  constructor(isReusing: boolean = false) {
    this.#isReusing = isReusing;
  }

  /** Unread bytes. */
  get length(): number {
    return this.#length;
  }

  /**
   * Appends a chunk without copying it.
   *
   * @param chunk Borrowed until it is consumed or {@linkcode own} is called.
   */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /**
   * Reads an unsigned big-endian number without consuming it.
   *
   * @param offset Offset from the first unread byte; `offset + bytes` must not pass {@linkcode length}.
   * @param bytes Width, 1..4.
   * @returns The number.
   */
  peek(offset: number, bytes: number): number {
    let value = 0;
    let skip = offset;
    let left = bytes;
    for (const chunk of this.#chunks) {
      while (skip < chunk.length && left > 0) {
        value = value * 256 + chunk[skip++]!;
        left--;
      }
      if (left === 0) break;
      skip -= chunk.length;
    }
    return value;
  }

  /**
   * Consumes bytes.
   *
   * @param count How many; must not exceed {@linkcode length}.
   * @returns A view of the chunk when they lie in one, otherwise a copy. The queue never writes to it again, unless it
   * reuses buffers.
   */
  take(count: number): Uint8Array {
    const head = this.#chunks[0];
    if (count === 0 || head === undefined) return EMPTY;
    if (head.length < count) this.#gather(count);
    const first = this.#chunks[0]!;
    const taken = first.subarray(0, count);
    this.#length -= count;
    if (first.length === count) {
      this.#chunks.shift();
      if (this.#isReusing && (this.#owned?.length ?? Infinity) <= MAX_SPARE_BYTES) {
        this.#spare = this.#owned;
      }
      this.#owned = undefined;
    } else {
      this.#chunks[0] = first.subarray(count);
    }
    return taken;
  }

  /**
   * Copies what is borrowed, so that the caller may reuse its buffers. Memory follows the bytes that arrived,
   * not the length that a frame claims.
   *
   * @param need Bytes the frame in progress will have; growth stops there.
   */
  own(need: number): void {
    if (this.#length === 0) return;
    if (this.#chunks.length === 1 && this.#owned !== undefined) return;
    const doubled = Math.max(MIN_OWNED_BYTES, this.#length * 2);
    const capacity = Math.max(this.#length, Math.min(doubled, need));
    const spare = (this.#spare?.length ?? 0) < capacity ? undefined : this.#spare;
    const before = this.#owned;
    this.#gather(this.#length, capacity, spare);
    // It may be in use now.
    if (this.#owned === spare) this.#spare = undefined;
    if (before !== this.#owned) this.#free(before);
  }

  /** Forgets everything. With reused buffers, what {@linkcode take} gave is gone as well. */
  clear(): void {
    this.#free(this.#owned);
    this.#free(this.#spare);
    this.#chunks = [];
    this.#owned = undefined;
    this.#spare = undefined;
    this.#length = 0;
  }

  /** Gives memory back now: a process that has become idle may not collect garbage for hours. */
  #free(buffer: Uint8Array<ArrayBuffer> | undefined): void {
    if (this.#isReusing) buffer?.buffer.transfer(0);
  }

  /** Makes the first chunk hold `count` bytes, appending to the own buffer where it has room. */
  #gather(count: number, capacity: number = count, spare?: Uint8Array<ArrayBuffer>): void {
    const head = this.#chunks[0]!;
    let buffer = this.#owned;
    let start = 0;
    let filled = head.length;
    if (buffer !== undefined) start = head.byteOffset - buffer.byteOffset;
    if (buffer === undefined || start + count > buffer.length) {
      buffer = spare ?? new Uint8Array(capacity);
      buffer.set(head);
      start = 0;
    }
    let used = 1;
    while (filled < count) {
      const chunk = this.#chunks[used]!;
      const part = chunk.subarray(0, count - filled);
      buffer.set(part, start + filled);
      filled += part.length;
      if (part.length < chunk.length) {
        this.#chunks[used] = chunk.subarray(part.length);
      } else {
        used++;
      }
    }
    this.#chunks.splice(0, used, buffer.subarray(start, start + count));
    this.#owned = buffer;
  }
}
