/** Lifecycle events as a program gets them: from our IPC server, and from daemons that do what a test wants. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { IpcServer } from "../../daemon/ipc/mod.ts";
import {
  Cmd,
  encodeEventPush,
  encodeEventsMissed,
  encodeJson,
  EVENTS,
} from "../../protocol/ipc/mod.ts";
import {
  connect,
  type DaemonEvents,
  type Driver,
  type EventsOptions,
  type LifecycleEventName,
} from "../../sdk/mod.ts";
import { FakeBackend } from "../daemon/fake_backend.ts";
import { type FakeClient, FakeDaemon } from "./fake_daemon.ts";
import { isPending, rejectsWith } from "./support.ts";
import { systemClock } from "../../platform/system_clock.ts";

class World implements AsyncDisposable {
  readonly backend = new FakeBackend();
  readonly #dir = Deno.makeTempDirSync();
  server!: IpcServer;
  driver!: Driver;

  static async start(): Promise<World> {
    const world = new World();
    const path = join(world.#dir, "pilot.sock");
    world.server = await IpcServer.listen({ path, clock: systemClock, backend: world.backend });
    world.driver = await connect({ socket: path });
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver.close();
    await this.server.close();
    await Deno.remove(this.#dir, { recursive: true });
  }
}

Deno.test("a program gets the events it named, in order, with what each of them says", async () => {
  await using world = await World.start();
  const { driver, backend } = world;
  await using events = await driver.events({ names: ["handshake.pending", "file.received"] });
  await using all = await driver.events();
  backend.emit("trust.revoked", { peer_node_id: 1 });
  backend.emit("handshake.pending", { peer_node_id: 2, justification: "hello" });
  backend.emit("file.received", { filename: "f", size: 3, path: "/f", from: "0:1" });
  const seen: string[] = [];
  for await (const event of events) {
    // These would not pass the type checker if the name did not tell what `data` holds.
    if (event.name === "handshake.pending") seen.push(`${event.id} ${event.data.justification}`);
    else seen.push(`${event.id} ${event.data.filename} ${event.atMs}`);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen, ["2 hello", "3 f 1700000000000"]);
  assert.deepEqual(
    [await all.next(), await all.next(), await all.next()].map((event) => event?.name),
    ["trust.revoked", "handshake.pending", "file.received"],
  );
  assert.equal(all.missed, 0);
});

Deno.test("leaving the loop, or closing, ends the subscription at the daemon", async () => {
  await using world = await World.start();
  const { driver, backend } = world;
  const events = await driver.events();
  const other = await driver.events();
  backend.emit("trust.revoked", { peer_node_id: 1 });
  backend.emit("trust.revoked", { peer_node_id: 2 });
  await driver.health(); // behind both
  for await (const event of events) if (event.name === "trust.revoked") break;
  assert.equal(await events.next(), undefined);
  const waiting = other.next().then(() => other.next()).then(() => other.next());
  assert.equal(backend.listeners, 1);
  await Promise.all([other.close(), other.close()]);
  assert.equal(await waiting, undefined);
  assert.equal(backend.listeners, 0);
});

Deno.test("a wait can be given up without losing an event", async () => {
  await using world = await World.start();
  await using events = await world.driver.events();
  const waiting = new AbortController();
  const next = events.next({ signal: waiting.signal });
  assert.ok(await isPending(next));
  waiting.abort();
  await rejectsWith(next, "aborted");
  world.backend.emit("trust.revoked", { peer_node_id: 1 });
  assert.equal((await events.next())?.id, 1);
});

Deno.test("an unknown name is refused by the daemon, in its words", async () => {
  await using world = await World.start();
  const names = ["trust.given" as LifecycleEventName];
  await rejectsWith(world.driver.events({ names }), "invalid_argument", /no such event: "trust/);
  assert.equal(world.backend.listeners, 0);
});

Deno.test("when the daemon is lost, what has arrived is given first and then why", async () => {
  await using world = await World.start();
  const { driver, backend, server } = world;
  const events = await driver.events();
  backend.emit("trust.revoked", { peer_node_id: 1 });
  await driver.health(); // behind the event
  await server.close();
  const reason = await driver.closed;
  assert.equal((await events.next())?.id, 1);
  const error = await rejectsWith(events.next(), "connection_closed");
  assert.equal(error, reason);
  const iterating = (async () => {
    for await (const _ of events);
  })();
  assert.equal(await rejectsWith(iterating, "connection_closed"), reason);
  await events.close();
  assert.equal(await rejectsWith(driver.events(), "connection_closed"), reason);
});

for (const mode of ["tagged", "untagged"] as const) {
  Deno.test(`a ${mode} daemon without events is not asked for them`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const error = await rejectsWith(driver.events(), "unavailable", /does not report events/);
    assert.deepEqual(error.advice, { id: "use_this_daemon" });
    assert.deepEqual(client.log.filter(({ cmd }) => cmd !== Cmd.Hello), []);
  });
}

const SUBSCRIPTION = 5;

/** A subscription to a daemon that does what the test wants. */
async function watch(
  daemon: FakeDaemon,
  options: EventsOptions = {},
): Promise<{ driver: Driver; client: FakeClient; events: DaemonEvents }> {
  const { driver, client } = await daemon.connect();
  const opening = driver.events(options);
  client.answerJson(await client.expect(Cmd.SubscribeEvents), { subscription: SUBSCRIPTION });
  return { driver, client, events: await opening };
}

