/**
 * The send side of a stream: cutting segments, retransmission, recovery, flow control
 * (docs/protocol/streams.md §2, §5).
 *
 * @module
 */

import {
  MAX_IN_FLIGHT_SEGMENTS,
  OWN_SLOT_BYTES,
  REFERENCE_IN_FLIGHT_SEGMENTS,
  SLOT_BYTES,
  type StreamConfig,
} from "./stream_config.ts";
import type { CongestionControl } from "./congestion.ts";
import type { SentSegment } from "./in_flight.ts";
import { Pacer } from "./pacer.ts";
import { Persist } from "./persist.ts";
import { Recovery, type RecoveryCounters } from "./recovery.ts";
import type { RttEstimator } from "./rtt.ts";
import { collidesWithSack, COLLISION_CUT_BYTES, type SackBlock } from "./sack.ts";
import { Scoreboard } from "./scoreboard.ts";
import { SendBuffer } from "./send_buffer.ts";
import type { SeqSpace } from "./seq.ts";

/** A piece of the stream to put on the wire. */
export interface Outgoing {
  /** Offset of the first byte. */
  offset: number;
  /** The bytes, a view of the send buffer. */
  payload: Uint8Array;
}

/** Everything about bytes on their way out; knows nothing of handshake and close. */
export class Sender {
  /** Decides how much may be in flight. */
  readonly congestion: CongestionControl;
  readonly #noDelay: boolean;
  readonly #buffer: SendBuffer;
  readonly #board: Scoreboard;
  readonly #pacer = new Pacer();
  readonly #persist = new Persist();
  readonly #recovery: Recovery;

  #mss: number;
  #window = 0;
  #maxInFlight = MAX_IN_FLIGHT_SEGMENTS;
  #slotBytes = OWN_SLOT_BYTES;
  /**
   * The peer knows segments by where they begin, and passes over one that overlaps what it has
   * (docs/protocol/streams.md §5.1).
   */
  #matchesStarts = false;
  #flush = false;
  /** End of the latest segment shorter than the segment size. */
  #smallEnd = 0;
  #lastSentAt = -Infinity;
  /** When pacing allows the next segment; 0 when it does not hold anything back. */
  #blockedUntil = 0;
  #bytesSent = 0;

  /**
   * @param config Complete options.
   * @param space Our sequence space.
   */
  constructor(config: StreamConfig, space: SeqSpace) {
    this.#noDelay = config.noDelay;
    this.#mss = config.mss;
    this.#buffer = new SendBuffer(config.sendBufferBytes, config.memory);
    this.#board = new Scoreboard(space, config, config.isn);
    this.congestion = config.congestion(config.mss);
    this.#recovery = new Recovery(this.#board, this.congestion, config.mss);
  }

  /** Round-trip estimate. */
  get rtt(): RttEstimator {
    return this.#board.rtt;
  }

  /** Counters of the recovery. */
  get counters(): Readonly<RecoveryCounters> {
    return this.#recovery.counters;
  }

  /** Payload bytes sent, repeats not counted. */
  get bytesSent(): number {
    return this.#bytesSent;
  }

  /** Offset of the first unacknowledged byte. */
  get una(): number {
    return this.#board.una;
  }

  /** Offset of the next byte to send for the first time. */
  get next(): number {
    return this.#board.next;
  }

  /** Bytes written and not acknowledged. */
  get pending(): number {
    return this.#buffer.end - this.#board.una;
  }

  /** Bytes that {@linkcode write} takes now. */
  get free(): number {
    return this.#buffer.free;
  }

  /** Present size of the send buffer in bytes. */
  get limit(): number {
    return this.#buffer.limit;
  }

  /** Bytes of memory the send buffer uses. */
  get allocated(): number {
    return this.#buffer.allocated;
  }

  /** Segments sent and not acknowledged. */
  get unacked(): number {
    return this.#board.flight.count;
  }

  /** Bytes believed in flight. */
  get inFlight(): number {
    return this.#board.flight.bytes;
  }

  /** Peer's window in segments. */
  get window(): number {
    return this.#window;
  }

  /** Whether a loss is being repaired. */
  get recovering(): boolean {
    return this.#recovery.active;
  }

  /** Whether the peer stayed silent through every retransmission. */
  get failed(): boolean {
    return this.#recovery.failed || this.#persist.failed;
  }

