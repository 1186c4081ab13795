/**
 * FILESTREAM, data exchange type 7: a file in chunks with resume and verification (docs/protocol/services.md §3).
 * Payload: `kind u8 | transfer_id 16 | body`.
 *
 * @module
 */

import { ByteReader, ByteWriter } from "../byte_cursor.ts";
import { concatBytes, decodeText, EMPTY, encodeText } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";
import { DataType, decodeFileName, encodeDataHeader, encodeFileName } from "./data_exchange.ts";

/** Bytes of a transfer id: the first of the content's SHA-256. */
export const TRANSFER_ID_BYTES = 16;
/** Content of one chunk, bytes. */
export const FILE_STREAM_CHUNK_BYTES = 48 * 1024;
/** Chunks sent and not yet acknowledged. */
export const FILE_STREAM_WINDOW_CHUNKS = 16;

/** Kinds of FILESTREAM payload. */
export const FileStreamKind = {
  init: 1,
  chunk: 2,
  ack: 3,
  done: 4,
  initAck: 5,
  complete: 6,
  abort: 7,
} as const;

/** A FILESTREAM message. Arrays of decoded messages are views. */
export type FileStreamMessage =
  & {
    /** 16 bytes. */
    readonly transferId: Uint8Array;
  }
  & (
    | {
      readonly kind: "init";
      /** Bytes of the file. */
      readonly size: number;
      /** SHA-256 of the file, 32 bytes. */
      readonly sha256: Uint8Array;
      /** Bytes of each chunk but the last. */
      readonly chunkBytes: number;
      /** Plain file name. */
      readonly name: string;
    }
    | {
      readonly kind: "chunk";
      readonly offset: number;
      readonly data: Uint8Array;
    }
    | {
      readonly kind: "ack";
      /** Everything before this offset has arrived. */
      readonly offset: number;
    }
    | { readonly kind: "done" }
    | {
      readonly kind: "init_ack";
      /** Where to resume. */
      readonly offset: number;
    }
    | { readonly kind: "complete"; readonly ok: boolean; readonly text: string }
    | { readonly kind: "abort"; readonly text: string }
  );

const SHA256_BYTES = 32;
const SHORT = new DecodeError("too_short", "file stream message too short");
const TOO_LARGE = new DecodeError("too_long", "file stream: size above 2^53");
const NO_NAME = new DecodeError("malformed", "file stream: no file name");
const UNKNOWN = new DecodeError("unknown_type", "unknown file stream kind");

function checkBytes(name: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new PilotError(
      "invalid_argument",
      `${name} must be ${length} bytes, not ${bytes.length}`,
    );
  }
}

function start(kind: number, transferId: Uint8Array): ByteWriter {
  checkBytes("Transfer id", transferId, TRANSFER_ID_BYTES);
  return new ByteWriter().u8(kind).raw(transferId);
}

/**
 * Encodes a message as the payload of a type 7 frame.
 *
 * @param message The message.
 * @returns The payload.
 * @throws {PilotError} `invalid_argument` for a wrong id, hash or file name.
 */
export function encodeFileStream(message: FileStreamMessage): Uint8Array {
  const { transferId } = message;
  switch (message.kind) {
    case "init": {
      checkBytes("SHA-256", message.sha256, SHA256_BYTES);
      const name = encodeFileName(message.name);
      return start(FileStreamKind.init, transferId).u64(message.size)
        .raw(message.sha256).u32(message.chunkBytes).u16(name.length).raw(name)
        .finish();
    }
    case "chunk":
      return concatBytes(
        start(FileStreamKind.chunk, transferId).u64(message.offset).finish(),
        message.data,
      );
    case "ack":
      return start(FileStreamKind.ack, transferId).u64(message.offset).finish();
    case "done":
      return start(FileStreamKind.done, transferId).finish();
    case "init_ack":
      return start(FileStreamKind.initAck, transferId).u64(message.offset)
        .finish();
    case "complete":
      return start(FileStreamKind.complete, transferId).u8(message.ok ? 0 : 1)
        .raw(encodeText(message.text)).finish();
    case "abort":
      return start(FileStreamKind.abort, transferId)
        .raw(encodeText(message.text)).finish();
  }
}

/**
 * Encodes all of a chunk's frame that precedes its data: data exchange header, kind, id, offset.
 *
 * @param transferId 16 bytes.
 * @param offset Where the data belongs.
 * @param dataBytes Length of the data that follows.
 * @returns 33 bytes.
 * @throws {PilotError} `invalid_argument` for a wrong id, `limit_exceeded` for the length.
 */
export function encodeFileChunkHeader(
  transferId: Uint8Array,
  offset: number,
  dataBytes: number,
): Uint8Array {
  const head = encodeFileStream({
    kind: "chunk",
    transferId,
    offset,
    data: EMPTY,
  });
  return concatBytes(
    encodeDataHeader(DataType.fileStream, head.length + dataBytes),
    head,
  );
}

function decodeInit(
  reader: ByteReader,
  transferId: Uint8Array,
): Decoded<FileStreamMessage> {
  const size = reader.u64();
  const sha256 = reader.take(SHA256_BYTES);
  const chunkBytes = reader.u32();
  const nameBytes = reader.take(reader.u16());
  if (reader.failed) return SHORT;
  if (size > Number.MAX_SAFE_INTEGER) return TOO_LARGE;
  if (nameBytes.length === 0) return NO_NAME;
  const name = decodeFileName(nameBytes);
  if (name instanceof DecodeError) return name;
  return { kind: "init", transferId, size, sha256, chunkBytes, name };
}

function decodeVerdict(
  reader: ByteReader,
  transferId: Uint8Array,
  kind: number,
): Decoded<FileStreamMessage> {
  const status = kind === FileStreamKind.complete ? reader.u8() : 0;
  if (reader.failed) return SHORT;
  const text = decodeText(reader.rest());
  if (text instanceof DecodeError) return text;
  return kind === FileStreamKind.complete
    ? { kind: "complete", transferId, ok: status === 0, text }
    : { kind: "abort", transferId, text };
}

/**
 * Decodes the payload of a type 7 frame.
 *
 * @param payload The payload.
 * @returns The message, its arrays views; or a {@linkcode DecodeError}.
 */
export function decodeFileStream(
  payload: Uint8Array,
): Decoded<FileStreamMessage> {
  const reader = new ByteReader(payload);
  const kind = reader.u8();
  const transferId = reader.take(TRANSFER_ID_BYTES);
  if (reader.failed) return SHORT;
  switch (kind) {
    case FileStreamKind.init:
      return decodeInit(reader, transferId);
    case FileStreamKind.chunk:
    case FileStreamKind.ack:
    case FileStreamKind.initAck: {
      const offset = reader.u64();
      if (reader.failed) return SHORT;
      if (offset > Number.MAX_SAFE_INTEGER) return TOO_LARGE;
      if (kind === FileStreamKind.chunk) {
        return { kind: "chunk", transferId, offset, data: reader.rest() };
      }
      const name = kind === FileStreamKind.ack ? "ack" : "init_ack";
      return { kind: name, transferId, offset };
    }
    case FileStreamKind.done:
      return { kind: "done", transferId };
    case FileStreamKind.complete:
    case FileStreamKind.abort:
      return decodeVerdict(reader, transferId, kind);
    default:
      return UNKNOWN;
  }
}
