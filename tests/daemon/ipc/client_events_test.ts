/** Lifecycle events over the local socket: filter, order, gaps, ends, and what is refused. */

import assert from "node:assert/strict";
import {
  EVENT_QUEUE_BYTES,
  MAX_EVENT_SUBSCRIPTIONS,
  REPLY_HIGH_BYTES,
} from "../../../daemon/ipc/ipc_limits.ts";
import { ClientEvents } from "../../../daemon/ipc/client_events.ts";
import { Outgoing } from "../../../daemon/ipc/outgoing.ts";
import { DecodeError } from "../../../protocol/errors.ts";
import {
  Cmd,
  decodeEventPush,
  decodeEventsMissed,
  encodeHello,
  encodeJson,
  EVENTS,
  IpcFrameReader,
  SUBSCRIBE_EVENTS,
  UNSUBSCRIBE_EVENTS,
} from "../../../protocol/ipc/mod.ts";
import { FakeBackend } from "../fake_backend.ts";
import { hex, type RawClient, type Rig, startRig, text, until, utf8 } from "./raw_client.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A client that has said Hello. */
async function greeted(rig: Rig): Promise<RawClient> {
  const client = await rig.connect();
  await client.send(Cmd.Hello, encodeHello({ name: "test" }));
  const hello = text(await client.expect(Cmd.HelloOk));
  assert.ok(JSON.parse(hello.slice(1)).features.includes(EVENTS));
  return client;
}

/** What a tagged request is answered. */
async function ask(client: RawClient, cmd: number, payload: Uint8Array) {
  await client.sendTagged(9, cmd, payload);
  const reply = await client.expectTagged(9);
  return { cmd: reply.cmd, json: JSON.parse(text(reply.payload)) };
}

async function subscribe(client: RawClient, ...names: string[]): Promise<number> {
  const { cmd, json } = await ask(client, Cmd.SubscribeEvents, encodeJson({ names }));
  assert.equal(cmd, Cmd.SubscribeEventsOk);
  return json.subscription;
}

/** The next frame must be an event: `subscription id name peer`. */
async function nextEvent(client: RawClient): Promise<string> {
  const payload = await client.expect(Cmd.EventPush);
  const push = decodeEventPush(payload);
  assert.ok(!(push instanceof DecodeError));
  const { id, name, data } = push.event;
  const node = "peer_node_id" in data ? data.peer_node_id : "";
  return `${push.subscription} ${id} ${name} ${node}`.trimEnd();
}

Deno.test("a client gets the events it named, in order, as {id, name, at_ms, data}", async () => {
  await using rig = await startRig();
  const { emit } = rig.backend;
  using client = await greeted(rig);
  emit("trust.revoked", { peer_node_id: 1 });
  const some = await subscribe(client, "trust.revoked", "handshake.pending");
  const all = await subscribe(client);
  emit("trust.revoked", { peer_node_id: 2 });
  emit("tunnel.endpoint_proven", {});
  emit("handshake.pending", { peer_node_id: 3, justification: "hello" });
  const first = await client.expect(Cmd.EventPush);
  assert.deepEqual(JSON.parse(text(first.subarray(4))), {
    ...{ id: 2, name: "trust.revoked", at_ms: 1_700_000_000_000 },
    data: { peer_node_id: 2 },
  });
  assert.equal(await nextEvent(client), `${all} 2 trust.revoked 2`);
  assert.equal(await nextEvent(client), `${all} 3 tunnel.endpoint_proven`);
  assert.equal(await nextEvent(client), `${some} 4 handshake.pending 3`);
  assert.equal(await nextEvent(client), `${all} 4 handshake.pending 3`);
});

Deno.test("a subscription that has ended gets nothing more, others do", async () => {
  await using rig = await startRig();
  using client = await greeted(rig);
  const one = await subscribe(client);
  const other = await subscribe(client);
  const payload = UNSUBSCRIBE_EVENTS.encode({ subscription: one });
  const ended = await ask(client, Cmd.UnsubscribeEvents, payload);
  assert.deepEqual(ended, { cmd: Cmd.UnsubscribeEventsOk, json: {} });
  rig.backend.emit("trust.revoked", { peer_node_id: 1 });
  assert.equal(await nextEvent(client), `${other} 1 trust.revoked 1`);
  const again = await ask(client, Cmd.UnsubscribeEvents, payload);
  assert.equal(again.json.code, "not_found");
  await ask(client, Cmd.UnsubscribeEvents, UNSUBSCRIBE_EVENTS.encode({ subscription: other }));
  assert.equal(rig.backend.listeners, 0);
});

