/**
 * A connection to the data exchange service of an agent: frames out, answers in (docs/protocol/services.md §2).
 *
 * @module
 */

import { DecodeError, PilotError } from "../protocol/errors.ts";
import {
  DataExchangeReader,
  type DataFrame,
  decodeFileStream,
  encodeDataHeader,
  type FileStreamMessage,
  parseAnswer,
  refusalCode,
} from "../protocol/service/mod.ts";
import { DataType } from "../protocol/service/mod.ts";
import { decodeText } from "../protocol/bytes.ts";
import { withDeadline } from "./abort.ts";
import type { Conn } from "./conn.ts";

/** Longest answer taken; answers are one line of text or a few numbers. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Longest silence of the other side within an exchange, milliseconds (docs/protocol/services.md §7). */
export const STEP_TIMEOUT_MS = 60_000;

/** An answer of the service. */
export type DataAnswerFrame =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "stream"; readonly message: FileStreamMessage }
  | { readonly kind: "other"; readonly type: number };

/** Speaks data exchange over one connection. */
export class DataChannel {
  readonly #conn: Conn;
  readonly #peer: string;
  readonly #reader = new DataExchangeReader({
    maxPayloadBytes: MAX_ANSWER_BYTES,
  });

  /**
   * @param conn A connection to port 1001; the caller closes it.
   * @param peer Names the other side in errors.
   */
  constructor(conn: Conn, peer: string) {
    this.#conn = conn;
    this.#peer = peer;
  }

  /**
   * Sends a frame.
   *
   * @param type Frame type.
   * @param payload Its payload.
   * @param signal Ends the wait.
   */
  async send(
    type: number,
    payload: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const header = encodeDataHeader(type, payload.length);
    await this.write([header, payload], signal);
  }

  /**
   * Sends bytes that form a frame together.
   *
   * @param parts The bytes.
   * @param signal Ends the wait.
   */
  async write(
    parts: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<void> {
    await Promise.all(parts.map((part) => this.#conn.write(part, { signal })));
  }

  /**
   * Waits for the next answer.
   *
   * @param what What is waited for, for errors.
   * @param signal Ends the wait.
   * @param timeoutMs Longest wait.
   * @returns The answer.
   * @throws {PilotError} `connection_closed` when the peer ends instead, `timeout`, `protocol_error`.
   */
  answer(
    what: string,
    signal: AbortSignal,
    timeoutMs: number = STEP_TIMEOUT_MS,
  ): Promise<DataAnswerFrame> {
    return withDeadline({ signal, timeoutMs }, what, async (signal) => {
      for (;;) {
        const frame = this.#reader.next();
        if (frame instanceof DecodeError) throw this.#broken(frame.message);
        if (frame !== undefined) return this.#understand(frame);
        const chunk = await this.#conn.read({ signal });
        if (chunk === undefined) {
          throw new PilotError(
            "connection_closed",
            `${what}: ${this.#peer} closed the connection without an answer`,
          );
        }
        this.#reader.push(chunk);
      }
    });
  }

  /**
   * Waits for the text that acknowledges a frame.
   *
   * @param what What was sent, for errors.
   * @param signal Ends the wait.
   * @returns The acknowledgement.
   * @throws {PilotError} As {@linkcode refusedBecause} when the other side did not store it, and as {@linkcode answer}.
   */
  async acknowledged(what: string, signal: AbortSignal): Promise<string> {
    const answer = await this.answer(what, signal);
    if (answer.kind !== "text") {
      throw this.#broken("an answer of the wrong type");
    }
    if (parseAnswer(answer.text).ok) return answer.text;
    throw refusedBecause(`${what}: ${this.#peer} answered: ${answer.text}`, answer.text);
  }

  #understand({ type, payload }: DataFrame): DataAnswerFrame {
    if (type === DataType.text) {
      const text = decodeText(payload);
      if (text instanceof DecodeError) throw this.#broken(text.message);
      return { kind: "text", text };
    }
    if (type !== DataType.fileStream) return { kind: "other", type };
    const message = decodeFileStream(payload);
    if (message instanceof DecodeError) throw this.#broken(message.message);
    return { kind: "stream", message };
  }

  #broken(what: string): PilotError {
    return new PilotError("protocol_error", `From ${this.#peer}: ${what}`);
  }
}

/**
 * The error for something that the other side did not store.
 *
 * @param message What happened, with the text of the other side.
 * @param text The text of the other side.
 * @returns `limit_exceeded` when it says that there is no room, else `denied`.
 */
export function refusedBecause(message: string, text: string): PilotError {
  if (refusalCode(text) !== "limit_exceeded") return new PilotError("denied", message);
  return new PilotError("limit_exceeded", message, {
    advice: { id: "await_room" },
  });
}
