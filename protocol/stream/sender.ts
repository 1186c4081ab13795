/**
 * The send side of a stream: cutting segments, retransmission, loss recovery, flow control (daemon.md §3.2, §3.6).
 *
 * @module
 */

import {
  MAX_IN_FLIGHT_SEGMENTS,
  MAX_RETRANSMISSIONS,
  PERSIST_MAX_MS,
  PERSIST_MIN_MS,
  REFERENCE_IN_FLIGHT_SEGMENTS,
  SLOT_BYTES,
  type StreamConfig,
} from "./config.ts";
import type { CongestionControl } from "./congestion.ts";
import { InFlight, type SentSegment } from "./in_flight.ts";
import { LossDetector } from "./loss.ts";
import { Pacer } from "./pacer.ts";
import { RttEstimator } from "./rtt.ts";
import { collidesWithSack, COLLISION_CUT_BYTES, RangeSet, type SackBlock } from "./sack.ts";
import { SendBuffer } from "./send_buffer.ts";
import type { SeqSpace } from "./seq.ts";

/** Tail loss probes wait at least this long: timers and collectors pause that long without a loss. */
const MIN_PROBE_MS = 10;
/** Longest delayed ACK of any peer, awaited when a single segment is in flight (daemon.md §3.1). */
const PEER_DELAYED_ACK_MS = 40;

/** What the sender counted. */
export interface SenderCounters {
  /** Payload bytes sent for the first time. */
  bytes: number;
  /** Segments with data sent, repeats included. */
  segments: number;
  /** Segments sent again. */
  retransmits: number;
  /** Recoveries started without a timeout. */
  fastRetransmits: number;
  /** Timeouts. */
  timeouts: number;
  /** Selective acknowledgements received. */
  sackReceived: number;
  /** Duplicate acknowledgements received. */
  duplicateAcks: number;
}

/** A piece of the stream to put on the wire. */
export interface Outgoing {
  /** Offset of the first byte. */
  offset: number;
  /** The bytes, a view of the send buffer. */
  payload: Uint8Array;
}

/** Everything about bytes on their way out; knows nothing of handshake and close. */
export class Sender {
  readonly rtt: RttEstimator;
  readonly congestion: CongestionControl;
  readonly counters: SenderCounters = {
    bytes: 0,
    segments: 0,
    retransmits: 0,
    fastRetransmits: 0,
    timeouts: 0,
    sackReceived: 0,
    duplicateAcks: 0,
  };

  readonly #config: StreamConfig;
  readonly #space: SeqSpace;
  readonly #buffer: SendBuffer;
  readonly #flight = new InFlight();
  readonly #reported = new RangeSet();
  readonly #loss = new LossDetector();
  readonly #pacer = new Pacer();

  #mss: number;
  #una = 0;
  #next = 0;
  #window = 0;
  #maxInFlight = MAX_IN_FLIGHT_SEGMENTS;
  #flush = false;
  /** End of the latest segment shorter than the segment size. */
  #smallEnd = 0;
  #lastSentAt = 0;
  #blockedUntil = 0;

  #recovery: "none" | "fast" | "timeout" = "none";
  #recoverTo = 0;
  #sackSeen = false;
  #duplicates = 0;

  #rtoAt = Infinity;
  #rtoCount = 0;
  #probeAt = Infinity;
  #probeDue = false;
  /** Offset up to which a tail loss probe is outstanding. */
  #probedTo = 0;
  #persistAt = Infinity;
  #persistMs = PERSIST_MIN_MS;
  #persistDue = false;
  #persistCount = 0;
  /** A segment went out against the closed window. */
  #persistSent = false;

  /**
   * @param config Complete options.
   * @param space Our sequence space.
   */
  constructor(config: StreamConfig, space: SeqSpace) {
    this.#config = config;
    this.#space = space;
    this.#mss = config.mss;
    this.#buffer = new SendBuffer(config.sendBufferBytes);
    this.rtt = new RttEstimator(config);
    this.congestion = config.congestion(config.mss);
  }

