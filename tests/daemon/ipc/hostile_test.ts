import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Cmd,
  encodeConn,
  encodeIpcFrame,
  IPC_MAX_FRAME_BYTES,
  IPC_SEND_WINDOW_BYTES,
} from "../../../protocol/ipc/mod.ts";
import {
  MAX_REFUSALS,
  PAUSE_PROBE_MS,
  REFUSAL_LINGER_MS,
  SILENT_CLIENT_MS,
} from "../../../daemon/ipc/ipc_limits.ts";
import { connect } from "../../../sdk/mod.ts";
import { attachEcho } from "../../../daemon/service/echo.ts";
import { equalBytes } from "../../../protocol/crypto/base64.ts";
import { pattern } from "../service/exchange_peer.ts";
import type { FakeConn } from "../fake_backend.ts";
import { PEER } from "../fake_backend.ts";
import { hex, type RawClient, type Rig, startRig, toHex, until, utf8 } from "./raw_client.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** Dials echo; returns the connection's number as hex. */
async function dialEcho(client: RawClient): Promise<string> {
  await client.send(Cmd.Dial, hex("0000 00000002 0007"));
  return toHex(await client.expect(Cmd.DialOk));
}

/** The rig answers a well-behaved client. */
async function assertAlive(rig: Rig): Promise<void> {
  using client = await rig.connect();
  const id = await dialEcho(client);
  await client.send(Cmd.Send, hex(id), utf8("alive"));
  assert.equal(
    toHex(await client.expect(Cmd.Recv)),
    id + toHex(utf8("alive")),
  );
}

async function accepted(
  rig: Rig,
  client: RawClient,
  port: number,
): Promise<{ id: Uint8Array; theirs: FakeConn }> {
  await client.send(Cmd.Bind, Uint8Array.of(port >> 8, port));
  await client.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(port)!;
  return { id: (await client.expect(Cmd.Accept)).subarray(2, 6), theirs };
}

Deno.test("5 MB come back through echo in order, whenever connections call back", async () => {
  for (const synchronous of [false, true]) {
    await using rig = await startRig();
    rig.backend.synchronous = synchronous;
    rig.backend.bufferBytes = 50_000;
    attachEcho(rig.backend);
    using client = await rig.connect();
    const id = await dialEcho(client);
    const data = pattern(5 * 1024 * 1024);
    const sending = (async () => {
      for (let at = 0; at < data.length; at += 77_777) {
        await client.send(Cmd.Send, hex(id), data.subarray(at, at + 77_777));
      }
    })();
    const [got] = await Promise.all([
      client.receive(parseInt(id, 16), data.length),
      sending,
    ]);
    assert.ok(equalBytes(got, data));
    await client.send(Cmd.Close, hex(id));
    await client.expect(Cmd.CloseOk);
    await until(() => rig.server.stats.connections === 0, "it is forgotten");
  }
});

Deno.test("a frame length above 1 MiB closes the socket at once", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  using client = await rig.connect();
  await client.raw(hex("00200000 06"));
  assert.equal(await client.next(), undefined);
  await assertAlive(rig);
});

Deno.test("half a frame and a silent client harm nobody", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  using half = await rig.connect();
  await half.raw(hex("000fffff 06 0000"));
  using silent = await rig.connect();
  await assertAlive(rig);
  half.close();
  silent.close();
  await until(() => rig.server.clientCount <= 1, "half client is forgotten");
});

Deno.test("frames of length 0 are ignored", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  await client.raw(hex("00000000 00000000 00000001 21 00000000"));
  await client.expect(Cmd.HealthOk);
});

Deno.test("random bytes and random frames never break the server", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  const frames = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 0x4f }), fc.uint8Array({ maxLength: 40 })),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(
      frames,
      fc.uint8Array({ maxLength: 60 }),
      async (list, tail) => {
        using client = await rig.connect();
        for (const [cmd, payload] of list) await client.send(cmd, payload);
        await client.raw(tail);
      },
    ),
    { numRuns: 40 },
  );
  await assertAlive(rig);
});

Deno.test("clients above the limit are refused", async () => {
  await using rig = await startRig({ maxClients: 2 });
  using one = await rig.connect();
  using two = await rig.connect();
  for (const client of [one, two]) {
    await client.send(Cmd.Health);
    await client.expect(Cmd.HealthOk);
  }
  using three = await rig.connect();
  await three.send(Cmd.Hello);
  assert.equal(await three.expectError(), "too many clients: 2 are connected");
  assert.equal(await three.next(), undefined);
  two.close();
  await until(() => rig.server.clientCount === 1, "room again");
  using four = await rig.connect();
  await four.send(Cmd.Health);
  await four.expect(Cmd.HealthOk);
});

