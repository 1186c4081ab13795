import assert from "node:assert/strict";
import { listen } from "../harness/streams.ts";
import { World } from "../harness/world.ts";

Deno.test("StreamHost admits a member of a network with its first SYN, when the registry has said so", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7, { isPublic: false });
  listen(b, 80);
  world.directory.networks.set(5, [3]).set(7, [3]);
  const dial = (network: number, timeoutMs: number) =>
    world.clock.finish(a.streams.dial({ network, node: 7 }, 80, { timeoutMs }));
  (await dial(0, 1_000)).abort();
  const conn = await dial(3, 1_000);
  assert.deepEqual([...b.streams.conns()].at(-1)!.remoteAddress, { network: 3, node: 5 });
  conn.abort();
  await assert.rejects(dial(4, 2_000), { code: "timeout" });
  // Nor does trust make a network of one that is not shared.
  b.trusted.add(5);
  await assert.rejects(dial(4, 2_000), { code: "timeout" });
});
