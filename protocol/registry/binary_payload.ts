/**
 * Payloads of the registry's native binary operations (docs/protocol/registry.md §1.4).
 *
 * @module
 */

import { ByteReader, ByteWriter } from "../byte_cursor.ts";
import { decodeText, encodeText } from "../bytes.ts";
import { type Decoded, DecodeError, PilotError } from "../errors.ts";

/** Most entries of a list in a reply; as in the newest clients. */
export const BINARY_MAX_LIST = 1024;
/** Key age that means "unknown". */
export const KEY_AGE_UNKNOWN = 0xffffffff;

const SIGNATURE_BYTES = 64;
/** Longest error text sent: what existing servers cut theirs to (docs/protocol/registry.md §1.4). */
const MAX_ERROR_BYTES = 65000;
const KEY_EXPIRES = 1;
const PUBLIC = 1;
const TASK_EXEC = 2;

const SHORT = new DecodeError("too_short", "registry payload too short");
const LONG_LIST = new DecodeError("too_long", "registry list above 1024");

/** Payload of a heartbeat. */
export interface BinaryHeartbeat {
  /** Who. */
  readonly node: number;
  /** 64 raw bytes. */
  readonly signature: Uint8Array;
}

/** Payload of a heartbeat's reply. */
export interface BinaryHeartbeatOk {
  /** The registry's clock, unix seconds. */
  readonly time: number;
  /** The key expires within 24 h. */
  readonly keyExpiryWarning: boolean;
}

/** Payload of a resolve. */
export interface BinaryResolve {
  /** The node to reach. */
  readonly node: number;
  /** Who asks. */
  readonly requester: number;
  /** 64 raw bytes. */
  readonly signature: Uint8Array;
}

/** Payload of a lookup's reply. */
export interface BinaryLookupOk {
  /** The node concerned. */
  readonly node: number;
  /** Anyone may resolve it. */
  readonly public: boolean;
  /** It takes tasks. */
  readonly taskExec: boolean;
  /** Signed 32 bit. */
  readonly poloScore: number;
  /** Networks it is in. */
  readonly networks: readonly number[];
  /** Ed25519 key, 32 bytes, or empty. */
  readonly publicKey: Uint8Array;
  /** Hostname, or empty. */
  readonly hostname: string;
  /** Tags. */
  readonly tags: readonly string[];
  /** `host:port`, empty unless public. */
  readonly realAddr: string;
  /** Id of an external identity, or empty. */
  readonly externalId: string;
}

/** Payload of a resolve's reply. */
export interface BinaryResolveOk {
  /** The node to reach. */
  readonly node: number;
  /** `host:port`, may be empty. */
  readonly realAddr: string;
  /** `host:port` in its local network. */
  readonly lanAddrs: readonly string[];
  /** Whole days, or {@linkcode KEY_AGE_UNKNOWN}. */
  readonly keyAgeDays: number;
  /** Ed25519 key; absent in the shorter of the two forms. */
  readonly publicKey?: Uint8Array;
}

function checkSignature(signature: Uint8Array): void {
  if (signature.length !== SIGNATURE_BYTES) {
    throw new PilotError(
      "invalid_argument",
      `Signature must be ${SIGNATURE_BYTES} bytes, not ${signature.length}`,
    );
  }
}

