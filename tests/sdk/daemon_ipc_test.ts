/** The SDK against the daemon's real IPC server and services, over an in-memory network. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { IpcServer } from "../../daemon/ipc/mod.ts";
import {
  attachDataExchange,
  attachEcho,
  attachEventStream,
  type Service,
} from "../../daemon/service/mod.ts";
import { PilotError } from "../../protocol/errors.ts";
import { connect, type Driver } from "../../sdk/mod.ts";
import { FakeBackend, PEER, SELF } from "../daemon/fake_backend.ts";
import { bytes, pattern, readAll, rejectsWith, text } from "./support.ts";
import { systemClock } from "../../platform/system_clock.ts";

class World implements AsyncDisposable {
  readonly backend = new FakeBackend();
  readonly dir: string = Deno.makeTempDirSync();
  readonly #services: Service[] = [];
  readonly #drivers: Driver[] = [];
  #server!: IpcServer;

  static async start(): Promise<World> {
    const world = new World();
    world.#services.push(
      attachEcho(world.backend),
      attachEventStream(world.backend, { clock: systemClock }),
      attachDataExchange(world.backend, {
        clock: systemClock,
        inboxDir: join(world.dir, "inbox"),
        receivedDir: join(world.dir, "received"),
      }),
    );
    world.#server = await IpcServer.listen({
      path: join(world.dir, "pilot.sock"),
      backend: world.backend,
      clock: systemClock,
    });
    return world;
  }

  async connect(): Promise<Driver> {
    const driver = await connect({ socket: this.#server.path });
    this.#drivers.push(driver);
    return driver;
  }

  get server(): IpcServer {
    return this.#server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#drivers) await driver.close();
    await this.#server.close();
    for (const service of this.#services) await service.close();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("SDK and IPC server carry 20 MB there and back and close cleanly", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  assert.equal(driver.daemonVersion, world.backend.version);
  const other = await world.connect();
  const listener = await other.listen(4000);
  const [conn, accepted] = await Promise.all([
    driver.dial(PEER, 4000),
    listener.accept(),
  ]);
  const echoing = accepted.readable.pipeTo(accepted.writable);
  const data = pattern(20_000_000);
  const [got] = await Promise.all([
    readAll(conn, data.length),
    conn.write(data),
  ]);
  assert.ok(got.every((byte, i) => byte === data[i]));
  await Promise.all([conn.close(), echoing]);
  assert.equal(world.server.stats.connections, 0);
});

Deno.test("SDK and IPC server hold back a writer that nobody reads, and others continue", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  const listener = await driver.listen(4000);
  const conn = await driver.dial(PEER, 4000);
  const accepted = await listener.accept();
  const data = pattern(16_000_000);
  let done = false;
  const writing = conn.write(data).then(() => {
    done = true;
  });
  const echo = await driver.dial(PEER, 7);
  for (let i = 0; i < 20; i++) {
    await echo.write("x");
    await echo.read();
  }
  assert.equal(done, false);
  const got = await readAll(accepted, data.length);
  assert.ok(got.every((byte, i) => byte === data[i]));
  await writing;
  await Promise.all([conn.close(), accepted.close(), echo.close()]);
  await listener.close();
  assert.equal(world.backend.ports.has(4000), false);
});

Deno.test("SDK and IPC server deliver everything before a close and distinguish a reset from it", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  const listener = await driver.listen(4000);
  const [conn, accepted] = await Promise.all([
    driver.dial(PEER, 4000),
    listener.accept(),
  ]);
  assert.deepEqual(conn.remote, { ...PEER, port: 4000 });
  const closing = (async () => {
    await conn.write(pattern(3_000_000));
    await conn.close();
  })();
  let count = 0;
  for await (const chunk of accepted) count += chunk.length;
  assert.equal(count, 3_000_000);
  await closing;

  const [victim, resetting] = await Promise.all([
    driver.dial(PEER, 4000),
    listener.accept(),
  ]);
  resetting.abort();
  await rejectsWith(victim.read(), "connection_closed", /reset/i);
  await rejectsWith(victim.write("x"), "connection_closed");
  await listener.close();
});

Deno.test("SDK and IPC server report network failures with their code", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  await rejectsWith(driver.dial(PEER, 9), "connection_refused");
  const conn = await driver.dial(PEER, 7);
  const reading = conn.read();
  for (const open of world.backend.openConns) {
    open.fail(new PilotError("connection_failed", "No answer for 60 s"));
  }
  await rejectsWith(reading, "connection_failed", /No answer for 60 s/);
  await rejectsWith(driver.listen(7), "already_exists", /port 7/);
  await driver.listen(4000);
  await rejectsWith(driver.listen(4000), "already_exists");
});

Deno.test("SDK and IPC server cancel a dial that is given up", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  const started = Promise.withResolvers<void>();
  const cancelled = Promise.withResolvers<void>();
  world.backend.dialHook = (_port, { signal }) => {
    started.resolve();
    return new Promise((_, reject) =>
      signal?.addEventListener("abort", () => {
        cancelled.resolve();
        reject(new PilotError("aborted", "dial aborted"));
      })
    );
  };
  const controller = new AbortController();
  const failed = rejectsWith(
    driver.dial(PEER, 7, { signal: controller.signal }),
    "aborted",
  );
  await started.promise;
  controller.abort();
  await failed;
  await cancelled.promise;
});

Deno.test("SDK sends messages, files and events through the daemon's services", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  const receipt = await driver.sendMessage(PEER, "hello");
  assert.match(receipt.ack, /^ACK TEXT 5 bytes/);
  assert.equal([...Deno.readDirSync(join(world.dir, "inbox"))].length, 1);

  const content = pattern(5_000_000);
  const path = join(world.dir, "report.bin");
  await Deno.writeFile(path, content);
  const sent = await driver.sendFile(PEER, path);
  assert.equal(sent.transport, "filestream");
  assert.equal(
    sent.sha256,
    createHash("sha256").update(content).digest("hex"),
  );
  const stored = [...Deno.readDirSync(join(world.dir, "received"))]
    .filter(({ isFile }) => isFile);
  assert.equal(stored.length, 1);
  assert.deepEqual(
    await Deno.readFile(join(world.dir, "received", stored[0]!.name)),
    content,
  );

  const other = await world.connect();
  const subscription = await other.subscribe(PEER, "news");
  let arrived = false;
  // The broker takes the subscription in when it reads it: publish until one comes through.
  const publishing = (async () => {
    for (let i = 0; i < 1000 && !arrived; i++) {
      await driver.publish(PEER, "news", `event ${i}`);
    }
  })();
  const event = await subscription.next();
  arrived = true;
  assert.match(text(event?.payload), /^event \d+$/);
  await publishing;
  await subscription.close();
});

Deno.test("SDK and IPC server exchange datagrams and pings", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  await driver.sendDatagram(PEER, 9, bytes("out"));
  assert.equal(text(world.backend.sentDatagrams[0]?.data), "out");
  const datagrams = driver.datagrams(9);
  world.backend.deliver({
    source: PEER,
    sourcePort: 1,
    port: 9,
    data: bytes("in"),
  });
  assert.equal(text((await datagrams.receive())?.data), "in");
  datagrams.close();
  assert.equal((await driver.ping(PEER)).rtt_ms, 1.5);
  assert.deepEqual(await driver.address(), SELF);
});

Deno.test("SDK notices at once when the IPC server goes away", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  const conn = await driver.dial(PEER, 7);
  const reading = rejectsWith(conn.read(), "connection_closed", /daemon/);
  await world.server.close();
  await reading;
  assert.equal((await driver.closed)?.code, "connection_closed");
});
