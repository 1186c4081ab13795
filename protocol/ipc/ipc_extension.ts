/**
 * Our additions to the IPC protocol, commands 0x40 and up: tags, so that requests may overlap, flow control in
 * both directions, and errors with a code. Clients that do not say Hello never see any of them.
 *
 * @module
 */

import { adviceOf } from "../advice.ts";
import { concatBytes, decodeJson, encodeJson, viewOf } from "../bytes.ts";
import { type Decoded, DecodeError, isErrorCode, PilotError } from "../errors.ts";
import { isJsonObject } from "../json_object.ts";
import { IPC_EXTENSION_VERSION } from "./ipc_frame.ts";
import { u32 } from "./integers.ts";

/** Bytes before the payload of Tagged and TaggedReply: id and command. */
export const TAG_HEADER_BYTES = 5;

const short = (message: string) => new DecodeError("too_short", message);
const NO_HELLO = short("hello: missing version");
const NO_TAG = short("tagged: missing id or command");
const NO_CREDIT = short("recv credit: missing conn_id or bytes");
const NO_ID = short("cancel: missing id");
const BAD_HELLO = new DecodeError("malformed", "hello: not a JSON object");
const BAD_ERROR = new DecodeError("malformed", "error: not a JSON object");

function strings(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((item) => typeof item === "string");
}

/** Payload of Hello. */
export interface IpcHello {
  /** Version of the extensions the client speaks. */
  readonly version: number;
  /** What the client calls itself, for logs. */
  readonly name?: string;
  /** Optional abilities of the client; default none. */
  readonly features?: readonly string[];
}

/** Payload of HelloOk. */
export interface IpcHelloOk {
  /** Version of the extensions the daemon speaks. */
  readonly version: number;
  /** The daemon's version. */
  readonly daemonVersion: string;
  /** Names of optional abilities. */
  readonly features: readonly string[];
}

function decodeVersioned(
  payload: Uint8Array,
): Decoded<{ version: number; info: Record<string, unknown> }> {
  const version = payload[0];
  if (version === undefined) return NO_HELLO;
  const info = payload.length === 1 ? {} : decodeJson(payload.subarray(1));
  if (info instanceof DecodeError) return info;
  return isJsonObject(info) ? { version, info } : BAD_HELLO;
}

/**
 * Encodes Hello.
 *
 * @param hello `version` defaults to {@linkcode IPC_EXTENSION_VERSION}.
 * @returns Version byte and JSON {name?, features?}.
 */
export function encodeHello(hello: Partial<IpcHello> = {}): Uint8Array {
  const { name, features = [] } = hello;
  const info = {
    ...(name === undefined ? {} : { name }),
    ...(features.length === 0 ? {} : { features }),
  };
  return concatBytes(
    Uint8Array.of(hello.version ?? IPC_EXTENSION_VERSION),
    encodeJson(info),
  );
}

/**
 * Decodes Hello.
 *
 * @param payload Version byte and JSON object; unknown keys are ignored.
 * @returns The client's version, name and features, or a {@linkcode DecodeError}.
 */
export function decodeHello(payload: Uint8Array): Decoded<IpcHello> {
  const hello = decodeVersioned(payload);
  if (hello instanceof DecodeError) return hello;
  const { version, info } = hello;
  const features = strings(info["features"]);
  return {
    version,
    ...(typeof info["name"] === "string" ? { name: info["name"] } : {}),
    ...(features.length === 0 ? {} : { features }),
  };
}

/**
 * Encodes HelloOk.
 *
 * @param hello `version` defaults to {@linkcode IPC_EXTENSION_VERSION}.
 * @returns Version byte and JSON {version, features}.
 */
export function encodeHelloOk(
  hello: Omit<IpcHelloOk, "version"> & { readonly version?: number },
): Uint8Array {
  return concatBytes(
    Uint8Array.of(hello.version ?? IPC_EXTENSION_VERSION),
    encodeJson({ version: hello.daemonVersion, features: hello.features }),
  );
}

/**
 * Decodes HelloOk.
 *
 * @param payload Version byte and JSON object; missing keys are read as empty.
 * @returns The daemon's versions and features, or a {@linkcode DecodeError}.
 */
