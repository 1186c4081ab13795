import assert from "node:assert/strict";
import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeCancelTag,
  decodeConn,
  encodeConn,
  encodeIpcError,
  encodePort,
} from "../../protocol/ipc/mod.ts";
import { connect, type Driver } from "../../sdk/mod.ts";
import { FakeDaemon, until } from "./fake_daemon.ts";
import {
  bytes,
  dialPair,
  isPending,
  MODES,
  pattern,
  readAll,
  rejectsWith,
  text,
} from "./support.ts";

const TARGET = { network: 0, node: 5 };

Deno.test("connect says not_running with a hint when no daemon listens", async () => {
  const dir = await Deno.makeTempDir();
  const error = await rejectsWith(
    connect({ socket: `${dir}/none.sock` }),
    "not_running",
    /none\.sock/,
  );
  assert.deepEqual(error.advice, { id: "start_daemon" });
  await Deno.remove(dir, { recursive: true });
});

Deno.test("connect says not_running when the socket file is stale", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/pilot.sock`;
  Deno.listen({ transport: "unix", path }).close();
  await rejectsWith(connect({ socket: path }), "not_running");
  await Deno.remove(dir, { recursive: true });
});

/** A socket that accepts and then does what it is told with each connection. */
async function withServer(
  serve: (conn: Deno.UnixConn) => Promise<void>,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/pilot.sock`;
  const listener = Deno.listen({ transport: "unix", path });
  const serving = (async () => {
    using conn = await listener.accept();
    await serve(conn);
  })();
  try {
    await use(path);
    await serving;
  } finally {
    listener.close();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Reads until the other side hangs up. */
async function untilEnd(conn: Deno.UnixConn): Promise<void> {
  const buffer = new Uint8Array(4096);
  try {
    while (await conn.read(buffer) !== null);
  } catch {
    // A reset is an end as well.
  }
}

Deno.test("connect times out and hangs up when the daemon does not greet back", async () => {
  await withServer(untilEnd, async (socket) => {
    await rejectsWith(connect({ socket, timeoutMs: 20 }), "timeout");
  });
});

Deno.test("connect can be aborted while the daemon does not greet back", async () => {
  await withServer(untilEnd, async (socket) => {
    const controller = new AbortController();
    const connecting = connect({ socket, signal: controller.signal });
    assert.ok(await isPending(connecting));
    controller.abort();
    await rejectsWith(connecting, "aborted");
  });
  await rejectsWith(connect({ signal: AbortSignal.abort() }), "aborted");
});

Deno.test("connect says connection_closed when the daemon hangs up", async () => {
  await withServer(
    async (conn) => {
      await conn.read(new Uint8Array(100));
    },
    async (socket) => {
      await rejectsWith(connect({ socket }), "connection_closed");
    },
  );
});

for (
  const [name, bytes] of [
    ["an oversized frame", [0, 0x20, 0, 0, 1]],
    ["a Recv without connection", [0, 0, 0, 3, Cmd.Recv, 0, 0]],
    ["a CloseOK without connection", [0, 0, 0, 1, Cmd.CloseOk]],
    ["a TaggedReply without id", [0, 0, 0, 2, Cmd.TaggedReply, 0]],
    ["an Accept cut short", [0, 0, 0, 4, Cmd.Accept, 1, 2, 3]],
  ] as const
) {
  Deno.test(`Driver ends with protocol_error after ${name}`, async () => {
    await using daemon = new FakeDaemon();
    const { driver, client } = await daemon.connect();
    const asking = driver.info();
    client.raw(Uint8Array.from(bytes));
    await rejectsWith(asking, "protocol_error");
    assert.equal((await driver.closed)?.code, "protocol_error");
  });
}

Deno.test("Driver matches tagged answers that come in another order", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const nodes = Array.from({ length: 50 }, (_, i) => i + 1);
  const answers = Promise.all(nodes.map((node) => driver.registry.lookup(node)));
  const requests = [];
  for (const _ of nodes) requests.push(await client.expect(Cmd.Lookup));
  for (const request of requests.reverse()) {
    client.answerJson(request, { node_id: decodeConn(request.payload) });
  }
  assert.deepEqual((await answers).map((reply) => reply.node_id), nodes);
});

Deno.test("Driver sends at most 512 requests at once", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const all = Promise.all(
    Array.from({ length: 600 }, () => driver.health()),
  );
  for (let i = 0; i < 600; i++) {
    const request = await client.expect(Cmd.Health);
    if (i === 0) {
      // Everything that may be sent was sent in one turn.
      await until("the rest is sent", () => client.log.length >= 511);
      assert.equal(client.log.length, 511);
    }
    client.answerJson(request, { status: "ok" });
  }
  assert.equal((await all).length, 600);
});

