import assert from "node:assert/strict";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  encodeEvent,
  EventStreamReader,
  type StreamEvent,
} from "../../../protocol/service/event_stream.ts";
import { attachEventStream, SUBSCRIBER_STALL_MS } from "../../../daemon/service/event_broker.ts";
import { StreamIo } from "../../../daemon/service/stream_io.ts";
import { FakeBackend, PEER } from "../fake_backend.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { systemClock } from "../../../platform/system_clock.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A remote peer of the broker. */
class Peer {
  readonly io: StreamIo;
  readonly #reader = new EventStreamReader();

  constructor(backend: FakeBackend, remote: typeof PEER = PEER) {
    this.io = new StreamIo(backend.connectFrom(1002, remote)!, systemClock);
  }

  async publish(
    topic: string,
    payload: string | Uint8Array = "",
  ): Promise<void> {
    await this.io.write(encodeEvent({
      topic,
      payload: typeof payload === "string" ? utf8(payload) : payload,
    }));
  }

  async next(): Promise<StreamEvent | undefined> {
    for (;;) {
      const event = this.#reader.next();
      assert.ok(!(event instanceof DecodeError));
      if (event !== undefined) {
        return { topic: event.topic, payload: event.payload.slice() };
      }
      const chunk = await this.io.readChunk();
      if (chunk === undefined) return undefined;
      this.#reader.push(chunk);
    }
  }

  /** The next event as `topic=payload`. */
  async text(): Promise<string> {
    const event = await this.next();
    return event === undefined
      ? "end"
      : `${event.topic}=${new TextDecoder().decode(event.payload)}`;
  }
}

function setup() {
  const backend = new FakeBackend();
  const clock = new ManualClock();
  const service = attachEventStream(backend, { clock });
  return {
    backend,
    clock,
    service,
    /** A peer that has subscribed. */
    subscribe: async (topic: string, remote?: typeof PEER) => {
      const peer = new Peer(backend, remote);
      await peer.publish(topic, "ignored");
      return peer;
    },
    [Symbol.dispose]: () => void service.close(),
  };
}

