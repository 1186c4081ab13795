/**
 * Can others on the path to a registry read and answer its requests?
 *
 * @module
 */

import { isIP } from "node:net";
import type { Advice } from "../protocol/advice.ts";
import { isLoopbackIp, parseEndpoint, parseIp } from "../protocol/ip.ts";

/** How a remote registry is treated that is used over plain TCP without a pinned key. */
export type PlainRegistry = "warn" | "accept";
/** Values of {@linkcode PlainRegistry}. */
export const PLAIN_REGISTRY: readonly PlainRegistry[] = ["warn", "accept"];

/** How the connection to a registry is protected. */
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
 * Warns of a registry whose traffic others on the path can read and forge.
 *
 * @param guards How the connection is protected.
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
    return true; // no address at all: nothing is sent, and connecting reports it
  }
  return host === "localhost" ||
    (isIP(host) !== 0 && !host.includes("%") && isLoopbackIp(parseIp(host)));
}
