/**
 * The registry's TCP protocol (docs/protocol/registry.md §1): JSON framing, and all that requests are read by. The
 * requests themselves are in requests/.
 *
 * @module
 */

import { type ByteQueue, decodeJson, encodeJson } from "../bytes.ts";
import { DecodeError, PilotError } from "../errors.ts";
import { type BytesNeeded, FrameReader, type FrameSpan, lengthPrefixed } from "../frame_reader.ts";
import { REGISTRY_MAX_FRAME_BYTES } from "./binary_frame.ts";
import { isJsonObject, type JsonObject } from "./registry_fields.ts";

export * from "./binary_frame.ts";
export * from "./error_reply.ts";
export {
  type FieldKind,
  flagField,
  isJsonObject,
  type JsonObject,
  numberField,
  objectListField,
  textField,
  textListField,
} from "./registry_fields.ts";
export {
  type FieldKinds,
  type ReadFields,
  readFields,
  readReply,
  type RegistryRequest,
  type ReplyKinds,
  signedForms,
  signedText,
} from "./request_schema.ts";
export { NETWORK_ACTIONS, type NetworkAction } from "./requests/role_schema.ts";
export type { IdentityClash } from "./requests/identity_schema.ts";

const TOO_LONG = new DecodeError("too_long", "registry frame too long");
const NOT_OBJECT = new DecodeError("malformed", "not a JSON object");

/** Cuts a registry connection's bytes into JSON objects; anything else is an error that ends the connection. */
export class JsonFrameReader extends FrameReader<JsonObject> {
  readonly #maxBytes: number;

  /**
   * Makes a reader of nothing yet.
   *
   * @param maxBytes Largest body; default {@linkcode REGISTRY_MAX_FRAME_BYTES}, which replies can have.
   */
  constructor(maxBytes: number = REGISTRY_MAX_FRAME_BYTES) {
    super();
    this.#maxBytes = maxBytes;
  }

  /** Finds the extent of the first frame from its length. */
  protected override span(queue: ByteQueue): FrameSpan | BytesNeeded | DecodeError {
    return lengthPrefixed(queue, 0, this.#maxBytes, TOO_LONG);
  }

  /** Makes the value from a complete frame. */
  protected override frame(
    bytes: Uint8Array,
    headerBytes: number,
  ): JsonObject | DecodeError {
    const value = decodeJson(bytes.subarray(headerBytes));
    if (value instanceof DecodeError) return value;
    return isJsonObject(value) ? value : NOT_OBJECT;
  }
}

/**
 * Encodes a JSON frame.
 *
 * @param message A JSON object.
 * @returns Length and body.
 * @throws {PilotError} `limit_exceeded` when the body is above {@linkcode REGISTRY_MAX_FRAME_BYTES}.
 */
export function encodeJsonFrame(message: object): Uint8Array {
  const body = encodeJson(message);
  if (body.length > REGISTRY_MAX_FRAME_BYTES) {
    throw new PilotError(
      "limit_exceeded",
      `Registry message of ${body.length} bytes is above ${REGISTRY_MAX_FRAME_BYTES}`,
    );
  }
  const out = new Uint8Array(4 + body.length);
  new DataView(out.buffer).setUint32(0, body.length);
  out.set(body, 4);
  return out;
}
