/**
 * Another process with our key, as the registry reports it: a machine made from our image, or a copied home.
 *
 * @module
 */

import type { IdentityClash } from "../protocol/registry/registry_message.ts";
import { isJsonObject } from "../protocol/json_object.ts";

export type { IdentityClash } from "../protocol/registry/registry_message.ts";

/** Longest address that is accepted: an IPv6 address with its zone. */
const MAX_ADDR_CHARS = 64;

/** What to do about it. */
export const CLASH_HINT =
  "It is a copy of this home or of this machine, and messages reach sometimes one, sometimes the other. Stop one of them; for " +
  "an agent of its own, remove identity.json, trust.json and node.json from its home before it is started again.";

/**
 * Reads it, as the registry's replies to `register` and `heartbeat` and the daemon's `info` have it.
 *
 * @param value What came.
 * @returns The other process; undefined when there is none.
 */
export function clashIn(value: unknown): IdentityClash | undefined {
  if (!isJsonObject(value)) return undefined;
  const { addr, since } = value;
  if (typeof addr !== "string" || addr.length > MAX_ADDR_CHARS) return undefined;
  return typeof since === "number" && since >= 0 && since < 1e11 ? { addr, since } : undefined;
}

/**
 * The sentence for people.
 *
 * @param clash The other process.
 * @returns For example `another process uses this identity at 192.0.2.7 since 2026-01-02T03:04:05Z`.
 */
export function clashText({ addr, since }: IdentityClash): string {
  const time = new Date(since * 1000).toISOString().replace(/\.\d+Z$/, "Z");
  return `another process uses this identity at ${addr} since ${time}`;
}
