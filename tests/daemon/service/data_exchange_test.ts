import assert from "node:assert/strict";
import { join } from "node:path";
import { DataType, encodeDataHeader } from "../../../protocol/service/data_exchange.ts";
import { pattern, startExchange } from "./exchange_peer.ts";

function file(name: string, data: Uint8Array): Uint8Array {
  const bytes = new TextEncoder().encode(name);
  return Uint8Array.of(bytes.length >> 8, bytes.length, ...bytes, ...data);
}

Deno.test("a text message is acknowledged when it is in the inbox", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  await peer.send(DataType.text, "héllo");
  assert.equal(await peer.answer(), "ACK TEXT 6 bytes");
  const [record] = await rig.inbox();
  const { id, received_at, ...rest } = record!;
  assert.deepEqual(rest, {
    type: "TEXT",
    from: "0:0000.0000.0002",
    data_encoding: "utf8",
    data: "héllo",
    bytes: 6,
  });
  assert.match(String(id), /^TEXT-\d{8}-\d{6}\.\d{3}-\d{6}$/);
  assert.ok(Math.abs(Date.parse(String(received_at)) - Date.now()) < 60_000);
  const path = join(rig.inboxDir, `${id}.json`);
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.equal((await Deno.stat(rig.inboxDir)).mode! & 0o777, 0o700);
  assert.deepEqual(rig.backend.events, [{
    event: "message.received",
    data: { type: "TEXT", from: "0:0000.0000.0002", size: 6, id },
  }]);
});

Deno.test("binary data and broken text are kept as base64", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  await peer.send(DataType.binary, Uint8Array.of(0, 255, 254));
  assert.equal(await peer.answer(), "ACK BINARY 3 bytes");
  await peer.send(DataType.text, Uint8Array.of(0xff));
  assert.equal(await peer.answer(), "ACK TEXT 1 bytes");
  await peer.send(DataType.json, '{"a":1}');
  assert.equal(await peer.answer(), "ACK JSON 7 bytes");
  const records = (await rig.inbox()).map((record) => [
    record["type"],
    record["data_encoding"],
    record["data"] ?? record["data_b64"],
  ]);
  assert.deepEqual(records, [
    ["BINARY", "base64", "AP/+"],
    ["JSON", "utf8", '{"a":1}'],
    ["TEXT", "base64", "/w=="],
  ]);
});

Deno.test("a hundred messages in the same millisecond are all kept", async () => {
  const now = new Date(2026, 0, 2, 3, 4, 5, 678);
  await using rig = await startExchange({ inbox: { now: () => now } });
  const peer = rig.connect();
  for (let n = 0; n < 100; n++) await peer.send(DataType.text, `m${n}`);
  for (let n = 0; n < 100; n++) await peer.answer();
  const records = await rig.inbox();
  assert.deepEqual(
    records.map((record) => record["data"]).toSorted(),
    Array.from({ length: 100 }, (_, n) => `m${n}`).toSorted(),
  );
  assert.match(String(records[0]!["id"]), /^TEXT-20260102-030405\.678-\d{6}$/);
});

Deno.test("a file is stored under a harmless name", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  await peer.send(DataType.file, file("report.pdf", pattern(1000)));
  assert.equal(await peer.answer(), "ACK FILE 1000 bytes");
  // Without a name the payload is kept whole, as the reference does.
  await peer.send(DataType.file, file("", pattern(5)));
  assert.equal(await peer.answer(), "ACK FILE 7 bytes");
  const names = await rig.received();
  assert.match(names[0]!, /^file-\d{8}-\d{6}\.\d{3}-\d{6}$/);
  assert.match(names[1]!, /^report-\d{8}-\d{6}\.\d{3}-\d{6}\.pdf$/);
  const path = join(rig.receivedDir, names[1]!);
  assert.deepEqual(await Deno.readFile(path), pattern(1000));
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.deepEqual(rig.backend.events[0], {
    event: "file.received",
    data: {
      filename: "report.pdf",
      size: 1000,
      path,
      from: "0:0000.0000.0002",
    },
  });
});

Deno.test("a file name with a directory is refused and ends the connection", async () => {
  for (const name of ["../evil", "a/b", "a\\b", "..", "x".repeat(256)]) {
    await using rig = await startExchange();
    const peer = rig.connect();
    await peer.send(DataType.file, file(name, pattern(10)));
    assert.match(await peer.answer(), /^ERR FILE save failed: /);
    assert.equal(await peer.next(), undefined);
    assert.deepEqual(await rig.received(), []);
  }
});

Deno.test("an unknown frame type is answered with ERR and the connection goes on", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  for (const type of [0, 5, 10, 77]) {
    await peer.send(type, "x");
    assert.equal(
      await peer.answer(),
      `ERR UNKNOWN(${type}) save failed: type is not supported`,
    );
  }
  await peer.send(DataType.text, "still here");
  assert.equal(await peer.answer(), "ACK TEXT 10 bytes");
});

