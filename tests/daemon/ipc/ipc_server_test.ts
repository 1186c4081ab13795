import assert from "node:assert/strict";
import { Cmd } from "../../../protocol/ipc/mod.ts";
import { PilotError } from "../../../protocol/errors.ts";
import { IpcServer } from "../../../daemon/ipc/ipc_server.ts";
import { attachEcho } from "../../../daemon/service/echo.ts";
import { FakeBackend, PEER } from "../fake_backend.ts";
import { hex, RawClient, type Rig, startRig, text, toHex, until, utf8 } from "./raw_client.ts";
import { systemClock } from "../../../platform/system_clock.ts";

Deno.test("IpcServer makes a socket of mode 0600 and removes it when closed", async () => {
  await using rig = await startRig();
  const info = await Deno.stat(rig.server.path);
  assert.equal(info.isSocket, true);
  assert.equal(info.mode! & 0o777, 0o600);
  assert.deepEqual(
    [...Deno.readDirSync(rig.dir)].map((entry) => entry.name),
    ["pilot.sock"],
  );
  await rig.server.close();
  assert.deepEqual([...Deno.readDirSync(rig.dir)], []);
});

Deno.test("IpcServer refuses to start when a daemon answers on the path", async () => {
  await using rig = await startRig();
  await assert.rejects(
    IpcServer.listen({ path: rig.server.path, clock: systemClock, backend: new FakeBackend() }),
    (error) => error instanceof PilotError && error.code === "already_exists",
  );
  using client = await rig.connect();
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
});

