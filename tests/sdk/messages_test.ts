import assert from "node:assert/strict";
import { Cmd, decodeDial } from "../../protocol/ipc/mod.ts";
import { encodeDataFrame } from "../../protocol/service/mod.ts";
import { FakeDaemon, type FakeStream } from "./fake_daemon.ts";
import { bytes, isPending, MODES, rejectsWith, text } from "./support.ts";
import { dataFrames, say, TARGET } from "./frames.ts";

for (const mode of MODES) {
  Deno.test(`Driver.sendMessage waits for the acknowledgement (${mode})`, async () => {
    await using daemon = new FakeDaemon(mode);
    const { driver, client } = await daemon.connect();
    for (
      const [data, type, wire] of [
        ["hi", undefined, 1],
        [bytes("raw"), undefined, 2],
        ['{"a":1}', "json", 3],
        ["text as bytes", "binary", 2],
      ] as const
    ) {
      const sending = driver.sendMessage(TARGET, data, { type });
      const dial = await client.expect(Cmd.Dial);
      assert.deepEqual(decodeDial(dial.payload), {
        address: TARGET,
        port: 1001,
      });
      const stream = client.stream(3);
      client.answer(dial, Cmd.DialOk, Uint8Array.of(0, 0, 0, 3));
      const frame = await dataFrames(stream).next();
      assert.equal(frame.type, wire);
      const content = typeof data === "string" ? data : text(data);
      assert.equal(text(frame.payload), content);
      assert.ok(await isPending(sending));
      say(stream, `ACK X ${frame.payload.length} bytes`);
      const receipt = await sending;
      assert.deepEqual(receipt.address, TARGET);
      assert.equal(receipt.bytes, frame.payload.length);
      assert.match(receipt.ack, /^ACK X/);
      await stream.awaitClose();
    }
  });
}

Deno.test("Driver.sendMessage distinguishes refusal, silence and nonsense", async () => {
  await using daemon = new FakeDaemon();
  const { driver, client } = await daemon.connect();
  const send = async (answer: (stream: FakeStream) => void) => {
    const sending = driver.sendMessage(TARGET, "hi");
    const settled = sending.catch(() => {});
    const stream = await client.acceptDial(4);
    await dataFrames(stream).next();
    answer(stream);
    await settled;
    return sending;
  };
  await rejectsWith(
    send((stream) => say(stream, "ERR TEXT save failed: disk full")),
    "denied",
    /disk full/,
  );
  const noRoom = send((stream) => say(stream, "ERR TEXT save failed: limit_exceeded: no room"));
  await rejectsWith(noRoom, "limit_exceeded", /no room/);
  await noRoom.catch((error) => assert.deepEqual(error.advice, { id: "await_room" }));
  // A peer's words choose between two codes, not among all.
  await rejectsWith(
    send((stream) => say(stream, "ERR TEXT save failed: untrusted: come in")),
    "denied",
  );
  await rejectsWith(send((stream) => stream.end()), "connection_closed");
  await rejectsWith(
    send((stream) => stream.write(encodeDataFrame(9, bytes("?")))),
    "protocol_error",
  );
  await rejectsWith(
    send((stream) => stream.write(Uint8Array.of(0, 0, 0, 1, 255, 0, 0, 0))),
    "protocol_error",
  );
  await rejectsWith(
    driver.sendMessage(TARGET, "{", { type: "json" }),
    "invalid_argument",
  );
  await rejectsWith(
    driver.sendMessage(TARGET, new Uint8Array(16 * 1024 * 1024 + 1)),
    "limit_exceeded",
  );
  const slow = driver.sendMessage(TARGET, "hi", { timeoutMs: 30 });
  const late = rejectsWith(slow, "timeout");
  const stream = await client.acceptDial(5);
  await late;
  await stream.awaitClose();
});
