/**
 * Data exchange, port 1001: frames of messages and files, and their answers (docs/protocol/services.md §2).
 *
 * @module
 */

import { type ByteQueue, decodeText, encodeText, viewOf } from "../bytes.ts";
import { concatBytes } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";
import { type BytesNeeded, FrameReader, type FrameSpan, lengthPrefixed } from "../frame_reader.ts";

/** Largest payload of a frame; the reference's readers close at one byte more. */
export const DATA_EXCHANGE_MAX_BYTES = 16 * 1024 * 1024;
/** Bytes before the payload: type and length. */
export const DATA_EXCHANGE_HEADER_BYTES = 8;
/** Longest file name, UTF-8 bytes; the reference's readers close at one byte more. */
export const MAX_FILE_NAME_BYTES = 255;

/** Frame types. */
export const DataType = {
  text: 1,
  binary: 2,
  json: 3,
  file: 4,
  /** Around a message whose transit is timed (tagged.ts). */
  trace: 5,
  fileStream: 7,
  /** Around a message with ids (tagged.ts). */
  tagged: 10,
} as const;

const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: "TEXT",
  2: "BINARY",
  3: "JSON",
  4: "FILE",
  5: "TRACE",
  7: "FILESTREAM",
  10: "TAGGED",
};

/**
 * Names a frame type as answers and inbox files do.
 *
 * @param type The type.
 * @returns For example `TEXT`, or `UNKNOWN(9)`.
 */
export function dataTypeName(type: number): string {
  return TYPE_NAMES[type] ?? `UNKNOWN(${type})`;
}

/** One frame. `payload` may be a view of the chunk it came in. */
export interface DataFrame {
  /** One of {@linkcode DataType}, or an unknown one. */
  readonly type: number;
  /** Up to {@linkcode DATA_EXCHANGE_MAX_BYTES}. */
  readonly payload: Uint8Array;
}

const TOO_LONG = new DecodeError("too_long", "data exchange frame too long");
const NAME_TOO_LONG = new DecodeError("too_long", "file name too long");
const BAD_NAME = new DecodeError("malformed", "file name is not a plain name");

/** Cuts a connection's bytes into frames. */
export class DataExchangeReader extends FrameReader<DataFrame> {
  readonly #limit: number;

  /**
   * Makes a reader for one connection.
   *
   * @param options `maxPayloadBytes`: refuse larger frames; default {@linkcode DATA_EXCHANGE_MAX_BYTES}.
   */
  constructor(options: { maxPayloadBytes?: number } = {}) {
    super();
    this.#limit = options.maxPayloadBytes ?? DATA_EXCHANGE_MAX_BYTES;
  }

  /** Finds the extent of the first frame from its length. */
  protected override span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError {
    return lengthPrefixed(queue, 4, this.#limit, TOO_LONG);
  }

  /** Makes the value from a complete frame. */
  protected override frame(bytes: Uint8Array, headerBytes: number): DataFrame {
    return {
      type: viewOf(bytes).getUint32(0),
      payload: bytes.subarray(headerBytes),
    };
  }
}

/**
 * Encodes what precedes a payload, so that a large payload need not be copied.
 *
 * @param type The type.
 * @param payloadBytes Length of the payload that follows.
 * @returns 8 bytes.
 * @throws {PilotError} `limit_exceeded` when the payload is above {@linkcode DATA_EXCHANGE_MAX_BYTES}.
 */
export function encodeDataHeader(
  type: number,
  payloadBytes: number,
): Uint8Array {
  if (payloadBytes > DATA_EXCHANGE_MAX_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `A data exchange frame holds at most ${DATA_EXCHANGE_MAX_BYTES} bytes, not ${payloadBytes}`,
      { hint: "Send a file as a stream instead." },
    );
  }
  const out = new Uint8Array(DATA_EXCHANGE_HEADER_BYTES);
  const view = viewOf(out);
  view.setUint32(0, type);
  view.setUint32(4, payloadBytes);
  return out;
}

/**
 * Encodes a frame in one piece.
 *
 * @param type The type.
 * @param payload The payload.
 * @returns Header and payload.
 * @throws {PilotError} `limit_exceeded` when the payload is above {@linkcode DATA_EXCHANGE_MAX_BYTES}.
 */
export function encodeDataFrame(type: number, payload: Uint8Array): Uint8Array {
  return concatBytes(encodeDataHeader(type, payload.length), payload);
}

/**
 * Is this a file name that is safe to join to a directory: no separators, no control characters, not `.` or
 * `..`, at most {@linkcode MAX_FILE_NAME_BYTES}? Empty is not a name.
 *
 * @param name The name.
 * @returns True when it is.
 */
export function isPlainFileName(name: string): boolean {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (name === "" || name === "." || name === ".." || /[/\\\x00-\x1f\x7f]/.test(name)) {
    return false;
  }
  return encodeText(name).length <= MAX_FILE_NAME_BYTES;
}

