/**
 * The one rule of who may learn what about a node. Everybody: that its number exists and which key it is bound to,
 * which first contact needs. Those it consents to, and members of a network that it is in: all the rest (endpoint,
 * whether it is there, hostname, tags, networks). Of a public node everybody everything but its memberships' doings.
 *
 * @module
 */

import type { RegistryCore } from "./core.ts";
import type { NodeRecord } from "./node_entry.ts";

/**
 * Does a node consent to another one: by its statement, or by what it has asked for lately?
 *
 * @param core The registry.
 * @param from The node that consents.
 * @param to The node consented to.
 */
export function consents(core: RegistryCore, from: number, to: number): boolean {
  const said = core.trust.said(from, to);
  if (said === "trusts" || said === "asked") return true;
  // Who has ended trust must say expressly that it wants it back.
  return said === "none" && core.fresh.has(from, to, core.clock.now());
}

/**
 * May one node learn of another whether and where it is?
 *
 * @param core The registry.
 * @param asker The requester; undefined for a stranger. It must have proven who it is.
 * @param target The node concerned.
 */
export function maySee(
  core: RegistryCore,
  asker: NodeRecord | undefined,
  target: NodeRecord,
): boolean {
  if (target.public || asker === target) return true;
  return asker?.state === "live" && isLetIn(core, asker.id, target);
}

/**
 * Does a node let another one reach it? Whether that one heartbeats does not matter: its frames may come though it does
 * not reach the registry.
 *
 * @param core The registry.
 * @param asker The node that wants to reach it.
 * @param target The node.
 */
export function isLetIn(core: RegistryCore, asker: number, target: NodeRecord): boolean {
  return target.public || consents(core, target.id, asker) ||
    core.networks.share(asker, target.id);
}

/**
 * Do two nodes have a reason to talk: both consent, or they share a network?
 *
 * @param core The registry.
 * @param a One of them.
 * @param b The other.
 */
export function mayTalk(core: RegistryCore, a: number, b: number): boolean {
  return core.networks.share(a, b) || (consents(core, a, b) && consents(core, b, a));
}
