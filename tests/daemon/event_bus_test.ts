import assert from "node:assert/strict";
import { EventBus } from "../../daemon/event_bus.ts";
import { logEvents } from "../../daemon/event_log.ts";
import { LIFECYCLE_EVENT_NAMES, type LifecycleEvent } from "../../protocol/lifecycle_events.ts";
import { ManualClock } from "../support/manual_clock.ts";

function bus() {
  const failures: unknown[] = [];
  return {
    failures,
    bus: new EventBus({
      clock: { unixNow: () => 1_700_000_000_000 },
      failed: (error) => failures.push(error),
    }),
  };
}

Deno.test("EventBus numbers events and notifies every subscriber, until it has ended its subscription", () => {
  const { bus: it } = bus();
  const one: LifecycleEvent[] = [];
  const two: LifecycleEvent[] = [];
  const end = it.subscribe((event) => void one.push(event));
  it.subscribe((event) => void two.push(event));
  it.emit("handshake.pending", { peer_node_id: 7, justification: "hello" });
  end();
  it.emit("trust.revoked", { peer_node_id: 7 });
  const first = {
    ...{ id: 1, name: "handshake.pending", atMs: 1_700_000_000_000 },
    data: { peer_node_id: 7, justification: "hello" },
  };
  assert.deepEqual(one, [first]);
  assert.deepEqual(two.map(({ id, name }) => [id, name]), [
    [1, "handshake.pending"],
    [2, "trust.revoked"],
  ]);
  assert.equal(it.lastId, 2);
});

Deno.test("EventBus continues when a subscriber throws, and reports it", () => {
  const { bus: it, failures } = bus();
  const heard: string[] = [];
  it.subscribe(() => {
    throw new Error("broken");
  });
  it.subscribe(({ name }) => void heard.push(name));
  it.emit("trust.revoked", { peer_node_id: 7 });
  assert.deepEqual(heard, ["trust.revoked"]);
  assert.deepEqual(failures.map(String), ["Error: broken"]);
});

Deno.test("logEvents writes each event at its level, and warnings that strangers cause seldom", () => {
  const { bus: it } = bus();
  const clock = new ManualClock();
  const lines: string[] = [];
  it.subscribe(logEvents(clock, (level, message) => void lines.push(`${level} ${message}`)));
  it.emit("node.registered", { address: "0:0000.0000.0005", endpoint: "192.0.2.5:4000" });
  it.emit("syn.rejected", { src_node_id: 7, src_addr: "0:0000.0000.0007", dst_port: 80 });
  for (let i = 0; i < 100; i++) it.emit("security.key_mismatch", { peer_node_id: 7 });
  assert.deepEqual(lines.slice(0, 2), ["info node.registered", "debug syn.rejected"]);
  const told = (level: string) => lines.filter((line) => line === `${level} security.key_mismatch`);
  assert.deepEqual([told("warn").length, told("debug").length], [10, 90]);
});

Deno.test("names of lifecycle events have a group and an action", () => {
  for (const name of LIFECYCLE_EVENT_NAMES) assert.match(name, /^[a-z]+\.[a-z_]+$/);
});
