import assert from "node:assert/strict";
import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeConn,
  decodeDial,
  decodePort,
  decodeSendTo,
  encodeAccept,
  encodeConn,
  encodeIpcError,
  encodePort,
  encodeRecvFrom,
} from "../../protocol/ipc/mod.ts";
import { FakeDaemon, until } from "./fake_daemon.ts";
import { bytes, isPending, MODES, rejectsWith, text } from "./support.ts";

for (const mode of MODES) {
  Deno.test(`Driver.dial takes every form of target (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const forms = [
      () => driver.dial("0:0000.0000.0005:7"),
      () => driver.dial("0:0000.0000.0005", 7),
      () => driver.dial("5:7"),
      () => driver.dial(5, 7),
      () => driver.dial("5", 7),
      () => driver.dial({ network: 0, node: 5 }, 7),
      () => driver.dial("alice:7"),
      () => driver.dial("alice", 7, { timeoutMs: 5000 }),
    ];
    for (const [index, form] of forms.entries()) {
      const dialling = form();
      if (index >= 6) {
        const resolve = await client.expect(Cmd.ResolveHostname);
        assert.equal(text(resolve.payload), "alice");
        const address = "0:0000.0000.0005";
        client.answerJson(resolve, { node_id: 5, address });
      }
      const dial = await client.expect(Cmd.Dial);
      assert.deepEqual(decodeDial(dial.payload), {
        address: { network: 0, node: 5 },
        port: 7,
      });
      client.stream(index);
      client.answer(dial, Cmd.DialOk, encodeConn(index));
      const conn = await dialling;
      assert.equal(conn.id, index);
      assert.deepEqual(conn.remote, { network: 0, node: 5, port: 7 });
      assert.deepEqual(conn.remoteAddress, { network: 0, node: 5 });
      await conn.close();
    }
    for (const wrong of ["", "alice", "0:0000.0000.0005", "0:0001.0:7", "5:x"]) {
      await rejectsWith(driver.dial(wrong), "invalid_argument");
    }
    await rejectsWith(driver.dial(5, 70_000), "invalid_argument");
    await rejectsWith(driver.dial(-1, 7), "invalid_argument");
    await rejectsWith(driver.dial(2 ** 32, 7), "invalid_argument");
  });

  Deno.test(`Driver.listen accepts connections in order (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const listening = driver.listen(4000);
    const bind = await client.expect(Cmd.Bind);
    assert.equal(decodePort(bind.payload), 4000);
    client.answer(bind, Cmd.BindOk, encodePort(4000));
    const listener = await listening;
    assert.equal(listener.port, 4000);
    const early = client.pushAccept(4000, 9, 6);
    early.write(bytes("hello"));
    const conn = await listener.accept();
    assert.deepEqual(conn.remote, { network: 0, node: 6, port: 50_000 });
    assert.equal(conn.localPort, 4000);
    assert.equal(text(await conn.read()), "hello");
    const controller = new AbortController();
    const waiting = listener.accept({ signal: controller.signal });
    controller.abort();
    await rejectsWith(waiting, "aborted");
    client.pushAccept(4000, 10, 6);
    for await (const next of listener) {
      assert.equal(next.id, 10);
      break;
    }
    const accepting = listener.accept();
    const closing = listener.close();
    await rejectsWith(accepting, "connection_closed");
    const unbind = await client.expect(Cmd.Unbind);
    assert.equal(decodePort(unbind.payload), 4000);
    if (mode === "tagged") client.answer(unbind, Cmd.UnbindOk, encodePort(4000));
    else client.push(Cmd.Error, encodeIpcError("unknown command: 0x37"));
    await closing;
    for await (const _ of listener) assert.fail("accepted after close");
    // Accepted connections live on; new ones are sent away.
    await conn.write("still here");
    client.pushAccept(4000, 11, 6);
    await conn.close();
  });

  Deno.test(`Driver.listen reports a taken port (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const listening = driver.listen(7);
    client.fail(
      await client.expect(Cmd.Bind),
      new PilotError("already_exists", "port 7 already bound"),
    );
    await rejectsWith(listening, "already_exists", /port 7 already bound/);
    await rejectsWith(driver.listen(-1), "invalid_argument");
  });

  Deno.test(`Driver sends and receives datagrams (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const sending = driver.sendDatagram(5, 9, bytes("dgram"));
    const command = mode === "tagged" ? Cmd.SendToConfirm : Cmd.SendTo;
    const sent = await client.expect(command);
    assert.deepEqual(decodeSendTo(sent.payload), {
      address: { network: 0, node: 5 },
      port: 9,
      data: bytes("dgram"),
    });
    if (mode === "tagged") client.answer(sent, Cmd.SendToConfirmOk);
    await sending;

    const all = driver.datagrams();
    const some = driver.datagrams(9);
    const push = (port: number, data: string) =>
      client.push(
        Cmd.RecvFrom,
        encodeRecvFrom({
          source: { network: 0, node: 6 },
          sourcePort: 1,
          port,
          data: bytes(data),
        }),
      );
    push(8, "other");
    push(9, "mine");
    assert.equal(text((await all.receive())?.data), "other");
    assert.equal(text((await all.receive())?.data), "mine");
    assert.deepEqual(await some.receive(), {
      source: { network: 0, node: 6 },
      sourcePort: 1,
      port: 9,
      data: bytes("mine"),
    });
    push(9, "again");
    for await (const datagram of some) {
      assert.equal(text(datagram.data), "again");
      break; // which closes the receiver
    }
    assert.equal(await some.receive(), undefined);
  });
}

