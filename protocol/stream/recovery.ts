/**
 * Loss recovery: selective acknowledgements, proportional rate reduction, the retransmission timer, tail loss probes
 * (docs/protocol/streams.md §5.3, RFC 6298, RFC 6582, RFC 6675, RFC 6937, RFC 8985).
 *
 * @module
 */

import { MAX_RETRANSMISSIONS, MIN_TAIL_PROBE_MS, PEER_DELAYED_ACK_MS } from "./stream_config.ts";
import type { CongestionControl } from "./congestion.ts";
import { RateReduction } from "./prr.ts";
import type { SackBlock } from "./sack.ts";
import type { Scoreboard } from "./scoreboard.ts";

/** What the recovery counted. */
export interface RecoveryCounters {
  /** Segments sent again. */
  retransmits: number;
  /** Recoveries started without a timeout. */
  fastRetransmits: number;
  /** Retransmission timeouts. */
  timeouts: number;
  /** Selective acknowledgements received. */
  sackReceived: number;
  /** Duplicate acknowledgements received, selective ones included. */
  duplicateAcks: number;
}

/** Decides what is lost and when to stop waiting. */
export class Recovery {
  /** Counters since the start. */
  readonly counters: RecoveryCounters = {
    retransmits: 0,
    fastRetransmits: 0,
    timeouts: 0,
    sackReceived: 0,
    duplicateAcks: 0,
  };

  readonly #board: Scoreboard;
  readonly #congestion: CongestionControl;
  readonly #reduction = new RateReduction();
  #mss: number;
  /** In flight before what is being handled: an acknowledgement, or the timer. */
  #flightBefore = 0;
  /** Most in flight in this round trip and in the one before; whether the window is used shows only over a whole one. */
  #peak = 0;
  #lastPeak = 0;
  #peakEnd = 0;
  #phase: "none" | "fast" | "timeout" = "none";
  /** Recovery ends when this offset is acknowledged. */
  #recoverTo = 0;
  /** Retransmissions of this recovery. */
  #repeated = 0;
  #sackSeen = false;
  /** The next delivery shows whether the timeout was real (RFC 5682). */
  #judging = false;
  #duplicates = 0;

  #rtoAt = Infinity;
  /** Timeouts without progress between them. */
  #rtoCount = 0;
  #probeAt = Infinity;
  #probeDue = false;
  /** The first retransmission of a fast recovery passes over the window (RFC 6675 §5). */
  #urgent = false;
  /** Offset that ends the outstanding tail loss probe; 0 when none is. */
  #probedTo = 0;
  /** The peer's window is closed: the persist timer is in charge. */
  #suspended = true;

  /**
   * @param board What was sent and what arrived.
   * @param congestion Informed of losses and deliveries.
   * @param mss Segment size, bytes.
   */
  constructor(board: Scoreboard, congestion: CongestionControl, mss: number) {
    this.#board = board;
    this.#congestion = congestion;
    this.#mss = mss;
  }

  /** Bytes that may be in flight. */
  get window(): number {
    return this.#phase === "fast" ? this.#reduction.window : this.#congestion.window;
  }

  /** Whether a loss is being repaired. */
  get active(): boolean {
    return this.#phase !== "none";
  }

  /** Whether a retransmission timeout is being repaired. */
  get isTimedOut(): boolean {
    return this.#phase === "timeout";
  }

  /** Whether the peer stayed silent through every retransmission. */
  get failed(): boolean {
    return this.#rtoCount > MAX_RETRANSMISSIONS;
  }

  /** When {@linkcode onTimer} has something to do, milliseconds. */
  get deadline(): number {
    return this.#suspended ? Infinity : Math.min(this.#board.deadline, this.#rtoAt, this.#probeAt);
  }