  /**
   * The peer counts segments of 4096 bytes, and holds few out of order: never more in flight
   * (docs/protocol/streams.md §5.7).
   */
  limitToReferencePeer(): void {
    this.#maxInFlight = REFERENCE_IN_FLIGHT_SEGMENTS;
    this.#slotBytes = SLOT_BYTES;
    this.#matchesStarts = true;
  }

  /** @param mss Segment size for whatever is sent from now on, repeats included (RFC 8899 §4.6.2). */
  setMss(mss: number): void {
    // After a timeout a longer wait is useless: the path that lost it carries less than that.
    if (mss < this.#mss && this.#recovery.isTimedOut) this.#board.flight.markLongerLost(mss);
    this.#mss = mss;
    this.congestion.setMss(mss);
    this.#recovery.setMss(mss);
  }

  /**
   * The path broke and another one is in use.
   *
   * @param now Milliseconds.
   */
  onPathRepaired(now: number): void {
    this.#recovery.onPathRepaired(now);
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

  /**
   * @param now Milliseconds.
   * @returns The next bytes to send; undefined when nothing may be sent now.
   */
  take(now: number): Outgoing | undefined {
    this.#blockedUntil = 0;
    if (this.#window === 0) return this.#takePersist(now);
    if (this.#recovery.takeProbeDue()) {
      const probe = this.#takeProbe(now);
      if (probe !== undefined) return probe;
    }
    let lost = this.#board.flight.nextLost;
    while (lost !== undefined && !this.#mayRepeat(lost)) lost = lost.next;
    if (lost === undefined) return this.#takeNew(now, false);
    const bytes = Math.min(lost.end - lost.offset, this.#mss);
    const allowed = this.#recovery.takeUrgent() || this.#allowed(bytes, now);
    return allowed ? this.#resend(lost, now) : undefined;
  }

  /**
   * Takes the peer's window, after the acknowledgement it came with.
   *
   * @param slots Free slots it announced.
   * @param now Milliseconds.
   */
  onWindow(slots: number, now: number): void {
    const before = this.#window;
    this.#window = slots;
    if (slots === 0) {
      this.#recovery.suspend();
      if (this.pending > 0) this.#persist.arm(now);
      else this.#persist.stop();
    } else if (before === 0) {
      const first = this.#board.flight.first;
      if (this.#persist.stop() && first !== undefined) {
        this.#board.flight.markLost(first);
      }
      this.#recovery.resume(now);
    }
  }

  /**
   * Takes an acknowledgement.
   *
   * @param ack Offset acknowledged, at most `next`; older ones are allowed.
   * @param blocks Selective blocks, empty when there are none.
   * @param duplicate Whether the segment is plain duplicate evidence if it acknowledges nothing new.
   * @param now Milliseconds.
   * @returns Whether the cumulative acknowledgement moved.
   */
  onAck(
    ack: number,
    blocks: readonly SackBlock[],
    duplicate: boolean,
    now: number,
  ): boolean {
    const before = this.una;
    if (ack >= before) this.#persist.answered();
    const news = this.#recovery.onAck(ack, blocks, duplicate, now);
    const { una } = this;
    if (una > before) {
      this.#buffer.release(this.#board.flight.first?.offset ?? una);
      // One window in flight, and another one from the application meanwhile.
      this.#buffer.raise(2 * this.congestion.window);
    }
    if (news && this.#window === 0 && this.pending > 0) {
      this.#persist.progress(now);
    }
    return una > before;
  }

  /**
   * Runs what is due.
   *
   * @param now Milliseconds.
   */
  onTimer(now: number): void {
    if (this.#window === 0) {
      if (this.pending === 0) this.#persist.stop();
      else this.#persist.onTimer(now);
      return;
    }
    this.#recovery.onTimer(now);
  }

  /** When to call `onTimer` or `take` next, milliseconds. */
  deadline(): number {
    if (this.#window === 0) return this.#persist.deadline;
    const at = this.#recovery.deadline;
    return this.#blockedUntil > 0 ? Math.min(at, this.#blockedUntil) : at;
  }

  /** Gives memory back while nothing is outstanding. */
  shrink(): void {
    if (this.pending > 0) return;
    this.#board.flight.shrink();
  }

  /**
   * Drops everything written and stops every timer.
   *
   * @returns Offset after the last byte ever sent.
   */
  clear(): number {
    const { next } = this.#board;
    this.#buffer.clear();
    this.#board.clear(this.#buffer.end);
    this.#persist.stop();
    this.#recovery.stop();
    this.#blockedUntil = 0;
    return next;
  }

  #allowed(bytes: number, now: number): boolean {
    const flight = this.#board.flight.bytes;
    if (flight > 0 && flight + bytes > this.#recovery.window) return false;
    const { window, threshold } = this.congestion;
    const slow = window < threshold;
    if (this.#pacer.take(bytes, now, window, slow, this.rtt.srtt, this.#mss)) {
      return true;
    }
    this.#blockedUntil = this.#pacer.readyAt;
    return false;
  }

  /**
   * Sends a segment again, as much of it as the path carries now; the rest is next. It begins where it began, so that
   * what a receiver holds of the first copy still fits.
   */
  #resend(s: SentSegment, now: number): Outgoing {
    const { flight } = this.#board;
    const payload = this.#cut(s.offset, Math.min(s.end - s.offset, this.#mss));
    const end = s.offset + payload.length;
    if (end < s.end) flight.split(s, end);
    flight.resent(s, now);
    this.#recovery.onResent(payload.length, now);
    this.#lastSentAt = now;
    return { offset: s.offset, payload };
  }

  /**
   * Whether a segment may leave again. An older peer would keep a piece that comes before its turn beside the first copy,
   * which it may hold unseen, and nothing would take it away: it gets pieces one by one, each when it is what is
   * missing next.
   */
  #mayRepeat(s: SentSegment): boolean {
    return !this.#matchesStarts || !s.isPiece || s.offset <= this.una;
  }

  /** Bytes of the stream, fewer where they begin like a selective acknowledgement. */
  #cut(offset: number, length: number): Uint8Array {
    const payload = this.#buffer.view(offset, length);
    return collidesWithSack(payload) ? payload.subarray(0, COLLISION_CUT_BYTES) : payload;
  }

  /** Cuts the next new segment. `force` passes over every window and Nagle's rule. */
  #takeNew(now: number, force: boolean): Outgoing | undefined {
    const offset = this.#board.next;
    const available = this.#buffer.end - offset;
    if (available === 0) return undefined;
    const { flight } = this.#board;
    const small = available < this.#mss;
    const most = Math.min(available, this.#mss);
    if (!force) {
      if (flight.count > 0 && !this.#fitsPeer(most)) return undefined;
      // One small segment in flight (Minshall's form of Nagle's rule), and never a timer.
      if (
        small && this.#smallEnd > this.una && !this.#flush && !this.#noDelay
      ) return undefined;
    }
    if (flight.count === 0 && now - this.#lastSentAt > this.rtt.rto) {
      // An old window says nothing about the path after a pause (RFC 5681 §4.1).
      this.congestion.onIdle();
    }
    const payload = this.#cut(offset, most);
    const { length } = payload;
    if (!force && !this.#allowed(length, now)) return undefined;
    this.#board.sent(length, now);
    if (small && this.next === this.#buffer.end) this.#smallEnd = this.next;
    this.#bytesSent += length;
    this.#lastSentAt = now;
    this.#recovery.onSent(length, now);
    return { offset, payload };
  }

  /** Flow control, in segments and in bytes (docs/protocol/streams.md §2.3). */
  #fitsPeer(length: number): boolean {
    return this.#board.flight.count <
        Math.min(this.#window, this.#maxInFlight) &&
      this.next - this.una + length <= this.#window * this.#slotBytes;
  }

  /** Tail loss probe: new data if there is some, else the last segment again (RFC 8985 §7). */
  #takeProbe(now: number): Outgoing | undefined {
    const { flight } = this.#board;
    const room = flight.count < Math.min(this.#window, this.#maxInFlight);
    const fresh = room ? this.#takeNew(now, true) : undefined;
    this.#recovery.onProbeSent();
    if (fresh !== undefined) return fresh;
    const { newest } = flight;
    return newest === undefined || !this.#mayRepeat(newest) ? undefined : this.#resend(newest, now);
  }

  /** One real segment against a closed window, now and then (docs/protocol/streams.md §2.4). */
  #takePersist(now: number): Outgoing | undefined {
    if (!this.#persist.takeDue()) {
      if (this.pending > 0) this.#persist.arm(now);
      return undefined;
    }
    const first = this.#board.flight.first;
    if (first === undefined) return this.#takeNew(now, true);
    if (first.sacked) this.#board.forgetReports();
    return this.#resend(first, now);
  }
}