  /** Offset of the first unacknowledged byte. */
  get una(): number {
    return this.#una;
  }

  /** Offset of the next byte to send for the first time. */
  get next(): number {
    return this.#next;
  }

  /** Offset after the last byte written. */
  get end(): number {
    return this.#buffer.end;
  }

  /** Whether everything written is acknowledged. */
  get empty(): boolean {
    return this.#una === this.#buffer.end;
  }

  /** Bytes that {@linkcode write} takes now. */
  get free(): number {
    return this.#buffer.free;
  }

  /** Size of the send buffer in bytes. */
  get limit(): number {
    return this.#buffer.limit;
  }

  /** Bytes of memory the send buffer uses. */
  get allocated(): number {
    return this.#buffer.allocated;
  }

  /** Segments sent and not acknowledged. */
  get unacked(): number {
    return this.#flight.count;
  }

  /** Bytes believed on the way. */
  get inFlight(): number {
    return this.#flight.bytes;
  }

  /** Peer's window in segments. */
  get window(): number {
    return this.#window;
  }

  /** Whether a loss is being repaired. */
  get recovering(): boolean {
    return this.#recovery !== "none";
  }

  /** Whether the peer has stayed silent through every retransmission. */
  get failed(): boolean {
    return this.#rtoCount > MAX_RETRANSMISSIONS ||
      this.#persistCount > MAX_RETRANSMISSIONS;
  }

  /** The peer holds few out-of-order segments: never have more in flight (anchors.md C.3). */
  limitToReferencePeer(): void {
    this.#maxInFlight = REFERENCE_IN_FLIGHT_SEGMENTS;
  }

  /** @param mss Segment size for bytes not sent yet. */
  setMss(mss: number): void {
    this.#mss = mss;
    this.congestion.setMss(mss);
  }

  /**
   * @param data Bytes of the application, copied.
   * @returns Bytes taken.
   */
  write(data: Uint8Array): number {
    return this.#buffer.append(data);
  }

  /** No more bytes will be written: a short tail need not wait. */
  flush(): void {
    this.#flush = true;
  }