Deno.test("IpcServer replaces a stale socket but no other file", async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/pilot.sock`;
  // Closing a listener removes the file it was bound to, so a second name plays the crashed daemon's.
  const crashed = Deno.listen({ transport: "unix", path: `${dir}/x` });
  await Deno.link(`${dir}/x`, path);
  crashed.close();
  assert.ok((await Deno.stat(path)).isSocket);
  const server = await IpcServer.listen({ path, clock: systemClock, backend: new FakeBackend() });
  using client = await RawClient.connect(path);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  await server.close();
  await Deno.writeTextFile(path, "precious");
  await assert.rejects(
    IpcServer.listen({ path, clock: systemClock, backend: new FakeBackend() }),
    (error) => error instanceof PilotError && error.code === "already_exists",
  );
  assert.equal(await Deno.readTextFile(path), "precious");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("IpcServer serves the common place too, and removes it when closed", async () => {
  const dir = await Deno.makeTempDir();
  const [path, common] = [`${dir}/own`, `${dir}/common`];
  const server = await IpcServer.listen({
    path,
    common,
    clock: systemClock,
    backend: new FakeBackend(),
  });
  assert.equal(server.common, common);
  assert.equal((await Deno.stat(common)).mode! & 0o777, 0o600);
  for (const place of [path, common]) {
    using client = await RawClient.connect(place);
    await client.send(Cmd.Health);
    await client.expect(Cmd.HealthOk);
  }
  // Somebody else's daemon stays where it is, and is no reason not to serve the own place.
  const second = { path: `${dir}/second`, common, clock: systemClock, backend: new FakeBackend() };
  const other = await IpcServer.listen(second);
  assert.equal(other.common, undefined);
  await other.close();
  using client = await RawClient.connect(common);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  await server.close();
  assert.deepEqual([...Deno.readDirSync(dir)], []);
  const nowhere = {
    path,
    common: `${dir}/missing/s`,
    clock: systemClock,
    backend: new FakeBackend(),
  };
  const alone = await IpcServer.listen(nowhere);
  assert.equal(alone.common, undefined);
  await alone.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("IpcServer names the path when it is too long or has no directory", async () => {
  const dir = await Deno.makeTempDir();
  const backend = new FakeBackend();
  await assert.rejects(
    IpcServer.listen({ path: `${dir}/${"x".repeat(120)}/s`, clock: systemClock, backend }),
    PilotError,
  );
  const long = `${dir}/${"x".repeat(100)}`;
  await Deno.mkdir(long);
  await assert.rejects(
    IpcServer.listen({ path: `${long}/pilot.sock`, clock: systemClock, backend }),
    (error) => error instanceof PilotError && error.code === "invalid_argument",
  );
  await Deno.remove(dir, { recursive: true });
});

Deno.test("an old driver dials echo and reads its bytes back, byte by byte", async () => {
  await using rig = await startRig();
  const echo = attachEcho(rig.backend);
  using client = await rig.connect();
  // Dial 0:0000.0000.0002 port 7
  await client.raw(hex("00000009 03 0000 00000002 0007"));
  const dialed = await client.next();
  assert.equal(dialed?.cmd, 0x04);
  const id = toHex(dialed.payload);
  assert.equal(dialed.payload.length, 4);
  // Send "hello"
  await client.raw(hex(`0000000a 06 ${id} 68656c6c6f`));
  const recv = await client.next();
  assert.equal(recv?.cmd, 0x07);
  assert.equal(toHex(recv.payload), id + "68656c6c6f");
  // Close is answered at once and only once
  await client.raw(hex(`00000005 08 ${id}`));
  const closed = await client.next();
  assert.equal(closed?.cmd, 0x09);
  assert.equal(toHex(closed.payload), id);
  await until(() => rig.backend.openConns.length === 0, "both ends close");
  await client.raw(hex("00000001 21"));
  assert.equal((await client.expectJson(0x22))["status"], "ok");
  await echo.close();
});

Deno.test("an old driver listens, accepts, reads, answers and sees the end", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  await client.raw(hex("00000003 01 03e8"));
  assert.equal(toHex(await client.expect(0x02)), "03e8");
  const theirs = rig.backend.connectFrom(1000)!;
  theirs.write(utf8("ping"));
  const accept = await client.expect(0x05);
  const id = toHex(accept.subarray(2, 6));
  assert.equal(
    toHex(accept),
    "03e8" + id + "000000000002" +
      theirs.localPort.toString(16).padStart(4, "0"),
  );
  assert.equal(toHex(await client.expect(0x07)), id + toHex(utf8("ping")));
  await client.raw(hex(`00000009 06 ${id} 706f6e67`));
  await until(() => theirs.readableBytes === 4, "answer arrives");
  assert.equal(text(theirs.read()!), "pong");
  theirs.close();
  assert.equal(toHex(await client.expect(0x09)), id);
});

Deno.test("dials name their program, so that its share of the ports is its own", async () => {
  await using rig = await startRig();
  attachEcho(rig.backend);
  const programs: unknown[] = [];
  rig.backend.dialHook = (_port, { program }) => void programs.push(program);
  using first = await rig.connect();
  using second = await rig.connect();
  for (const client of [first, first, second]) {
    await client.raw(hex("00000009 03 0000 00000002 0007"));
    assert.equal((await client.next())?.cmd, 0x04);
  }
  const [one, same, other] = programs;
  assert.ok(one !== undefined && other !== undefined);
  assert.deepEqual([one === same, one === other], [true, false]);
});

Deno.test("a dial's answer leaves before the connection's data", async () => {
  await using rig = await startRig();
  rig.backend.network.bind(99, (conn) => {
    conn.setListener({ onReadable() {}, onWritable() {}, onClosed() {} });
    conn.write(utf8("greeting"));
    conn.close();
  });
  using client = await rig.connect();
  for (let round = 0; round < 20; round++) {
    await client.send(Cmd.Dial, hex("0000 00000002 0063"));
    const id = toHex(await client.expect(Cmd.DialOk));
    assert.equal(
      toHex(await client.expect(Cmd.Recv)),
      id + toHex(utf8("greeting")),
    );
    assert.equal(toHex(await client.expect(Cmd.CloseOk)), id);
    await client.send(Cmd.Close, hex(id));
    await client.send(Cmd.Health);
    await client.expect(Cmd.HealthOk);
  }
  await until(() => rig.server.stats.connections === 0, "all forgotten");
});

Deno.test("Info and the JSON commands answer what the backend says", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  await client.send(Cmd.Info);
  assert.equal((await client.expectJson(Cmd.InfoOk))["node_id"], 1);
  await client.send(Cmd.ResolveHostname, utf8("bob"));
  await client.expectJson(Cmd.ResolveHostnameOk);
  await client.send(Cmd.SetTags, utf8('["a","b"]'));
  await client.expectJson(Cmd.SetTagsOk);
  await client.send(Cmd.Handshake, hex("01 00000002"), utf8("hi"));
  assert.deepEqual(await client.expectJson(Cmd.HandshakeOk), {
    status: "sent",
    node_id: 2,
  });
  await client.send(Cmd.Handshake, hex("04"));
  assert.deepEqual(await client.expectJson(Cmd.HandshakeOk), {
    pending: [],
    outgoing: [],
    refused: [],
  });
  await client.send(Cmd.Network, hex("02 0005"), utf8("tok"));
  await client.expectJson(Cmd.NetworkOk);
  assert.deepEqual(rig.backend.calls.map(({ name, args }) => [name, ...args]), [
    ["resolve_hostname", "bob"],
    ["set_tags", ["a", "b"]],
    ["handshake", 2, "hi"],
    ["network", "join_network", { network_id: 5, token: "tok" }],
  ]);
});

Deno.test("untagged errors have the texts of the reference", async () => {
  await using rig = await startRig();
  rig.backend.directoryReply = () => {
    throw new PilotError("not_found", "node not found");
  };
  rig.backend.dialHook = (port) => {
    if (port === 98) throw new PilotError("timeout", "No answer");
  };
  rig.backend.ports.set(5, () => {});
  using client = await rig.connect();
  const cases: [number, string, string][] = [
    [0x01, "", "bind: missing port"],
    [0x01, "0005", "port 5 already bound"],
    [0x03, "0000", "dial: missing address/port"],
    [0x03, "0000 00000002 0061", "connection refused"],
    [0x03, "0000 00000002 0062", "dial timeout"],
    [0x06, "00", "send: missing conn_id"],
    [0x08, "00", "close: missing conn_id"],
    [0x0b, "0000", "sendto: missing address/port"],
    [0x11, "", "resolve_hostname: missing hostname"],
    [0x11, "61", "resolve_hostname: node not found"],
    [0x13, "61", "set_hostname: node not found"],
    [0x15, "", "set_visibility: missing value"],
    [0x19, "7b", "set_tags: invalid JSON"],
    [
      0x19,
      toHex(utf8(JSON.stringify(Array.from({ length: 11 }, String)))),
      "set_tags: maximum 10 tags allowed",
    ],
    [0x17, "", "deregister: node not found"],
    [0x0f, "", "handshake: missing sub-command"],
    [0x0f, "63", "handshake: unknown sub-command 0x63"],
    [0x0f, "01", "handshake request: missing node_id"],
    [0x0f, "02 00000005", "handshake approve: node not found"],
    [0x1f, "", "network: missing sub-command"],
    [0x1f, "02", "network join: missing network_id"],
    [0x1f, "06", "network poll-invites: node not found"],
    [0x23, "", "managed: missing sub-command"],
    [0x23, "02", "managed: no active managed networks"],
    [0x23, "63", "managed: unknown sub-command 0x63"],
    [0x1b, "00", "SetWebhook is not supported by this daemon (command 0x1b)"],
    [0x1d, "01", "SetTaskExec is not supported by this daemon (command 0x1d)"],
    [0x35, "", "VerifyEnvelope is not supported by this daemon (command 0x35)"],
    [0x36, "", "unknown command: 0x36"],
    [0xee, "", "unknown command: 0xee"],
    [0x37, "0063", "port 99 not bound by this client"],
  ];
  for (const [cmd, payload, expected] of cases) {
    await client.send(cmd, hex(payload));
    const message = await client.expectError();
    assert.ok(
      message.startsWith(expected),
      `${cmd.toString(16)}: "${message}" instead of "${expected}"`,
    );
  }
});

Deno.test("Bind and Unbind belong to the client, and ports are free when it goes", async () => {
  await using rig = await startRig();
  const one = await rig.connect();
  using two = await rig.connect();
  await one.send(Cmd.Bind, hex("1000"));
  await one.expect(Cmd.BindOk);
  await two.send(Cmd.Bind, hex("1000"));
  assert.equal(await two.expectError(), "port 4096 already bound");
  await two.send(Cmd.Unbind, hex("1000"));
  assert.equal(await two.expectError(), "port 4096 not bound by this client");
  await one.send(Cmd.Unbind, hex("1000"));
  assert.equal(toHex(await one.expect(Cmd.UnbindOk)), "1000");
  await two.send(Cmd.Bind, hex("1000"));
  await two.expect(Cmd.BindOk);
  await one.send(Cmd.Bind, hex("1001"));
  await one.expect(Cmd.BindOk);
  one.close();
  await until(() => rig.backend.ports.size === 1, "port of the gone client");
  assert.equal(rig.backend.ports.has(0x1000), true);
  await until(() => rig.server.clientCount === 1, "the client is forgotten");
});

/** A connection that the owner of port 4096 has accepted, and its id. */
async function accepted(rig: Rig, owner: RawClient) {
  await owner.send(Cmd.Bind, hex("1000"));
  await owner.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(4096)!;
  const id = (await owner.expect(Cmd.Accept)).subarray(2, 6);
  return [theirs, id] as const;
}

Deno.test("Send on another client's connection is as on an unknown one", async () => {
  await using rig = await startRig();
  using owner = await rig.connect();
  using stranger = await rig.connect();
  const [theirs, id] = await accepted(rig, owner);
  await stranger.send(Cmd.Send, id, utf8("forged"));
  assert.equal(toHex(await stranger.expect(Cmd.CloseOk)), toHex(id));
  await stranger.sendTagged(1, Cmd.Send, id);
  assert.equal((await stranger.expectTagged(1)).cmd, Cmd.Error);
  await owner.send(Cmd.Send, id, utf8("genuine"));
  await until(() => theirs.readableBytes > 0, "data arrives");
  assert.equal(text(theirs.read()!), "genuine");
  assert.equal(theirs.peer.closed, false);
});

for (const isTagged of [false, true]) {
  Deno.test(`Close ends another client's connection, ${isTagged ? "tagged" : "as pilotctl of v1.18 does"}`, async () => {
    await using rig = await startRig();
    using owner = await rig.connect();
    using stranger = await rig.connect();
    const [theirs, id] = await accepted(rig, owner);
    if (isTagged) {
      await stranger.sendTagged(1, Cmd.Close, id);
      assert.equal((await stranger.expectTagged(1)).cmd, Cmd.CloseOk);
    } else {
      await stranger.send(Cmd.Close, id);
      assert.equal(toHex(await stranger.expect(Cmd.CloseOk)), toHex(id));
    }
    assert.equal(toHex(await owner.expect(Cmd.CloseOk)), toHex(id), "its owner is told");
    assert.ok(theirs.closed);
    await stranger.sendTagged(2, Cmd.Close, id);
    assert.equal((await stranger.expectTagged(2)).cmd, Cmd.Error, "there is none of this number");
  });
}
Deno.test("what a client that has gone did not take ends in a reset, not in an orderly close", async () => {
  await using rig = await startRig();
  const client = await rig.connect();
  await client.send(Cmd.Bind, hex("1000"));
  await client.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(4096)!;
  await client.expect(Cmd.Accept);
  client.close();
  await until(() => rig.server.clientCount === 0, "client is gone");
  theirs.write(new Uint8Array(10));
  await until(() => theirs.error !== undefined, "the peer is told");
  assert.equal(theirs.error?.code, "connection_closed");
  await until(() => rig.server.stats.connections === 0, "nothing is left");
});

