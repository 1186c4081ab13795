/**
 * The incremental reader under all length-prefixed framings of this project.
 *
 * @module
 */

import { ByteQueue } from "./bytes.ts";
import { DecodeError } from "./errors.ts";

/** Where a frame lies in the bytes, found from its first bytes. */
export interface FrameSpan {
  /** Bytes before the body. */
  readonly headerBytes: number;
  /** Bytes of the body. */
  readonly bodyBytes: number;
}

/** Number of more bytes that must have arrived before the span is known. */
export type BytesNeeded = number;

/**
 * Cuts a byte stream into frames. Memory follows the bytes that arrived and never exceeds one frame of the
 * greatest permitted size, provided the caller drains {@linkcode next} after each {@linkcode push}.
 */
export abstract class FrameReader<T> {
  readonly #queue: ByteQueue;
  #error: DecodeError | undefined;

  /**
   * Makes a reader of nothing yet.
   *
   * @param options `isReusing`: a frame is done with when {@linkcode next} returns undefined, also one that came in
   * pieces, so that the next such one may use its memory.
   */
  constructor({ isReusing = false }: { isReusing?: boolean } = {}) {
    this.#queue = new ByteQueue(isReusing);
  }

  /** Bytes held and not yet returned; below the largest frame once drained. */
  get bufferedBytes(): number {
    return this.#queue.length;
  }

  /** Bytes of the next frame, if all of it has arrived; 0 otherwise. Takes nothing. */
  get readyBytes(): number {
    if (this.#error !== undefined) return 0;
    const span = this.span(this.#queue);
    if (span instanceof DecodeError || typeof span === "number") return 0;
    const total = span.headerBytes + span.bodyBytes;
    return this.#queue.length < total ? 0 : total;
  }

  /**
   * Hands in bytes as they arrive.
   *
   * @param chunk Borrowed until {@linkcode next} returns undefined; frames returned until then may be views of
   * it. Ignored after an error.
   */
  push(chunk: Uint8Array): void {
    if (this.#error === undefined) this.#queue.push(chunk);
  }

  /**
   * Takes the next frame. Call until it returns undefined.
   *
   * @returns A frame; undefined when more bytes are needed; or a {@linkcode DecodeError}, after which the stream
   * cannot be followed any more: every later call returns the same error.
   */
  next(): T | undefined | DecodeError {
    for (;;) {
      if (this.#error !== undefined) return this.#error;
      const span = this.span(this.#queue);
      if (span instanceof DecodeError) return this.#fail(span);
      if (typeof span === "number") {
        this.#queue.own(span);
        return undefined;
      }
      const total = span.headerBytes + span.bodyBytes;
      if (this.#queue.length < total) {
        this.#queue.own(total);
        return undefined;
      }
      const frame = this.frame(this.#queue.take(total), span.headerBytes);
      if (frame instanceof DecodeError) return this.#fail(frame);
      if (frame !== undefined) return frame;
    }
  }

  /** Forgets what was handed in. A reader that reuses memory gives it back, and its last frame is gone. */
  clear(): void {
    this.#queue.clear();
  }

  /**
   * Finds the extent of the first frame.
   *
   * @param queue What has arrived; only `peek` what `length` allows.
   * @returns The span, the number of bytes needed to know it, or an error.
   */
  protected abstract span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError;

  /**
   * Makes the value from a complete frame.
   *
   * @param bytes Header and body.
   * @param headerBytes Where the body starts.
   * @returns The value, undefined to skip this frame, or an error.
   */
  protected abstract frame(
    bytes: Uint8Array,
    headerBytes: number,
  ): T | undefined | DecodeError;

  #fail(error: DecodeError): DecodeError {
    this.#error = error;
    this.#queue.clear();
    return error;
  }
}

/**
 * The usual span: a 32-bit length and that many bytes.
 *
 * @param queue What has arrived.
 * @param offset Where the length is, from the start of the frame; the header ends behind it.
 * @param limit Largest permitted length.
 * @param tooLong The error for a larger one.
 * @returns What {@linkcode FrameReader.span} returns.
 */
export function lengthPrefixed(
  queue: ByteQueue,
  offset: number,
  limit: number,
  tooLong: DecodeError,
): FrameSpan | BytesNeeded | DecodeError {
  const headerBytes = offset + 4;
  if (queue.length < headerBytes) return headerBytes;
  const bodyBytes = queue.peek(offset, 4);
  return bodyBytes > limit ? tooLong : { headerBytes, bodyBytes };
}