Deno.test("the daemon forgets the subscriptions of a client that goes, and of all when it ends", async () => {
  await using rig = await startRig();
  const client = await greeted(rig);
  await subscribe(client);
  await subscribe(client, "trust.revoked");
  using staying = await greeted(rig);
  await subscribe(staying);
  assert.equal(rig.backend.listeners, 2);
  client.close();
  await until(() => rig.backend.listeners === 1, "its subscription has ended");
  rig.backend.emit("trust.revoked", { peer_node_id: 1 });
  await nextEvent(staying);
  await rig.server.close();
  assert.equal(rig.backend.listeners, 0);
});

Deno.test("filters that make no sense are refused with a text that says why", async () => {
  await using rig = await startRig();
  using client = await greeted(rig);
  const refusal = async (payload: Uint8Array, cmd: number = Cmd.SubscribeEvents) => {
    const { cmd: answer, json } = await ask(client, cmd, payload);
    assert.equal(answer, Cmd.Error);
    assert.equal(json.code, "invalid_argument");
    return json.message;
  };
  const filter = (value: unknown) => refusal(encodeJson(value));
  const event = "subscribe_events: no such event:";
  assert.equal(await filter({ names: ["trust.given"] }), `${event} "trust.given"`);
  assert.equal(await filter({ names: ["trust.revoked", "__proto__"] }), `${event} "__proto__"`);
  assert.equal(await filter({ names: [""] }), `${event} ""`);
  assert.equal(await filter({ names: ["x".repeat(900_000)] }), `${event} "${"x".repeat(64)}"`);
  assert.match(await filter({ names: [null] }), /a name is not a text/);
  assert.match(await filter({ names: [{ length: 1 }] }), /a name is not a text/);
  assert.match(await filter({ names: "trust.revoked" }), /names is not a list/);
  assert.match(await filter({ names: { 0: "trust.revoked" } }), /names is not a list/);
  for (const value of [[], null, "all", 3]) assert.match(await filter(value), /not a JSON object/);
  for (const bytes of ["", "{", "\xff"]) assert.match(await refusal(utf8(bytes)), /^subscribe_/);
  assert.match(await refusal(hex("ff fe")), /^subscribe_events: /);
  assert.match(await refusal(hex("00 00"), Cmd.UnsubscribeEvents), /missing subscription/);
  assert.equal(rig.backend.listeners, 0);
  // One name many times is one filter.
  const names = Array<string>(40_000).fill("trust.revoked");
  const subscription = await subscribe(client, ...names);
  rig.backend.emit("trust.revoked", { peer_node_id: 4 });
  assert.equal(await nextEvent(client), `${subscription} 1 trust.revoked 4`);
});

Deno.test("a client has a bounded number of subscriptions, and gets the place of an ended one", async () => {
  await using rig = await startRig();
  using client = await greeted(rig);
  for (let n = 0; n < MAX_EVENT_SUBSCRIPTIONS; n++) await subscribe(client);
  const { json } = await ask(client, Cmd.SubscribeEvents, encodeJson({}));
  assert.equal(json.code, "limit_exceeded");
  await ask(client, Cmd.UnsubscribeEvents, UNSUBSCRIBE_EVENTS.encode({ subscription: 3 }));
  assert.equal(await subscribe(client), MAX_EVENT_SUBSCRIPTIONS + 1);
});

Deno.test("a client that has not said Hello, or asks without a number, never sees an event", async () => {
  await using rig = await startRig();
  const refused = /clients that say Hello and use tags/;
  const payload = SUBSCRIBE_EVENTS.encode({ names: [] });
  using plain = await rig.connect();
  await plain.send(Cmd.SubscribeEvents, payload);
  assert.match(await plain.expectError(), refused);
  const { json } = await ask(plain, Cmd.SubscribeEvents, payload);
  assert.equal(json.code, "invalid_state");
  using client = await greeted(rig);
  await client.send(Cmd.SubscribeEvents, payload);
  assert.match(await client.expectError(), refused);
  rig.backend.emit("trust.revoked", { peer_node_id: 1 });
  for (const one of [plain, client]) {
    await one.send(Cmd.Health);
    await one.expect(Cmd.HealthOk);
  }
  assert.equal(rig.backend.listeners, 0);
});

