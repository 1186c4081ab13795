import assert from "node:assert/strict";
import { join } from "node:path";
import { MESSAGE_DISK_RESERVE_BYTES } from "../../../platform/mailbox_limits.ts";
import { DataType, encodeDataHeader } from "../../../protocol/service/data_exchange.ts";
import { ANSWER_MS, IDLE_MS } from "../../../daemon/service/data_exchange_service.ts";
import { PARTIAL_KEPT_MS } from "../../../daemon/service/received_files.ts";
import { until } from "../ipc/raw_client.ts";
import { type ExchangeRig, idOf, pattern, startExchange } from "./exchange_peer.ts";

// cspell:ignore héllo

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
  assert.equal(Date.parse(String(received_at)), rig.clock.unixNow());
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
  await using rig = await startExchange();
  rig.clock.skewMs += new Date(2026, 0, 2, 3, 4, 5, 678).getTime() - rig.clock.unixNow();
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
  assert.match(names[0]!, /^file-\d{8}-\d{6}\.\d{3}-\d{6}-from-2$/);
  assert.match(names[1]!, /^report-\d{8}-\d{6}\.\d{3}-\d{6}-from-2\.pdf$/);
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

Deno.test("an unknown frame type is answered with ERR and the connection continues", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  for (const type of [0, 6, 8, 77]) {
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
  await using rig = await startExchange();
  const peer = rig.connect();
  await rig.clock.run(IDLE_MS / 2);
  await peer.send(DataType.text, "hi");
  assert.equal(await peer.answer(), "ACK TEXT 2 bytes");
  await rig.clock.run(IDLE_MS - 1);
  assert.equal(peer.io.conn.state, "ESTABLISHED");
  await rig.clock.run(1);
  assert.equal(await peer.next(), undefined);
});

Deno.test("a peer that does not take its answers is cut off after its time", async () => {
  await using rig = await startExchange();
  rig.backend.bufferBytes = 10; // less than an answer
  const peer = rig.connect();
  await peer.send(DataType.text, "hi");
  await until(() => rig.backend.events.length === 1, "it is stored");
  await rig.clock.run(ANSWER_MS - 1);
  assert.equal(peer.io.conn.state, "ESTABLISHED");
  await rig.clock.run(1);
  assert.notEqual(peer.io.conn.state, "ESTABLISHED");
});

Deno.test("an unfinished file that nobody goes on with is removed after its time", async () => {
  await using rig = await startExchange({ received: { limits: { maxFilesPerSender: 1 } } });
  rig.clock.skewMs += Date.now() - rig.clock.unixNow(); // the times of files are the machine's
  const [left, other] = [pattern(100_000, 1), pattern(10, 2)];
  const peer = rig.connect();
  await peer.init(left, "left.bin");
  await peer.chunks(left, 0, 65_536);
  await peer.io.close({});
  rig.clock.skewMs += PARTIAL_KEPT_MS - 60_000;
  await refuses(rig, other);
  assert.equal((await rig.partials()).length, 1);
  rig.clock.skewMs += 120_000;
  const again = rig.connect();
  assert.equal((await again.init(other, "other.bin")).kind, "init_ack");
  assert.ok(!(await rig.partials()).some((name) => name.startsWith(idOf(left).toHex())));
});

/** A sender that already has all it may have there gets no room. */
async function refuses(rig: ExchangeRig, data: Uint8Array): Promise<void> {
  assert.equal((await rig.connect().init(data, "other.bin")).kind, "abort");
}

Deno.test("a message that cannot be stored is answered with ERR, without paths of this machine", async () => {
  await using rig = await startExchange();
  await Deno.writeTextFile(rig.inboxDir, "in the way");
  const peer = rig.connect();
  await peer.send(DataType.text, "hi");
  assert.equal(
    await peer.answer(),
    "ERR TEXT save failed: io_error: the receiver cannot store it",
  );
  await Deno.writeTextFile(rig.receivedDir, "in the way");
  await peer.send(DataType.file, file("a", pattern(3)));
  assert.equal(
    await peer.answer(),
    "ERR FILE save failed: io_error: the receiver cannot store it",
  );
  await Deno.remove(rig.inboxDir);
  await peer.send(DataType.text, "hi");
  assert.equal(await peer.answer(), "ACK TEXT 2 bytes");
});

Deno.test("a full disk is reported as such, and messages leave room for the daemon's own files", async () => {
  let free = 0;
  await using rig = await startExchange({ inbox: { freeBytes: () => Promise.resolve(free) } });
  const peer = rig.connect();
  free = MESSAGE_DISK_RESERVE_BYTES;
  await peer.send(DataType.text, "hi");
  assert.equal(
    await peer.answer(),
    "ERR TEXT save failed: limit_exceeded: no space left on the receiver's disk",
  );
  assert.deepEqual(await rig.inbox(), []);
  free = MESSAGE_DISK_RESERVE_BYTES + 1000;
  await peer.send(DataType.text, "hi");
  assert.equal(await peer.answer(), "ACK TEXT 2 bytes");
});

const OTHER = { network: 0, node: 3 };