  /** The next bytes to send, or undefined when nothing may be sent at `now`. */
  take(now: number): Outgoing | undefined {
    this.#blockedUntil = 0;
    if (this.#window === 0) return this.#takePersist(now);
    if (this.#probeDue) {
      this.#probeDue = false;
      const probe = this.#takeProbe(now);
      if (probe !== undefined) return probe;
    }
    const lost = this.#flight.nextLost;
    if (lost !== undefined) {
      return this.#allowed(lost.end - lost.offset, now) ? this.#resend(lost, now) : undefined;
    }
    return this.#takeNew(now, false);
  }

  /**
   * Takes the peer's window.
   *
   * @param slots Free slots it announced.
   * @param now Milliseconds.
   */
  onWindow(slots: number, now: number): void {
    const before = this.#window;
    this.#window = slots;
    this.#persistCount = 0;
    if (slots === 0) {
      this.#rtoAt = this.#probeAt = Infinity;
      this.#probeDue = false;
      this.#armPersist(now);
    } else if (before === 0) {
      this.#persistAt = Infinity;
      this.#persistDue = false;
      this.#persistMs = PERSIST_MIN_MS;
      // What was pushed against the closed window was most likely dropped there.
      const first = this.#flight.first;
      if (first !== undefined && this.#persistSent) this.#flight.markLost(first);
      this.#persistSent = false;
      this.#armRto(now);
    }
  }

  /**
   * Takes an acknowledgement.
   *
   * @param ack Offset acknowledged, at most `next`; older ones are allowed.
   * @param blocks Selective blocks, empty when there are none.
   * @param duplicate Whether the segment counts as plain duplicate evidence when it acknowledges nothing new.
   * @param now Milliseconds.
   * @returns Whether it acknowledged anything new.
   */
  onAck(
    ack: number,
    blocks: readonly SackBlock[],
    duplicate: boolean,
    now: number,
  ): boolean {
    const flight = this.#flight;
    const before = flight.bytes;
    const advanced = ack > this.#una;
    let delivered = 0;
    if (advanced) delivered += this.#acknowledge(ack, now);
    if (blocks.length > 0) {
      this.#sackSeen = true;
      this.counters.sackReceived++;
      for (const { left, right } of blocks) {
        delivered += this.#report(left, right, now);
      }
    }
    const probed = this.#probedTo > 0;
    if (delivered === 0) {
      if (
        duplicate && !advanced && ack === this.#una && flight.count > 0
      ) this.#onDuplicate(now);
      return advanced;
    }
    this.#rtoCount = 0;
    this.#duplicates = 0;
    if (probed && this.#una >= this.#probedTo) this.#probedTo = 0;
    if (this.#recovery !== "none" && this.#una >= this.#recoverTo) {
      this.#recovery = "none";
      this.#loss.onRecovered();
    }
    if (this.#sackSeen || this.#recovery === "timeout") this.#detect(now);
    else if (this.#recovery === "fast" && advanced) this.#partialAck();
    if (this.#recovery !== "fast") {
      this.congestion.onAck(delivered, before, now, this.rtt.srtt);
    }
    if (this.#window === 0) {
      this.#persistMs = PERSIST_MIN_MS;
      this.#armPersist(now);
    } else {
      this.#armRto(now);
      this.#armProbe(now);
    }
    if (flight.count === 0) this.#loss.stop();
    return advanced;
  }

  /**
   * Runs what is due.
   *
   * @param now Milliseconds.
   */
  onTimer(now: number): void {
    if (now >= this.#persistAt && this.empty) this.#persistAt = Infinity;
    if (now >= this.#persistAt) {
      this.#persistDue = true;
      this.#persistCount++;
      this.#persistAt = now + this.#persistMs;
      this.#persistMs = Math.min(this.#persistMs * 2, PERSIST_MAX_MS);
    }
    if (this.#window === 0) return;
    if (now >= this.#loss.deadline) this.#detect(now);
    if (now >= this.#rtoAt) this.#onTimeout(now);
    else if (now >= this.#probeAt) {
      this.#probeAt = Infinity;
      this.#probeDue = true;
    }
  }

  /** When to call `onTimer` or `take` next, milliseconds. */
  deadline(): number {
    let at = Math.min(this.#persistAt, this.#rtoAt, this.#probeAt);
    if (this.#window > 0) at = Math.min(at, this.#loss.deadline);
    return this.#blockedUntil > 0 ? Math.min(at, this.#blockedUntil) : at;
  }

  /** Gives memory back while nothing is outstanding. */
  shrink(): void {
    this.#buffer.shrink();
    this.#flight.shrink();
  }

  /** Drops everything written and stops every timer; `next` stays where it is. */
  clear(): void {
    this.#buffer.clear();
    this.#una = this.#next = this.#buffer.end;
    this.#flight.clear();
    this.#reported.clear();
    this.#loss.stop();
    this.#rtoAt = this.#probeAt = this.#persistAt = Infinity;
    this.#probeDue = this.#persistDue = false;
    this.#blockedUntil = 0;
  }

  /** Like {@linkcode clear}, but bytes never sent leave the sequence space too. */
  discard(): number {
    const next = this.#next;
    this.clear();
    return next;
  }

  #acknowledge(ack: number, now: number): number {
    const flight = this.#flight;
    const from = this.#una;
    let delivered = 0;
    for (let s = flight.first; s !== undefined && s.end <= ack;) {
      if (!s.sacked) delivered += this.#delivered(s, now);
      flight.shift();
      s = flight.first;
    }
    this.#una = ack;
    this.#buffer.release(ack);
    if (this.#reported.size > 0) this.#reported.trim(ack);
    // An acknowledgement inside a segment moves nothing out of the table, yet it is progress.
    return Math.max(delivered, ack - from > 0 && delivered === 0 ? 1 : 0);
  }

  #report(leftSeq: number, rightSeq: number, now: number): number {
    const left = this.#space.toOffset(leftSeq, this.#una);
    const right = Math.min(
      this.#space.toOffset(rightSeq, this.#una),
      this.#next,
    );
    if (right <= this.#una || left >= right) return 0;
    let delivered = 0;
    this.#reported.add(Math.max(left, this.#una), right, (from, to) => {
      for (let i = this.#flight.lowerBound(from);; i++) {
        const s = this.#flight.at(i);
        if (s === undefined || s.end > to) break;
        if (s.sacked) continue;
        delivered += this.#delivered(s, now);
        this.#flight.markSacked(s);
      }
    });
    return delivered;
  }

  #delivered(s: SentSegment, now: number): number {
    const needless = this.#loss.onDelivered(s, now, this.rtt.min);
    if (s.transmissions === 1) this.rtt.sample(now - s.sentAt, now);
    else if (needless && this.#recovery !== "none") this.congestion.undo();
    return s.end - s.offset;
  }

  #detect(now: number): void {
    const marked = this.#loss.detect(
      this.#flight,
      now,
      this.rtt,
      this.#recovery !== "none",
    );
    if (marked > 0) this.#enterRecovery(now);
  }

  #enterRecovery(now: number): void {
    if (this.#recovery !== "none") return;
    this.#recovery = "fast";
    this.#recoverTo = this.#next;
    this.counters.fastRetransmits++;
    this.congestion.onLoss(this.#outstanding(), now);
  }

  /** Bytes sent and neither acknowledged nor reported, lost ones included: what the window carried. */
  #outstanding(): number {
    return this.#next - this.#una;
  }

  #onDuplicate(now: number): void {
    this.counters.duplicateAcks++;
    this.#duplicates++;
    // With selective acknowledgements duplicates carry no news; without them three mean a loss (RFC 6582).
    if (this.#sackSeen || this.#duplicates < 3) return;
    if (this.#recovery !== "none") return;
    const first = this.#flight.first;
    if (first === undefined) return;
    this.#flight.markLost(first);
    this.#enterRecovery(now);
  }

  /** NewReno without selective acknowledgements: each partial acknowledgement uncovers the next hole (RFC 6582). */
  #partialAck(): void {
    const first = this.#flight.first;
    if (first !== undefined && first.transmissions === 1) {
      this.#flight.markLost(first);
    }
  }

  #onTimeout(now: number): void {
    const flight = this.#flight;
    const first = flight.first;
    this.#rtoAt = Infinity;
    if (first === undefined) return;
    this.#rtoCount++;
    this.counters.timeouts++;
    this.rtt.back();
    // The peer must still need the first segment; if it reported it before, it dropped what it reported.
    if (first.sacked) {
      flight.forgetSacked();
      this.#reported.clear();
    }
    if (this.#recovery !== "timeout" || this.#rtoCount === 1) {
      this.congestion.onTimeout(this.#outstanding(), now);
    }
    this.#recovery = "timeout";
    this.#recoverTo = this.#next;
    this.#duplicates = 0;
    this.#probeAt = Infinity;
    this.#probeDue = false;
    this.#probedTo = 0;
    // All of the flight is due again, lowest first: it leaves as acknowledgements open the window.
    flight.markAllLost();
    this.#rtoAt = now + this.rtt.rto;
  }

  #armRto(now: number): void {
    this.#rtoAt = this.#flight.count === 0 ? Infinity : now + this.rtt.rto;
  }

  #armProbe(now: number): void {
    this.#probeAt = Infinity;
    if (
      this.#flight.bytes === 0 || this.#recovery !== "none" ||
      this.#probedTo > 0 || this.rtt.srtt === 0 ||
      this.#flight.nextLost !== undefined
    ) return;
    const wait = 2 * this.rtt.srtt +
      (this.#flight.count === 1 ? PEER_DELAYED_ACK_MS : 0);
    const at = now + Math.max(wait, MIN_PROBE_MS);
    if (at < this.#rtoAt) this.#probeAt = at;
  }

  #armPersist(now: number): void {
    this.#persistAt = this.#una === this.#buffer.end
      ? Infinity
      : Math.min(this.#persistAt, now + this.#persistMs);
  }

  #allowed(bytes: number, now: number): boolean {
    const flight = this.#flight.bytes;
    const { window } = this.congestion;
    if (flight > 0 && flight + bytes > window) return false;
    const { srtt } = this.rtt;
    const slowStart = window < this.congestion.threshold;
    if (this.#pacer.take(bytes, now, window, slowStart, srtt, this.#mss)) {
      return true;
    }
    this.#blockedUntil = this.#pacer.readyAt;
    return false;
  }

  #resend(s: SentSegment, now: number): Outgoing {
    this.#flight.resent(s, now);
    this.counters.segments++;
    this.counters.retransmits++;
    this.#lastSentAt = now;
    if (this.#rtoAt === Infinity && this.#window > 0) this.#armRto(now);
    return {
      offset: s.offset,
      payload: this.#buffer.view(s.offset, s.end - s.offset),
    };
  }

  /** Cuts the next new segment. `force` passes over congestion window, Nagle and the peer's window. */
  #takeNew(now: number, force: boolean): Outgoing | undefined {
    const available = this.#buffer.end - this.#next;
    if (available === 0) return undefined;
    const flight = this.#flight;
    let length = Math.min(available, this.#mss);
    const small = length < this.#mss;
    if (!force) {
      if (
        flight.count > 0 &&
        (flight.count >= Math.min(this.#window, this.#maxInFlight) ||
          this.#next - this.#una + length > this.#window * SLOT_BYTES)
      ) return undefined;
      // One small segment in flight (Minshall's form of Nagle's rule), and never a timer.
      if (
        small && this.#smallEnd > this.#una && !this.#flush &&
        !this.#config.noDelay
      ) return undefined;
    }
    this.#restartAfterIdle(now);
    length = this.#buffer.contiguous(this.#next, length);
    let payload = this.#buffer.view(this.#next, length);
    if (collidesWithSack(payload)) {
      payload = payload.subarray(0, COLLISION_CUT_BYTES);
      length = COLLISION_CUT_BYTES;
    }
    if (!force && !this.#allowed(length, now)) return undefined;
    const offset = this.#next;
    this.#next += length;
    if (small && this.#next === this.#buffer.end) this.#smallEnd = this.#next;
    flight.push(offset, this.#next, now);
    this.counters.bytes += length;
    this.counters.segments++;
    this.#lastSentAt = now;
    if (this.#window > 0) {
      if (this.#rtoAt === Infinity) this.#armRto(now);
      if (this.#probeAt === Infinity || flight.count === 2) {
        this.#armProbe(now);
      }
    }
    return { offset, payload };
  }

  /** An old window says nothing about the path after a pause (RFC 5681 §4.1). */
  #restartAfterIdle(now: number): void {
    if (this.#flight.count === 0 && now - this.#lastSentAt > this.rtt.rto) {
      this.congestion.onIdle();
    }
  }

  /** Tail loss probe: new data if there is some, else the last segment again (RFC 8985 §7). */
  #takeProbe(now: number): Outgoing | undefined {
    if (this.#flight.bytes === 0) return undefined;
    this.#probedTo = this.#next;
    if (this.#flight.count < Math.min(this.#window, this.#maxInFlight)) {
      const fresh = this.#takeNew(now, true);
      if (fresh !== undefined) {
        this.#probedTo = this.#next;
        return fresh;
      }
    }
    const newest = this.#flight.newest;
    return newest === undefined ? undefined : this.#resend(newest, now);
  }

  /** One real segment against a closed window, now and then (daemon.md §3.2 RULE). */
  #takePersist(now: number): Outgoing | undefined {
    if (!this.#persistDue) {
      if (this.#persistAt === Infinity) this.#armPersist(now);
      return undefined;
    }
    this.#persistDue = false;
    this.#persistSent = true;
    const first = this.#flight.first;
    if (first === undefined) return this.#takeNew(now, true);
    if (first.sacked) this.#flight.forgetSacked();
    return this.#resend(first, now);
  }
}
