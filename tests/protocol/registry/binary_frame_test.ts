import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes, encodeText } from "../../../protocol/bytes.ts";
import type { DecodeError } from "../../../protocol/errors.ts";
import * as registry from "../../../protocol/registry/registry_message.ts";
import {
  assertChunking,
  assertDecodeError,
  assertTotal,
  bytes,
  cutsOf,
  drain,
  hex,
  record,
  throwsPilot,
  toHex,
  u16,
  u32,
} from "../support.ts";

const KEY = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const LOOKUP_OK = "0000002a03fffffffb00020000000320" + KEY + "05616c706861" + "02026d6c03677075" +
  "000c312e322e332e343a34303030" + "00";
const RESOLVE_OK = "0000002a000c312e322e332e343a343030300001000d31302e302e302e353a3430303000000003";

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed());
const signature = fc.uint8Array({ minLength: 64, maxLength: 64 });
const lookupOk = record<registry.BinaryLookupOk>({
  node: u32,
  public: fc.boolean(),
  taskExec: fc.boolean(),
  poloScore: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
  networks: fc.array(u16),
  publicKey: fc.uint8Array({ maxLength: 40 }),
  hostname: text,
  tags: fc.array(text),
  realAddr: text,
  externalId: text,
});
const resolveShort = { node: u32, realAddr: text, lanAddrs: fc.array(text), keyAgeDays: u32 };
const resolveOk: fc.Arbitrary<registry.BinaryResolveOk> = fc.oneof(
  record(resolveShort),
  record({ ...resolveShort, publicKey: fc.uint8Array({ maxLength: 40 }) }),
);

function pair<T>(
  arbitrary: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (payload: Uint8Array) => T | DecodeError,
): void {
  fc.assert(fc.property(arbitrary, (value) => {
    assert.deepEqual(decode(encode(value)), value);
  }));
  assertTotal(decode, ...fc.sample(arbitrary, { numRuns: 4, seed: 7 }).map(encode));
}

Deno.test("binary payload codecs are inverse and total", () => {
  pair(
    record({ node: u32, signature }),
    registry.encodeBinaryHeartbeat,
    registry.decodeBinaryHeartbeat,
  );
  pair(
    record({
      time: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
      keyExpiryWarning: fc.boolean(),
    }),
    registry.encodeBinaryHeartbeatOk,
    registry.decodeBinaryHeartbeatOk,
  );
  pair(u32, registry.encodeBinaryLookup, registry.decodeBinaryLookup);
  pair(lookupOk, registry.encodeBinaryLookupOk, registry.decodeBinaryLookupOk);
  pair(
    record({ node: u32, requester: u32, signature }),
    registry.encodeBinaryResolve,
    registry.decodeBinaryResolve,
  );
  pair(resolveOk, registry.encodeBinaryResolveOk, registry.decodeBinaryResolveOk);
  pair(text, registry.encodeBinaryError, registry.decodeBinaryError);
});

Deno.test("binary frames have the bytes of the reference", () => {
  const { BinaryType, encodeBinaryFrame } = registry;
  const heartbeat = encodeBinaryFrame(
    BinaryType.heartbeat,
    registry.encodeBinaryHeartbeat({ node: 42, signature: new Uint8Array(64) }),
  );
  assert.equal(toHex(heartbeat), "00000045010000002a" + "00".repeat(64));
  assert.equal(
    toHex(encodeBinaryFrame(
      BinaryType.heartbeatOk,
      registry.encodeBinaryHeartbeatOk({ time: 1700000000, keyExpiryWarning: true }),
    )),
    "0000000a81000000006553f10001",
  );
  assert.equal(
    toHex(encodeBinaryFrame(BinaryType.lookup, registry.encodeBinaryLookup(42))),
    "00000005020000002a",
  );
  assert.equal(
    toHex(encodeBinaryFrame(BinaryType.error, registry.encodeBinaryError("node 9: not found"))),
    "00000014ff00116e6f646520393a206e6f7420666f756e64",
  );
  assert.equal(toHex(registry.BINARY_PREAMBLE), "50494c5401");
});

Deno.test("lookup and resolve replies have the bytes of the reference", () => {
  const lookup: registry.BinaryLookupOk = {
    node: 42,
    public: true,
    taskExec: true,
    poloScore: -5,
    networks: [0, 3],
    publicKey: hex(KEY),
    hostname: "alpha",
    tags: ["ml", "gpu"],
    realAddr: "1.2.3.4:4000",
    externalId: "",
  };
  assert.equal(toHex(registry.encodeBinaryLookupOk(lookup)), LOOKUP_OK);
  assert.deepEqual(registry.decodeBinaryLookupOk(hex(LOOKUP_OK)), lookup);
  const resolve = {
    node: 42,
    realAddr: "1.2.3.4:4000",
    lanAddrs: ["10.0.0.5:4000"],
    keyAgeDays: 3,
  };
  const longForm = { ...resolve, publicKey: hex(KEY) };
  assert.equal(toHex(registry.encodeBinaryResolveOk(resolve)), RESOLVE_OK);
  assert.equal(toHex(registry.encodeBinaryResolveOk(longForm)), RESOLVE_OK + "20" + KEY);
  assert.deepEqual(registry.decodeBinaryResolveOk(hex(RESOLVE_OK)), resolve);
  assert.deepEqual(registry.decodeBinaryResolveOk(hex(RESOLVE_OK + "20" + KEY)), longForm);
});

