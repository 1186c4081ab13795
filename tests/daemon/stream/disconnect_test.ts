import assert from "node:assert/strict";
import { listen, Sink } from "../harness/streams.ts";
import { World } from "../harness/world.ts";

Deno.test("disconnect resets a connection: its program is told why, the peer sees a reset, others continue", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  const theirs = listen(b, 80);
  const dial = async () =>
    new Sink(await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 80)));
  const [cut, other] = [await dial(), await dial()];
  assert.equal(a.streams.disconnect(cut.conn.id), true);
  await world.run(1_000);
  assert.deepEqual(cut.error?.code, "connection_closed");
  assert.match(cut.error!.message, /disconnect/);
  assert.equal(theirs[0]!.error?.code, "connection_closed");
  assert.equal(a.streams.disconnect(cut.conn.id), false, "there is none any more");
  assert.equal(a.streams.disconnect(4_000_000), false);
  other.sendAll(new TextEncoder().encode("still here"));
  await world.run(1_000);
  assert.equal(theirs[1]!.text, "still here");
});

Deno.test("windows of the list of connections are bytes, whichever segments the peer counts", async () => {
  await using world = new World();
  const a = await world.node(5);
  const b = await world.node(7);
  listen(b, 80);
  await world.clock.finish(a.streams.dial({ network: 0, node: 7 }, 80));
  const [conn] = [...a.streams.conns()];
  const { window_slot_bytes, recv_win } = conn!.stats();
  assert.ok(recv_win * window_slot_bytes > 100_000 && recv_win * window_slot_bytes < 1 << 24);
});
