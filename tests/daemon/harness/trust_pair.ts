/**
 * Two nodes with the trust service, for tests of what passes between them.
 *
 * @module
 */

import { TrustHub, TrustNode } from "./trust.ts";
import { World } from "./world.ts";

type Options = Parameters<typeof TrustNode.start>[2];

/** Runs a test with two nodes, 5 and 7. */
export async function withPair(
  options: { a?: Options; b?: Options },
  body: (parts: { world: World; hub: TrustHub; a: TrustNode; b: TrustNode }) => Promise<void>,
): Promise<void> {
  await using world = new World();
  const hub = new TrustHub(world);
  const a = await TrustNode.start(hub, 5, options.a);
  const b = await TrustNode.start(hub, 7, options.b);
  try {
    await world.run(100);
    await body({ world, hub, a, b });
  } finally {
    for (const node of [a, b]) await world.clock.finish(node.service.stop());
  }
}

/** Makes a pair trust each other. */
export async function befriend(world: World, a: TrustNode, b: TrustNode): Promise<void> {
  await world.clock.finish(a.service.request(b.node, "let us talk"));
  await world.clock.until(() => b.service.pendingCount === 1);
  await world.clock.finish(b.service.approve(a.node));
  await world.clock.until(() => a.state.isTrusted(b.node));
  await world.run(2_000);
}