/**
 * Checks a file name before it is sent.
 *
 * @param name The name.
 * @returns Its UTF-8 bytes.
 * @throws {PilotError} `invalid_argument` when {@linkcode isPlainFileName} says no.
 */
export function encodeFileName(name: string): Uint8Array {
  if (!isPlainFileName(name)) {
    throw new PilotError("invalid_argument", `Not a plain file name: "${name}"`, {
      advice: { id: "name_file" },
    });
  }
  return encodeText(name);
}

/**
 * Decodes a file name that a peer sent.
 *
 * @param bytes The name, not empty.
 * @returns The name, or a {@linkcode DecodeError} when it is too long, not UTF-8 or not plain.
 */
export function decodeFileName(bytes: Uint8Array): Decoded<string> {
  if (bytes.length > MAX_FILE_NAME_BYTES) return NAME_TOO_LONG;
  const name = decodeText(bytes);
  if (name instanceof DecodeError) return name;
  return isPlainFileName(name) ? name : BAD_NAME;
}

/** Content of a FILE frame. */
export interface FileContent {
  /** The name; empty when the sender gave none. */
  readonly name: string;
  /** The content; a view when decoded. */
  readonly data: Uint8Array;
}

/**
 * Encodes all of a FILE frame that precedes the content: header, name length, name.
 *
 * @param name A plain file name.
 * @param dataBytes Length of the content that follows.
 * @returns The bytes before the content.
 * @throws {PilotError} `invalid_argument` for the name, `limit_exceeded` for the length.
 */
export function encodeFileHeader(name: string, dataBytes: number): Uint8Array {
  const bytes = encodeFileName(name);
  const length = 2 + bytes.length + dataBytes;
  return concatBytes(
    encodeDataHeader(DataType.file, length),
    Uint8Array.of(bytes.length >> 8, bytes.length),
    bytes,
  );
}

/**
 * Decodes the payload of a FILE frame. As in the reference, an empty name or one that reaches past the end
 * means that there is no name and the payload is all content.
 *
 * @param payload Payload of a type 4 frame.
 * @returns Name and content, a view; or a {@linkcode DecodeError} for a name that is too long or not plain.
 */
export function decodeFile(payload: Uint8Array): Decoded<FileContent> {
  if (payload.length < 2) return { name: "", data: payload };
  const nameBytes = viewOf(payload).getUint16(0);
  if (nameBytes > MAX_FILE_NAME_BYTES) return NAME_TOO_LONG;
  const end = 2 + nameBytes;
  if (nameBytes === 0 || end > payload.length) {
    return { name: "", data: payload };
  }
  const name = decodeFileName(payload.subarray(2, end));
  if (name instanceof DecodeError) return name;
  return { name, data: payload.subarray(end) };
}

/**
 * The answer to a frame that was taken.
 *
 * @param type Type of that frame.
 * @param bytes Payload bytes; for FILE the content only.
 * @returns `ACK <TYPENAME> <n> bytes`.
 */
export function ackText(type: number, bytes: number): string {
  return `ACK ${dataTypeName(type)} ${bytes} bytes`;
}

/**
 * The answer to a frame that could not be stored.
 *
 * @param type Type of that frame.
 * @param reason Why.
 * @returns `ERR <TYPENAME> save failed: <reason>`.
 */
export function errText(type: number, reason: string): string {
  return `ERR ${dataTypeName(type)} save failed: ${reason}`;
}

/** What an answer says. */
export interface DataAnswer {
  /** It begins with `ACK`. */
  readonly ok: boolean;
  /** Type name, for example `TEXT`; empty when the text is in no known form. */
  readonly typeName: string;
  /** Bytes acknowledged, when it says so. */
  readonly bytes?: number;
  /** The whole text. */
  readonly text: string;
}

/**
 * Reads an answer.
 *
 * @param text Payload of the TEXT frame that answers.
 * @returns What it says; anything that is not an `ACK` is not ok.
 */
export function parseAnswer(text: string): DataAnswer {
  const ack = /^ACK (\S+) (\d{1,15}) bytes/.exec(text);
  if (ack !== null) {
    return { ok: true, typeName: ack[1]!, bytes: Number(ack[2]), text };
  }
  const other = /^(ACK|ERR) (\S+)/.exec(text);
  return { ok: other?.[1] === "ACK", typeName: other?.[2] ?? "", text };
}

/**
 * Finds the code in a refusal of ours: `ERR TEXT save failed: limit_exceeded: no room`, or the same from the code on.
 * Other implementations send none.
 *
 * @param text An ERR answer, or the text of an ABORT.
 * @returns The code there, written by the sender of the text; it need not be an error code.
 */
export function refusalCode(text: string): string | undefined {
  return /^(?:ERR \S+ save failed: )?([a-z_]{1,32}): /.exec(text)?.[1];
}
