/**
 * Requests about networks that local programs make in a node's name, by the registry's own names: which node they name
 * and what is signed (docs/protocol/registry.md §2.1, §4.5).
 *
 * @module
 */

import {
  type JsonObject,
  type RegistryRequest,
  signedText,
} from "../../protocol/registry/registry_message.ts";
import * as requests from "../../protocol/registry/requests/mod.ts";

/** A request as it goes to the registry, and how it is signed. */
export interface NetworkRequest {
  /** All of it but the signature. */
  readonly request: JsonObject;
  /** The text to sign; undefined where the wire has none. */
  readonly challenge: Uint8Array | undefined;
  /** Made in our name: signed as a whole for registries that check that, also where the wire has no text to sign. */
  readonly isOurs: boolean;
}

const REQUESTS: ReadonlyMap<string, RegistryRequest> = new Map(
  (Object.values(requests) as unknown[]).filter(isRequest).map((
    request,
  ) => [request.type, request]),
);

/** Beside the requests there are kinds of fields and a list. */
function isRequest(value: unknown): value is RegistryRequest {
  return typeof value === "object" && value !== null && "type" in value && "fields" in value;
}

/**
 * Completes a request.
 *
 * @param self Our node.
 * @param type Of the request.
 * @param fields What it asks.
 * @returns The request with our number in the field where it belongs.
 */
export function networkRequest(self: number, type: string, fields: JsonObject): NetworkRequest {
  const schema = REQUESTS.get(type);
  if (schema?.asker === undefined) {
    return { request: { ...fields, type }, challenge: undefined, isOurs: false };
  }
  const request = { ...fields, type, [schema.asker]: self };
  return { request, challenge: signedText(schema, request), isOurs: true };
}