/** Pushes events with these ids. */
function push(client: FakeClient, from: number, to: number, justification = ""): void {
  for (let id = from; id <= to; id++) {
    const data = { peer_node_id: id, justification };
    const event = { id, name: "handshake.pending" as const, atMs: id, data };
    client.push(Cmd.EventPush, encodeEventPush({ subscription: SUBSCRIPTION, event }));
  }
}

/** The driver has read all that was pushed. */
async function settled(driver: Driver, client: FakeClient): Promise<void> {
  const asking = driver.health();
  client.answerJson(await client.expect(Cmd.Health), { status: "ok" });
  await asking;
}

Deno.test("a gap that the daemon reports is reported where it is", async () => {
  await using daemon = new FakeDaemon("tagged", ["tags", EVENTS]);
  const told: string[] = [];
  const onMissed = (count: number) => void told.push(`missed ${count}`);
  const { driver, client, events } = await watch(daemon, { onMissed });
  push(client, 1, 1);
  client.push(Cmd.EventsMissed, encodeEventsMissed({ subscription: SUBSCRIPTION, count: 7 }));
  push(client, 9, 9);
  client.push(Cmd.EventsMissed, encodeEventsMissed({ subscription: SUBSCRIPTION, count: 2 }));
  client.push(Cmd.EventsMissed, encodeEventsMissed({ subscription: 99, count: 3 }));
  await settled(driver, client);
  for (const missed of [0, 7]) {
    told.push(`event ${(await events.next())?.id}`);
    assert.equal(events.missed, missed);
  }
  const next = events.next();
  assert.ok(await isPending(next));
  assert.deepEqual(told, ["event 1", "missed 7", "event 9", "missed 2"]);
  const closing = events.close();
  client.answerJson(await client.expect(Cmd.UnsubscribeEvents), {});
  await closing;
  assert.equal(await next, undefined);
  assert.equal(events.missed, 9);
});

Deno.test("a program that takes none has the first ones, the length of the gap, and what comes later", async () => {
  await using daemon = new FakeDaemon("tagged", ["tags", EVENTS]);
  const told: number[] = [];
  const total = 3000;
  const onMissed = (count: number) => {
    told.push(count);
    push(client, total + 21, total + 21);
  };
  const { driver, client, events } = await watch(daemon, { onMissed });
  push(client, 1, total, "j".repeat(1000));
  client.push(Cmd.EventsMissed, encodeEventsMissed({ subscription: SUBSCRIPTION, count: 10 }));
  push(client, total + 11, total + 20);
  await settled(driver, client);
  let id = 0;
  for (;;) {
    const event = await events.next();
    if (told.length > 0) {
      assert.equal(event?.id, total + 21);
      break;
    }
    assert.equal(event?.id, ++id);
  }
  assert.ok(id > 1000 && id < total, `${id}`);
  assert.deepEqual(told, [total + 20 - id]);
  assert.equal(events.missed, total + 20 - id);
});

Deno.test("an invalid event ends the session as one that cannot be understood", async () => {
  await using daemon = new FakeDaemon("tagged", ["tags", EVENTS]);
  const { client, events } = await watch(daemon);
  client.push(Cmd.EventPush, new Uint8Array(4), encodeJson({ id: 1, name: "trust.revoked" }));
  await rejectsWith(events.next(), "protocol_error", /not \{id, name, at_ms, data\}/);
});

Deno.test("a subscription that comes when nobody waits for it any more is ended", async () => {
  await using daemon = new FakeDaemon("tagged", ["tags", EVENTS]);
  const { driver, client } = await daemon.connect();
  const waiting = new AbortController();
  const opening = driver.events({ signal: waiting.signal });
  const asked = await client.expect(Cmd.SubscribeEvents);
  waiting.abort();
  await rejectsWith(opening, "aborted");
  client.answerJson(asked, { subscription: SUBSCRIPTION });
  const ended = await client.expect(Cmd.UnsubscribeEvents);
  assert.deepEqual([...ended.payload], [0, 0, 0, SUBSCRIPTION]);
  client.answerJson(ended, {});
});
