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

Deno.test("StreamHost takes a dial for a question that may be answered, but not what it tells a peer on the handshake port", async () => {
  await using world = new World();
  const a = await world.node(5, { isPublic: false });
  const b = await world.node(7, { isPublic: true });
  listen(a, 1001);
  listen(b, 444);
  listen(b, 80);
  const dial = (from: typeof a, node: number, port: number) =>
    world.clock.finish(from.streams.dial({ network: 0, node }, port, { timeoutMs: 2_000 }));
  // As `untrust` and `reject` do: the tunnel is there, and the peer is told that it is not wanted.
  (await dial(a, 7, 444)).close();
  await assert.rejects(dial(b, 5, 1001), { code: "timeout" });
  (await dial(a, 7, 80)).close();
  (await dial(b, 5, 1001)).abort();
});
