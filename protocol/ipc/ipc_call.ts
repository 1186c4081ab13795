/**
 * A request of the local socket that is answered with one JSON object: number, fields, payload and reply in one value.
 * The daemon serves it by this value and the SDK asks by it.
 *
 * @module
 */

import { concatBytes, decodeText, EMPTY, encodeText, viewOf } from "../bytes.ts";
import { type Decoded, DecodeError } from "../errors.ts";
import { u32 } from "./integers.ts";

/** A request and its answer. `Fields` is what it carries, `Reply` the JSON object that answers it. */
export interface IpcCall<Fields, Reply> {
  /** Number of the command; its answer has the next one. */
  readonly cmd: number;
  /** First byte of the payload, where several requests share a command. */
  readonly sub?: number;
  /** Prefix of the text of a failure for clients without tags; empty for nothing. */
  readonly prefix: string;
  /** Daemons of other implementations do not have it. */
  readonly isExtension?: boolean;
  /** Payload, {@linkcode IpcCall.sub} included. */
  encode(fields: Fields): Uint8Array;
  /** Reads a payload, {@linkcode IpcCall.sub} included. */
  decode(payload: Uint8Array): Decoded<Fields>;
  /** Never there; says what the answer is. */
  readonly reply?: Reply;
}

/** What answers a call. */
export type ReplyOf<C extends { readonly reply?: unknown }> = NonNullable<C["reply"]>;

/** How the fields of a call travel. */
export interface FieldCodec<Fields> {
  /** The fields as they travel, without sub-command. */
  encode(fields: Fields): Uint8Array;
  /** `name` is what the texts of errors begin with. */
  decode(payload: Uint8Array, name: string): Decoded<Fields>;
}

/** How a call is described. */
export interface CallOptions<Fields> {
  /** Command byte. */
  readonly cmd: number;
  /** First byte of the payload, for commands that have several. */
  readonly sub?: number;
  /** What the texts of its errors begin with. */
  readonly name: string;
  /** Default `name`; empty for errors that stand alone. */
  readonly prefix?: string;
  /** Daemons of other implementations do not have it. */
  readonly isExtension?: boolean;
  /** How its fields travel. */
  readonly fields: FieldCodec<Fields>;
}

/** Makes a call. */
export function ipcCall<Fields, Reply>(options: CallOptions<Fields>): IpcCall<Fields, Reply> {
  const { cmd, sub, name, prefix = name, isExtension, fields } = options;
  const skip = sub === undefined ? 0 : 1;
  const head = sub === undefined ? EMPTY : Uint8Array.of(sub);
  return {
    cmd,
    prefix,
    ...(sub === undefined ? {} : { sub }),
    ...(isExtension === undefined ? {} : { isExtension }),
    encode: (values) =>
      skip === 0 ? fields.encode(values) : concatBytes(head, fields.encode(values)),
    decode: (payload) => fields.decode(payload.subarray(skip), name),
  };
}

/** A payload that ends too soon. */
export function tooShort(message: string): DecodeError {
  return new DecodeError("too_short", message);
}

/** Carries nothing. */
export type NoFields = Readonly<Record<never, never>>;
const NO_FIELDS: NoFields = {};

/** No fields; whatever is there is ignored. */
export const NOTHING: FieldCodec<NoFields> = { encode: () => EMPTY, decode: () => NO_FIELDS };

/** One node. */
export const NODE: FieldCodec<{ readonly node: number }> = {
  encode: ({ node }) => u32(node),
  decode: (payload, name) =>
    payload.length < 4
      ? tooShort(`${name}: missing node_id`)
      : { node: viewOf(payload).getUint32(0) },
};

/** A hostname, up to the end of the payload. */
export const HOSTNAME_TEXT: FieldCodec<{ readonly hostname: string }> = {
  encode: ({ hostname }) => encodeText(hostname),
  decode: (payload, name) => {
    const hostname = decodeText(payload);
    return hostname instanceof DecodeError ? named(hostname, name) : { hostname };
  },
};

/** An error whose text begins with the name of the call. */
export function named(error: DecodeError, name: string): DecodeError {
  return new DecodeError(error.kind, `${name}: ${error.message}`);
}
