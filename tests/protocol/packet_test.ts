import assert from "node:assert/strict";
import fc from "fast-check";
import {
  ACK,
  decodePacket,
  encodePacket,
  encodePacketInto,
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type Packet,
  PROTO_STREAM,
  SYN,
} from "../../protocol/packet.ts";
import {
  assertDecodeError,
  assertTotal,
  bytes,
  decoded,
  hex,
  record,
  throwsPilot,
  toHex,
  u16,
  u32,
} from "./support.ts";

const DATA = "12010005000000000005000000000007c000000700000001000000010200808cddbc68656c6c6f";
const OPEN = "11010000000200010203000200000007c00101bc00000000000000000200ee0e2d6d";

const hello: Packet = {
  flags: ACK,
  protocol: PROTO_STREAM,
  srcNetwork: 0,
  srcNode: 5,
  dstNetwork: 0,
  dstNode: 7,
  srcPort: 49152,
  dstPort: 7,
  seq: 1,
  ack: 1,
  window: 512,
  payload: new TextEncoder().encode("hello"),
};
const open: Packet = {
  flags: SYN,
  protocol: PROTO_STREAM,
  srcNetwork: 2,
  srcNode: 0x00010203,
  dstNetwork: 2,
  dstNode: 7,
  srcPort: 49153,
  dstPort: 444,
  seq: 0,
  ack: 0,
  window: 512,
  payload: new Uint8Array(0),
};

const packet: fc.Arbitrary<Packet> = record({
  flags: fc.nat({ max: 15 }),
  protocol: fc.nat({ max: 255 }),
  srcNetwork: u16,
  srcNode: u32,
  dstNetwork: u16,
  dstNode: u32,
  srcPort: u16,
  dstPort: u16,
  seq: u32,
  ack: u32,
  window: u16,
  payload: bytes,
});

Deno.test("encodePacket writes the vectors of the reference", () => {
  assert.equal(toHex(encodePacket(hello)), DATA);
  assert.equal(toHex(encodePacket(open)), OPEN);
});

Deno.test("decodePacket reads the vectors of the reference", () => {
  assert.deepEqual(decodePacket(hex(DATA)), hello);
  assert.deepEqual(decodePacket(hex(OPEN)), open);
});

Deno.test("decodePacket gives back what encodePacket wrote", () => {
  fc.assert(fc.property(packet, (value) => {
    assert.deepEqual(decodePacket(encodePacket(value)), value);
  }));
});

Deno.test("encodePacketInto writes at an offset and leaves the rest alone", () => {
  fc.assert(fc.property(packet, fc.nat({ max: 20 }), (value, offset) => {
    const size = HEADER_BYTES + value.payload.length;
    const out = new Uint8Array(offset + size + 7).fill(0x5a);
    assert.equal(encodePacketInto(value, out, offset), size);
    assert.deepEqual(out.slice(offset, offset + size), encodePacket(value));
    assert.ok(out.subarray(0, offset).every((byte) => byte === 0x5a));
    assert.ok(out.subarray(offset + size).every((byte) => byte === 0x5a));
  }));
});

Deno.test("decodePacket ignores bytes after the payload and returns a view", () => {
  const wire = hex(DATA + "ffff");
  const value = decoded(decodePacket(wire));
  assert.deepEqual(value, hello);
  assert.equal(value.payload.buffer, wire.buffer);
});

Deno.test("decodePacket checks length, truncation, checksum and version in this order", () => {
  assertDecodeError(decodePacket(hex(DATA).subarray(0, 33)), "too_short");
  assertDecodeError(decodePacket(hex(DATA).subarray(0, 38)), "truncated");
  const flipped = hex(DATA);
  flipped[0] = 0x22;
  assertDecodeError(decodePacket(flipped), "checksum");
  // Version 2 with a checksum that fits, computed over a header of version 2.
  const other = hex(OPEN);
  other[0] = 0x21;
  other.fill(0, 30, 34);
  const crc = crc32(other);
  new DataView(other.buffer).setUint32(30, crc);
  assertDecodeError(decodePacket(other), "version");
});

/** Bit-wise CRC-32, an oracle independent of the one in the codec. */
function crc32(input: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of input) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

Deno.test("decodePacket finds every single-bit error", () => {
  const wire = hex(DATA);
  for (let bit = 0; bit < wire.length * 8; bit++) {
    const broken = wire.slice();
    broken[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok("kind" in decodePacket(broken), `bit ${bit}`);
  }
});

Deno.test("decodePacket is total", () => {
  assertTotal(decodePacket, hex(DATA), hex(OPEN));
});

Deno.test("encodePacket takes the largest payload and refuses one byte more", () => {
  const largest = { ...hello, payload: new Uint8Array(MAX_PAYLOAD_BYTES) };
  assert.equal(decoded(decodePacket(encodePacket(largest))).payload.length, MAX_PAYLOAD_BYTES);
  const tooLarge = { ...hello, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) };
  throwsPilot(() => encodePacket(tooLarge), "invalid_argument");
  throwsPilot(() => encodePacketInto(hello, new Uint8Array(38)), "invalid_argument");
});