Deno.test("Driver asks a daemon without tags one thing at a time", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const first = driver.info();
  const second = driver.health();
  const request = await client.expect(Cmd.Info);
  const next = client.expect(Cmd.Health);
  assert.ok(await isPending(next));
  client.answerJson(request, { node_id: 1 });
  client.answerJson(await next, { status: "ok" });
  assert.equal((await first).node_id, 1);
  assert.equal((await second).status, "ok");
});

Deno.test("Driver keeps an abandoned place until an untagged answer came", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const controller = new AbortController();
  const dialling = driver.dial(TARGET, 7, { signal: controller.signal });
  const dial = await client.expect(Cmd.Dial);
  controller.abort();
  await rejectsWith(dialling, "aborted");
  const asking = driver.info();
  assert.ok(await isPending(client.expect(Cmd.Info)));
  client.answer(dial, Cmd.DialOk, encodeConn(9));
  // The connection nobody wants any more is closed, and the next request goes out.
  assert.equal(decodeConn((await client.expect(Cmd.Close)).payload), 9);
  client.push(Cmd.CloseOk, encodeConn(9));
  client.push(Cmd.InfoOk, bytes('{"node_id":3}'));
  assert.equal((await asking).node_id, 3);
});

Deno.test("Driver.dial cancels at the daemon when it is aborted or too slow", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  for (const code of ["aborted", "timeout"] as const) {
    const controller = new AbortController();
    const options = code === "aborted" ? { signal: controller.signal } : { timeoutMs: 20 };
    const failed = rejectsWith(driver.dial(TARGET, 7, options), code);
    const dial = await client.expect(Cmd.Dial);
    if (code === "aborted") controller.abort();
    await failed;
    const cancel = await client.expect(Cmd.CancelTag);
    assert.equal(decodeCancelTag(cancel.payload), dial.tag);
    const stream = client.stream(12);
    client.answer(dial, Cmd.DialOk, encodeConn(12)); // too late
    await stream.awaitClose();
    await client.expect(Cmd.CancelTag); // of the Close, which resets it
  }
  await rejectsWith(
    driver.dial(TARGET, 7, { signal: AbortSignal.abort() }),
    "aborted",
  );
});

Deno.test("Driver.dial passes on the daemon's code, message and advice", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const dialling = driver.dial("0:0000.0000.0005:7");
  client.fail(
    await client.expect(Cmd.Dial),
    new PilotError("untrusted", "Node 5 does not trust us", {
      advice: { id: "ask_trust", node: 5 },
    }),
  );
  const error = await rejectsWith(dialling, "untrusted", /Node 5/);
  assert.deepEqual(error.advice, { id: "ask_trust", node: 5 });
});

for (
  const [said, code] of [
    ["connection refused", "connection_refused"],
    ["dial timeout", "timeout"],
    ["resolve node 5: node not found", "not_found"],
    ["port 7 not allowed by network 3 policy", "denied"],
    ["node 5 has no real address", "connection_failed"],
  ] as const
) {
  Deno.test(`Driver.dial understands an old daemon's "${said}"`, async () => {
    await using daemon = new FakeDaemon("untagged");
    const { driver, client } = await daemon.connect();
    const dialling = driver.dial(TARGET, 7);
    await client.expect(Cmd.Dial);
    client.push(Cmd.Error, encodeIpcError(said));
    await rejectsWith(dialling, code, new RegExp(said));
  });
}

