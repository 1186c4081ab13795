/**
 * Parsers of argument and option values. Each throws `invalid_argument` saying what is expected.
 *
 * @module
 */

import { parsePort } from "../protocol/address.ts";
import { ENDPOINT } from "../platform/settings/setting_type.ts";
import { usageError } from "./command_failure.ts";

export { parsePort };
export { parseDuration } from "../platform/duration.ts";
export { parseServerHost } from "../platform/join_uri.ts";
export { parseFingerprint } from "../platform/fingerprint.ts";
export { parseHost, parseHostname, parsePath } from "../platform/settings/setting_type.ts";

/**
 * A port to wait on.
 *
 * @param text Decimal digits.
 * @returns The port, 1..65535.
 * @throws {PilotError} `invalid_argument`; for 0, too: nobody could know which port was given.
 */
export function parseListenPort(text: string): number {
  const port = parsePort(text);
  if (port === 0) {
    throw usageError("Nothing can be sent to port 0", "Choose one from 1024 to 49151.");
  }
  return port;
}

/**
 * A whole number.
 *
 * @param text Decimal digits.
 * @returns The number, 0..2^53-1.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw usageError(`Not a whole number: "${text}"`);
  }
  return value;
}

/**
 * A whole number of at least 1.
 *
 * @param text Decimal digits.
 * @returns The number.
 * @throws {PilotError} `invalid_argument`.
 */
export function parsePositive(text: string): number {
  const value = parseCount(text);
  if (value === 0) throw usageError("Must be at least 1");
  return value;
}

/** Highest node number; 0xffffffff means broadcast. */
const MAX_NODE = 0xfffffffe;

/**
 * A node number.
 *
 * @param text Decimal digits.
 * @returns The node, 1..2^32-2.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseNode(text: string): number {
  const node = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (node < 1 || node > MAX_NODE) {
    throw usageError(
      `Not a node id: "${text}"`,
      "Node ids are decimal numbers, see: pilotctl info",
    );
  }
  return node;
}

/** Highest network number. */
const MAX_NETWORK = 0xffff;

/**
 * A network number.
 *
 * @param text Decimal digits.
 * @returns The network, 0..65535.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseNetwork(text: string): number {
  const network = /^\d{1,5}$/.test(text) ? Number(text) : MAX_NETWORK + 1;
  if (network > MAX_NETWORK) {
    throw usageError(
      `Not a network number: "${text}"`,
      "Networks have numbers, see: pilotctl network list",
    );
  }
  return network;
}

/**
 * A size in MB, fractions allowed.
 *
 * @param text For example `0.5`.
 * @returns The number, above 0 and up to 1 048 576 (1 TiB).
 * @throws {PilotError} `invalid_argument`.
 */
export function parseMegabytes(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > 1_048_576) {
    throw usageError(`Not a size in MB: "${text}"`);
  }
  return value;
}

/**
 * One of a few words.
 *
 * @param words What is allowed.
 * @returns A parser.
 */
export function oneOf(
  ...words: readonly string[]
): (text: string) => string {
  return (text) => {
    if (!words.includes(text)) {
      throw usageError(`Must be one of: ${words.join(", ")}`);
    }
    return text;
  };
}

/**
 * `host:port`, with an IPv6 host in brackets.
 *
 * @param text The endpoint.
 * @returns The same text.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseEndpointText(text: string): string {
  return ENDPOINT.parse(text);
}