  /**
   * Takes an acknowledgement.
   *
   * @param ack Offset acknowledged, at most `next`; older ones are allowed.
   * @param blocks Selective blocks, empty when there are none.
   * @param duplicate Whether the segment is plain duplicate evidence if it acknowledges nothing new.
   * @param now Milliseconds.
   * @returns Whether anything new arrived at the peer.
   */
  onAck(
    ack: number,
    blocks: readonly SackBlock[],
    duplicate: boolean,
    now: number,
  ): boolean {
    const board = this.#board;
    const before = this.#flightBefore = board.flight.bytes;
    const advanced = ack > board.una;
    let delivered = advanced ? board.acknowledge(ack, now) : 0;
    if (blocks.length > 0) {
      this.#sackSeen = true;
      this.counters.sackReceived++;
      if (!advanced) this.counters.duplicateAcks++;
      delivered += board.report(blocks, now);
    }
    if (delivered === 0) {
      if (duplicate && ack === board.una && board.flight.count > 0) {
        this.#onDuplicate(now);
      }
      return false;
    }
    if (board.measure(now)) this.#congestion.onRtt?.(board.rtt, board.una, board.next);
    this.#rtoCount = this.#duplicates = 0;
    if (board.una >= this.#probedTo) this.#probedTo = 0;
    const lost = this.#progress(advanced, now);
    this.#notePeak(before);
    if (this.#phase === "fast") {
      const bonus = advanced && lost === 0 ? this.#mss : 0;
      this.#reduction.onAck(delivered, board.flight.bytes, bonus);
    } else {
      const used = Math.max(this.#peak, this.#lastPeak);
      this.#congestion.onAck(delivered, used, now, board.rtt.srtt);
    }
    if (board.flight.count === 0) board.rest();
    this.#armRto(now);
    this.#armProbe(now);
    return true;
  }

  /**
   * Runs what is due.
   *
   * @param now Milliseconds.
   */
  onTimer(now: number): void {
    if (this.#suspended) return;
    this.#flightBefore = this.#board.flight.bytes;
    if (now >= this.#board.deadline) this.#detect(now);
    if (now >= this.#rtoAt) this.#onTimeout(now);
    else if (now >= this.#probeAt) {
      this.#probeAt = Infinity;
      this.#probeDue = true;
    }
  }

  /**
   * The path broke and another one is in use: all that is in flight counts as lost, and is sent again at once.
   *
   * @param now Milliseconds.
   */
  onPathRepaired(now: number): void {
    if (this.#board.flight.count === 0) return;
    this.#board.rtt.endBackoff();
    this.#rtoCount = 0;
    this.#rtoAt = now;
  }

  /** @param mss Segment size, bytes. */
  setMss(mss: number): void {
    this.#mss = mss;
  }

  /**
   * New bytes left.
   *
   * @param bytes How many.
   * @param now Milliseconds.
   */
  onSent(bytes: number, now: number): void {
    this.#reduction.onSent(bytes);
    if (this.#rtoAt === Infinity) this.#armRto(now);
    // The second segment in flight makes the peer acknowledge at once, so the wait is shorter.
    if (this.#probeAt === Infinity || this.#board.flight.count === 2) {
      this.#armProbe(now);
    }
  }

  /**
   * A segment left again.
   *
   * @param bytes Its size.
   * @param now Milliseconds.
   */
  onResent(bytes: number, now: number): void {
    this.#reduction.onSent(bytes);
    this.#repeated++;
    this.counters.retransmits++;
    if (this.#rtoAt === Infinity) this.#armRto(now);
  }

  /** Whether the next retransmission is the first of a fast recovery; asking uses it up. */
  takeUrgent(): boolean {
    const urgent = this.#urgent;
    this.#urgent = false;
    return urgent;
  }

  /** Whether a tail loss probe is to leave now (RFC 8985 §7); asking uses it up. */
  takeProbeDue(): boolean {
    const due = this.#probeDue && this.#board.flight.bytes > 0;
    this.#probeDue = false;
    return due;
  }

  /** The tail loss probe left; the next one waits for its acknowledgement. */
  onProbeSent(): void {
    this.#probedTo = this.#board.next;
    this.#probeAt = Infinity;
  }

  /** The peer's window closed. */
  suspend(): void {
    this.#suspended = true;
    this.#probeDue = false;
  }

  /** @param now Milliseconds; the peer's window is open. */
  resume(now: number): void {
    this.#suspended = false;
    this.#armRto(now);
    this.#armProbe(now);
  }

  /** Everything sent is forgotten. */
  stop(): void {
    this.#rtoAt = this.#probeAt = Infinity;
    this.#probeDue = false;
    this.#phase = "none";
  }

  /** Returns the segments found lost. */
  #progress(advanced: boolean, now: number): number {
    const board = this.#board;
    if (this.#phase === "timeout" && this.#judging && board.originals > 0) {
      // What was never repeated arrived after all: the path was late, not lossy.
      board.flight.restoreLost();
      this.#undo();
    } else if (
      this.#phase !== "none" && board.needless > 0 && board.needless >= this.#repeated
    ) {
      // Every repetition crossed the acknowledgement of what it repeated.
      this.#undo();
    }
    this.#judging = false;
    if (this.#phase !== "none" && board.una >= this.#recoverTo) {
      // What was first sent after the reduction and still lost is a new sign of congestion.
      const again = this.#phase === "fast" && board.lostEnd > this.#recoverTo;
      this.#end();
      if (again) this.#startFast(now);
    }
    if (this.#sackSeen || this.#phase === "timeout") return this.#detect(now);
    if (this.#phase === "fast" && advanced) {
      // Without selective acknowledgements each partial one uncovers the next hole (RFC 6582).
      const first = board.flight.first;
      if (first?.transmissions === 1) {
        board.flight.markLost(first);
        this.#urgent = true;
      }
    }
    return 0;
  }

  #notePeak(flight: number): void {
    if (this.#board.una >= this.#peakEnd) {
      this.#peakEnd = this.#board.next;
      this.#lastPeak = this.#peak;
      this.#peak = 0;
    }
    this.#peak = Math.max(this.#peak, flight);
  }

  #detect(now: number): number {
    if (this.#suspended) return 0;
    const lost = this.#board.detect(now, this.#phase !== "none");
    if (lost > 0) this.#startFast(now);
    return lost;
  }

  #startFast(now: number): void {
    if (this.#phase !== "none") return;
    this.counters.fastRetransmits++;
    const { flight, next, una } = this.#board;
    this.#congestion.onLoss(next - una, now);
    this.#reduction.start(this.#flightBefore, this.#congestion.window, flight.bytes);
    this.#start("fast");
    this.#urgent = flight.nextLost !== undefined;
  }

  #start(phase: "fast" | "timeout"): void {
    this.#phase = phase;
    this.#recoverTo = this.#board.next;
    this.#repeated = 0;
    this.#board.startRecovery();
  }

  #undo(): void {
    this.#congestion.undo();
    this.#end();
  }

  #end(): void {
    this.#phase = "none";
    this.#board.endRecovery();
  }

  #onDuplicate(now: number): void {
    // Answers to probes of a closed window say nothing about losses.
    if (this.#suspended) return;
    this.counters.duplicateAcks++;
    this.#duplicates++;
    // With selective acknowledgements duplicates carry no news; without them three mean a loss (RFC 6582).
    if (this.#sackSeen || this.#duplicates < 3) return;
    const first = this.#board.flight.first;
    if (this.#phase !== "none" || first === undefined) return;
    this.#board.flight.markLost(first);
    this.#startFast(now);
  }

  #onTimeout(now: number): void {
    this.#rtoAt = Infinity;
    const board = this.#board;
    if (board.flight.count === 0) return;
    this.#rtoCount++;
    this.counters.timeouts++;
    board.rtt.back();
    // A repeated timeout of the same loss is no new sign of congestion (RFC 5681 §3.1).
    if (this.#rtoCount === 1) {
      this.#congestion.onTimeout(board.next - board.una, now);
    }
    // All of the flight is due again, lowest first: it leaves as acknowledgements open the window.
    board.loseAll();
    this.#judging ||= this.#phase === "none";
    this.#start("timeout");
    this.#urgent = false;
    this.#duplicates = this.#probedTo = 0;
    this.#probeAt = Infinity;
    this.#probeDue = false;
    this.#rtoAt = now + board.rtt.rto;
  }

  #armRto(now: number): void {
    const { flight, rtt } = this.#board;
    this.#rtoAt = flight.count === 0 ? Infinity : now + rtt.rto;
  }

  #armProbe(now: number): void {
    const { flight, rtt } = this.#board;
    this.#probeAt = Infinity;
    if (
      flight.bytes === 0 || this.#phase !== "none" || this.#probedTo > 0 ||
      rtt.srtt === 0
    ) return;
    const wait = 2 * rtt.srtt + (flight.count === 1 ? PEER_DELAYED_ACK_MS : 0);
    const at = now + Math.max(wait, MIN_TAIL_PROBE_MS);
    if (at < this.#rtoAt) this.#probeAt = at;
  }
}
