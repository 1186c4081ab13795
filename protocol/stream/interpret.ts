/**
 * What a received segment says: acknowledgement, selective blocks, stream bytes (docs/protocol/streams.md §2, §5.3).
 *
 * @module
 */

import { ACK, FIN } from "../packet.ts";
import { hasSackShape, parseSack, type SackBlock } from "./sack.ts";
import { NO_PAYLOAD, type Segment } from "./segment.ts";
import type { SeqSpace } from "./seq.ts";

/** A segment, interpreted. */
export interface Reading {
  /** Offset acknowledged; undefined when the segment acknowledges nothing. */
  ack: number | undefined;
  /** Selective blocks; empty when there are none. */
  blocks: readonly SackBlock[];
  /** Whether the payload is, or was meant as, a selective acknowledgement. */
  report: boolean;
  /** Stream bytes. */
  payload: Uint8Array;
}

const NO_BLOCKS: readonly SackBlock[] = [];

/**
 * Interprets a segment of a peer whose handshake is done.
 *
 * @param segment The segment, neither SYN nor RST.
 * @param out Our sequence space.
 * @param una Our first unacknowledged offset.
 * @param sent Highest offset the peer can acknowledge, our FIN included.
 * @param reference Whether the peer is an older one, whose data may look like a selective acknowledgement.
 * @returns The reading; undefined when the segment acknowledges what was never sent, so belongs to another stream.
 */
export function interpret(
  segment: Segment,
  out: SeqSpace,
  una: number,
  sent: number,
  reference: boolean,
): Reading | undefined {
  const hasAck = (segment.flags & ACK) !== 0 ||
    (segment.flags & FIN) !== 0 && segment.ack !== 0;
  let ack: number | undefined;
  if (hasAck) {
    ack = out.toOffset(segment.ack, una);
    if (ack > sent) {
      // Zero stands for "none", unless it is what the peer must say after our numbers wrapped.
      if (segment.ack !== 0) return undefined;
      ack = undefined;
    }
  }
  const { payload } = segment;
  if (payload.length === 0 || !hasSackShape(payload)) {
    return {
      ack,
      blocks: NO_BLOCKS,
      report: false,
      // Data without the ACK flag is not data (docs/protocol/streams.md §3.1).
      payload: (segment.flags & (ACK | FIN)) === 0 ? NO_PAYLOAD : payload,
    };
  }
  const blocks = ack === undefined ? undefined : parseSack(payload, segment.ack, out.toWire(sent));
  if (blocks !== undefined) {
    return { ack, blocks, report: true, payload: NO_PAYLOAD };
  }
  // Peers of our kind never let data begin like this, so from them it is a report that makes no sense.
  return reference
    ? { ack, blocks: NO_BLOCKS, report: false, payload }
    : { ack, blocks: NO_BLOCKS, report: true, payload: NO_PAYLOAD };
}
