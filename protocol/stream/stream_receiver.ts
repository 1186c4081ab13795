/**
 * The receive side of a stream: ordering, the advertised window, and when to acknowledge
 * (docs/protocol/streams.md §2.3, §5).
 *
 * @module
 */

import {
  EARLY_SEGMENT_OVERHEAD_BYTES,
  LEAST_RECV_WINDOW_BYTES,
  MAX_MSS_BYTES,
  MAX_PLAIN_DUPLICATES,
  OWN_SLOT_BYTES,
  RECV_WINDOW_START_BYTES,
  REFERENCE_WINDOW_SLOTS,
  SLOT_BYTES,
  type StreamConfig,
  WINDOW_UPDATE_DIVISOR,
} from "./stream_config.ts";
import { NO_PAYLOAD } from "./segment.ts";
import { Reassembly, type Run } from "./reassembly.ts";
import { RecvBuffer } from "./recv_buffer.ts";
import { AckPolicy } from "./ack_policy.ts";
import { encodeSack, MAX_SACK_BLOCKS, type SackBlock } from "./sack.ts";
import type { RttEstimator } from "./rtt.ts";
import type { SeqSpace } from "./seq.ts";
import { WindowTuner } from "./window_tuner.ts";

/**
 * Segments of older peers held out of order at most: what the newest of them hold of ours
 * (docs/protocol/streams.md §1).
 */
const REFERENCE_EARLY_SEGMENTS = 1024;
/** Window that older peers may fill in one burst, bytes. */
const REFERENCE_WINDOW_BYTES = REFERENCE_WINDOW_SLOTS * SLOT_BYTES;

/** What a {@linkcode Receiver} needs to know of the peer. */
export interface ReceiverPeer {
  /** Its sequence space. */
  space: SeqSpace;
  /** Whether it is an older one (its initial sequence number is 0). */
  reference: boolean;
  /** Round trip to it. */
  rtt: Pick<RttEstimator, "srtt">;
}

/** What the receiver counted. */
export interface ReceiverCounters {
  /** Payload bytes received in order. */
  bytes: number;
  /** Segments with data received, duplicates included. */
  segments: number;
  /** Selective acknowledgements sent. */
  sackSent: number;
}

/** Everything about bytes on their way in; knows nothing of handshake and close. */
export class Receiver {
  readonly counters: ReceiverCounters = { bytes: 0, segments: 0, sackSent: 0 };
  readonly #config: StreamConfig;
  readonly #space: SeqSpace;
  readonly #buffer: RecvBuffer;
  readonly #early = new Reassembly();
  readonly #reference: boolean;
  readonly #rtt: Pick<RttEstimator, "srtt">;
  readonly #tuner: WindowTuner;
  /** Bytes a slot of the window stands for. */
  readonly #slotBytes: number;
  /** Shared memory accounted for out-of-order data. */
  #charged = 0;

  #next = 0;
  #discarding = false;
  #advertised = 0;
  readonly #acks: AckPolicy;
  #ackNow = false;
  #plain = 0;
  /** The run that grew last: reported next to the lowest ones. */
  #latest: Run | undefined;

  /**
   * @param config Complete options.
   * @param peer What is known of the sender.
   */
  constructor(config: StreamConfig, peer: ReceiverPeer) {
    this.#config = config;
    this.#buffer = new RecvBuffer(config.memory);
    this.#space = peer.space;
    this.#reference = peer.reference;
    this.#acks = new AckPolicy(config.delayedAckMs, peer.reference);
    this.#rtt = peer.rtt;
    this.#slotBytes = peer.reference ? SLOT_BYTES : OWN_SLOT_BYTES;
    const start = peer.reference ? REFERENCE_WINDOW_BYTES : RECV_WINDOW_START_BYTES;
    this.#tuner = new WindowTuner(start, config.recvBufferBytes);
  }

  /** Offset received in order up to. */
  get next(): number {
    return this.#next;
  }

  /** Bytes that can be read. */
  get readable(): number {
    return this.#buffer.size;
  }

  /** Segments held out of order. */
  get earlySegments(): number {
    return this.#early.segments;
  }

