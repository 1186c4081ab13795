import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, encodeText } from "../../../protocol/bytes.ts";
import {
  ackText,
  DATA_EXCHANGE_MAX_BYTES,
  DataExchangeReader,
  DataType,
  dataTypeName,
  decodeFile,
  encodeDataFrame,
  encodeDataHeader,
  encodeFileHeader,
  errText,
  isPlainFileName,
  parseAnswer,
} from "../../../protocol/service/data_exchange.ts";
import {
  assertChunking,
  assertDecodeError,
  assertTotal,
  bytes,
  cutsOf,
  decoded,
  drain,
  hex,
  record,
  throwsPilot,
  toHex,
  u32,
} from "../support.ts";

const fileName = fc.string({ unit: "grapheme", maxLength: 40 }).filter(isPlainFileName);

Deno.test("encodeDataFrame writes type, length, payload", () => {
  assert.equal(toHex(encodeDataFrame(DataType.text, encodeText("hi"))), "00000001000000026869");
});

Deno.test("DataExchangeReader gives back what encodeDataFrame wrote, however it is cut", () => {
  const frame = record({ type: u32, payload: bytes });
  fc.assert(fc.property(fc.array(frame, { maxLength: 5 }), (frames) => {
    const wire = concatBytes(...frames.map((f) => encodeDataFrame(f.type, f.payload)));
    const reader = new DataExchangeReader();
    reader.push(wire);
    assert.deepEqual(drain(reader), frames);
    fc.assert(
      fc.property(
        cutsOf(wire.length),
        (cuts) => assertChunking(() => new DataExchangeReader(), wire, cuts, 72),
      ),
      { numRuns: 4 },
    );
  }));
});

Deno.test("DataExchangeReader refuses frames above its limit as soon as the length is known", () => {
  const reader = new DataExchangeReader();
  reader.push(encodeDataHeader(DataType.binary, DATA_EXCHANGE_MAX_BYTES));
  assert.equal(reader.next(), undefined);
  assert.ok(reader.bufferedBytes <= 8);
  const strict = new DataExchangeReader({ maxPayloadBytes: 10 });
  strict.push(encodeDataHeader(DataType.binary, 11));
  assertDecodeError(strict.next(), "too_long");
  const whole = new DataExchangeReader();
  whole.push(hex("0000000101000001"));
  assertDecodeError(whole.next(), "too_long");
});

Deno.test("encodeDataHeader refuses more than 16 MiB", () => {
  throwsPilot(
    () => encodeDataHeader(DataType.binary, DATA_EXCHANGE_MAX_BYTES + 1),
    "limit_exceeded",
  );
  throwsPilot(() => encodeFileHeader("a", DATA_EXCHANGE_MAX_BYTES), "limit_exceeded");
});

Deno.test("decodeFile gives back name and content", () => {
  fc.assert(fc.property(fileName, bytes, (name, data) => {
    const wire = concatBytes(encodeFileHeader(name, data.length), data);
    const reader = new DataExchangeReader();
    reader.push(wire);
    const frame = reader.next();
    assert.ok(frame !== undefined && "payload" in frame);
    assert.equal(frame.type, DataType.file);
    const file = decoded(decodeFile(frame.payload));
    assert.deepEqual({ name: file.name, data: file.data.slice() }, { name, data });
    assert.equal(reader.next(), undefined);
  }));
  assert.equal(toHex(encodeFileHeader("a.txt", 3)), "000000040000000a0005612e747874");
});

Deno.test("decodeFile is total and never gives a name that leaves the directory", () => {
  const valid = [hex("0005612e747874ffee"), hex("00032e2e2f41"), hex("0000"), hex("00")];
  assertTotal(decodeFile, ...valid);
  fc.assert(fc.property(bytes, fc.nat({ max: 20 }), (name, extra) => {
    const payload = concatBytes(new Uint8Array([0, name.length]), name, new Uint8Array(extra));
    const file = decodeFile(payload);
    if ("name" in file && file.name !== "") assert.ok(isPlainFileName(file.name));
  }));
});

Deno.test("decodeFile refuses paths and long names and keeps a payload without name whole", () => {
  const withName = (name: string) => {
    const wire = encodeText(name);
    return decodeFile(
      concatBytes(new Uint8Array([wire.length >> 8, wire.length]), wire, hex("01")),
    );
  };
  for (const name of ["..", ".", "a/b", "a\\b", "../a", "a\0b", "a\nb"]) {
    assertDecodeError(withName(name), "malformed");
  }
  assertDecodeError(withName("x".repeat(256)), "too_long");
  assert.equal(decoded(withName("a..b.txt")).name, "a..b.txt");
  for (const wire of ["", "00", "0000ff", "0009ff"]) {
    assert.deepEqual(decodeFile(hex(wire)), { name: "", data: hex(wire) });
  }
});

Deno.test("a file name has at most 255 bytes, a payload of two is one without a name", () => {
  for (const name of ["n".repeat(255), "é".repeat(127) + "x"]) {
    assert.equal(isPlainFileName(name), true);
    const header = encodeFileHeader(name, 1);
    const payload = concatBytes(header.subarray(8), Uint8Array.of(9));
    assert.deepEqual(decodeFile(payload), { name, data: Uint8Array.of(9) });
  }
  assert.equal(isPlainFileName("n".repeat(256)), false);
  assert.equal(isPlainFileName("é".repeat(128)), false);
  assertDecodeError(decodeFile(hex("0100")), "too_long");
  assert.deepEqual(decodeFile(hex("0000")), { name: "", data: hex("0000") });
  assert.deepEqual(decodeFile(hex("00")), { name: "", data: hex("00") });
});

Deno.test("encodeFileHeader refuses names that a reader would refuse", () => {
  for (const name of ["", "..", "a/b", "x".repeat(256), "é".repeat(128)]) {
    throwsPilot(() => encodeFileHeader(name, 1), "invalid_argument");
  }
});

Deno.test("answers read back as they were written", () => {
  assert.equal(ackText(DataType.file, 12), "ACK FILE 12 bytes");
  assert.equal(errText(DataType.json, "disk full"), "ERR JSON save failed: disk full");
  assert.equal(dataTypeName(9), "UNKNOWN(9)");
  assert.deepEqual(parseAnswer("ACK TEXT 5 bytes"), {
    ok: true,
    typeName: "TEXT",
    bytes: 5,
    text: "ACK TEXT 5 bytes",
  });
  assert.deepEqual(parseAnswer("ACK TEXT 5 bytes (duplicate)").ok, true);
  const failed = parseAnswer(errText(DataType.text, "quota"));
  assert.deepEqual([failed.ok, failed.typeName, failed.bytes], [false, "TEXT", undefined]);
  assert.deepEqual(parseAnswer("what?"), { ok: false, typeName: "", text: "what?" });
});