/** An outgoing side whose client reads only when the test lets it, one write at a time. */
class SlowClient {
  readonly backend = new FakeBackend();
  readonly written: Uint8Array[] = [];
  isReading = false;
  #go: (() => void) | undefined;
  readonly out = new Outgoing({
    clock: new ManualClock(),
    write: async (bytes) => {
      if (!this.isReading) await new Promise<void>((resolve) => this.#go = resolve);
      this.written.push(bytes.slice());
      return bytes.length;
    },
    onDead: (reason) => assert.fail(reason),
    onRoom: () => {},
  });
  readonly events = new ClientEvents(this.out, (listener) => this.backend.onEvent(listener));

  /** Reads all that waits; what it was: ids of events, and `-n` for n missing. */
  async read(): Promise<number[]> {
    this.isReading = true;
    this.#go?.();
    await this.out.flushed();
    this.isReading = false;
    const reader = new IpcFrameReader();
    const got: number[] = [];
    for (const bytes of this.written.splice(0)) {
      reader.push(bytes);
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        assert.ok(!(frame instanceof DecodeError));
        got.push(numberOf(frame.cmd, frame.payload));
      }
    }
    return got;
  }
}

function numberOf(cmd: number, payload: Uint8Array): number {
  if (cmd === Cmd.EventPush) {
    const push = decodeEventPush(payload);
    return push instanceof DecodeError ? NaN : push.event.id;
  }
  assert.equal(cmd, Cmd.EventsMissed);
  const missed = decodeEventsMissed(payload);
  return missed instanceof DecodeError ? NaN : -missed.count;
}

/** 1, 2, ... */
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

Deno.test("a client that does not read gets what waits, then how much it has missed, then what comes", async () => {
  const client = new SlowClient();
  client.events.subscribe([]);
  const justification = "j".repeat(1000);
  const total = 2000;
  for (let n = 1; n < total; n++) {
    client.backend.emit("handshake.pending", { peer_node_id: n, justification });
    assert.ok(client.out.replyBytes <= EVENT_QUEUE_BYTES + 5);
  }
  // There is room for a small one, but it must not pass those that are missing.
  client.backend.emit("tunnel.endpoint_proven", {});
  const got = await client.read();
  const missed = -got.at(-1)!;
  assert.ok(missed > 1000, `${missed}`);
  assert.deepEqual(got, [...upTo(total - missed), -missed]);
  client.backend.emit("trust.revoked", { peer_node_id: 1 });
  assert.deepEqual(await client.read(), [total + 1]);
  client.events.end();
});

Deno.test("a gap is counted for the subscription that has it", async () => {
  const client = new SlowClient();
  client.events.subscribe(["trust.revoked"]);
  const wide = client.events.subscribe([]);
  const justification = "j".repeat(1000);
  for (let n = 0; n < 1000; n++) {
    client.backend.emit("handshake.pending", { peer_node_id: n, justification });
  }
  const got = await client.read();
  assert.ok(got.at(-1)! < 0);
  assert.equal(got.length - 1 - got.at(-1)!, 1000);
  client.backend.emit("trust.revoked", { peer_node_id: 1 });
  assert.deepEqual(await client.read(), [1001, 1001]);
  // A gap of a subscription that has ended is nobody's.
  for (let n = 0; n < 1000; n++) {
    client.backend.emit("handshake.pending", { peer_node_id: n, justification });
  }
  client.events.unsubscribe(wide);
  assert.ok((await client.read()).every((number) => number > 0));
  client.events.end();
});

Deno.test("an event larger than may ever wait is missed, not sent and not forgotten", async () => {
  const client = new SlowClient();
  client.events.subscribe([]);
  client.backend.emit("handshake.pending", {
    ...{ peer_node_id: 1, justification: "x".repeat(REPLY_HIGH_BYTES) },
  });
  assert.deepEqual(await client.read(), [-1]);
  client.events.end();
});

Deno.test("a client that reads nothing of what happens holds up neither requests nor others", async () => {
  await using rig = await startRig();
  using slow = await greeted(rig);
  await subscribe(slow);
  using quick = await greeted(rig);
  await subscribe(quick, "trust.revoked");
  const justification = "j".repeat(1000);
  for (let n = 0; n < 5000; n++) {
    rig.backend.emit("handshake.pending", { peer_node_id: n, justification });
  }
  rig.backend.emit("trust.revoked", { peer_node_id: 7 });
  assert.match(await nextEvent(quick), /trust\.revoked 7$/);
  await slow.send(Cmd.Health);
  let isAnswered = false;
  let missed = 0;
  while (!isAnswered || missed === 0) {
    const frame = await slow.next();
    assert.ok(frame !== undefined, "it is still connected");
    isAnswered ||= frame.cmd === Cmd.HealthOk;
    if (frame.cmd === Cmd.EventsMissed) missed = -numberOf(frame.cmd, frame.payload);
  }
  assert.ok(missed > 0 && missed < 5001);
});
