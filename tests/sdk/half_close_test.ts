/** A connection closed for writing alone: SDK and IPC server over an in-memory network, and clients without it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { IpcServer } from "../../daemon/ipc/mod.ts";
import { concatBytes, encodeText } from "../../protocol/bytes.ts";
import {
  Cmd,
  decodeAccept,
  decodeConn,
  encodeConn,
  encodeDial,
  encodeHello,
  encodePort,
  HALF_CLOSE,
} from "../../protocol/ipc/mod.ts";
import { type Conn, connect, type Driver, type Listener } from "../../sdk/mod.ts";
import { RawClient } from "../daemon/ipc/raw_client.ts";
import { FakeBackend, SELF } from "../daemon/fake_backend.ts";
import { pattern, rejectsWith, text } from "./support.ts";
import { systemClock } from "../../platform/system_clock.ts";

const PORT = 4000;

class World implements AsyncDisposable {
  readonly backend = new FakeBackend();
  readonly dir: string = Deno.makeTempDirSync();
  readonly #open: AsyncDisposable[] = [];
  server!: IpcServer;

  static async start(): Promise<World> {
    const world = new World();
    const path = join(world.dir, "pilot.sock");
    world.server = await IpcServer.listen({ path, clock: systemClock, backend: world.backend });
    return world;
  }

  async connect(): Promise<Driver> {
    const driver = await connect({ socket: this.server.path });
    this.#open.push(driver);
    return driver;
  }

  /** Both ends of a connection between two programs. */
  async pair(): Promise<{ dialled: Conn; accepted: Conn; listener: Listener }> {
    const [one, other] = [await this.connect(), await this.connect()];
    const listener = await other.listen(PORT);
    const accepting = listener.accept();
    const dialled = await one.dial(SELF, PORT);
    return { dialled, accepted: await accepting, listener };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const driver of this.#open) await driver[Symbol.asyncDispose]();
    await this.server.close();
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("what is asked ends before the answer begins, and both arrive whole", async () => {
  await using world = await World.start();
  const { dialled, accepted } = await world.pair();
  const question = pattern(3_000_000);
  const asked = dialled.write(question).then(() => dialled.closeWrite());
  assert.deepEqual(await readToEnd(accepted), question);
  await asked;
  await rejectsWith(dialled.write("more"), "connection_closed");

  const answer = pattern(2_000_000);
  const answered = accepted.write(answer).then(() => accepted.close());
  assert.deepEqual(await readToEnd(dialled), answer);
  await answered;
  await Promise.all([dialled.closed, dialled.close()]);
  assert.equal(world.backend.conns.every(({ closed }) => closed), true);
});

Deno.test("the Web stream closes for writing, and its pipe ends both directions in order", async () => {
  await using world = await World.start();
  const { dialled, accepted } = await world.pair();
  const echoed = accepted.readable.pipeTo(accepted.writable);
  const writer = dialled.writable.getWriter();
  await writer.write(new TextEncoder().encode("there and back"));
  const closing = writer.close();
  assert.equal(text(await readToEnd(dialled)), "there and back");
  await closing;
  await echoed;
  await Promise.all([dialled.close(), accepted.close()]);
});

Deno.test("a full close after a half close ends the peer's writing", async () => {
  await using world = await World.start();
  const { dialled, accepted } = await world.pair();
  const read = accepted.read();
  await dialled.closeWrite();
  assert.equal(await read, undefined);
  await accepted.write("still read");
  assert.equal(text((await dialled.read())!), "still read");
  const closing = dialled.close();
  await accepted.closed;
  await rejectsWith(accepted.write("no more"), "connection_closed");
  await closing;
});

Deno.test("where the peer knows no half close nothing has changed: the conversation continues", async () => {
  await using world = await World.start();
  const { dialled, accepted } = await world.pair();
  for (const conn of world.backend.conns) conn.halfCloses = false;
  await rejectsWith(dialled.closeWrite(), "unavailable");
  await dialled.write("goes on");
  assert.equal(text((await accepted.read())!), "goes on");
  await accepted.write("both ways");
  assert.equal(text((await dialled.read())!), "both ways");
  // The Web stream has one way to close only.
  await Promise.all([dialled.writable.close(), accepted.close()]);
  assert.equal(await accepted.read(), undefined);
});

Deno.test("an aborted wait for the delivery resets the connection", async () => {
  await using world = await World.start();
  world.backend.bufferBytes = 10;
  const { dialled, accepted } = await world.pair();
  await dialled.write("0123456789");
  const waiting = new AbortController();
  const closing = dialled.closeWrite({ signal: waiting.signal });
  waiting.abort();
  await rejectsWith(closing, "aborted");
  await rejectsWith(readToEnd(accepted), "connection_closed");
});

Deno.test("a client that does not know half closes sees the end of both directions, and what it has sent arrives", async () => {
  await using world = await World.start();
  const driver = await world.connect();
  using client = await RawClient.connect(world.server.path);
  await client.send(Cmd.Bind, encodePort(PORT));
  await client.expect(Cmd.BindOk);
  const conn = await driver.dial(SELF, PORT);
  const accepted = decodeAccept(await client.expect(Cmd.Accept));
  assert.ok("conn" in accepted);
  const id = encodeConn(accepted.conn);
  await client.send(Cmd.Send, id, encodeText("greeting"));
  await conn.closeWrite();
  await client.expect(Cmd.CloseOk);
  assert.equal(text(await readToEnd(conn)), "greeting");
  await conn.close();
});

Deno.test("CloseWrite is answered once, and refused for what is unknown or closed", async () => {
  await using world = await World.start();
  const { listener } = await world.pair();
  using client = await RawClient.connect(world.server.path);
  const ask = async (id: number, conn: number) => {
    await client.sendTagged(id, Cmd.CloseWrite, encodeConn(conn));
    const { cmd, payload } = await client.expectTagged(id);
    return { cmd, text: text(payload) };
  };
  await client.send(Cmd.Hello, encodeHello({ features: [HALF_CLOSE] }));
  await client.expect(Cmd.HelloOk);
  assert.match((await ask(1, 99_999)).text, /not_found/);
  const accepting = listener.accept();
  await client.send(Cmd.Dial, encodeDial({ address: SELF, port: PORT }));
  const conn = decodeConn(await client.expect(Cmd.DialOk));
  assert.ok(typeof conn === "number");
  const peer = await accepting;
  assert.equal((await ask(2, conn)).cmd, Cmd.CloseWriteOk);
  assert.match((await ask(3, conn)).text, /connection_closed/);
  await peer.close();
});

Deno.test("closing for writing leaves an answer that has arrived, also when the peer has closed", async () => {
  for (const close of [(conn: Conn) => conn.closeWrite(), (conn: Conn) => conn.writable.close()]) {
    await using world = await World.start();
    const { dialled, accepted } = await world.pair();
    await accepted.write("answer");
    const closing = accepted.close();
    await dialled.closed;
    await close(dialled);
    assert.equal(text(await readToEnd(dialled)), "answer");
    await Promise.all([closing, dialled.close()]);
  }
});

Deno.test("closing for writing twice is closing once", async () => {
  await using world = await World.start();
  const { dialled, accepted } = await world.pair();
  await Promise.all([dialled.closeWrite(), dialled.closeWrite()]);
  await dialled.writable.close();
  await accepted.write("answer");
  await accepted.close();
  assert.equal(text(await readToEnd(dialled)), "answer");
});

async function readToEnd(conn: Conn): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of conn) chunks.push(chunk);
  return concatBytes(...chunks);
}
