import assert from "node:assert/strict";
import { PilotError } from "../../../protocol/errors.ts";
import {
  Cmd,
  decodeTaggedError,
  encodeConn,
  encodeHello,
  encodeRecvCredit,
  encodeSend,
  IPC_RECV_WINDOW_BYTES,
  IPC_SEND_WINDOW_BYTES,
} from "../../../protocol/ipc/mod.ts";
import type { FakeConn } from "../fake_backend.ts";
import { hex, type RawClient, type Rig, startRig, text, toHex, until, utf8 } from "./raw_client.ts";

/** A client that has said Hello. */
async function modern(rig: Rig): Promise<RawClient> {
  const client = await rig.connect();
  await client.send(Cmd.Hello, encodeHello({ name: "test" }));
  await client.expect(Cmd.HelloOk);
  return client;
}

/** Binds port 4096 and accepts one connection. */
async function accepted(
  rig: Rig,
  client: RawClient,
): Promise<{ id: number; theirs: FakeConn }> {
  await client.send(Cmd.Bind, hex("1000"));
  await client.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(4096)!;
  const accept = await client.expect(Cmd.Accept);
  return { id: new DataView(accept.buffer).getUint32(2), theirs };
}

function errorOf(reply: { cmd: number; payload: Uint8Array }): PilotError {
  assert.equal(reply.cmd, Cmd.Error);
  const error = decodeTaggedError(reply.payload);
  assert.ok(error instanceof PilotError);
  return error;
}

Deno.test("Hello is answered with version and features", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  await client.send(Cmd.Hello, encodeHello({ name: "test" }));
  const reply = await client.expect(Cmd.HelloOk);
  assert.equal(reply[0], 1);
  const info = JSON.parse(text(reply.subarray(1)));
  assert.equal(info.version, "9.9.9-test");
  assert.ok(info.features.includes("tags"));
});

Deno.test("tagged requests overlap and are answered by their ids", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  const slow = Promise.withResolvers<Record<string, unknown>>();
  rig.backend.directoryReply = (name, [arg]) => arg === "slow" ? slow.promise : { type: name, arg };
  await client.sendTagged(7, Cmd.ResolveHostname, utf8("slow"));
  await client.sendTagged(8, Cmd.ResolveHostname, utf8("fast"));
  assert.equal((await client.expectTagged(8)).cmd, Cmd.ResolveHostnameOk);
  slow.resolve({ arg: "slow" });
  const reply = await client.expectTagged(7);
  assert.equal(JSON.parse(text(reply.payload)).arg, "slow");
});

Deno.test("a tagged error carries code, message, hint and advice", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  rig.backend.directoryReply = () => {
    throw new PilotError("not_found", "No node is called bob", {
      hint: "Check the name.",
      advice: { id: "list_networks" },
    });
  };
  await client.sendTagged(1, Cmd.ResolveHostname, utf8("bob"));
  const error = errorOf(await client.expectTagged(1));
  assert.deepEqual(
    [error.code, error.message, error.hint, error.advice],
    ["not_found", "No node is called bob", "Check the name.", { id: "list_networks" }],
  );
  await client.sendTagged(2, 0xee);
  assert.match(
    errorOf(await client.expectTagged(2)).message,
    /unknown command: 0xee/,
  );
});

Deno.test("Ping, Lookup, Path and HandshakeTarget are answered", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  await client.sendTagged(1, Cmd.Ping, hex("0000 00000002 000003e8"));
  assert.deepEqual(JSON.parse(text((await client.expectTagged(1)).payload)), {
    rtt_ms: 1.5,
    relayed: false,
  });
  await client.sendTagged(2, Cmd.Lookup, hex("00000002"));
  assert.equal((await client.expectTagged(2)).cmd, Cmd.LookupOk);
  await client.sendTagged(4, Cmd.Path, hex("00000002"));
  const path = await client.expectTagged(4);
  assert.equal(path.cmd, Cmd.PathOk);
  assert.deepEqual(JSON.parse(text(path.payload)), { node_id: 2, route: "direct" });
  await client.sendTagged(3, Cmd.HandshakeTarget, utf8("bob"));
  assert.equal((await client.expectTagged(3)).cmd, Cmd.HandshakeTargetOk);
  assert.deepEqual(
    rig.backend.calls.map(({ name, args }) => [name, ...args]),
    [["lookup", 2], ["handshake_target", "bob"]],
  );
});

