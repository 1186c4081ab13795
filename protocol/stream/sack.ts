/**
 * Selective acknowledgements: their payload, the collision rule, and a set of byte ranges
 * (docs/protocol/streams.md §5.3).
 *
 * @module
 */

import { seqDiff } from "./seq.ts";

/** Blocks in one selective acknowledgement at most. */
export const MAX_SACK_BLOCKS = 4;
/** Bytes before the blocks: `SACK` and the count. */
const HEAD_BYTES = 5;
/** Bytes of one block. */
const BLOCK_BYTES = 8;
/** Bytes the sender keeps in front when it must split a colliding segment: `SAC`. */
export const COLLISION_CUT_BYTES = 3;

/** A run of received sequence numbers on the wire; `right` is exclusive. */
export interface SackBlock {
  /** First sequence number. */
  left: number;
  /** Sequence number after the last. */
  right: number;
}

/** Whether the bytes begin like a selective acknowledgement: `SACK` and a count of 1..4. */
function beginsLikeSack(bytes: Uint8Array): boolean {
  if (bytes.length < HEAD_BYTES) return false;
  if (
    bytes[0] !== 0x53 || bytes[1] !== 0x41 || bytes[2] !== 0x43 ||
    bytes[3] !== 0x4b
  ) return false;
  const count = bytes[4] ?? 0;
  return count >= 1 && count <= MAX_SACK_BLOCKS;
}

/**
 * The sender's half of the collision rule: a peer would take such stream bytes for a selective acknowledgement.
 *
 * @param payload Payload about to be sent.
 * @returns Whether it must be cut after {@linkcode COLLISION_CUT_BYTES} bytes.
 */
export function collidesWithSack(payload: Uint8Array): boolean {
  return beginsLikeSack(payload);
}

/**
 * The shape half of the receiver's collision rule: exactly as long as its count says.
 *
 * @param payload Received payload.
 * @returns Whether it can be a selective acknowledgement.
 */
export function hasSackShape(payload: Uint8Array): boolean {
  return beginsLikeSack(payload) &&
    payload.length === HEAD_BYTES + BLOCK_BYTES * (payload[4] ?? 0);
}

/**
 * The value half of the receiver's collision rule (docs/protocol/streams.md §5.4). There is no separate check for
 * unacknowledged data: with `ack` equal to `next` no block can satisfy the rule.
 *
 * @param payload Payload of sack shape.
 * @param ack Acknowledgement number of the same segment.
 * @param next Our next sequence number to send.
 * @returns The blocks; undefined when one does not lie in `ack <= left < right <= next`, ascending and disjoint.
 */
export function parseSack(
  payload: Uint8Array,
  ack: number,
  next: number,
): SackBlock[] | undefined {
  if (!hasSackShape(payload)) return undefined;
  const view = new DataView(
    payload.buffer,
    payload.byteOffset,
    payload.byteLength,
  );
  const blocks: SackBlock[] = [];
  const room = seqDiff(next, ack);
  let last = 0;
  for (let at = HEAD_BYTES; at < payload.length; at += BLOCK_BYTES) {
    const left = view.getUint32(at);
    const right = view.getUint32(at + 4);
    const from = seqDiff(left, ack);
    const to = seqDiff(right, ack);
    if (from < last || to <= from || to > room) return undefined;
    last = to;
    blocks.push({ left, right });
  }
  return blocks;
}

/**
 * @param blocks One to four blocks, ascending and disjoint.
 * @returns The payload that carries them.
 */
export function encodeSack(blocks: readonly SackBlock[]): Uint8Array {
  const out = new Uint8Array(HEAD_BYTES + BLOCK_BYTES * blocks.length);
  out.set([0x53, 0x41, 0x43, 0x4b, blocks.length]);
  const view = new DataView(out.buffer);
  let at = HEAD_BYTES;
  for (const { left, right } of blocks) {
    view.setUint32(at, left);
    view.setUint32(at + 4, right);
    at += BLOCK_BYTES;
  }
  return out;
}

/** Disjoint ascending ranges of offsets: what a peer reported as received beyond the cumulative acknowledgement. */
export class RangeSet {
  /** Flat list: left, right, left, right ... */
  #edges: number[] = [];

  /** Number of ranges. */
  get size(): number {
    return this.#edges.length / 2;
  }

  /**
   * Adds a range and reports what of it was not in the set before.
   *
   * @param left First offset.
   * @param right Offset after the last.
   * @param fresh Called for each part that is new, ascending.
   */
  add(
    left: number,
    right: number,
    fresh: (left: number, right: number) => void,
  ): void {
    const edges = this.#edges;
    // First range that ends at or after `left`.
    let low = 0;
    let high = edges.length / 2;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((edges[mid * 2 + 1] ?? 0) < left) low = mid + 1;
      else high = mid;
    }
    let from = left;
    let start = left;
    let end = right;
    let after = low;
    while (after * 2 < edges.length && (edges[after * 2] ?? 0) <= right) {
      const l = edges[after * 2] ?? 0;
      const r = edges[after * 2 + 1] ?? 0;
      if (from < l) fresh(from, l);
      from = Math.max(from, r);
      start = Math.min(start, l);
      end = Math.max(end, r);
      after++;
    }
    if (from < right) fresh(from, right);
    if (after === low + 1) {
      // The common case, one range grows, without moving the others.
      edges[low * 2] = start;
      edges[low * 2 + 1] = end;
    } else {
      edges.splice(low * 2, (after - low) * 2, start, end);
    }
  }

  /** @param offset Everything before it leaves the set. */
  trim(offset: number): void {
    const edges = this.#edges;
    let gone = 0;
    while (gone < edges.length && (edges[gone + 1] ?? 0) <= offset) gone += 2;
    if (gone > 0) edges.splice(0, gone);
    if (edges.length > 0 && (edges[0] ?? 0) < offset) edges[0] = offset;
  }

  /** Empties the set. */
  clear(): void {
    this.#edges.length = 0;
  }
}