Deno.test("a client that is refused learns it through the SDK, with a hint", async () => {
  await using rig = await startRig({ maxClients: 1 });
  using one = await rig.connect();
  await one.send(Cmd.Health);
  await one.expect(Cmd.HealthOk);
  await assert.rejects(connect({ socket: rig.server.path }), {
    name: "PilotError",
    code: "limit_exceeded",
    message: /too many clients: 1 are connected/,
    hint: /End programs/,
  });
});

Deno.test("more clients than get a reason are disconnected, and all of them end", async () => {
  await using rig = await startRig({ maxClients: 1 });
  using one = await rig.connect();
  await one.send(Cmd.Health);
  await one.expect(Cmd.HealthOk);
  const refused = [];
  for (let n = 0; n < MAX_REFUSALS + 10; n++) refused.push(await rig.connect());
  let told = 0;
  for (const client of refused) {
    const frame = await client.next();
    if (frame === undefined) continue;
    told++;
    assert.equal(frame.cmd, Cmd.Error);
    assert.equal(await client.next(), undefined);
  }
  assert.equal(told, MAX_REFUSALS);
  assert.equal(rig.server.clientCount, 1);
});

Deno.test("a refused client that stays is let go after its time", async () => {
  const clock = new ManualClock();
  await using rig = await startRig({ maxClients: 1, clock });
  using first = await rig.connect();
  await first.send(Cmd.Health);
  await first.expect(Cmd.HealthOk);
  using refused = await rig.connect();
  assert.match(await refused.expectError(), /too many clients/);
  await clock.run(REFUSAL_LINGER_MS - 1);
  await refused.send(Cmd.Health); // it is still listened to
  await clock.run(1);
  await assert.rejects(refused.send(Cmd.Health), Deno.errors.BrokenPipe);
  assert.equal(clock.pending, 0);
});

Deno.test("clients that never say anything make room, the oldest first, and others do not", async () => {
  const clock = new ManualClock();
  await using rig = await startRig({ maxClients: 3, clock });
  using speaking = await rig.connect();
  await speaking.send(Cmd.Health);
  await speaking.expect(Cmd.HealthOk);
  using half = await rig.connect();
  await half.raw(hex("000fffff 06"));
  using silent = await rig.connect();
  await until(() => rig.server.clientCount === 3, "all are there");
  clock.advance(SILENT_CLIENT_MS - 1);
  using early = await rig.connect();
  assert.match(await early.expectError(), /too many clients/);
  clock.advance(1);
  using first = await rig.connect();
  await first.send(Cmd.Health);
  await first.expect(Cmd.HealthOk);
  assert.equal(await half.next(), undefined);
  using second = await rig.connect();
  await second.send(Cmd.Health);
  await second.expect(Cmd.HealthOk);
  assert.equal(await silent.next(), undefined);
  using third = await rig.connect();
  assert.match(await third.expectError(), /too many clients/);
  await speaking.send(Cmd.Health);
  await speaking.expect(Cmd.HealthOk);
});

Deno.test("a new client does not push out one that had no time to speak", async () => {
  await using rig = await startRig({ maxClients: 1 });
  using one = await rig.connect();
  await until(() => rig.server.clientCount === 1, "it is there");
  using two = await rig.connect();
  assert.match(await two.expectError(), /too many clients/);
  await one.send(Cmd.Health);
  await one.expect(Cmd.HealthOk);
});

Deno.test("begun frames of all clients have one bound: the oldest of the large ones goes", async () => {
  const kib = 1024;
  await using rig = await startRig({ maxClients: 10, maxPartialBytes: 1000 * kib });
  const begin = async (bytes: number) => {
    const client = await rig.connect();
    const frame = new Uint8Array(bytes);
    frame.set(hex("00100000 06"));
    await client.raw(frame);
    return client;
  };
  const small = await begin(50 * kib);
  const large = [];
  for (let n = 0; n < 3; n++) large.push(await begin(300 * kib));
  // Each has arrived when a client behind it is answered.
  using honest = await rig.connect();
  const roundTrip = async () => {
    await honest.send(Cmd.Health);
    await honest.expect(Cmd.HealthOk);
  };
  await roundTrip();
  assert.equal(rig.server.clientCount, 5);
  await begin(300 * kib);
  assert.equal(await large[0]!.next(), undefined, "the oldest large one is cut off");
  await roundTrip();
  assert.equal(rig.server.clientCount, 5);
  assert.equal(rig.server.stats.partialBytes, (50 + 3 * 300) * kib);
  for (const client of [small, ...large]) client.close();
  await until(() => rig.server.stats.partialBytes === 300 * kib, "what went is not counted");
});

