/**
 * Collects a handshake message that arrives in pieces (docs/protocol/trust.md §1.4): there is no framing, so its end is
 * where the outermost brace closes.
 *
 * @module
 */

import { type Decoded, DecodeError } from "../errors.ts";
import { decodeHandshake, HANDSHAKE_MAX_READ_BYTES, type HandshakeMessage } from "./message.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const NOT_AN_OBJECT = new DecodeError(
  "malformed",
  "handshake message does not start with a brace",
);
const TOO_LONG = new DecodeError("too_long", "handshake message too long");

/**
 * Reads the one message of a connection. Looks at every byte once, so a sender of one-byte pieces costs no more
 * than one of whole messages, and keeps at most {@linkcode HANDSHAKE_MAX_READ_BYTES}.
 */
export class HandshakeReader {
  #buffer: Uint8Array = new Uint8Array(1024);
  #length = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;
  #result: Decoded<HandshakeMessage> | undefined;

  /**
   * Takes the next piece.
   *
   * @param chunk Bytes from the stream; copied. What follows the message is ignored.
   * @returns The unverified message, why there is none, or `undefined` while more is needed. Once decided, the
   * answer stays the same.
   */
  push(chunk: Uint8Array): Decoded<HandshakeMessage> | undefined {
    for (let i = 0; i < chunk.length && this.#result === undefined; i++) {
      this.#take(chunk[i]!);
    }
    return this.#result;
  }

  #take(byte: number): void {
    if (this.#length === 0 && isSpace(byte)) return;
    if (this.#length === 0 && byte !== OPEN) {
      this.#result = NOT_AN_OBJECT;
      return;
    }
    if (this.#length === HANDSHAKE_MAX_READ_BYTES) {
      this.#result = TOO_LONG;
      return;
    }
    if (this.#length === this.#buffer.length) this.#grow();
    this.#buffer[this.#length++] = byte;
    this.#scan(byte);
    if (this.#depth === 0) {
      this.#result = decodeHandshake(this.#buffer.subarray(0, this.#length));
    }
  }

  #scan(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#inText && byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inText = !this.#inText;
    else if (this.#inText) return;
    else if (byte === OPEN) this.#depth++;
    else if (byte === CLOSE) this.#depth--;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#buffer.length * 2);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