  /** Offset after the highest byte held; `next` when nothing is out of order. */
  get highest(): number {
    return Math.max(this.#next, this.#early.end);
  }

  /** Window last advertised to the peer, in slots. */
  get advertised(): number {
    return this.#advertised;
  }

  /** Slots free now: as many of the largest usual segments as fit the buffer (docs/protocol/streams.md §2.3). */
  get window(): number {
    const { limit } = this.#tuner;
    // When memory runs short each stream keeps a little, so that those whose data is read make progress.
    const most = Math.min(limit, Math.max(this.#config.memory.share, LEAST_RECV_WINDOW_BYTES));
    const slots = Math.floor((most - this.#buffer.size) / this.#slotBytes);
    return Math.max(0, Math.min(this.#maxSlots, slots));
  }

  /** Whether an acknowledgement should leave now. */
  ackDue(now: number): boolean {
    return this.#ackNow || this.#plain > 0 || now >= this.#acks.deadline;
  }

  /** When a delayed acknowledgement falls due; Infinity when none waits. */
  get deadline(): number {
    return this.#ackNow || this.#plain > 0 ? 0 : this.#acks.deadline;
  }

  /** Whether out-of-order data is held, so that an acknowledgement carries blocks. */
  get hasGap(): boolean {
    return this.#early.segments > 0;
  }

  /** An acknowledgement must leave at once. */
  ackSoon(): void {
    this.#ackNow = true;
  }

  /**
   * Takes data.
   *
   * @param offset Offset of the first byte; negative for the byte of a keepalive before any data.
   * @param payload The bytes, not empty.
   * @param now Milliseconds.
   * @returns Whether bytes became readable.
   */
  onData(offset: number, payload: Uint8Array, now: number): boolean {
    this.counters.segments++;
    const isReadable = this.#take(offset, payload, now);
    this.#settle();
    return isReadable;
  }

  #take(offset: number, payload: Uint8Array, now: number): boolean {
    const end = offset + payload.length;
    if (end <= this.#next) {
      // A duplicate: our acknowledgement was lost.
      this.#ackNow = true;
      return false;
    }
    if (offset > this.#next) {
      this.#onEarly(offset, payload);
      return false;
    }
    const fresh = offset === this.#next ? payload : payload.subarray(this.#next - offset);
    if (!this.#fits(fresh.length)) {
      this.#ackNow = true;
      return false;
    }
    const gap = this.#early.segments > 0;
    // Duplicates of the old acknowledgement would now be duplicates of the new one.
    this.#plain = 0;
    this.#deliver(fresh);
    if (gap) this.#fillGap();
    this.#tuner.onData(this.#next - this.#buffer.size, now, this.#rtt.srtt);
    if (this.#acks.onSegment(now) || gap) this.#ackNow = true;
    return !this.#discarding;
  }

  /**
   * @param max Bytes at most.
   * @returns The next bytes in order, owned by the caller.
   */
  read(max: number): Uint8Array | undefined {
    const out = this.#buffer.read(max);
    if (out !== undefined) this.#afterRead();
    return out;
  }

  /**
   * @param out Filled from its start with the next bytes in order.
   * @returns Bytes copied.
   */
  readInto(out: Uint8Array): number {
    const bytes = this.#buffer.readInto(out);
    if (bytes > 0) this.#afterRead();
    return bytes;
  }

  #afterRead(): void {
    this.#settle();
    this.#announce();
  }

  /** The application will not read any more: what arrives is acknowledged and dropped. */
  discard(): void {
    this.#discarding = true;
    this.#buffer.clear();
    this.#settle();
    this.#announce();
  }

  /**
   * Data before `offset` is lost for good, the stream ends there.
   *
   * @param offset New position.
   */
  skipTo(offset: number): void {
    this.#early.clear();
    this.#latest = undefined;
    this.#settle();
    this.#next = Math.max(this.#next, offset);
  }

  /**
   * Drops out-of-order data and stops the timer; what is in order stays readable. It no longer counts as shared
   * memory: nothing comes after it, and its remaining readers decide how long it lives.
   */
  stop(): void {
    this.#buffer.disown();
    this.#early.clear();
    this.#latest = undefined;
    this.#ackNow = false;
    this.#acks.stop();
    this.#plain = 0;
    this.#settle();
  }

  /** Drops everything. */
  clear(): void {
    this.stop();
    this.#buffer.clear();
  }

  /**
   * An acknowledgement leaves, alone or with data.
   *
   * @param now Milliseconds.
   * @returns The window that goes with it.
   */
  acknowledged(now: number): number {
    this.#acks.acknowledged(now);
    this.#ackNow = false;
    return this.#advertised = this.window;
  }

  /**
   * Payload of an acknowledgement that leaves on its own.
   *
   * @returns Blocks when data is held out of order, else nothing. To older peers each report is followed by plain
   * duplicates, which are what starts their fast retransmit (docs/protocol/streams.md §5.2).
   */
  takeReport(): Uint8Array {
    if (!this.#ackNow && this.#plain > 0) {
      this.#plain--;
      return NO_PAYLOAD;
    }
    if (this.#early.segments === 0) {
      this.#plain = 0;
      return NO_PAYLOAD;
    }
    this.counters.sackSent++;
    return encodeSack(this.#blocks());
  }

  get #maxSlots(): number {
    return Math.min(
      this.#config.recvBufferSegments,
      Math.floor(this.#tuner.limit / this.#slotBytes),
      this.#reference ? REFERENCE_WINDOW_SLOTS : Infinity,
    );
  }

  /** Segments held out of order at most. Older peers fill their window with segments of any size. */
  get #maxEarly(): number {
    const { recvBufferSegments } = this.#config;
    return this.#reference
      ? Math.min(recvBufferSegments, REFERENCE_EARLY_SEGMENTS)
      : this.#maxSlots;
  }

  #onEarly(offset: number, payload: Uint8Array): void {
    this.#ackNow = true;
    if (this.#reference && this.#plain < MAX_PLAIN_DUPLICATES) this.#plain++;
    const budget = this.#tuner.limit;
    // What lies further ahead than any window of ours reached belongs to another connection.
    if (
      offset - this.#next > budget + MAX_MSS_BYTES ||
      this.#early.segments >= this.#maxEarly ||
      this.#held + payload.length > budget ||
      this.#config.memory.free < payload.length + EARLY_SEGMENT_OVERHEAD_BYTES
    ) return;
    const run = this.#early.add(offset, payload);
    if (run !== undefined) this.#latest = run;
  }

  get #held(): number {
    return this.#buffer.size + this.#early.bytes;
  }

  /**
   * Room for data in order: it may exceed the budget by one largest segment. Data held out of order never does, so it
   * cannot block the very bytes that would release it. However little memory others leave, there is always room for
   * the least window, and for one segment of any size when nothing else is held.
   */
  #fits(length: number): boolean {
    if (this.#discarding) return true;
    if (this.#held + length > this.#tuner.limit + MAX_MSS_BYTES) return false;
    const { size } = this.#buffer;
    return size === 0 || size + length <= LEAST_RECV_WINDOW_BYTES ||
      this.#config.memory.free >= length;
  }

  /** Reports the change to the shared memory. */
  #settle(): void {
    const early = this.#early;
    const held = early.bytes + early.segments * EARLY_SEGMENT_OVERHEAD_BYTES;
    if (held === this.#charged) return;
    this.#config.memory.take(held - this.#charged);
    this.#charged = held;
  }

  #deliver(bytes: Uint8Array): void {
    this.#next += bytes.length;
    this.counters.bytes += bytes.length;
    if (!this.#discarding) this.#buffer.append(bytes);
  }

  #fillGap(): void {
    for (;;) {
      const run = this.#early.take(this.#next);
      if (run === undefined) return;
      if (run === this.#latest) this.#latest = undefined;
      let at = run.left;
      for (const part of run.parts) {
        const end = at + part.length;
        if (end > this.#next) {
          this.#deliver(part.subarray(Math.max(0, this.#next - at)));
        }
        at = end;
      }
    }
  }

  /** A window that was nearly closed is open again (docs/protocol/streams.md §2.4). */
  #announce(): void {
    const enough = this.#maxSlots / WINDOW_UPDATE_DIVISOR;
    if (this.#advertised < enough && this.window >= enough) {
      this.#ackNow = true;
    }
  }

  /** The lowest runs, and the latest one if it is not among them: its news would else be lost (RFC 2018 §4). */
  #blocks(): SackBlock[] {
    const runs = this.#early.runs;
    const chosen = runs.slice(0, MAX_SACK_BLOCKS);
    const latest = this.#latest;
    if (
      runs.length > MAX_SACK_BLOCKS && latest !== undefined &&
      !this.#reference && !chosen.includes(latest)
    ) chosen[MAX_SACK_BLOCKS - 1] = latest;
    return chosen.map(({ left, right }) => ({
      left: this.#space.toWire(left),
      right: this.#space.toWire(right),
    }));
  }
}
