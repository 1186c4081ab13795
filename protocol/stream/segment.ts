/**
 * What a stream exchanges with its peer: the transport fields of a packet.
 *
 * @module
 */

/**
 * The transport part of a packet; a decoded `Packet` is assignable to it.
 *
 * `payload` may be a view of a buffer that is reused: copy it to keep it.
 */
export interface Segment {
  /** Any combination of `SYN`, `ACK`, `FIN`, `RST` (protocol/packet.ts). */
  flags: number;
  /** Sequence number of the first payload byte, unsigned 32 bit. */
  seq: number;
  /** Next sequence number expected from the other side, unsigned 32 bit; 0 also means "none". */
  ack: number;
  /** Free receive slots, counted in segments, 0..65535. */
  window: number;
  /** Stream bytes, or a selective acknowledgement (docs/protocol/streams.md §5.3), or nothing. */
  payload: Uint8Array;
}

/** The payload of a segment without one. */
export const NO_PAYLOAD: Uint8Array = new Uint8Array(0);