export function decodeHelloOk(payload: Uint8Array): Decoded<IpcHelloOk> {
  const hello = decodeVersioned(payload);
  if (hello instanceof DecodeError) return hello;
  const daemonVersion = hello.info["version"];
  return {
    version: hello.version,
    daemonVersion: typeof daemonVersion === "string" ? daemonVersion : "",
    features: strings(hello.info["features"]),
  };
}

/** Payload of Tagged and TaggedReply. */
export interface IpcTagged {
  /** Id the client chose, unsigned 32 bit. */
  readonly id: number;
  /** The wrapped command, or the reply's. */
  readonly cmd: number;
  /** The wrapped payload; a view when decoded. */
  readonly payload: Uint8Array;
}

/**
 * Encodes what precedes the payload of Tagged and TaggedReply; the first part for `encodeIpcFrame`.
 *
 * @param id The request's id.
 * @param cmd The wrapped command.
 * @returns 5 bytes.
 */
export function encodeTag(id: number, cmd: number): Uint8Array {
  return Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id, cmd);
}

/**
 * Encodes Tagged and TaggedReply in one piece.
 *
 * @param tagged Id, command, payload.
 * @returns 5 bytes and the payload.
 */
export function encodeTagged(tagged: IpcTagged): Uint8Array {
  return concatBytes(encodeTag(tagged.id, tagged.cmd), tagged.payload);
}

/**
 * Decodes Tagged and TaggedReply.
 *
 * @param payload At least 5 bytes.
 * @returns Id, command and payload, a view of `payload`; or a {@linkcode DecodeError}.
 */
export function decodeTagged(payload: Uint8Array): Decoded<IpcTagged> {
  if (payload.length < TAG_HEADER_BYTES) return NO_TAG;
  return {
    id: viewOf(payload).getUint32(0),
    cmd: payload[4]!,
    payload: payload.subarray(TAG_HEADER_BYTES),
  };
}

/**
 * Encodes the payload of a tagged error.
 *
 * @param error The error; its cause stays here.
 * @returns JSON {code, message, hint?, advice?}.
 */
export function encodeTaggedError(error: PilotError): Uint8Array {
  const { code, message, hint, advice } = error;
  return encodeJson({ code, message, hint, advice }); // JSON leaves out what is undefined
}

/**
 * Decodes the payload of a tagged error.
 *
 * @param payload JSON {code, message, hint?, advice?}.
 * @returns The error to throw, with code `internal` when the daemon's is unknown to us; or a {@linkcode DecodeError}.
 */
export function decodeTaggedError(payload: Uint8Array): Decoded<PilotError> {
  const value = decodeJson(payload);
  if (value instanceof DecodeError) return value;
  if (!isJsonObject(value)) return BAD_ERROR;
  const { code, message, hint } = value;
  const advice = adviceOf(value.advice);
  return new PilotError(
    isErrorCode(code) ? code : "internal",
    typeof message === "string" ? message : "Unknown error",
    {
      ...(typeof hint === "string" ? { hint } : {}),
      ...(advice === undefined ? {} : { advice }),
    },
  );
}

/** Payload of RecvCredit. */
export interface IpcRecvCredit {
  /** Connection id. */
  readonly conn: number;
  /** Bytes that the client has consumed since the last credit. */
  readonly bytes: number;
}

/**
 * Encodes RecvCredit.
 *
 * @param credit Connection and bytes.
 * @returns 8 bytes.
 */
export function encodeRecvCredit(credit: IpcRecvCredit): Uint8Array {
  return concatBytes(u32(credit.conn), u32(credit.bytes));
}

/**
 * Decodes RecvCredit.
 *
 * @param payload At least 8 bytes.
 * @returns Connection and bytes, or a {@linkcode DecodeError}.
 */
export function decodeRecvCredit(payload: Uint8Array): Decoded<IpcRecvCredit> {
  if (payload.length < 8) return NO_CREDIT;
  const view = viewOf(payload);
  return { conn: view.getUint32(0), bytes: view.getUint32(4) };
}

/**
 * Encodes CancelTag.
 *
 * @param id The request to abort.
 * @returns 4 bytes.
 */
export function encodeCancelTag(id: number): Uint8Array {
  return u32(id);
}

/**
 * Decodes CancelTag.
 *
 * @param payload At least 4 bytes.
 * @returns The request's id, or a {@linkcode DecodeError}.
 */
export function decodeCancelTag(payload: Uint8Array): Decoded<number> {
  return payload.length < 4 ? NO_ID : viewOf(payload).getUint32(0);
}
