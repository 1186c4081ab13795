import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, encodeText } from "../../../protocol/bytes.ts";
import {
  encodeEvent,
  encodeEventHeader,
  EventStreamReader,
  MAX_EVENT_BYTES,
  MAX_TOPIC_BYTES,
} from "../../../protocol/service/event_stream.ts";
import {
  assertChunking,
  assertDecodeError,
  bytes,
  cutsOf,
  drain,
  hex,
  hostile,
  record,
  throwsPilot,
  toHex,
} from "../support.ts";

const topic = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const event = record({ topic, payload: bytes });

Deno.test("encodeEvent writes topic and payload with their lengths", () => {
  assert.equal(
    toHex(encodeEvent({ topic: "ab", payload: hex("ff") })),
    "0002616200000001ff",
  );
});

Deno.test("EventStreamReader gives back what encodeEvent wrote, however it is cut", () => {
  fc.assert(fc.property(fc.array(event, { maxLength: 5 }), (events) => {
    const wires = events.map(encodeEvent);
    const wire = concatBytes(...wires);
    const limit = Math.max(0, ...wires.map((one) => one.length));
    const reader = new EventStreamReader();
    reader.push(wire);
    assert.deepEqual(drain(reader), events);
    fc.assert(
      fc.property(
        cutsOf(wire.length),
        (cuts) => assertChunking(() => new EventStreamReader(), wire, cuts, limit),
      ),
      { numRuns: 4 },
    );
  }));
});

Deno.test("EventStreamReader gives events or an error, the same however cut, when fed hostile bytes", () => {
  const valid = encodeEvent({ topic: "sensor/1", payload: encodeText("21.5") });
  fc.assert(fc.property(hostile(valid, concatBytes(valid, valid)), (wire) => {
    const every = Array.from({ length: Math.max(0, wire.length - 1) }, (_, i) => i + 1);
    assertChunking(() => new EventStreamReader(), wire, every, wire.length);
  }));
});

Deno.test("EventStreamReader refuses long topics, long payloads and topics that are not UTF-8", () => {
  const read = (wire: string, options = {}) => {
    const reader = new EventStreamReader(options);
    reader.push(hex(wire));
    return reader.next();
  };
  assertDecodeError(read("0401"), "too_long");
  assert.equal(read("0400"), undefined, "the longest topic may follow");
  assertDecodeError(read("00016101000001"), "too_long");
  assertDecodeError(read("0001610000000b", { maxPayloadBytes: 10 }), "too_long");
  assertDecodeError(read("0001ff00000000"), "malformed");
  assert.equal(read("00016101000000"), undefined);
});

Deno.test("encodeEventHeader refuses what a reader would refuse", () => {
  throwsPilot(() => encodeEventHeader("x".repeat(MAX_TOPIC_BYTES + 1), 0), "invalid_argument");
  throwsPilot(() => encodeEventHeader("x", MAX_EVENT_BYTES + 1), "limit_exceeded");
  assert.equal(encodeEventHeader("x".repeat(MAX_TOPIC_BYTES), MAX_EVENT_BYTES).length, 1030);
});
