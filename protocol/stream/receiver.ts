/**
 * The receive side of a stream: ordering, the advertised window, and when to acknowledge (daemon.md §3.2, §3.6).
 *
 * @module
 */

import {
  MAX_MSS_BYTES,
  MAX_PLAIN_DUPLICATES,
  QUICK_ACK_SEGMENTS,
  REFERENCE_WINDOW_SLOTS,
  SLOT_BYTES,
  type StreamConfig,
  WINDOW_UPDATE_DIVISOR,
} from "./config.ts";
import { NO_PAYLOAD } from "./segment.ts";
import { Reassembly, type Run } from "./reassembly.ts";
import { RecvBuffer } from "./recv_buffer.ts";
import { encodeSack, MAX_SACK_BLOCKS, type SackBlock } from "./sack.ts";
import type { SeqSpace } from "./seq.ts";

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
  readonly #buffer = new RecvBuffer();
  readonly #early = new Reassembly();
  readonly #reference: boolean;

  #next = 0;
  #discarding = false;
  #advertised = 0;
  /** Segments to acknowledge at once, still. */
  #quick = QUICK_ACK_SEGMENTS;
  /** Segments in order since the last acknowledgement. */
  #unacked = 0;
  #ackNow = false;
  #ackAt = Infinity;
  #plain = 0;
  /** The run that grew last: reported next to the lowest ones. */
  #latest: Run | undefined;

  /**
   * @param config Complete options.
   * @param space The peer's sequence space.
   * @param reference Whether the peer is an older one (its initial sequence number is 0).
   */
  constructor(config: StreamConfig, space: SeqSpace, reference: boolean) {
    this.#config = config;
    this.#space = space;
    this.#reference = reference;
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

  /** Window last told to the peer, in slots. */
  get advertised(): number {
    return this.#advertised;
  }

  /** Slots free now: as many of the largest usual segments as fit the buffer (daemon.md §3.2 RULE). */
  get window(): number {
    const free = this.#config.recvBufferBytes - this.#buffer.size;
    return Math.max(
      0,
      Math.min(this.#maxSlots, Math.floor(free / SLOT_BYTES)),
    );
  }

  /** Whether an acknowledgement should leave now. */
  ackDue(now: number): boolean {
    return this.#ackNow || this.#plain > 0 || now >= this.#ackAt;
  }

  /** When a delayed acknowledgement falls due; Infinity when none waits. */
  get deadline(): number {
    return this.#ackNow || this.#plain > 0 ? 0 : this.#ackAt;
  }

  /** Whether out-of-order data is held, so that an acknowledgement carries blocks. */
  get hasGap(): boolean {
    return this.#early.segments > 0;
  }

  /** An acknowledgement shall leave at once. */
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
    this.#unacked++;
    if (this.#quick > 0) {
      this.#quick--;
      this.#ackNow = true;
    }
    if (gap || this.#unacked >= 2) this.#ackNow = true;
    else if (this.#ackAt === Infinity) {
      this.#ackAt = now + this.#config.delayedAckMs;
    }
    return !this.#discarding;
  }

  /**
   * @param max Bytes at most.
   * @returns The next bytes in order, owned by the caller.
   */
  read(max: number): Uint8Array | undefined {
    const out = this.#buffer.read(max);
    if (out !== undefined) this.#announce();
    return out;
  }

  /** The application will not read any more: what arrives is acknowledged and dropped. */
  discard(): void {
    this.#discarding = true;
    this.#buffer.clear();
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
    this.#next = Math.max(this.#next, offset);
  }

  /** Drops out-of-order data and stops the timer; what is in order stays readable. */
  stop(): void {
    this.#early.clear();
    this.#latest = undefined;
    this.#ackNow = false;
    this.#ackAt = Infinity;
    this.#plain = 0;
  }

  /** Drops everything. */
  clear(): void {
    this.stop();
    this.#buffer.clear();
  }

  /**
   * An acknowledgement leaves, alone or with data.
   *
   * @returns The window that goes with it.
   */
  acknowledged(): number {
    this.#unacked = 0;
    this.#ackNow = false;
    this.#ackAt = Infinity;
    return this.#advertised = this.window;
  }

  /**
   * Payload of an acknowledgement that leaves by itself.
   *
   * @returns Blocks when data is held out of order, else nothing. To older peers each report is followed by plain
   * duplicates, which are what starts their fast retransmit (daemon.md §3.6 RULE b).
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
    const { recvBufferSegments, recvBufferBytes } = this.#config;
    return Math.min(
      recvBufferSegments,
      Math.floor(recvBufferBytes / SLOT_BYTES),
      this.#reference ? REFERENCE_WINDOW_SLOTS : Infinity,
    );
  }

  #onEarly(offset: number, payload: Uint8Array): void {
    this.#ackNow = true;
    if (this.#reference && this.#plain < MAX_PLAIN_DUPLICATES) this.#plain++;
    const budget = this.#config.recvBufferBytes;
    // What lies further ahead than any window of ours reached belongs to another connection.
    if (
      offset - this.#next > budget + MAX_MSS_BYTES ||
      this.#early.segments >= this.#config.recvBufferSegments ||
      this.#held + payload.length > budget
    ) return;
    const run = this.#early.add(offset, payload);
    if (run !== undefined) this.#latest = run;
  }

  get #held(): number {
    return this.#buffer.size + this.#early.bytes;
  }

  /**
   * Room for data in order: it may exceed the budget by one largest segment, and is always taken when nothing waits
   * to be read, else data held out of order could block the very bytes that would release it.
   */
  #fits(length: number): boolean {
    return this.#discarding || this.#buffer.size === 0 ||
      this.#held + length <= this.#config.recvBufferBytes + MAX_MSS_BYTES;
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

  /** A window that was nearly closed is open again (daemon.md §3.2 RULE). */
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
