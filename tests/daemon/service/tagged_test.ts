/** Messages with ids, and traced ones, at the data exchange. */

import assert from "node:assert/strict";
import { DataType, encodeTaggedMessage, type MessageTags } from "../../../protocol/service/mod.ts";
import {
  DUPLICATE_WINDOW_MS,
  MAX_ID_SENDERS,
  MAX_IDS_PER_SENDER,
  RecentMessages,
} from "../../../daemon/service/recent_messages.ts";
import { PEER } from "../fake_backend.ts";
import { startExchange } from "./exchange_peer.ts";
import { ManualClock } from "../../support/manual_clock.ts";

function tagged(tags: MessageTags, text: string, type: number = DataType.text): Uint8Array {
  return encodeTaggedMessage(tags, { type, payload: new TextEncoder().encode(text) });
}

function traced(type: number, payload: Uint8Array, sentNs: bigint): Uint8Array {
  const out = new Uint8Array(12 + payload.length);
  new DataView(out.buffer).setUint32(0, type);
  new DataView(out.buffer).setBigUint64(4, sentNs);
  out.set(payload, 12);
  return out;
}

Deno.test("a message with ids is stored with them and answered as the message alone", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  await peer.send(DataType.tagged, tagged({ messageId: "q.1", replyTo: "p:0" }, "hi"));
  assert.equal(await peer.answer(), "ACK TEXT 2 bytes");
  const [record] = await rig.inbox();
  assert.deepEqual(
    [record!["message_id"], record!["reply_to"], record!["data"], record!["type"]],
    ["q.1", "p:0", "hi", "TEXT"],
  );
  const data = rig.backend.events[0]!.data as Record<string, unknown>;
  assert.deepEqual([data["message_id"], data["reply_to"], data["size"]], ["q.1", "p:0", 2]);
});

Deno.test("a message that is sent again is stored once and acknowledged as a duplicate", async () => {
  await using rig = await startExchange();
  const [one, other] = [rig.connect(), rig.connect({ ...PEER, node: 77 })];
  const message = tagged({ messageId: "m" }, "x");
  await one.send(DataType.tagged, message);
  assert.equal(await one.answer(), "ACK TEXT 1 bytes");
  await one.send(DataType.tagged, message);
  assert.equal(await one.answer(), "ACK TEXT 1 bytes (duplicate)");
  await other.send(DataType.tagged, message);
  assert.equal(await other.answer(), "ACK TEXT 1 bytes", "the id of another sender");
  await one.send(DataType.tagged, tagged({ messageId: "m" }, "y"));
  assert.equal(await one.answer(), "ACK TEXT 1 bytes", "another message under the same id");
  assert.equal((await rig.inbox()).length, 3);
});

Deno.test("files, tagged messages and unknown types cannot be tagged, and the connection continues", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  for (const type of [DataType.file, DataType.tagged, 99]) {
    await peer.send(DataType.tagged, tagged({ messageId: "m" }, "x", type));
    assert.match(
      await peer.answer(),
      /^ERR TAGGED save failed: protocol_error: only messages can/,
    );
  }
  await peer.send(DataType.tagged, new Uint8Array(3));
  assert.match(await peer.answer(), /^ERR TAGGED save failed: /);
  await peer.send(DataType.tagged, tagged({ messageId: "m" }, "x"));
  assert.equal(await peer.answer(), "ACK TEXT 1 bytes");
});

for (const outer of ["TRACE", "TAGGED"] as const) {
  Deno.test(`a traced message in ${outer} is stored with its ids and answered with times in order`, async () => {
    await using rig = await startExchange();
    const peer = rig.connect();
    const sentNs = 1_700_000_000_123_456_789n;
    const text = new TextEncoder().encode("hey");
    if (outer === "TRACE") {
      const inner = encodeTaggedMessage({ messageId: "t" }, { type: DataType.text, payload: text });
      await peer.send(DataType.trace, traced(DataType.tagged, inner, sentNs));
    } else { // as v1.18 does
      const payload = traced(DataType.text, text, sentNs);
      await peer.send(
        DataType.tagged,
        encodeTaggedMessage({ messageId: "t" }, { type: DataType.trace, payload }),
      );
    }
    const frame = await peer.next();
    assert.equal(frame?.type, DataType.json);
    const answer = new TextDecoder().decode(frame.payload);
    const at = (key: string) => BigInt(new RegExp(`"${key}":(\\d+)`).exec(answer)![1]!);
    assert.equal(at("sent_at_ns"), sentNs);
    assert.ok(at("received_at_ns") <= at("inbox_written_at_ns"));
    assert.ok(at("inbox_written_at_ns") <= at("ack_sent_at_ns"));
    assert.equal(JSON.parse(answer).inner_ack, "ACK TEXT 3 bytes");
    const [record] = await rig.inbox();
    assert.deepEqual([record!["message_id"], record!["data"]], ["t", "hey"]);
  });
}

Deno.test("what is no message cannot be traced, however it is wrapped", async () => {
  await using rig = await startExchange();
  const peer = rig.connect();
  const file = traced(DataType.file, new Uint8Array(4), 1n);
  await peer.send(DataType.trace, file);
  assert.match(await peer.answer(), /^ERR TRACE save failed: protocol_error: only messages can/);
  const nested = encodeTaggedMessage({}, { type: DataType.trace, payload: file });
  await peer.send(DataType.tagged, nested);
  assert.match(await peer.answer(), /^ERR TAGGED save failed: protocol_error: only messages can/);
  await peer.send(DataType.trace, traced(DataType.tagged, nested, 1n));
  assert.match(await peer.answer(), /^ERR TRACE save failed: protocol_error: only messages can/);
});

Deno.test("an id is free again when storing failed, and while it is stored its duplicates wait", async () => {
  const recent = new RecentMessages(new ManualClock());
  const failing = Promise.withResolvers<void>();
  const first = recent.once(1, "a", () => failing.promise);
  const second = recent.once(1, "a", () => Promise.reject(new Error("not asked")));
  failing.reject(new Error("disk full"));
  await assert.rejects(first, /disk full/);
  await assert.rejects(second, /disk full/);
  assert.equal(await recent.once(1, "a", () => Promise.resolve()), true);
});

Deno.test("ids are forgotten after ten minutes, and a sender pushes out only its own", async () => {
  const clock = new ManualClock();
  const recent = new RecentMessages(clock);
  const once = (sender: number, id: string) => recent.once(sender, id, () => Promise.resolve());
  assert.equal(await once(1, "mine"), true);
  for (let i = 0; i < 2 * MAX_IDS_PER_SENDER; i++) await once(2, `${i}`);
  assert.equal(await once(1, "mine"), false);
  assert.equal(await once(2, "0"), true, "pushed out by its own");
  clock.advance(DUPLICATE_WINDOW_MS);
  assert.equal(await once(1, "mine"), true);
  for (let sender = 10; sender < 10 + MAX_ID_SENDERS; sender++) await once(sender, "x");
  assert.equal(await once(1, "mine"), true, "silent longest");
});
