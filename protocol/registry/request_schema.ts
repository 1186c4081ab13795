/**
 * What a request to the registry is, as one value: its type, its fields, what a node signs for it, and the fields of
 * its reply. Server and client both work by it; the requests themselves are in requests/.
 *
 * @module
 */

import { encodeText } from "../bytes.ts";
import { type FieldKind, isJsonObject, type JsonObject, readField } from "./registry_fields.ts";

/**
 * The fields of a request as they are read: all of them are there.
 *
 * @typeParam F The fields, optional where a client may leave them out.
 */
export type ReadFields<F> = { readonly [K in keyof F]-?: F[K] };

/** The kinds of a request's fields. */
export type FieldKinds<F> = { readonly [K in keyof F]-?: FieldKind<F[K]> };

/** The kinds of a reply's fields; those that may be missing are of a kind that shows it. */
export type ReplyKinds<R> = {
  readonly [K in keyof R]-?: FieldKind<
    Record<never, never> extends Pick<R, K> ? R[K] | undefined : R[K]
  >;
};

/**
 * One request.
 *
 * @typeParam F Its fields as a client gives them, `type` and what proves the sender aside.
 * @typeParam R The fields of its reply, `type` aside.
 */
export interface RegistryRequest<F extends object = object, R extends object = object> {
  /** Field `type`; the reply's is this and `_ok`. */
  readonly type: string;
  /** How its fields are read. */
  readonly fields: FieldKinds<F>;
  /** How those of its reply are read. */
  readonly reply: ReplyKinds<R>;
  /** The field with the number of the node that asks; undefined where the wire has none. */
  readonly asker?: keyof F & string;
  /** The text that the requester signs (docs/protocol/registry.md §2.1); undefined where the wire has none. */
  text?(fields: ReadFields<F>): string;
  /** The text that older askers sign, where that is another one. */
  olderText?(fields: ReadFields<F>): string;
}

/**
 * Reads the fields of a request (docs/protocol/registry.md §1.3). Never fails.
 *
 * @param request What it is.
 * @param message As it came off the wire.
 * @returns All of its fields.
 */
export function readFields<F extends object>(
  { fields }: RegistryRequest<F>,
  message: object,
): ReadFields<F> {
  const read: JsonObject = {};
  for (const name in fields) {
    read[name] = readField<unknown>(message, name, fields[name]);
  }
  return read as ReadFields<F>;
}

/**
 * What a node may have signed for a request.
 *
 * @param request What it is.
 * @param fields Its fields.
 * @returns The texts' bytes, that of today's askers first; none where the wire has nothing to sign.
 */
export function signedForms<F extends object>(
  request: RegistryRequest<F>,
  fields: ReadFields<F>,
): Uint8Array[] {
  const texts = [request.text?.(fields), request.olderText?.(fields)];
  return texts.filter((text) => text !== undefined).map(encodeText);
}

/**
 * What a current requester signs for a request.
 *
 * @param request What it is.
 * @param message The request, or its fields, as it is sent.
 * @returns The text's bytes; undefined where the wire has nothing to sign.
 */
export function signedText<F extends object>(
  request: RegistryRequest<F>,
  message: object,
): Uint8Array | undefined {
  return signedForms(request, readFields(request, message))[0];
}

function readAll<R extends object>(kinds: ReplyKinds<R>, message: JsonObject): R & JsonObject {
  const read: JsonObject = { ...message };
  for (const name in kinds) {
    const value = readField<unknown>(message, name, kinds[name]);
    if (value === undefined) delete read[name];
    else read[name] = value;
  }
  return read as R & JsonObject;
}

/**
 * Reads a reply as leniently as requests are read: what is missing or wrong is empty, or left out where it may be.
 *
 * @param request What was asked.
 * @param message The reply off the wire.
 * @returns It, with the fields that are known as they must be, and all others as they came.
 */
export function readReply<R extends object>(
  { reply }: { readonly reply: ReplyKinds<R> },
  message: JsonObject,
): R & JsonObject {
  return readAll(reply, message);
}

/**
 * An object in a reply.
 *
 * @param kinds Of its fields.
 * @returns The kind; what is no object counts as missing.
 */
export function record<R extends object>(kinds: ReplyKinds<R>): FieldKind<R | undefined> {
  return {
    read: (value) => isJsonObject(value) ? readAll(kinds, value) : undefined,
    missing: undefined,
  };
}