/** Cuts UTF-8 to `max` bytes without splitting a character. */
function cutText(text: string, max: number): Uint8Array {
  const bytes = encodeText(text);
  if (bytes.length <= max) return bytes;
  let end = max;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

function short(writer: ByteWriter, bytes: Uint8Array): void {
  const cut = bytes.subarray(0, 0xff);
  writer.u8(cut.length).raw(cut);
}

function long(writer: ByteWriter, text: string): void {
  const bytes = cutText(text, 0xffff);
  writer.u16(bytes.length).raw(bytes);
}

/** Collects texts of one record and the first error among them. */
class TextFields {
  error: DecodeError | undefined;

  text(bytes: Uint8Array): string {
    const text = decodeText(bytes);
    if (!(text instanceof DecodeError)) return text;
    this.error ??= text;
    return "";
  }
}

/**
 * Encodes a heartbeat (01).
 *
 * @param heartbeat Node and signature.
 * @returns 68 bytes.
 * @throws {PilotError} `invalid_argument` when the signature has the wrong length.
 */
export function encodeBinaryHeartbeat(heartbeat: BinaryHeartbeat): Uint8Array {
  checkSignature(heartbeat.signature);
  return new ByteWriter().u32(heartbeat.node).raw(heartbeat.signature).finish();
}

/**
 * Decodes a heartbeat (01).
 *
 * @param payload At least 68 bytes; the tail is ignored.
 * @returns Node and signature, a view; or a {@linkcode DecodeError}.
 */
export function decodeBinaryHeartbeat(
  payload: Uint8Array,
): Decoded<BinaryHeartbeat> {
  const reader = new ByteReader(payload);
  const node = reader.u32();
  const signature = reader.take(SIGNATURE_BYTES);
  return reader.failed ? SHORT : { node, signature };
}

/**
 * Encodes a heartbeat's reply (81).
 *
 * @param reply Clock and warning.
 * @returns 9 bytes.
 */
export function encodeBinaryHeartbeatOk(reply: BinaryHeartbeatOk): Uint8Array {
  return new ByteWriter().u64(reply.time)
    .u8(reply.keyExpiryWarning ? KEY_EXPIRES : 0).finish();
}

/**
 * Decodes a heartbeat's reply (81).
 *
 * @param payload At least 9 bytes.
 * @returns Clock and warning, or a {@linkcode DecodeError}.
 */
export function decodeBinaryHeartbeatOk(
  payload: Uint8Array,
): Decoded<BinaryHeartbeatOk> {
  const reader = new ByteReader(payload);
  const time = reader.i64();
  const flags = reader.u8();
  if (reader.failed) return SHORT;
  return { time, keyExpiryWarning: (flags & KEY_EXPIRES) !== 0 };
}

/**
 * Encodes a lookup (02).
 *
 * @param node The node concerned.
 * @returns 4 bytes.
 */
export function encodeBinaryLookup(node: number): Uint8Array {
  return new ByteWriter().u32(node).finish();
}

/**
 * Decodes a lookup (02).
 *
 * @param payload At least 4 bytes.
 * @returns The node, or a {@linkcode DecodeError}.
 */
export function decodeBinaryLookup(payload: Uint8Array): Decoded<number> {
  const reader = new ByteReader(payload);
  const node = reader.u32();
  return reader.failed ? SHORT : node;
}

/**
 * Encodes a lookup's reply (82). Texts, keys and lists are cut to what their length fields can say.
 *
 * @param reply The node's facts.
 * @returns The payload.
 */
export function encodeBinaryLookupOk(reply: BinaryLookupOk): Uint8Array {
  const writer = new ByteWriter().u32(reply.node)
    .u8((reply.public ? PUBLIC : 0) | (reply.taskExec ? TASK_EXEC : 0))
    .u32(reply.poloScore);
  const networks = reply.networks.slice(0, BINARY_MAX_LIST);
  writer.u16(networks.length);
  for (const network of networks) writer.u16(network);
  short(writer, reply.publicKey);
  short(writer, cutText(reply.hostname, 0xff));
  const tags = reply.tags.slice(0, 0xff);
  writer.u8(tags.length);
  for (const tag of tags) short(writer, cutText(tag, 0xff));
  long(writer, reply.realAddr);
  short(writer, cutText(reply.externalId, 0xff));
  return writer.finish();
}

/**
 * Decodes a lookup's reply (82).
 *
 * @param payload The payload.
 * @returns The node's facts, or a {@linkcode DecodeError}.
 */
export function decodeBinaryLookupOk(
  payload: Uint8Array,
): Decoded<BinaryLookupOk> {
  const reader = new ByteReader(payload);
  const texts = new TextFields();
  const node = reader.u32();
  const flags = reader.u8();
  const poloScore = reader.i32();
  const count = reader.u16();
  if (count > BINARY_MAX_LIST) return LONG_LIST;
  const networks: number[] = [];
  for (let i = 0; i < count && !reader.failed; i++) networks.push(reader.u16());
  const publicKey = reader.take(reader.u8());
  const hostname = texts.text(reader.take(reader.u8()));
  const tagCount = reader.u8();
  const tags: string[] = [];
  for (let i = 0; i < tagCount && !reader.failed; i++) {
    tags.push(texts.text(reader.take(reader.u8())));
  }
  const realAddr = texts.text(reader.take(reader.u16()));
  const externalId = texts.text(reader.take(reader.u8()));
  if (reader.failed) return SHORT;
  if (texts.error !== undefined) return texts.error;
  return {
    node,
    public: (flags & PUBLIC) !== 0,
    taskExec: (flags & TASK_EXEC) !== 0,
    poloScore,
    networks,
    publicKey,
    hostname,
    tags,
    realAddr,
    externalId,
  };
}

/**
 * Encodes a resolve (03).
 *
 * @param request Target, requester, signature.
 * @returns 72 bytes.
 * @throws {PilotError} `invalid_argument` when the signature has the wrong length.
 */
export function encodeBinaryResolve(request: BinaryResolve): Uint8Array {
  checkSignature(request.signature);
  return new ByteWriter().u32(request.node).u32(request.requester)
    .raw(request.signature).finish();
}

/**
 * Decodes a resolve (03).
 *
 * @param payload At least 72 bytes.
 * @returns Target, requester and signature, a view; or a {@linkcode DecodeError}.
 */
export function decodeBinaryResolve(
  payload: Uint8Array,
): Decoded<BinaryResolve> {
  const reader = new ByteReader(payload);
  const node = reader.u32();
  const requester = reader.u32();
  const signature = reader.take(SIGNATURE_BYTES);
  return reader.failed ? SHORT : { node, requester, signature };
}

/**
 * Encodes a resolve's reply (83).
 *
 * @param reply The endpoints; with `publicKey` the longer form, which older readers accept.
 * @returns The payload.
 */
export function encodeBinaryResolveOk(reply: BinaryResolveOk): Uint8Array {
  const writer = new ByteWriter().u32(reply.node);
  long(writer, reply.realAddr);
  const lanAddrs = reply.lanAddrs.slice(0, BINARY_MAX_LIST);
  writer.u16(lanAddrs.length);
  for (const addr of lanAddrs) long(writer, addr);
  writer.u32(reply.keyAgeDays);
  if (reply.publicKey !== undefined) short(writer, reply.publicKey);
  return writer.finish();
}

/**
 * Decodes a resolve's reply (83), with or without public key.
 *
 * @param payload The payload.
 * @returns The endpoints, or a {@linkcode DecodeError}.
 */
export function decodeBinaryResolveOk(
  payload: Uint8Array,
): Decoded<BinaryResolveOk> {
  const reader = new ByteReader(payload);
  const texts = new TextFields();
  const node = reader.u32();
  const realAddr = texts.text(reader.take(reader.u16()));
  const count = reader.u16();
  if (count > BINARY_MAX_LIST) return LONG_LIST;
  const lanAddrs: string[] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    lanAddrs.push(texts.text(reader.take(reader.u16())));
  }
  const keyAgeDays = reader.u32();
  const common = { node, realAddr, lanAddrs, keyAgeDays };
  const longForm = reader.remaining > 0;
  const publicKey = longForm ? reader.take(reader.u8()) : undefined;
  if (reader.failed) return SHORT;
  if (texts.error !== undefined) return texts.error;
  return publicKey === undefined ? common : { ...common, publicKey };
}

/**
 * Encodes an error (FF), cut to 65000 bytes.
 *
 * @param message Text for people.
 * @returns The payload.
 */
export function encodeBinaryError(message: string): Uint8Array {
  const bytes = cutText(message, MAX_ERROR_BYTES);
  return new ByteWriter().u16(bytes.length).raw(bytes).finish();
}

/**
 * Decodes an error (FF), leniently: a length beyond the end is clamped.
 *
 * @param payload The payload.
 * @returns The text; `unknown error` when there is none or it is not UTF-8.
 */
export function decodeBinaryError(payload: Uint8Array): string {
  const reader = new ByteReader(payload);
  const length = reader.u16();
  if (reader.failed) return "unknown error";
  const text = decodeText(reader.take(Math.min(length, reader.remaining)));
  return text instanceof DecodeError ? "unknown error" : text;
}