Deno.test("CancelTag aborts a request, which is answered once", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  let aborted = false;
  rig.backend.dialHook = (_port, { signal }) =>
    new Promise((_, reject) =>
      signal!.addEventListener("abort", () => {
        aborted = true;
        reject(new PilotError("aborted", "dial aborted"));
      })
    );
  await client.sendTagged(1, Cmd.Dial, hex("0000 00000002 0007"));
  await client.send(Cmd.CancelTag, hex("00000001"));
  assert.equal(errorOf(await client.expectTagged(1)).code, "aborted");
  assert.equal(aborted, true);
  await client.sendTagged(1, Cmd.Health); // the id is free again
  assert.equal((await client.expectTagged(1)).cmd, Cmd.HealthOk);
  await client.send(Cmd.CancelTag, hex("00000001")); // too late: nothing happens
  await client.sendTagged(2, Cmd.Health);
  await client.expectTagged(2);
});

Deno.test("a dial that succeeds after it was cancelled leaves no connection", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  const gate = Promise.withResolvers<void>();
  const dial = rig.backend.network.dial;
  rig.backend.network.dial = async (address, port) => {
    await gate.promise;
    return await dial(address, port);
  };
  rig.backend.network.bind(7, (conn) => {
    conn.setListener({ onReadable() {}, onWritable() {}, onClosed() {} });
  });
  await client.sendTagged(1, Cmd.Dial, hex("0000 00000002 0007"));
  await client.send(Cmd.CancelTag, hex("00000001"));
  await client.expectTagged(1);
  gate.resolve();
  await until(() => rig.backend.conns.length === 2, "the dial succeeds");
  await until(() => rig.backend.openConns.length === 0, "it is reset");
  assert.equal(rig.server.stats.connections, 0);
});

Deno.test("an id in use is refused", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  await client.sendTagged(1, Cmd.Handshake, hex("07 00000002 00007530"));
  await client.sendTagged(1, Cmd.Health);
  assert.equal(errorOf(await client.expectTagged(1)).code, "invalid_argument");
});

Deno.test("more than 1024 requests at once are refused, not queued", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  for (let id = 1; id <= 1025; id++) {
    await client.sendTagged(id, Cmd.Handshake, hex("07 00000002 00007530"));
  }
  assert.equal(errorOf(await client.expectTagged(1025)).code, "limit_exceeded");
});

Deno.test("tagged Send is answered when the stream has taken it", async () => {
  await using rig = await startRig();
  rig.backend.bufferBytes = 64 * 1024;
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  const chunk = new Uint8Array(48 * 1024).fill(1);
  await client.sendTagged(1, Cmd.Send, encodeSend({ conn: id, data: chunk }));
  assert.equal((await client.expectTagged(1)).cmd, Cmd.Send);
  await client.sendTagged(2, Cmd.Send, encodeSend({ conn: id, data: chunk }));
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk); // not answered: the buffer is full
  assert.equal(theirs.read()?.length, 48 * 1024);
  assert.equal((await client.expectTagged(2)).cmd, Cmd.Send);
});

Deno.test("a full send window of one connection does not stop the client's other requests", async () => {
  await using rig = await startRig();
  rig.backend.bufferBytes = 4096;
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  const data = new Uint8Array(IPC_SEND_WINDOW_BYTES / 4);
  for (let n = 1; n <= 4; n++) {
    await client.sendTagged(n, Cmd.Send, encodeSend({ conn: id, data }));
  }
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  theirs.abort();
  for (let n = 1; n <= 4; n++) {
    assert.equal(
      errorOf(await client.expectTagged(n)).code,
      "connection_closed",
    );
  }
  const end = await client.expect(Cmd.CloseOk);
  assert.equal(
    JSON.parse(text(end.subarray(4))).code,
    "connection_closed",
  );
  await client.sendTagged(9, Cmd.Send, encodeSend({ conn: id, data }));
  assert.equal(errorOf(await client.expectTagged(9)).code, "connection_closed");
});