Deno.test("a client that goes has its data delivered and its connections closed with FIN", async () => {
  await using rig = await startRig();
  const client = await rig.connect();
  await client.send(Cmd.Bind, hex("1000"));
  await client.expect(Cmd.BindOk);
  const theirs = rig.backend.connectFrom(4096)!;
  const id = (await client.expect(Cmd.Accept)).subarray(2, 6);
  const data = new Uint8Array(700_000).map((_, index) => index * 7);
  await client.send(Cmd.Send, id, data);
  client.close();
  await until(() => rig.server.clientCount === 0, "client is gone");
  const got: number[] = [];
  while (!theirs.ended) {
    const chunk = theirs.read(10_000);
    if (chunk === undefined) await new Promise((done) => setTimeout(done, 1));
    else for (const byte of chunk) got.push(byte);
  }
  assert.deepEqual(Uint8Array.from(got), data);
  assert.equal(theirs.error, undefined);
  theirs.close();
  await until(() => rig.server.stats.connections === 0, "nothing is left");
});

Deno.test("datagrams go to all clients, or only to the one that bound the port", async () => {
  await using rig = await startRig();
  using one = await rig.connect();
  using two = await rig.connect();
  for (const client of [one, two]) {
    await client.send(Cmd.Health);
    await client.expect(Cmd.HealthOk);
  }
  rig.backend.deliver({
    source: PEER,
    sourcePort: 5,
    port: 70,
    data: utf8("all"),
  });
  for (const client of [one, two]) {
    assert.equal(
      toHex(await client.expect(Cmd.RecvFrom)),
      "000000000002" + "0005" + "0046" + toHex(utf8("all")),
    );
  }
  await two.send(Cmd.Bind, hex("0046"));
  await two.expect(Cmd.BindOk);
  rig.backend.deliver({
    source: PEER,
    sourcePort: 5,
    port: 70,
    data: utf8("two"),
  });
  assert.equal(text((await two.expect(Cmd.RecvFrom)).subarray(10)), "two");
  await one.send(Cmd.Health);
  await one.expect(Cmd.HealthOk);
});

