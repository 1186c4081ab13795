/**
 * What callers may give where an agent, a node or a port is meant.
 *
 * @module
 */

import { type Address, MAX_PORT, parseAddress, parsePort } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";

/**
 * Names an agent: an {@linkcode Address}, its text form, a node number (on the backbone), or a hostname.
 */
export type Target = Address | number | string;

/** A hostname still to be resolved. */
export interface HostnameTarget {
  /** The name. */
  readonly hostname: string;
}

const HIGHEST_NODE = 0xfffffffe;

/**
 * Parses a target as far as that is possible without queries.
 *
 * @param target The target.
 * @returns Its address, or the hostname it is.
 * @throws {PilotError} `invalid_argument` for an empty text, a malformed address or a number out of range.
 */
export function readTarget(target: Target): Address | HostnameTarget {
  if (typeof target === "number") {
    return { network: 0, node: checkNode(target) };
  }
  if (typeof target !== "string") return target;
  const text = target.trim();
  if (text === "") throw new PilotError("invalid_argument", "Empty target");
  if (/^\d+$/.test(text)) return { network: 0, node: checkNode(Number(text)) };
  // Hostnames have no upper case, so that no two look alike.
  return text.includes(":") ? parseAddress(text) : { hostname: text.toLowerCase() };
}

/**
 * Splits `target:port` at the last colon.
 *
 * @param text For example `0:0000.0000.0005:7` or `alice:1001`.
 * @returns Target and port.
 * @throws {PilotError} `invalid_argument` when there is no port.
 */
export function splitTargetPort(text: string): [target: string, port: number] {
  const colon = text.lastIndexOf(":");
  if (colon <= 0 || /^\d+:[^:]*\.[^:]*$/.test(text)) {
    throw new PilotError("invalid_argument", `No port in "${text}"`, {
      hint: "Write <target>:<port>, for example 0:0000.0000.0005:7.",
    });
  }
  return [text.slice(0, colon), parsePort(text.slice(colon + 1))];
}

/**
 * Checks a node number.
 *
 * @param node The number.
 * @returns The same number.
 * @throws {PilotError} `invalid_argument` unless it is an integer from 1 to 4294967294.
 */
export function checkNode(node: number): number {
  if (Number.isInteger(node) && node >= 1 && node <= HIGHEST_NODE) return node;
  throw new PilotError("invalid_argument", `Not a node number: ${node}`);
}

/**
 * Checks a port or network number.
 *
 * @param value The number.
 * @param what `port` or `network`.
 * @returns The same number.
 * @throws {PilotError} `invalid_argument` unless it is an integer from 0 to 65535.
 */
export function checkU16(value: number, what: "port" | "network"): number {
  if (Number.isInteger(value) && value >= 0 && value <= MAX_PORT) return value;
  throw new PilotError("invalid_argument", `Not a ${what}: ${value}`);
}