Deno.test("Driver keeps errors and pushes that belong to no request apart", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const asking = driver.info();
  await client.expect(Cmd.Info);
  client.push(Cmd.Error, encodeIpcError("sendto: node 9 not found"));
  client.push(Cmd.Error, encodeIpcError("connection 4 not found"));
  client.push(0x35, encodeConn(4), encodePort(0), bytes("ok"));
  client.push(0xfe, bytes("what?"));
  client.push(Cmd.InfoOk, bytes('{"node_id":3}'));
  assert.equal((await asking).node_id, 3);
});

Deno.test("Driver keeps data an old daemon sends before the answer to the dial", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const dialling = driver.dial(TARGET, 7);
  await client.expect(Cmd.Dial);
  const stream = client.stream(3);
  stream.write(bytes("early "));
  stream.write(bytes("bird"));
  stream.end();
  client.push(Cmd.DialOk, encodeConn(3));
  const conn = await dialling;
  assert.equal(text(await conn.read()), "early bird");
  assert.equal(await conn.read(), undefined);
});

Deno.test("Driver does not deliver a stream with a hole when too much came early", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client } = await daemon.connect();
  const dialling = driver.dial(TARGET, 7);
  await client.expect(Cmd.Dial);
  const stream = client.stream(3);
  for (let i = 0; i < 10; i++) stream.write(pattern(50_000));
  client.push(Cmd.DialOk, encodeConn(3));
  const conn = await dialling;
  await rejectsWith(
    readAll(conn, 500_000),
    "limit_exceeded",
  );
});

for (const mode of MODES) {
  Deno.test(`Driver fails every pending call when the daemon dies (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const calls: ((driver: Driver) => Promise<unknown>)[] = [
      (driver) => driver.dial(TARGET, 7),
      (driver) => driver.info(),
      (driver) => driver.listen(5),
      (driver) => driver.trust.peers(),
      (driver) => driver.trust.waitFor(9),
      (driver) => driver.datagrams().receive(),
      (driver) => driver.sendMessage(TARGET, "hi"),
    ];
    const failed = calls.map((call) => rejectsWith(call(driver), "connection_closed"));
    await client.expect(Cmd.Info);
    client.close();
    await Promise.all(failed);
    for (const call of calls) {
      await rejectsWith(call(driver), "connection_closed");
    }
  });

  Deno.test(`Driver.close ends everything and closed says it was us (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, conn } = await dialPair(daemon);
    const reading = conn.read();
    const failed = rejectsWith(reading, "connection_closed", /driver was/);
    await driver.close();
    await failed;
    assert.equal(await driver.closed, undefined);
    await rejectsWith(driver.info(), "connection_closed", /driver was closed/);
    await driver.close();
  });
}

Deno.test("Driver refuses a request that does not fit a frame", async () => {
  await using daemon = new FakeDaemon();
  const { driver } = await daemon.connect();
  await rejectsWith(
    driver.sendDatagram(TARGET, 7, new Uint8Array(1024 * 1024)),
    "invalid_argument",
  );
});

Deno.test("Driver passes a write of 1 MiB through a daemon that reads late", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { client, conn, stream } = await dialPair(daemon);
  const paused = Promise.withResolvers<void>();
  client.paused = paused.promise;
  const data = pattern(4 * 1024 * 1024);
  const writing = conn.write(data);
  // One read may have been under way when the pause began; the rest does not fit the socket's buffer.
  assert.ok(await isPending(writing));
  client.paused = undefined;
  paused.resolve();
  assert.deepEqual(await stream.read(data.length), data);
  await writing;
});

Deno.test("Driver.close does not wait long for a daemon that reads nothing", async () => {
  await using daemon = new FakeDaemon("untagged");
  const { driver, client, conn } = await dialPair(daemon);
  const paused = Promise.withResolvers<void>();
  client.paused = paused.promise;
  const failed = rejectsWith(
    conn.write(pattern(8 * 1024 * 1024)),
    "connection_closed",
  );
  await driver.close();
  await failed;
  paused.resolve();
});