Deno.test("encodeBinaryLookupOk cuts texts and lists to what their lengths can say", () => {
  const result = registry.decodeBinaryLookupOk(registry.encodeBinaryLookupOk({
    node: 1,
    public: false,
    taskExec: false,
    poloScore: 0,
    networks: new Array<number>(2000).fill(1),
    publicKey: new Uint8Array(300),
    hostname: "é".repeat(200),
    tags: new Array<string>(300).fill("t"),
    realAddr: "x".repeat(70000),
    externalId: "y".repeat(256),
  }));
  assert.ok("node" in result);
  assert.deepEqual(
    [result.networks.length, result.publicKey.length, result.hostname, result.tags.length],
    [1024, 255, "é".repeat(127), 255],
  );
  assert.deepEqual([result.realAddr.length, result.externalId.length], [65535, 255]);
});

Deno.test("decoders refuse lists above 1024", () => {
  assertDecodeError(registry.decodeBinaryLookupOk(hex("0000002a00000000000401")), "too_long");
  assertDecodeError(registry.decodeBinaryResolveOk(hex("0000002a00000401")), "too_long");
});

Deno.test("decodeBinaryError is lenient as in the reference", () => {
  assert.equal(registry.decodeBinaryError(hex("00")), "unknown error");
  assert.equal(registry.decodeBinaryError(hex("00ff6f6b")), "ok");
  assert.equal(registry.decodeBinaryError(hex("0001ff")), "unknown error");
  assert.equal(registry.encodeBinaryError("z".repeat(70000)).length, 65002);
});

Deno.test("BinaryFrameReader gives back what encodeBinaryFrame wrote, however it is cut", () => {
  const frame = record({ type: fc.nat({ max: 255 }), payload: bytes });
  fc.assert(fc.property(fc.array(frame, { maxLength: 5 }), (frames) => {
    const wire = concatBytes(...frames.map((f) => registry.encodeBinaryFrame(f.type, f.payload)));
    const reader = new registry.BinaryFrameReader();
    reader.push(wire);
    assert.deepEqual(drain(reader), frames);
    fc.assert(
      fc.property(
        cutsOf(wire.length),
        (cuts) => assertChunking(() => new registry.BinaryFrameReader(), wire, cuts, 70),
      ),
      { numRuns: 4 },
    );
  }));
});

Deno.test("BinaryFrameReader ends when a frame has no type or is too long", () => {
  for (const [wire, kind] of [["00000000", "malformed"], ["00400001", "too_long"]] as const) {
    const reader = new registry.BinaryFrameReader();
    reader.push(hex(wire));
    assertDecodeError(reader.next(), kind);
  }
});

Deno.test("binary encoders refuse wrong signatures and frames above 4 MiB", () => {
  const bad = { node: 1, requester: 2, signature: encodeText("short") };
  throwsPilot(() => registry.encodeBinaryHeartbeat(bad), "invalid_argument");
  throwsPilot(() => registry.encodeBinaryResolve(bad), "invalid_argument");
  const tooLong = new Uint8Array(registry.REGISTRY_MAX_FRAME_BYTES);
  throwsPilot(() => registry.encodeBinaryFrame(0, tooLong), "limit_exceeded");
  const longest = registry.encodeBinaryFrame(0, tooLong.subarray(1));
  assert.equal(longest.length, 4 + registry.REGISTRY_MAX_FRAME_BYTES);
});

Deno.test("a resolve reply lists up to 1024 addresses, and one that claims more is refused", () => {
  const lanAddrs = Array.from({ length: 1024 }, (_, i) => `10.0.0.1:${i}`);
  const reply = { node: 7, realAddr: "192.0.2.1:4000", lanAddrs, keyAgeDays: 1 };
  const wire = registry.encodeBinaryResolveOk(reply);
  assert.deepEqual(registry.decodeBinaryResolveOk(wire), reply);
  const countAt = 4 + 2 + reply.realAddr.length;
  assert.equal(new DataView(wire.buffer, wire.byteOffset).getUint16(countAt), 1024);
  new DataView(wire.buffer, wire.byteOffset).setUint16(countAt, 1025);
  assertDecodeError(registry.decodeBinaryResolveOk(wire), "too_long");
});