Deno.test("a sender over its share is refused, and neither its messages nor those of others go", async () => {
  await using rig = await startExchange({ inbox: { limits: { maxFilesPerSender: 15 } } });
  const other = rig.connect(OTHER);
  await other.send(DataType.text, "keep me");
  assert.equal(await other.answer(), "ACK TEXT 7 bytes");
  const full =
    "ERR TEXT save failed: limit_exceeded: 15 messages of yours are there, which is the most for one sender";
  const peer = rig.connect();
  for (let n = 0; n < 15; n++) {
    await peer.send(DataType.text, `m${n}`);
    assert.match(await peer.answer(), /^ACK/);
  }
  await peer.send(DataType.text, "too many");
  assert.equal(await peer.answer(), full);
  // The network in an address is what its sender says.
  const elsewhere = rig.connect({ network: 9, node: 2 });
  await elsewhere.send(DataType.text, "too many");
  assert.equal(await elsewhere.answer(), full);
  // A restart forgets nothing, as the directory is what is counted.
  await rig.restart();
  const again = rig.connect();
  await again.send(DataType.text, "too many");
  assert.equal(await again.answer(), full);
  const late = rig.connect(OTHER);
  await late.send(DataType.text, "me too");
  assert.equal(await late.answer(), "ACK TEXT 6 bytes");
  const kept = (await rig.inbox()).map((record) => record["data"]);
  const wanted = ["keep me", "me too", ...Array.from({ length: 15 }, (_, n) => `m${n}`)];
  assert.deepEqual(kept.toSorted(), wanted.toSorted());
});

Deno.test("a refused sender fits again as soon as some of its messages were removed", async () => {
  await using rig = await startExchange({ inbox: { limits: { maxFilesPerSender: 2 } } });
  const peer = rig.connect();
  const send = async (text: string) => {
    await peer.send(DataType.text, text);
    return (await peer.answer()).slice(0, 3);
  };
  assert.deepEqual([await send("a"), await send("b"), await send("c")], ["ACK", "ACK", "ERR"]);
  const [first] = await rig.inbox();
  await Deno.remove(join(rig.inboxDir, `${first!["id"]}.json`));
  assert.deepEqual([await send("c"), await send("d")], ["ACK", "ERR"]);
});

Deno.test("bytes of messages are shared as well", async () => {
  await using rig = await startExchange({ inbox: { limits: { maxBytesPerSender: 10_000 } } });
  const peer = rig.connect();
  const answers = [];
  for (let n = 0; n < 6; n++) {
    await peer.send(DataType.text, `${n}`.padEnd(2000, "."));
    answers.push((await peer.answer()).slice(0, 3));
  }
  assert.deepEqual(answers, ["ACK", "ACK", "ACK", "ACK", "ERR", "ERR"]);
  const other = rig.connect(OTHER);
  await other.send(DataType.text, "x".repeat(2000));
  assert.equal(await other.answer(), "ACK TEXT 2000 bytes");
});

Deno.test("a full inbox refuses everybody and erases nothing", async () => {
  await using rig = await startExchange({ inbox: { limits: { maxFiles: 3 } } });
  for (const node of [2, 3, 4]) {
    const peer = rig.connect({ network: 0, node });
    await peer.send(DataType.text, `${node}`);
    assert.equal(await peer.answer(), "ACK TEXT 1 bytes");
  }
  const peer = rig.connect({ network: 0, node: 5 });
  await peer.send(DataType.text, "5");
  assert.equal(
    await peer.answer(),
    "ERR TEXT save failed: limit_exceeded: the receiver has no room for more messages",
  );
  assert.deepEqual((await rig.inbox()).map((record) => record["data"]), ["2", "3", "4"]);
});

Deno.test("messages sent at the same moment do not exceed a share together", async () => {
  await using rig = await startExchange({ inbox: { limits: { maxFilesPerSender: 5 } } });
  const peers = Array.from({ length: 20 }, () => rig.connect());
  await Promise.all(peers.map((peer) => peer.send(DataType.text, "hi")));
  const answers = await Promise.all(peers.map((peer) => peer.answer()));
  assert.equal(answers.filter((answer) => answer.startsWith("ACK")).length, 5);
  assert.equal((await rig.inbox()).length, 5);
});

Deno.test("files above the quota are refused, and fit again when others were removed", async () => {
  await using rig = await startExchange({
    received: { limits: { maxBytesPerSender: 2500, maxFilesPerSender: 3 } },
  });
  const peer = rig.connect();
  const send = async (name: string, size: number) => {
    await peer.send(DataType.file, file(name, pattern(size)));
    return await peer.answer();
  };
  for (const n of [1, 2]) assert.equal(await send(`${n}.bin`, 1000), "ACK FILE 1000 bytes");
  assert.match(await send("3.bin", 1000), /^ERR FILE save failed: limit_exceeded: your files/);
  const other = rig.connect(OTHER);
  await other.send(DataType.file, file("o.bin", pattern(2000)));
  assert.equal(await other.answer(), "ACK FILE 2000 bytes");
  const [first] = await rig.received();
  await Deno.remove(join(rig.receivedDir, first!));
  assert.equal(await send("3.bin", 1000), "ACK FILE 1000 bytes");
  // Empty ones take no bytes, but places.
  assert.equal(await send("4.bin", 0), "ACK FILE 0 bytes");
  await rig.restart();
  const again = rig.connect();
  await again.send(DataType.file, file("5.bin", pattern(0)));
  assert.match(await again.answer(), /^ERR FILE save failed: limit_exceeded: 3 files of yours/);
  assert.equal((await rig.received()).length, 4);
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
