/**
 * Is the way to a registry open to whoever is on it?
 *
 * @module
 */

import { isIP } from "node:net";
import type { Advice } from "../protocol/advice.ts";
import { isLoopbackIp, parseEndpoint, parseIp } from "../protocol/ip.ts";

/** What is done about a registry off this machine that is asked in plain TCP without a pinned key. */
export type PlainRegistry = "warn" | "accept";
/** Values of {@linkcode PlainRegistry}. */
export const PLAIN_REGISTRY: readonly PlainRegistry[] = ["warn", "accept"];

/** How a registry is asked. */
export interface RegistryGuards {
  /** `host:port`. */
  readonly registry: string;
  /** Over TLS, with a pinned certificate. */
  readonly registryTls?: boolean | undefined;
  /** The key with which its answers must be signed. */
  readonly registryKey?: string | undefined;
  /** Default "warn". */
  readonly registryPlain?: PlainRegistry | undefined;
}

/** What to do about {@linkcode registryWarning}. */
export const PIN_REGISTRY: Advice = { id: "pin_registry" };

/**
 * Warns of a registry that others on the way can read, and answer in place of.
 *
 * @param guards How it is asked.
 * @returns A sentence; undefined for one on this machine, one that is pinned, and where it was accepted.
 */
export function registryWarning(guards: RegistryGuards): string | undefined {
  const { registry, registryTls, registryKey, registryPlain } = guards;
  if (registryTls === true || registryKey !== undefined || registryPlain === "accept") {
    return undefined;
  }
  if (isOnThisMachine(registry)) return undefined;
  return `The registry ${registry} is used over plain TCP and nothing of it is pinned: anyone on the network path can read and ` +
    "answer in its place";
}

/** By its text alone: what a name means may be another machine at the next look. */
function isOnThisMachine(address: string): boolean {
  let host: string;
  try {
    ({ host } = parseEndpoint(address));
  } catch {
    return true; // no address at all: nothing is sent, and whoever connects says so
  }
  return host === "localhost" ||
    (isIP(host) !== 0 && !host.includes("%") && isLoopbackIp(parseIp(host)));
}
