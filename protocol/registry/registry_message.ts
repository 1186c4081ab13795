/**
 * The registry's TCP protocol (docs/protocol/registry.md §1): JSON framing, the reading of request fields, challenges
 * and message types. The binary mode is in binary_frame.ts.
 *
 * @module
 */

import { type ByteQueue, decodeJson, encodeJson } from "../bytes.ts";
import { DecodeError, PilotError } from "../errors.ts";
import { FrameReader, type FrameSpan, lengthPrefixed, type Needs } from "../frame_reader.ts";
import { REGISTRY_MAX_FRAME_BYTES } from "./binary_frame.ts";
import type { RegistryErrorReply } from "./registry_schema.ts";

export * from "./binary_frame.ts";
export * from "./challenge.ts";
export type * from "./registry_schema.ts";

/** A JSON object off the wire; nothing about its fields is known yet. */
export type JsonObject = Record<string, unknown>;

const TOO_LONG = new DecodeError("too_long", "registry frame too long");
const NOT_OBJECT = new DecodeError("malformed", "not a JSON object");

/**
 * Is the value a JSON object (neither array nor null)?
 *
 * @param value What `JSON.parse` gave.
 * @returns True for an object.
 */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

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
  protected override span(queue: ByteQueue): FrameSpan | Needs | DecodeError {
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

/**
 * Makes an error reply (§3).
 *
 * @param error Text that the client sees.
 * @returns The reply.
 */
export function registryError(error: string): RegistryErrorReply {
  return { type: "error", error };
}

/**
 * Reads a number field as the registry does (§1.3): fractions are cut; a missing, wrong or out-of-range value is 0.
 *
 * @param message The request.
 * @param name The field.
 * @param max Largest valid value, for example 0xffffffff for node numbers.
 * @returns 0..max.
 */
export function numberField(
  message: JsonObject,
  name: string,
  max: number = 0xffffffff,
): number {
  const value = Object.hasOwn(message, name) ? message[name] : undefined;
  if (typeof value !== "number") return 0;
  const whole = Math.trunc(value);
  return whole > 0 && whole <= max ? whole : 0;
}

/**
 * Reads a text field; a missing or wrong value is empty.
 *
 * @param message The request.
 * @param name The field.
 * @returns The text.
 */
export function textField(message: JsonObject, name: string): string {
  const value = Object.hasOwn(message, name) ? message[name] : undefined;
  return typeof value === "string" ? value : "";
}

/**
 * Reads a flag; a missing or wrong value is false.
 *
 * @param message The request.
 * @param name The field.
 * @returns The flag.
 */
export function flagField(message: JsonObject, name: string): boolean {
  return Object.hasOwn(message, name) && message[name] === true;
}

/**
 * Reads a list of texts, leaving out what is not text; a missing or wrong value, or null, is empty.
 *
 * @param message The request or reply.
 * @param name The field.
 * @returns The texts.
 */
export function textListField(message: JsonObject, name: string): string[] {
  const value = Object.hasOwn(message, name) ? message[name] : undefined;
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).filter((item) => typeof item === "string");
}

/**
 * Reads a list of objects, leaving out what is none; a missing or wrong value, or null, is empty.
 *
 * @param message The request or reply.
 * @param name The field.
 * @returns The objects.
 */
export function objectListField(
  message: JsonObject,
  name: string,
): JsonObject[] {
  const value = Object.hasOwn(message, name) ? message[name] : undefined;
  return Array.isArray(value) ? (value as unknown[]).filter(isJsonObject) : [];
}
