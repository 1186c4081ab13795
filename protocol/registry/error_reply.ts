/**
 * Error replies of the registry (docs/protocol/registry.md §3).
 *
 * @module
 */

import type { ErrorCode } from "../errors.ts";
import type { JsonObject } from "./registry_fields.ts";

/** The kinds of failure that a registry reports; those of the link to it are not among them. */
export type RegistryErrorCode = Extract<
  ErrorCode,
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "denied"
  | "limit_exceeded"
  | "invalid_state"
  | "unavailable"
  | "protocol_error"
>;

const CODES: Readonly<Record<RegistryErrorCode, true>> = {
  invalid_argument: true,
  not_found: true,
  already_exists: true,
  denied: true,
  limit_exceeded: true,
  invalid_state: true,
  unavailable: true,
  protocol_error: true,
};

/** A failed request. */
export interface RegistryErrorReply {
  /** Reply type. */
  type: "error";
  /** What went wrong, possibly masked as `request failed`. */
  error: string;
  /** Ours: the kind of failure, `denied` where the text is masked. */
  code: RegistryErrorCode;
}

/**
 * Makes an error reply.
 *
 * @param error Text that the client sees.
 * @param code Kind of failure, which must disclose no more than the text.
 * @returns The reply.
 */
export function registryError(error: string, code: RegistryErrorCode): RegistryErrorReply {
  return { type: "error", error, code };
}

/**
 * The kind of failure that an error reply names.
 *
 * @param reply The reply, off the wire.
 * @returns It; undefined where none is named, or none that a registry may report.
 */
export function errorCodeOf(reply: JsonObject): RegistryErrorCode | undefined {
  const code = Object.hasOwn(reply, "code") ? reply["code"] : undefined;
  return typeof code === "string" && Object.hasOwn(CODES, code)
    ? code as RegistryErrorCode
    : undefined;
}
