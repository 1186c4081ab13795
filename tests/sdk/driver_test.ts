import assert from "node:assert/strict";
import { PilotError } from "../../protocol/errors.ts";
import { Cmd, decodeDial, encodeConn, encodePort } from "../../protocol/ipc.ts";
import { connect } from "../../sdk/mod.ts";
import { FakeDaemon, type Mode } from "./fake_daemon.ts";

const MODES: readonly Mode[] = ["tagged", "untagged"];
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes ?? new Uint8Array());
const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("connect says not_running with a hint when no daemon listens", async () => {
  const dir = await Deno.makeTempDir();
  await assert.rejects(
    connect({ socket: `${dir}/none.sock` }),
    (error) =>
      error instanceof PilotError && error.code === "not_running" &&
      error.hint === "Start it with: pilotctl daemon start",
  );
  await Deno.remove(dir);
});

for (const mode of MODES) {
  Deno.test(`Driver dials, writes, reads and closes with ${mode} daemon`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const dialling = driver.dial("0:0000.0000.0005", 7);
    const dial = await client.expect(Cmd.Dial);
    assert.deepEqual(decodeDial(dial.payload), {
      address: { network: 0, node: 5 },
      port: 7,
    });
    const stream = client.stream(77);
    client.answer(dial, Cmd.DialOk, encodeConn(77));
    const conn = await dialling;
    assert.deepEqual(conn.remote, { network: 0, node: 5, port: 7 });
    await conn.write("ping");
    assert.equal(text(await stream.read(4)), "ping");
    stream.write(bytes("pong"));
    assert.equal(text(await conn.read()), "pong");
    await conn.close();
    assert.ok(stream.closed);
    assert.equal(await conn.read(), undefined);
  });

  Deno.test(`Driver reads info with ${mode} daemon`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const asking = driver.info();
    client.answerJson(await client.expect(Cmd.Info), {
      node_id: 5,
      address: "0:0000.0000.0005",
    });
    assert.equal((await asking).node_id, 5);
  });

  Deno.test(`Driver listens and accepts with ${mode} daemon`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    const listening = driver.listen(4000);
    const bind = await client.expect(Cmd.Bind);
    client.answer(bind, Cmd.BindOk, encodePort(4000));
    const listener = await listening;
    const stream = client.pushAccept(4000, 9, 6);
    stream.write(bytes("hello"));
    const conn = await listener.accept();
    assert.deepEqual(conn.remote, { network: 0, node: 6, port: 50_000 });
    assert.equal(conn.localPort, 4000);
    assert.equal(text(await conn.read()), "hello");
    stream.end();
    assert.equal(await conn.read(), undefined);
    await conn.close();
    const closing = listener.close();
    const unbind = await client.expect(Cmd.Unbind);
    client.answer(unbind, Cmd.UnbindOk, encodePort(4000));
    await closing;
  });
}