Deno.test("frames that are completed are no begun frames any more", async () => {
  await using rig = await startRig({ maxPartialBytes: 1024 * 1024 });
  for (let n = 0; n < 5; n++) {
    using client = await rig.connect();
    const frame = new Uint8Array(900 * 1024);
    new DataView(frame.buffer).setUint32(0, frame.length - 4);
    frame[4] = 0x7e; // unknown: answered with an error
    await client.raw(frame.subarray(0, 500_000));
    await client.raw(frame.subarray(500_000));
    await client.expectError();
    assert.equal(rig.server.stats.partialBytes, 0);
  }
});

Deno.test("a client may bind 256 ports", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  for (let n = 0; n < 256; n++) {
    await client.send(Cmd.Bind, Uint8Array.of(0x10, n));
    await client.expect(Cmd.BindOk);
  }
  await client.send(Cmd.Bind, hex("2000"));
  assert.match(await client.expectError(), /256 ports/);
  assert.equal(rig.backend.ports.size, 256);
});

Deno.test("connections above 4096 per client are reset", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  await client.send(Cmd.Bind, hex("1000"));
  await client.expect(Cmd.BindOk);
  for (let n = 0; n < 4096; n++) rig.backend.connectFrom(4096);
  const extra = rig.backend.connectFrom(4096)!;
  assert.equal(extra.peer.aborted, true);
  assert.equal(rig.server.stats.connections, 4096);
  await client.send(Cmd.Dial, hex("0000 00000002 1000"));
  for (let n = 0; n < 4096; n++) await client.expect(Cmd.Accept);
  assert.match(await client.expectError(), /4096 connections/);
});

/** The server has stopped reading from the client, and asks after its time whether it is there. */
async function probed(client: RawClient, clock: ManualClock): Promise<void> {
  await until(() => clock.pending === 1, "the server waits for room");
  await clock.run(PAUSE_PROBE_MS);
  await client.expect(Cmd.Probe);
}

Deno.test("a peer that does not read holds back an untagged sender with bounded memory", async () => {
  const clock = new ManualClock();
  await using rig = await startRig({ clock });
  attachEcho(rig.backend);
  using client = await rig.connect();
  const { id, theirs } = await accepted(rig, client, 4096);
  const total = 50 * 1024 * 1024;
  const frame = encodeIpcFrame(Cmd.Send, id, new Uint8Array(256 * 1024));
  let written = 0;
  const writing = (async () => {
    for (let sent = 0; sent < total; sent += 256 * 1024) {
      await client.raw(frame);
      written = sent;
    }
  })();
  await probed(client, clock);
  assert.ok(
    written < 4 * IPC_SEND_WINDOW_BYTES,
    `${written} bytes were taken`,
  );
  await assertAlive(rig);
  let received = 0;
  while (received < total) {
    const chunk = theirs.read();
    if (chunk === undefined) await new Promise((done) => setTimeout(done, 0));
    else received += chunk.length;
  }
  await writing;
  assert.equal(received, total);
});

Deno.test("a paused client that dies is noticed and its connections end", async () => {
  const clock = new ManualClock();
  await using rig = await startRig({ clock });
  const client = await rig.connect();
  const { id } = await accepted(rig, client, 4096);
  const frame = encodeIpcFrame(Cmd.Send, id, new Uint8Array(256 * 1024));
  const writing = (async () => {
    for (let n = 0; n < 100; n++) await client.raw(frame);
  })().catch(() => {}); // the socket is closed under it
  await probed(client, clock);
  client.close();
  await writing;
  await clock.run(PAUSE_PROBE_MS);
  await until(() => rig.server.clientCount === 0, "the dead client is noticed");
});

