/**
 * Membership in a common network, which stands in for consent (daemon.md §5.3 c).
 *
 * @module
 */

import type { NodeRegistry } from "../registry/node_registry.ts";

/**
 * The first network other than the backbone that both are in, as the registry has it.
 *
 * @throws {PilotError} When the registry does not answer, or does not know one of the nodes.
 */
export async function sharedNetwork(
  registry: NodeRegistry,
  node: number,
): Promise<number | undefined> {
  const [ours, theirs] = await Promise.all([registry.lookup(registry.node), registry.lookup(node)]);
  const networks = Array.isArray(ours.networks) ? ours.networks as unknown[] : [];
  const other = new Set(Array.isArray(theirs.networks) ? theirs.networks as unknown[] : []);
  const shared = networks.find((network) => network !== 0 && other.has(network));
  return typeof shared === "number" ? shared : undefined;
}
