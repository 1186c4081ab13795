import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../protocol/byte_cursor.ts";
import {
  ByteQueue,
  concatBytes,
  decodeJson,
  decodeText,
  encodeJson,
  encodeText,
} from "../../protocol/bytes.ts";
import { assertDecodeError, assertTotal, bytes, hex, text, toHex } from "./support.ts";

Deno.test("decodeText gives back what encodeText wrote and refuses other bytes", () => {
  fc.assert(fc.property(text, (value) => {
    fc.pre(value.isWellFormed());
    assert.equal(decodeText(encodeText(value)), value);
  }));
  assert.equal(decodeText(hex("efbbbf61")), "\ufeffa");
  assertDecodeError(decodeText(hex("ff")), "malformed");
  assertTotal(decodeText, encodeText("añ€😀"));
});

Deno.test("decodeJson gives back what encodeJson wrote and refuses other bytes", () => {
  fc.assert(fc.property(fc.json(), (json) => {
    assert.deepEqual(decodeJson(encodeJson(JSON.parse(json))), JSON.parse(json));
  }));
  assert.equal(toHex(encodeJson(undefined)), toHex(encodeText("null")));
  assertDecodeError(decodeJson(encodeText("{")), "malformed");
  assertTotal(decodeJson, encodeText('{"a":[1,2,{"b":null}]}'));
});

Deno.test("decodeJson survives a megabyte of nesting", () => {
  const deep = encodeText("[".repeat(1 << 20));
  assertDecodeError(decodeJson(deep), "malformed");
});

Deno.test("ByteQueue gives back the bytes in order, whatever was pushed, taken and owned", () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant("push" as const), chunk: bytes }),
    fc.record({ op: fc.constant("take" as const), count: fc.nat({ max: 100 }) }),
    fc.record({ op: fc.constant("own" as const), need: fc.nat({ max: 400 }) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, isReusing) => {
    const queue = new ByteQueue(isReusing);
    const taken: [Uint8Array, Uint8Array][] = [];
    let model: Uint8Array = new Uint8Array(0);
    let borrowed: Uint8Array[] = [];
    for (const item of steps) {
      if (item.op === "push") {
        const chunk = item.chunk.slice();
        queue.push(chunk);
        borrowed.push(chunk);
        model = concatBytes(model, chunk);
      } else if (item.op === "take") {
        const count = Math.min(item.count, model.length);
        taken.push([queue.take(count).slice(), model.slice(0, count)]);
        model = model.slice(count);
      } else {
        queue.own(item.need);
        for (const chunk of borrowed) chunk.fill(0xee);
        borrowed = [];
      }
      assert.equal(queue.length, model.length);
      for (let i = 0; i + 4 <= model.length; i += 3) {
        assert.equal(queue.peek(i, 4), new DataView(model.buffer).getUint32(i));
      }
    }
    for (const [actual, expected] of taken) assert.deepEqual(actual, expected);
  }));
});

Deno.test("ByteQueue never writes into bytes that it gave out", () => {
  const step = fc.tuple(bytes, fc.nat({ max: 80 }), fc.boolean());
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const queue = new ByteQueue();
    const given: [Uint8Array, Uint8Array][] = [];
    for (const [chunk, count, own] of steps) {
      queue.push(chunk);
      const view = queue.take(Math.min(count, queue.length));
      given.push([view, view.slice()]);
      if (own) queue.own(200);
      for (const [now, then] of given) assert.deepEqual(now.slice(), then);
    }
  }));
});

Deno.test("ByteQueue that reuses buffers makes no new one for each frame of a size that comes in pieces", () => {
  const queue = new ByteQueue(true);
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100; i++) {
    queue.push(new Uint8Array(600).fill(i));
    queue.own(1000);
    queue.push(new Uint8Array(400).fill(i));
    const frame = queue.take(1000);
    assert.ok(frame.every((byte) => byte === i));
    buffers.add(frame.buffer);
  }
  assert.equal(buffers.size, 1);
});

Deno.test("ByteQueue gives a view when the bytes lie in one chunk", () => {
  const queue = new ByteQueue();
  const chunk = hex("0102030405");
  queue.push(chunk);
  assert.equal(queue.take(2).buffer, chunk.buffer);
  assert.equal(queue.take(3).buffer, chunk.buffer);
  assert.equal(queue.take(0).length, 0);
});

Deno.test("ByteReader reads back what ByteWriter wrote", () => {
  const u = (max: number) => fc.integer({ min: 0, max });
  const i64 = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(u(255), u(65535), u(0xffffffff), fc.integer(), i64, bytes, (a, b, c, d, e, raw) => {
      const wire = new ByteWriter().u8(a).u16(b).u32(c).u32(d).u64(e).raw(raw).finish();
      const reader = new ByteReader(wire);
      assert.deepEqual(
        [reader.u8(), reader.u16(), reader.u32(), reader.i32(), reader.i64()],
        [a, b, c, d, e],
      );
      assert.deepEqual(reader.rest(), raw);
      assert.equal(reader.failed, false);
    }),
  );
});

Deno.test("ByteReader fails for good when a read passes the end", () => {
  const reader = new ByteReader(hex("010203"));
  assert.equal(reader.u16(), 0x0102);
  assert.equal(reader.u32(), 0);
  assert.equal(reader.failed, true);
  assert.equal(reader.u8(), 0);
  assert.equal(reader.rest().length, 0);
});

Deno.test("ByteQueue that reuses buffers gives memory back when it grows and when it is cleared", () => {
  for (const isReusing of [true, false]) {
    const queue = new ByteQueue(isReusing);
    const buffers: ArrayBufferLike[] = [];
    const see = () => {
      const view = queue.take(1); // of the own buffer
      buffers.push(view.buffer);
    };
    queue.push(new Uint8Array(1_000));
    queue.own(1_000_000);
    see();
    queue.push(new Uint8Array(100_000));
    queue.own(1_000_000);
    see();
    assert.notEqual(buffers[0], buffers[1]);
    const sizes = () => buffers.map(({ byteLength }) => byteLength > 0);
    assert.deepEqual(sizes(), [!isReusing, true]);
    queue.clear();
    assert.deepEqual(sizes(), [!isReusing, !isReusing]);
    assert.equal(queue.length, 0);
    queue.push(Uint8Array.of(7));
    assert.deepEqual(queue.take(1), Uint8Array.of(7));
  }
});