async function testSendTo(hasTunnel: boolean): Promise<void> {
  await using rig = await startRig();
  using client = await rig.connect();
  rig.backend.hasTunnel = hasTunnel;
  for (let n = 0; n < 50; n++) {
    await client.send(Cmd.SendTo, hex("0000 00000002 0046"), Uint8Array.of(n));
  }
  await client.send(
    Cmd.SendToConfirm,
    hex("0000 00000002 0046"),
    Uint8Array.of(50),
  );
  assert.equal((await client.expect(Cmd.SendToConfirmOk)).length, 0);
  assert.deepEqual(
    rig.backend.sentDatagrams.map(({ data }) => data[0]),
    Array.from({ length: 51 }, (_, n) => n),
  );
  rig.backend.hasTunnel = false;
  rig.backend.sendHook = () => Promise.reject(new PilotError("untrusted", "node 2 is not trusted"));
  await client.send(Cmd.SendTo, hex("0000 00000002 0046"), utf8("x"));
  assert.equal(await client.expectError(), "sendto: node 2 is not trusted");
}

Deno.test("SendTo keeps order; only SendToConfirm is answered", () => testSendTo(false));

Deno.test("SendTo over a tunnel that is there keeps order too", () => testSendTo(true));

Deno.test("a failing SendTo is not taken for the answer to a waiting request", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  const dial = Promise.withResolvers<void>();
  rig.backend.dialHook = () => dial.promise;
  rig.backend.sendHook = () => Promise.reject(new PilotError("untrusted", "node 2 is not trusted"));
  await client.send(Cmd.Dial, hex("0000 00000002 0046"));
  await client.send(Cmd.SendTo, hex("0000 00000002 0046"), utf8("x"));
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk); // commands overlap; the failure of SendTo is not reported
  dial.resolve();
  assert.equal(await client.expectError(), "connection refused");
});

Deno.test("Cancel ends the client's dials without a late answer", async () => {
  await using rig = await startRig();
  using client = await rig.connect();
  let aborted = false;
  rig.backend.dialHook = (_port, { signal }) =>
    new Promise((_, reject) =>
      signal!.addEventListener("abort", () => {
        aborted = true;
        reject(new PilotError("aborted", "dial aborted"));
      })
    );
  await client.send(Cmd.Dial, hex("0000 00000002 0046"));
  await client.send(Cmd.Cancel);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
  assert.equal(aborted, true);
  await client.send(Cmd.Health);
  await client.expect(Cmd.HealthOk);
});