Deno.test("Driver.listen ends connections above the backlog", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const listening = driver.listen(4000, { backlog: 2 });
  const bind = await client.expect(Cmd.Bind);
  client.answer(bind, Cmd.BindOk, encodePort(4000));
  const listener = await listening;
  const streams = [1, 2, 3].map((id) => client.pushAccept(4000, id, 6));
  await streams[2]!.awaitClose();
  assert.equal(listener.refused, 1);
  assert.equal((await listener.accept()).id, 1);
  const closing = listener.close();
  await streams[1]!.awaitClose(); // nobody will accept it any more
  client.answer(
    await client.expect(Cmd.Unbind),
    Cmd.UnbindOk,
    encodePort(4000),
  );
  await closing;
  assert.equal(streams[0]!.closed, false);
});

Deno.test("Driver.listen withdraws a port that was bound too late", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const controller = new AbortController();
  const listening = driver.listen(4000, { signal: controller.signal });
  const bind = await client.expect(Cmd.Bind);
  controller.abort();
  await rejectsWith(listening, "aborted");
  client.answer(bind, Cmd.BindOk, encodePort(4000));
  const unbind = await client.expect(Cmd.Unbind);
  client.answer(unbind, Cmd.UnbindOk, encodePort(4000));
});

Deno.test("Driver sends away connections to a port nobody listens on", async () => {
  await using daemon = new FakeDaemon();
  const { client } = await daemon.connect();
  const remote = { network: 0, node: 6 };
  client.push(
    Cmd.Accept,
    encodeAccept({ port: 99, conn: 5, remote, remotePort: 1 }),
  );
  assert.equal(decodeConn((await client.expect(Cmd.Close)).payload), 5);
});

Deno.test("DatagramReceiver keeps 2048 datagrams and counts what it drops", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const receiver = driver.datagrams();
  for (let i = 0; i < 2_092; i++) {
    client.push(
      Cmd.RecvFrom,
      encodeRecvFrom({
        source: { network: 0, node: 6 },
        sourcePort: 1,
        port: 2,
        data: encodeConn(i),
      }),
    );
  }
  await until("all arrived", () => receiver.dropped === 44);
  for (let i = 0; i < 2_048; i++) {
    assert.deepEqual((await receiver.receive())?.data, encodeConn(i));
  }
  const waiting = receiver.receive();
  assert.ok(await isPending(waiting));
  receiver.close();
  assert.equal(await waiting, undefined);
});

Deno.test("Driver shows the daemon's version and features", async () => {
  await using daemon = new FakeDaemon();
  const { driver } = await daemon.connect({ name: "test" });
  assert.equal(driver.daemonVersion, "9.9.9");
  assert.deepEqual(driver.features, ["tags"]);
  await using old = new FakeDaemon("untagged");
  const { driver: oldDriver } = await old.connect();
  assert.equal(oldDriver.daemonVersion, "");
  assert.deepEqual(oldDriver.features, []);
});
