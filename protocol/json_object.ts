/**
 * JSON objects from elsewhere, before anything is known of their fields.
 *
 * @module
 */

/** A JSON object off the wire or a file. */
export type JsonObject = Record<string, unknown>;

/**
 * Is the value a JSON object (neither array nor null)?
 *
 * @param value What `JSON.parse` gave.
 * @returns True for an object.
 */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
