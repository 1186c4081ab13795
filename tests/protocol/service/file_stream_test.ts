import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, EMPTY } from "../../../protocol/bytes.ts";
import { encodeDataFrame, isPlainFileName } from "../../../protocol/service/data_exchange.ts";
import {
  decodeFileStream,
  encodeFileChunkHeader,
  encodeFileStream,
  type FileStreamMessage,
} from "../../../protocol/service/file_stream.ts";
import {
  assertDecodeError,
  assertTotal,
  bytes,
  hex,
  record,
  throwsPilot,
  toHex,
  u32,
} from "../support.ts";

// cspell:ignore aabbcc

const transferId = fc.uint8Array({ minLength: 16, maxLength: 16 });
const size = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const message: fc.Arbitrary<FileStreamMessage> = fc.oneof(
  record({
    kind: fc.constant("init" as const),
    transferId,
    size,
    sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    chunkBytes: u32,
    name: fc.string({ unit: "grapheme", maxLength: 30 }).filter(isPlainFileName),
  }),
  record({ kind: fc.constant("chunk" as const), transferId, offset: size, data: bytes }),
  record({ kind: fc.constantFrom("ack" as const, "init_ack" as const), transferId, offset: size }),
  record({ kind: fc.constant("done" as const), transferId }),
  record({ kind: fc.constant("complete" as const), transferId, ok: fc.boolean(), text }),
  record({ kind: fc.constant("abort" as const), transferId, text }),
);

const ID = "000102030405060708090a0b0c0d0e0f";

Deno.test("decodeFileStream gives back what encodeFileStream wrote", () => {
  fc.assert(fc.property(message, (value) => {
    assert.deepEqual(decodeFileStream(encodeFileStream(value)), value);
  }));
});

Deno.test("encodeFileStream writes the layout of the reference", () => {
  const id = hex(ID);
  const init = encodeFileStream({
    kind: "init",
    transferId: id,
    size: 0x100000001,
    sha256: new Uint8Array(32).fill(0xab),
    chunkBytes: 49152,
    name: "a.b",
  });
  assert.equal(
    toHex(init),
    "01" + ID + "0000000100000001" + "ab".repeat(32) + "0000c000" + "0003612e62",
  );
  const complete: FileStreamMessage = { kind: "complete", transferId: id, ok: false, text: "no" };
  assert.equal(toHex(encodeFileStream(complete)), "06" + ID + "01" + "6e6f");
});

Deno.test("encodeFileChunkHeader and its data make the frame of a chunk", () => {
  const data = hex("aabbcc");
  const whole = encodeDataFrame(
    7,
    encodeFileStream({ kind: "chunk", transferId: hex(ID), offset: 9, data }),
  );
  const header = encodeFileChunkHeader(hex(ID), 9, data.length);
  assert.equal(header.length, 33);
  assert.deepEqual(concatBytes(header, data), whole);
});

Deno.test("decodeFileStream is total", () => {
  const samples = fc.sample(message, { numRuns: 20, seed: 3 }).map(encodeFileStream);
  assertTotal(decodeFileStream, ...samples);
});

Deno.test("decodeFileStream refuses unknown kinds, paths and sizes above 2^53", () => {
  assertDecodeError(decodeFileStream(hex("08" + ID)), "unknown_type");
  assertDecodeError(decodeFileStream(hex("04" + ID.slice(2))), "too_short");
  assertDecodeError(decodeFileStream(hex("03" + ID + "0020000000000000")), "too_long");
  const init = "01" + ID + "0000000000000001" + "ab".repeat(32) + "0000c000";
  assertDecodeError(decodeFileStream(hex(init + "00042e2e2f61")), "malformed");
  assertDecodeError(decodeFileStream(hex(init + "0000")), "malformed");
  const huge = init.replace("0000000000000001", "0020000000000000");
  assertDecodeError(decodeFileStream(hex(huge + "000161")), "too_long");
  assertDecodeError(decodeFileStream(hex(init + "0005aa")), "too_short");
});

Deno.test("encodeFileStream refuses wrong ids, hashes and names", () => {
  throwsPilot(() => encodeFileStream({ kind: "done", transferId: EMPTY }), "invalid_argument");
  const init = { kind: "init" as const, transferId: hex(ID), size: 1, chunkBytes: 1 };
  throwsPilot(() => encodeFileStream({ ...init, sha256: EMPTY, name: "a" }), "invalid_argument");
  throwsPilot(
    () => encodeFileStream({ ...init, sha256: new Uint8Array(32), name: "a/b" }),
    "invalid_argument",
  );
});

Deno.test("decodeFileStream takes sizes and offsets up to 2^53-1", () => {
  const id = hex(ID);
  const most = Number.MAX_SAFE_INTEGER;
  const sha256 = new Uint8Array(32);
  const messages: FileStreamMessage[] = [
    { kind: "init", transferId: id, size: most, sha256, chunkBytes: 1, name: "a" },
    { kind: "chunk", transferId: id, offset: most, data: EMPTY },
    { kind: "ack", transferId: id, offset: most },
    { kind: "init_ack", transferId: id, offset: most },
  ];
  for (const value of messages) {
    const wire = encodeFileStream(value);
    assert.deepEqual(decodeFileStream(wire), value);
    const above = toHex(wire).replace("001fffffffffffff", "0020000000000000");
    assertDecodeError(decodeFileStream(hex(above)), "too_long");
  }
});
