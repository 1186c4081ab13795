/**
 * Network policies and policy documents as sent (docs/protocol/registry.md §4.5), checked.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { MAX_PORT } from "../../../protocol/address.ts";
import { isJsonObject, type JsonObject } from "../../../protocol/registry/registry_message.ts";
import { RegistryFailure } from "../failure.ts";
import {
  MAX_ALLOWED_PORTS,
  MAX_DESCRIPTION_BYTES,
  MAX_EXPR_POLICY_BYTES,
  MAX_JSON_DEPTH,
  MAX_POLICY_MEMBERS,
} from "./network_limits.ts";

/** Fields of a policy that a request changes; the others stay. */
export interface PolicyChange {
  readonly maxMembers?: number;
  readonly allowedPorts?: readonly number[];
  readonly description?: string;
}

/** A field that is there; null counts as missing. */
function present(request: JsonObject, name: string): unknown {
  const value = Object.hasOwn(request, name) ? request[name] : undefined;
  return value === null ? undefined : value;
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

/**
 * Reads the fields of `set_network_policy`.
 *
 * @param request The request.
 * @returns What it changes.
 * @throws {RegistryFailure} When a field is malformed.
 */
export function policyChange(request: JsonObject): PolicyChange {
  const maxMembers = present(request, "max_members");
  const ports = present(request, "allowed_ports");
  const description = present(request, "description");
  if (maxMembers !== undefined && !isWhole(maxMembers, 0, MAX_POLICY_MEMBERS)) {
    throw new RegistryFailure(
      "invalid_argument",
      `invalid max_members (must be integer 0-${MAX_POLICY_MEMBERS})`,
    );
  }
  return {
    ...(maxMembers === undefined ? {} : { maxMembers }),
    ...(ports === undefined ? {} : { allowedPorts: allowedPorts(ports) }),
    ...(description === undefined ? {} : { description: cleanDescription(description) }),
  };
}

function allowedPorts(value: unknown): number[] {
  if (!Array.isArray(value)) {
    throw new RegistryFailure(
      "invalid_argument",
      "invalid allowed_ports (must be a list of integers)",
    );
  }
  if (value.length > MAX_ALLOWED_PORTS) {
    throw new RegistryFailure(
      "limit_exceeded",
      `too many allowed_ports (max ${MAX_ALLOWED_PORTS})`,
    );
  }
  const ports = new Set<number>();
  for (const port of value as unknown[]) {
    if (!isWhole(port, 1, MAX_PORT)) {
      throw new RegistryFailure(
        "invalid_argument",
        `invalid port number in allowed_ports (must be integer 1-${MAX_PORT})`,
      );
    }
    ports.add(port);
  }
  return [...ports];
}

function cleanDescription(value: unknown): string {
  if (typeof value !== "string") {
    throw new RegistryFailure("invalid_argument", "invalid description (must be text)");
  }
  if (Buffer.byteLength(value) > MAX_DESCRIPTION_BYTES) {
    throw new RegistryFailure(
      "invalid_argument",
      `policy description too long (max ${MAX_DESCRIPTION_BYTES} chars)`,
    );
  }
  return value.toWellFormed();
}

/**
 * Checks a policy document. What its expressions say is for the daemons.
 *
 * @param value The `expr_policy` field of a request: an object, or JSON in a text.
 * @returns The document as JSON, or "" to clear it.
 * @throws {RegistryFailure} When it is missing, malformed or too long.
 */
export function cleanExprPolicy(value: unknown): string {
  if (value === undefined || value === null) {
    throw new RegistryFailure("invalid_argument", "expr_policy field is required");
  }
  if (value === "" || value === "null") return "";
  const document = typeof value === "string" ? parse(value) : value;
  if (!isJsonObject(document)) throw invalidJson("not an object");
  if (!shallow(document, MAX_JSON_DEPTH)) throw invalidJson("nested too deeply");
  if (!Object.hasOwn(document, "version") || document["version"] !== 1) {
    throw new RegistryFailure("invalid_argument", "expr_policy: invalid version (must be 1)");
  }
  if (!Object.hasOwn(document, "rules") || document["rules"] === null) {
    throw new RegistryFailure("invalid_argument", "expr_policy: at least one rule is required");
  }
  const text = JSON.stringify(document);
  checkLength(text);
  return text;
}

function parse(text: string): unknown {
  checkLength(text);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalidJson(error instanceof Error ? error.name : String(error));
  }
}

function checkLength(text: string): void {
  if (Buffer.byteLength(text) > MAX_EXPR_POLICY_BYTES) {
    throw new RegistryFailure(
      "invalid_argument",
      `expr_policy too long (max ${MAX_EXPR_POLICY_BYTES} bytes)`,
    );
  }
}

function invalidJson(why: string): RegistryFailure {
  return new RegistryFailure("invalid_argument", `expr_policy: invalid JSON: ${why}`);
}

/** Is the value nested at most `levels` deep? Looks no deeper than that. */
function shallow(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return levels > 0 && Object.values(value).every((part) => shallow(part, levels - 1));
}
