import assert from "node:assert/strict";
import { MAX_PORTS_PER_PROGRAM, PORT_REUSE_MS } from "../../../daemon/stream/port_table.ts";
import { World } from "../harness/world.ts";

const TO_7 = { network: 0, node: 7 };

Deno.test("StreamHost.dial to one port ends when its local ports are used up, and others continue", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.node(7);
  const [program, stop] = [{}, new AbortController()];
  const dial = (port: number) => a.streams.dial(TO_7, port, { program });
  const refused = { code: "connection_refused" };
  await assert.rejects(world.clock.finish(dial(81)), refused);
  world.net.drop = () => true;
  const waiting = Array.from(
    { length: MAX_PORTS_PER_PROGRAM - 1 },
    () => a.streams.dial(TO_7, 81, { program, signal: stop.signal }).catch(({ code }) => code),
  );
  await world.run(0);
  stop.abort();
  assert.deepEqual([...new Set(await Promise.all(waiting))], ["aborted"]);
  world.net.drop = () => false;
  await assert.rejects(dial(81), { code: "limit_exceeded", message: /0007 port 81 / });
  await assert.rejects(world.clock.finish(dial(82)), refused);
  await assert.rejects(world.clock.finish(a.streams.dial(TO_7, 81)), refused);
  await world.run(PORT_REUSE_MS);
  await assert.rejects(world.clock.finish(dial(81)), refused);
});