Deno.test("a client that does not read is held back alone, and gets everything when it reads", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  using client = await rig.connect();
  const { theirs, id } = await accepted(rig, client, 4096);
  let taken = 0;
  const chunk = new Uint8Array(64 * 1024).map((_, i) => i * 31);
  while (theirs.error === undefined) {
    taken += theirs.write(chunk);
    await new Promise((done) => setTimeout(done, 0));
    if (taken > 0 && theirs.writableBytes === 0) break;
  }
  assert.ok(taken < 4 * 1024 * 1024, `${taken} bytes were buffered`);
  await assertAlive(rig);
  assert.deepEqual([theirs.ended, theirs.error], [false, undefined]);
  const got = await client.receive(parseInt(toHex(id), 16), taken);
  assert.ok(got.every((byte, i) => byte === chunk[i % chunk.length]));
});

Deno.test("a slow client does not slow another one down", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  using stuck = await rig.connect();
  const { theirs } = await accepted(rig, stuck, 4096);
  let flooding = true;
  const pump = () => {
    while (flooding && theirs.write(new Uint8Array(64 * 1024)) > 0);
  };
  theirs.setListener({ onReadable() {}, onWritable: pump, onClosed() {} });
  pump();
  using quick = await rig.connect();
  const id = await dialEcho(quick);
  for (let n = 0; n < 200; n++) {
    const data = new Uint8Array(10_000).fill(n);
    await quick.send(Cmd.Send, hex(id), data);
    assert.deepEqual(await quick.receive(parseInt(id, 16), 10_000), data);
  }
  flooding = false;
});

Deno.test("a peer that keeps sending to a client that has closed is reset", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  const { id, theirs } = await accepted(rig, client, 4096);
  await client.send(Cmd.Close, id);
  await client.expect(Cmd.CloseOk);
  let sent = 0;
  while (theirs.error === undefined) {
    sent += theirs.write(new Uint8Array(64 * 1024));
    await new Promise((done) => setTimeout(done, 0));
  }
  assert.ok(sent > 4 * 1024 * 1024 && sent < 5 * 1024 * 1024);
  assert.equal(rig.server.stats.connections, 0);
});

Deno.test("datagrams for a client that does not read are dropped and counted", async () => {
  await using rig = await startRig();
  using stuck = await rig.connect();
  await stuck.send(Cmd.Health);
  await stuck.expect(Cmd.HealthOk);
  for (let n = 0; n < 100; n++) {
    rig.backend.deliver({
      source: PEER,
      sourcePort: 1,
      port: 2,
      data: new Uint8Array(60_000),
    });
    await new Promise((done) => setTimeout(done, 0));
  }
  assert.ok(rig.server.stats.droppedDatagrams > 50);
  assert.equal(rig.server.clientCount, 1);
});

Deno.test("a flood of requests whose answers are not read stops being read", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  rig.backend.infoReply = { blob: "x".repeat(100_000) };
  let calls = 0;
  const info = rig.backend.info.bind(rig.backend);
  rig.backend.info = () => {
    calls++;
    return info();
  };
  using client = await rig.connect();
  const one = encodeIpcFrame(Cmd.Info);
  const flood = new Uint8Array(5000 * one.length);
  for (let n = 0; n < 5000; n++) flood.set(one, n * one.length);
  await client.raw(flood);
  await assertAlive(rig);
  assert.ok(calls < 100, `${calls} answers were made`);
  for (let n = 0; n < 200; n++) await client.expect(Cmd.InfoOk);
});

Deno.test("Info that does not fit a frame is cut and says so", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  rig.backend.infoReply = {
    node_id: 1,
    conn_list: Array.from({ length: 9000 }, (_, id) => ({ id, x: "y".repeat(200) })),
    peer_list: [{ node_id: 2 }],
  };
  await client.send(Cmd.Info);
  const info = await client.expectJson(Cmd.InfoOk);
  assert.equal(info["conns_truncated"], true);
  assert.equal(info["peers_truncated"], undefined);
  assert.ok((info["conn_list"] as unknown[]).length > 1000);
  rig.backend.infoReply = { blob: "x".repeat(IPC_MAX_FRAME_BYTES) };
  await client.send(Cmd.Info);
  assert.match(await client.expectError(), /does not fit/);
});

Deno.test("close() ends clients, frees ports and closes connections with FIN", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  const { id, theirs } = await accepted(rig, client, 4096);
  await client.send(Cmd.Send, id, utf8("bye"));
  await until(() => theirs.readableBytes === 3, "data arrives");
  await rig.server.close();
  assert.equal(await client.next(), undefined);
  assert.equal(rig.backend.ports.size, 0);
  await until(() => theirs.read() === undefined && theirs.ended, "FIN");
  assert.equal(toHex(encodeConn(theirs.peer.id)), toHex(id));
});