/** Lets every microtask run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("an event reaches subscribers of its topic and of *, but not its sender", async () => {
  using rig = setup();
  const news = await rig.subscribe("news");
  const all = await rig.subscribe("*");
  const sport = await rig.subscribe("sport");
  const sender = await rig.subscribe("news");
  await settle();
  await sender.publish("news", "one");
  await sender.publish("sport", "two");
  await sender.publish("*", "three");
  assert.equal(await news.text(), "news=one");
  assert.equal(await sport.text(), "sport=two");
  assert.equal(await all.text(), "news=one");
  assert.equal(await all.text(), "sport=two");
  assert.equal(await all.text(), "*=three");
  rig.service.close();
  assert.equal(await news.text(), "end");
  assert.equal(await sender.text(), "end");
});

Deno.test("topics match exactly", async () => {
  using rig = setup();
  const prefix = await rig.subscribe("a.*");
  const sender = await rig.subscribe("x");
  await sender.publish("a.b", "no");
  await sender.publish("a.*", "yes");
  assert.equal(await prefix.text(), "a.*=yes");
});

Deno.test("twenty events in a row all arrive in order", async () => {
  using rig = setup();
  const subscriber = await rig.subscribe("t");
  const sender = await rig.subscribe("t");
  await settle();
  for (let n = 0; n < 20; n++) await sender.publish("t", `${n}`);
  await sender.io.close();
  for (let n = 0; n < 20; n++) {
    assert.equal(await subscriber.text(), `t=${n}`);
  }
});

Deno.test("subscriptions and events are reported", async () => {
  using rig = setup();
  const peer = await rig.subscribe("t");
  await peer.publish("t", "abc");
  await settle();
  const remote = `0:0000.0000.0002:${peer.io.conn.localPort}`;
  await peer.io.close({});
  assert.deepEqual(rig.backend.events, [
    { event: "pubsub.subscribed", data: { topic: "t", remote } },
    { event: "pubsub.published", data: { topic: "t", size: 3, from: remote } },
    { event: "pubsub.unsubscribed", data: { topic: "t", remote } },
  ]);
  assert.deepEqual(rig.service.stats, {
    subscribers: 0,
    topics: 0,
    overruns: 0,
    queuedBytes: 0,
  });
});

Deno.test("a slow subscriber gets what waits for it and then an end, and stalls nobody", async () => {
  for (const synchronous of [false, true]) await slowSubscriber(synchronous);
});

async function slowSubscriber(synchronous: boolean): Promise<void> {
  using rig = setup();
  rig.backend.synchronous = synchronous;
  const slow = await rig.subscribe("t");
  const quick = await rig.subscribe("t");
  const sender = await rig.subscribe("t");
  await settle();
  const payload = new Uint8Array(60_000);
  const count = 100;
  for (let n = 0; n < count; n++) {
    payload[0] = n;
    await sender.publish("t", payload);
    assert.equal((await quick.next())?.payload[0], n);
  }
  const { overruns, queuedBytes, subscribers } = rig.service.stats;
  assert.deepEqual({ overruns, subscribers }, { overruns: 1, subscribers: 2 });
  assert.ok(queuedBytes > 0 && queuedBytes <= 1024 * 1024);
  const got: number[] = [];
  for (let event = await slow.next(); event !== undefined; event = await slow.next()) {
    assert.equal(event.payload.length, 60_000);
    got.push(event.payload[0]!);
  }
  assert.ok(got.length > 0 && got.length < count, `${got.length} events before the end`);
  assert.deepEqual(got, got.map((_, n) => n), "nothing is missing in the middle");
  assert.equal(slow.io.conn.error, undefined, "an orderly end, which existing peers know");
  assert.equal(rig.service.stats.queuedBytes, 0);
  const told = rig.backend.events.filter(({ event }) => event === "pubsub.overrun");
  const remote = `0:0000.0000.0002:${slow.io.conn.localPort}`;
  assert.deepEqual(told, [{ event: "pubsub.overrun", data: { topic: "t", remote } }]);
  assert.deepEqual(rig.service.info?.(), { event_subscribers: 2, event_overruns: 1 });
  await sender.publish("t", "again");
  assert.equal(await quick.text(), "t=again");
}

Deno.test("an event larger than the queue limit passes to a subscriber that keeps up", async () => {
  using rig = setup();
  const subscriber = await rig.subscribe("t");
  const sender = await rig.subscribe("t");
  await settle();
  const payload = new Uint8Array(5 * 1024 * 1024).fill(7);
  const sending = sender.publish("t", payload);
  assert.deepEqual((await subscriber.next())?.payload, payload);
  await sending;
  assert.equal(rig.service.stats.overruns, 0);
});

Deno.test("a subscriber that takes nothing for its time is disconnected", async () => {
  using rig = setup();
  const stuck = await rig.subscribe("t");
  const sender = await rig.subscribe("t");
  await settle();
  await sender.publish("t", new Uint8Array(600_000));
  for (let taken = 0; taken < 10; taken++) { // little is enough, however long all of it takes
    await rig.clock.run(SUBSCRIBER_STALL_MS - 1);
    assert.equal(stuck.io.over, false);
    assert.notEqual(stuck.io.conn.read(10_000), undefined);
  }
  await rig.clock.run(SUBSCRIBER_STALL_MS - 1);
  assert.equal(stuck.io.over, false);
  // It is looked at every quarter of that.
  await rig.clock.run(SUBSCRIBER_STALL_MS / 4 + 1);
  assert.equal(stuck.io.conn.error?.code, "connection_closed");
  assert.deepEqual(
    [rig.service.stats.subscribers, rig.service.stats.queuedBytes, rig.clock.pending],
    [1, 0, 0],
  );
});

Deno.test("a topic or payload above its limit ends the connection", async () => {
  for (const bytes of [[0x04, 0x01], [0, 1, 0x61, 0x01, 0, 0, 1]]) {
    using rig = setup();
    const peer = new Peer(rig.backend);
    await peer.io.write(Uint8Array.from(bytes));
    await settle();
    assert.equal(peer.io.over, true);
    assert.equal(rig.service.stats.subscribers, 0);
  }
});

Deno.test("peers that begin large events and never end them are cut off", async () => {
  using rig = setup();
  const begin = async () => {
    const peer = new Peer(rig.backend);
    await peer.io.write(Uint8Array.of(0, 1, 0x74, 0x01, 0, 0, 0));
    await peer.io.write(new Uint8Array(12 * 1024 * 1024));
    return peer;
  };
  await begin();
  await begin();
  await assert.rejects(begin(), { code: "connection_closed" });
  const other = await rig.subscribe("t", { network: 0, node: 3 });
  await settle();
  assert.equal(rig.service.stats.subscribers, 1);
  assert.equal(other.io.over, false);
});

Deno.test("one peer cannot take all subscriptions", () => {
  using rig = setup();
  for (let n = 0; n < 256; n++) rig.backend.connectFrom(1002);
  const extra = rig.backend.connectFrom(1002)!;
  assert.equal(extra.peer.aborted, true);
  const other = rig.backend.connectFrom(1002, { network: 0, node: 3 })!;
  assert.equal(other.peer.aborted, false);
});