Deno.test("a frame above 16 MiB ends the connection without memory being spent on it", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  const header = encodeDataHeader(DataType.text, 0);
  new DataView(header.buffer).setUint32(4, 16 * 1024 * 1024 + 1);
  await peer.io.write(header);
  assert.match(await peer.answer(), /^ERR .* too long$/);
  assert.equal(await peer.next(), undefined);
});

Deno.test("a message of 16 MiB is taken", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  const size = 16 * 1024 * 1024;
  await peer.send(DataType.binary, pattern(size));
  assert.equal(await peer.answer(), `ACK BINARY ${size} bytes`);
});

Deno.test("peers that begin large frames and never end them are cut off before memory runs out", async () => {
  await using rig = await startExchange();
  const begin = async () => {
    const peer = rig.connect();
    await peer.io.write(encodeDataHeader(DataType.binary, 16 * 1024 * 1024));
    await peer.io.write(new Uint8Array(12 * 1024 * 1024));
    return peer;
  };
  await begin();
  await begin();
  const third = await begin().then(
    (peer) => peer.answer(),
    () => "cut off",
  );
  assert.match(third, /busy|cut off/);
  const other = rig.connect({ network: 0, node: 3 });
  await other.send(DataType.binary, pattern(1024 * 1024));
  assert.equal(await other.answer(), `ACK BINARY ${1024 * 1024} bytes`);
});

Deno.test("one peer cannot take all connections", async () => {
  await using rig = await startExchange();
  const peers = Array.from({ length: 65 }, () => rig.connect());
  assert.equal(peers[64]!.io.conn.error?.code, "connection_closed");
  const other = rig.connect({ network: 0, node: 3 });
  await other.send(DataType.text, "hi");
  assert.equal(await other.answer(), "ACK TEXT 2 bytes");
});

Deno.test("an idle connection is closed", async () => {
  await using rig = await startExchange({ idleMs: 20 });
  const peer = rig.connect();
  assert.equal(await peer.next(), undefined);
});

Deno.test("a message that cannot be stored is answered with ERR", async () => {
  await using rig = await startExchange();
  await Deno.writeTextFile(rig.inboxDir, "in the way");
  const peer = rig.connect();
  await peer.send(DataType.text, "hi");
  assert.match(await peer.answer(), /^ERR TEXT save failed: /);
  await Deno.remove(rig.inboxDir);
  await peer.send(DataType.text, "hi");
  assert.equal(await peer.answer(), "ACK TEXT 2 bytes");
});

Deno.test("the oldest messages go when there are too many", async () => {
  await using rig = await startExchange({ inbox: { maxFiles: 20 } });
  const peer = rig.connect();
  for (let n = 0; n < 21; n++) {
    await peer.send(DataType.text, `m${n}`);
    await peer.answer();
  }
  const kept = (await rig.inbox()).map((record) => record["data"]);
  assert.equal(kept.length, 18);
  assert.ok(kept.includes("m20") && !kept.includes("m0"));
});

Deno.test("the oldest messages go when they are too large together", async () => {
  await using rig = await startExchange({ inbox: { maxBytes: 50_000 } });
  const peer = rig.connect();
  for (let n = 0; n < 60; n++) {
    await peer.send(DataType.text, `${n}`.padEnd(2000, "."));
    await peer.answer();
  }
  let bytes = 0;
  for await (const { name } of Deno.readDir(rig.inboxDir)) {
    bytes += (await Deno.stat(join(rig.inboxDir, name))).size;
  }
  assert.ok(bytes <= 50_000 && bytes > 40_000, `${bytes} bytes are kept`);
  const texts = (await rig.inbox()).map((record) => parseInt(String(record["data"])));
  assert.ok(texts.includes(59) && !texts.includes(0));
});

Deno.test("files above the quota are refused, and fit again when others were removed", async () => {
  await using rig = await startExchange({ received: { maxBytes: 2500 } });
  const peer = rig.connect();
  for (const n of [1, 2]) {
    await peer.send(DataType.file, file(`${n}.bin`, pattern(1000)));
    assert.equal(await peer.answer(), "ACK FILE 1000 bytes");
  }
  await peer.send(DataType.file, file("3.bin", pattern(1000)));
  assert.match(await peer.answer(), /^ERR FILE save failed: quota/);
  const [first] = await rig.received();
  await Deno.remove(join(rig.receivedDir, first!));
  await peer.send(DataType.file, file("3.bin", pattern(1000)));
  assert.equal(await peer.answer(), "ACK FILE 1000 bytes");
});

Deno.test("close() ends the service's connections and frees the port", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  await peer.send(DataType.text, "hi");
  await peer.answer();
  await rig.restart();
  assert.equal(await peer.next(), undefined);
  const again = rig.connect();
  await again.send(DataType.text, "hi");
  assert.equal(await again.answer(), "ACK TEXT 2 bytes");
});
