/** Clients that go without a word, or do not read what they asked for. */

import assert from "node:assert/strict";
import { Cmd, encodeHello } from "../../../protocol/ipc/mod.ts";
import { LINGER_STALL_MS } from "../../../daemon/ipc/ipc_limits.ts";
import { FAKE_BUFFER_BYTES } from "../fake_backend.ts";
import { type RawClient, type Rig, startRig, until } from "./raw_client.ts";
import { ManualClock } from "../../support/manual_clock.ts";

/** A client that has said Hello and accepted a connection. */
async function extended(rig: Rig, port: number) {
  const client = await rig.connect();
  await client.send(Cmd.Hello, encodeHello({ version: 1, name: "test" }));
  await client.expect(Cmd.HelloOk);
  await client.send(Cmd.Bind, Uint8Array.of(port >> 8, port));
  await client.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(port)!;
  return { client, theirs, id: (await client.expect(Cmd.Accept)).subarray(2, 6) };
}

for (const hasClosed of [true, false]) {
  Deno.test(`a program of ours that goes ${hasClosed ? "after a Close ends its stream in order" : "without a Close ends its stream in a reset, behind its data"}`, async () => {
    await using rig = await startRig();
    const { client, theirs, id } = await extended(rig, 4096);
    const data = new Uint8Array(300_000).map((_, i) => i * 7);
    await client.send(Cmd.Send, id, data);
    if (hasClosed) await client.send(Cmd.Close, id);
    client.close();
    await until(() => rig.server.clientCount === 0, "client is gone");
    let got = 0;
    await until(() => {
      for (let chunk = theirs.read(); chunk !== undefined; chunk = theirs.read()) {
        got += chunk.length;
      }
      return theirs.ended || theirs.error !== undefined;
    }, "the stream ends");
    assert.equal(got, data.length);
    assert.equal(theirs.error?.code, hasClosed ? undefined : "connection_closed");
  });
}

Deno.test("what a client that has gone sent is delivered while its peer takes some of it, and no longer", async () => {
  const clock = new ManualClock();
  await using rig = await startRig({ clock });
  const { client, theirs, id } = await extended(rig, 4096);
  const part = new Uint8Array(FAKE_BUFFER_BYTES);
  for (let n = 0; n < 3; n++) await client.send(Cmd.Send, id, part);
  client.close();
  await until(() => rig.server.clientCount === 0, "client is gone");
  for (let n = 0; n < 10; n++) {
    await clock.run(LINGER_STALL_MS - 1);
    assert.deepEqual([theirs.error, rig.server.stats.connections], [undefined, 1]);
    assert.equal(theirs.read(1000)?.length, 1000);
    await clock.run(1);
  }
  await clock.run(LINGER_STALL_MS - 1);
  assert.deepEqual([theirs.error, rig.server.stats.connections], [undefined, 1]);
  await clock.run(1);
  assert.equal(theirs.error?.code, "connection_closed");
  assert.deepEqual([rig.server.stats.connections, clock.pending], [0, 0]);
});

Deno.test("what a program of ours had open when the daemon stops ends in a reset", async () => {
  await using rig = await startRig();
  const { client, theirs } = await extended(rig, 4096);
  using _client = client;
  await rig.server.close();
  await until(() => theirs.error !== undefined, "the peer is told");
  assert.equal(theirs.error?.code, "connection_closed");
});

/** Asks many times and reads nothing: at some time the daemon stops reading, too. */
function askMany(client: RawClient, count: number): void {
  const ask = async () => {
    for (let n = 0; n < count; n++) await client.send(Cmd.Info);
  };
  ask().catch(() => {}); // it is closed under it
}

Deno.test("requests of a client that has gone are not carried out once nobody reads their answers", async () => {
  await using rig = await startRig();
  rig.backend.infoReply = { blob: "x".repeat(100_000) };
  const client = await rig.connect();
  askMany(client, 5_000);
  await until(() => rig.backend.infoCalls >= 10, "answers wait");
  client.close();
  await until(() => rig.server.clientCount === 0, "the client is forgotten");
  assert.ok(rig.backend.infoCalls < 200, `${rig.backend.infoCalls} answers for nobody`);
});

Deno.test("clients that do not read hold no more than one sum, and who holds most goes first", async () => {
  await using rig = await startRig({ maxReplyBytes: 3_000_000 });
  rig.backend.infoReply = { blob: "x".repeat(100_000) };
  using modest = await rig.connect();
  askMany(modest, 4);
  const greedy: RawClient[] = [];
  for (let n = 0; n < 6; n++) {
    const client = await rig.connect();
    greedy.push(client);
    askMany(client, 40);
  }
  await until(() => rig.server.clientCount < 7, "somebody is cut off");
  assert.ok(rig.server.clientCount >= 3);
  for (let n = 0; n < 4; n++) await modest.expect(Cmd.InfoOk);
  for (const client of greedy) client.close();
});