Deno.test("at most the receive window is pushed without credit", async () => {
  await using rig = await startRig();
  rig.backend.bufferBytes = 3 * IPC_RECV_WINDOW_BYTES;
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  const data = new Uint8Array(3 * IPC_RECV_WINDOW_BYTES - 5).map((_, n) => n * 31);
  assert.equal(theirs.write(data), data.length);
  theirs.close();
  const first = await client.receive(id, IPC_RECV_WINDOW_BYTES);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk); // no further Recv
  await client.send(Cmd.RecvCredit, encodeRecvCredit({ conn: id, bytes: 5 }));
  await client.receive(id, 5);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  const rest = data.length - first.length - 5;
  await client.send(
    Cmd.RecvCredit,
    // More than the window counts as the window.
    encodeRecvCredit({ conn: id, bytes: 0xffffffff }),
  );
  const second = await client.receive(id, IPC_RECV_WINDOW_BYTES);
  await client.send(
    Cmd.RecvCredit,
    encodeRecvCredit({ conn: id, bytes: IPC_RECV_WINDOW_BYTES }),
  );
  const third = await client.receive(id, rest - IPC_RECV_WINDOW_BYTES);
  assert.deepEqual(first, data.subarray(0, first.length));
  assert.deepEqual(
    second,
    data.subarray(first.length + 5, first.length + 5 + second.length),
  );
  assert.deepEqual(third, data.subarray(data.length - third.length));
  assert.equal(
    toHex(await client.expect(Cmd.CloseOk)),
    toHex(encodeConn(id)),
  );
});

Deno.test("tagged Close is answered when the connection has ended", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  await client.send(Cmd.Send, encodeConn(id), utf8("last words"));
  await client.sendTagged(1, Cmd.Close, encodeConn(id));
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  assert.equal(text(theirs.read()!), "last words");
  theirs.write(utf8("reply"));
  assert.equal(text((await client.expect(Cmd.Recv)).subarray(4)), "reply");
  theirs.close();
  assert.equal(toHex(await client.expect(Cmd.CloseOk)), toHex(encodeConn(id)));
  const reply = await client.expectTagged(1);
  assert.equal(reply.cmd, Cmd.CloseOk);
  assert.equal(toHex(reply.payload), toHex(encodeConn(id)));
  await until(() => rig.server.stats.connections === 0, "forgotten");
});

Deno.test("tagged Close says when what was sent did not arrive", async () => {
  await using rig = await startRig();
  rig.backend.bufferBytes = 1000;
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  await client.send(Cmd.Send, encodeConn(id), new Uint8Array(5000));
  await client.sendTagged(1, Cmd.Close, encodeConn(id));
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  theirs.peer.fail(new PilotError("timeout", "The peer is gone"));
  await client.expect(Cmd.CloseOk);
  assert.equal(errorOf(await client.expectTagged(1)).code, "timeout");
});

Deno.test("cancelling a tagged Close resets the connection", async () => {
  await using rig = await startRig();
  using client = await modern(rig);
  const { id, theirs } = await accepted(rig, client);
  await client.sendTagged(1, Cmd.Close, encodeConn(id));
  await client.send(Cmd.CancelTag, hex("00000001"));
  const frames = [await client.next(), await client.next()];
  assert.deepEqual(
    new Set(frames.map((frame) => frame?.cmd)),
    new Set([Cmd.CloseOk, Cmd.TaggedReply]),
  );
  assert.equal(theirs.peer.aborted, true);
  assert.equal(rig.server.stats.connections, 0);
});
