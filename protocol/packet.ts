/**
 * The Pilot packet: a 34-byte header and a payload (docs/protocol/tunnel.md §2).
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { wholeViewOf } from "./bytes.ts";
import { type Decoded, DecodeError, PilotError } from "./errors.ts";

/** Bytes of the packet header. */
export const HEADER_BYTES = 34;
/** Largest payload the 16-bit length field can say. */
export const MAX_PAYLOAD_BYTES = 0xffff;
/** Protocol version in the high nibble of the first byte. */
export const PACKET_VERSION = 1;

/** Flag bit: open. */
export const SYN = 1;
/** Flag bit: the ack field is meaningful. */
export const ACK = 2;
/** Flag bit: close. */
export const FIN = 4;
/** Flag bit: reset. */
export const RST = 8;

/** Protocol number of reliable streams. */
export const PROTO_STREAM = 1;
/** Protocol number of datagrams. */
export const PROTO_DATAGRAM = 2;
/** Protocol number of control packets (ping, keepalive, path probes). */
export const PROTO_CONTROL = 3;

/** One packet. `payload` may be a view of a buffer that is reused: copy what is kept. */
export interface Packet {
  /** Any combination of {@linkcode SYN}, {@linkcode ACK}, {@linkcode FIN}, {@linkcode RST}. */
  flags: number;
  /** One of the `PROTO_*` numbers, or an unknown one. */
  protocol: number;
  /** Source network. */
  srcNetwork: number;
  /** Source node. */
  srcNode: number;
  /** Destination network. */
  dstNetwork: number;
  /** Destination node. */
  dstNode: number;
  /** Source port. */
  srcPort: number;
  /** Destination port. */
  dstPort: number;
  /** Sequence number, unsigned 32 bit. */
  seq: number;
  /** Acknowledgement number, unsigned 32 bit. */
  ack: number;
  /** Receive window in segments. */
  window: number;
  /** The payload. */
  payload: Uint8Array;
}

const TOO_SHORT = new DecodeError("too_short", "packet too short");
const TRUNCATED = new DecodeError("truncated", "packet truncated");
const CHECKSUM = new DecodeError("checksum", "checksum mismatch");
const VERSION = new DecodeError("version", "unsupported version");

const CHECKSUM_OFFSET = 30;

/**
 * Decodes one packet. Bytes after the payload are ignored.
 *
 * @param bytes The packet, starting at its header. Unchanged afterwards, but written to meanwhile: the checksum is
 * computed over header and payload with its own field as zero.
 * @returns The packet, its payload a view of `bytes`; or a {@linkcode DecodeError}, checked in the order
 * length, truncation, checksum, version.
 */
export function decodePacket(bytes: Uint8Array): Decoded<Packet> {
  if (bytes.length < HEADER_BYTES) return TOO_SHORT;
  const view = wholeViewOf(bytes);
  const at = bytes.byteOffset;
  const end = HEADER_BYTES + view.getUint16(at + 2);
  if (end > bytes.length) return TRUNCATED;
  const claimed = view.getUint32(at + CHECKSUM_OFFSET);
  view.setUint32(at + CHECKSUM_OFFSET, 0);
  const sum = crc32(end === bytes.length ? bytes : bytes.subarray(0, end));
  view.setUint32(at + CHECKSUM_OFFSET, claimed);
  if (sum !== claimed) return CHECKSUM;
  const first = view.getUint8(at);
  if (first >> 4 !== PACKET_VERSION) return VERSION;
  return {
    flags: first & 0x0f,
    protocol: view.getUint8(at + 1),
    srcNetwork: view.getUint16(at + 4),
    srcNode: view.getUint32(at + 6),
    dstNetwork: view.getUint16(at + 10),
    dstNode: view.getUint32(at + 12),
    srcPort: view.getUint16(at + 16),
    dstPort: view.getUint16(at + 18),
    seq: view.getUint32(at + 20),
    ack: view.getUint32(at + 24),
    window: view.getUint16(at + 28),
    payload: bytes.subarray(HEADER_BYTES, end),
  };
}

/**
 * Encodes a packet into a buffer that the caller provides.
 *
 * @param packet The packet; payload at most {@linkcode MAX_PAYLOAD_BYTES}.
 * @param out Where to write; at least {@linkcode HEADER_BYTES} + payload bytes after `offset`.
 * @param offset First byte to write.
 * @returns Bytes written.
 * @throws {PilotError} `invalid_argument` when the payload is too long or `out` too small.
 */
export function encodePacketInto(
  packet: Packet,
  out: Uint8Array,
  offset: number = 0,
): number {
  const { payload } = packet;
  const length = HEADER_BYTES + payload.length;
  if (payload.length > MAX_PAYLOAD_BYTES || offset + length > out.length) {
    throw new PilotError(
      "invalid_argument",
      `Packet of ${payload.length} payload bytes does not fit`,
    );
  }
  const view = wholeViewOf(out);
  const at = out.byteOffset + offset;
  view.setUint8(at, PACKET_VERSION << 4 | packet.flags & 0x0f);
  view.setUint8(at + 1, packet.protocol);
  view.setUint16(at + 2, payload.length);
  view.setUint16(at + 4, packet.srcNetwork);
  view.setUint32(at + 6, packet.srcNode);
  view.setUint16(at + 10, packet.dstNetwork);
  view.setUint32(at + 12, packet.dstNode);
  view.setUint16(at + 16, packet.srcPort);
  view.setUint16(at + 18, packet.dstPort);
  view.setUint32(at + 20, packet.seq);
  view.setUint32(at + 24, packet.ack);
  view.setUint16(at + 28, packet.window);
  view.setUint32(at + CHECKSUM_OFFSET, 0);
  out.set(payload, offset + HEADER_BYTES);
  view.setUint32(at + CHECKSUM_OFFSET, crc32(out.subarray(offset, offset + length)));
  return length;
}

/**
 * Encodes a packet into a new array.
 *
 * @param packet The packet.
 * @returns Header and payload.
 * @throws {PilotError} `invalid_argument` when the payload is longer than {@linkcode MAX_PAYLOAD_BYTES}.
 */
export function encodePacket(packet: Packet): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + packet.payload.length);
  encodePacketInto(packet, out);
  return out;
}
