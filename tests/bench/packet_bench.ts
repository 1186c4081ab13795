/** The packet codec: what every packet costs on both sides, CRC included. */

import assert from "node:assert/strict";
import { decodePacket, encodePacketInto, type Packet } from "../../protocol/packet.ts";
import { DecodeError } from "../../protocol/errors.ts";

for (const bytes of [0, 1152, 1402]) {
  const packet: Packet = {
    flags: 2,
    protocol: 1,
    srcNetwork: 0,
    srcNode: 1,
    dstNetwork: 0,
    dstNode: 2,
    srcPort: 49152,
    dstPort: 1000,
    seq: 1,
    ack: 1,
    window: 512,
    payload: new Uint8Array(bytes).fill(7),
  };
  const buffer = new Uint8Array(new ArrayBuffer(2048));
  const length = encodePacketInto(packet, buffer, 20);
  const encoded = buffer.subarray(20, 20 + length);
  assert.ok(!(decodePacket(encoded) instanceof DecodeError));

  Deno.bench(`packet: encode ${bytes} B`, () => {
    encodePacketInto(packet, buffer, 20);
  });

  Deno.bench(`packet: decode ${bytes} B`, () => {
    decodePacket(encoded);
  });
}
