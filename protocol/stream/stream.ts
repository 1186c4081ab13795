/**
 * The reliable stream: handshake, data, close, and the timers between them (daemon.md §3). Sans-I/O: segments and
 * the time go in, segments, events and the next deadline come out.
 *
 * @module
 */

import { type ErrorCode, PilotError } from "../errors.ts";
import { ACK, FIN, RST, SYN } from "../packet.ts";
import {
  HANDSHAKE_RETRY_MAX_MS,
  HANDSHAKE_RETRY_MS,
  MAX_RETRANSMISSIONS,
  resolveConfig,
  RESTART_GUARD_MS,
  type StreamConfig,
  type StreamOptions,
  SYN_WINDOW_SLOTS,
} from "./config.ts";
import { EventSet, type StreamEvent } from "./events.ts";
import { interpret, type Reading } from "./interpret.ts";
import { Liveness } from "./liveness.ts";
import { PeerFin } from "./peer_fin.ts";
import { Receiver } from "./receiver.ts";
import { Retry } from "./retry.ts";
import { NO_PAYLOAD, type Segment } from "./segment.ts";
import { Sender } from "./sender.ts";
import { seqAdd, seqDiff, SeqSpace } from "./seq.ts";
import type { StreamStats } from "./stats.ts";

/** States, named as in daemon.md §7.7. FIN_WAIT begins with our `close`, CLOSE_WAIT with the peer's FIN. */
export type StreamState =
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT"
  | "CLOSE_WAIT"
  | "TIME_WAIT"
  | "CLOSED";

/** A byte the peer has already: it acknowledges and drops it. */
const PROBE_PAYLOAD = new Uint8Array(1);
/** Distance a reset's number may have from the one expected. */
const RESET_SLACK_BYTES = 1 << 24;
/** Pause between resetting a peer's stale connection and our next SYN, so that they arrive in this order. */
const AFTER_RESET_MS = 50;

/** The receive side, there once the peer's initial sequence number is known. */
interface Peer {
  isn: number;
  /** Initial sequence number 0: an older peer (daemon.md §3.2). */
  reference: boolean;
  space: SeqSpace;
  receiver: Receiver;
}

/** One side of one connection. */
export class Stream {
  readonly #config: StreamConfig;
  readonly #out: SeqSpace;
  readonly #sender: Sender;
  readonly #live: Liveness;
  readonly #retry = new Retry();
  readonly #events = new EventSet();
  readonly #peerFin = new PeerFin();
  #state: StreamState;
  #error: PilotError | undefined;
  #peer: Peer | undefined;

  /** Limit of the present state: handshake, linger or TIME_WAIT. */
  #stateUntil = Infinity;
  #establishedAt = Infinity;
  #synSentAt = 0;
  /** Latest data in either direction. */
  #activeAt: number;
  #closing = false;
  #discardReads = false;
  #wantWritable = false;
  #endReported = false;
  /** Offset of our FIN once it is part of the stream. */
  #finOffset: number | undefined;
  #finAcked = false;
  /** Number and acknowledgement of the latest segment whose window counted. */
  #windowSeq = -1;
  #windowAck = -1;
  #reset: { seq: number; ack: number } | undefined;
  #lively: "keepalive" | "probe" | undefined;
  #segmentsSent = 0;
  #segmentsReceived = 0;

  /**
   * Prefer {@linkcode Stream.connect} and {@linkcode Stream.accept}.
   *
   * @param options See {@linkcode StreamOptions}.
   * @param now Milliseconds.
   * @param syn The peer's SYN for a passive open.
   * @throws {PilotError} `invalid_argument` for an option out of range.
   */
  constructor(options: StreamOptions, now: number, syn?: Segment) {
    const config = resolveConfig(options);
    this.#config = config;
    this.#out = new SeqSpace(config.isn);
    this.#sender = new Sender(config, this.#out);
    this.#live = new Liveness(config, now);
    this.#activeAt = now;
    this.#retry.start(now, HANDSHAKE_RETRY_MS, HANDSHAKE_RETRY_MAX_MS);
    if (syn === undefined) {
      this.#state = "SYN_SENT";
      this.#stateUntil = now + config.dialTimeoutMs;
    } else {
      this.#state = "SYN_RECV";
      this.#stateUntil = now + config.halfOpenTimeoutMs;
      this.#meetPeer(syn);
    }
  }

  /**
   * Opens a stream actively; its SYN is due at once (daemon.md §3.5).
   *
   * @param options See {@linkcode StreamOptions}.
   * @param now Milliseconds.
   * @returns The stream, in SYN_SENT.
   * @throws {PilotError} `invalid_argument` for an option out of range.
   */
  static connect(options: StreamOptions, now: number): Stream {
    return new Stream(options, now);
  }

  /**
   * Opens a stream for a received SYN; the SYN-ACK is due at once (daemon.md §3.4).
   *
   * @param options See {@linkcode StreamOptions}.
   * @param syn The peer's SYN.
   * @param now Milliseconds.
   * @returns The stream, in SYN_RECV.
   * @throws {PilotError} `invalid_argument` for an option out of range.
   */
  static accept(options: StreamOptions, syn: Segment, now: number): Stream {
    return new Stream(options, now, syn);
  }

  /** Present state. */
  get state(): StreamState {
    return this.#state;
  }

  /** Why the stream ended badly, or why what was read before `end` is incomplete. */
  get error(): PilotError | undefined {
    return this.#error;
  }

  /** Bytes `write` takes now. */
  get writableBytes(): number {
    return this.#closing || this.#over ? 0 : this.#sender.free;
  }

  /** Bytes that can be read now. */
  get readableBytes(): number {
    return this.#peer?.receiver.readable ?? 0;
  }

  /**
   * Takes bytes to send. When it takes fewer than given, a `writable` event follows.
   *
   * @param data Bytes, copied.
   * @param now Milliseconds.
   * @returns Bytes taken; 0 when the send buffer is full or the stream is closing or closed.
   */
  write(data: Uint8Array, now: number): number {
    if (this.#closing || this.#over) return 0;
    const taken = this.#sender.write(data);
    if (taken < data.length) this.#wantWritable = true;
    if (taken > 0) this.#activeAt = now;
    return taken;
  }

  /**
   * Hands over received bytes; call `transmit` afterwards, a window update may be due.
   *
   * @param maxBytes Bytes at most. Default all of the next piece.
   * @returns The next bytes in order, owned by the caller; undefined when there are none now.
   */
  read(maxBytes: number = Infinity): Uint8Array | undefined {
    const out = this.#peer?.receiver.read(maxBytes);
    if (out !== undefined) this.#reportEnd();
    return out;
  }

  /** The application will not read any more: what arrived and what arrives is acknowledged and dropped. */
  closeRead(): void {
    this.#discardReads = true;
    this.#peer?.receiver.discard();
    this.#reportEnd();
  }

  /**
   * Closes gracefully: the FIN follows when everything written is acknowledged, which is waited for as long as there
   * is progress (daemon.md §3.7 RULE). Reading stays possible until `end` or `closed`.
   *
   * @param now Milliseconds.
   */
  close(now: number): void {
    if (this.#closing || this.#over) return;
    if (this.#state === "SYN_SENT") {
      this.#finish();
      return;
    }
    this.#startClosing(now);
    if (this.#state === "ESTABLISHED") this.#state = "FIN_WAIT";
  }

  /**
   * Ends the stream at once: one RST, everything dropped.
   *
   * @param _now Milliseconds.
   */
  abort(_now: number): void {
    this.#peer?.receiver.clear();
    if (this.#over) {
      this.#finish();
      return;
    }
    this.#fail("aborted", "Connection aborted", this.#state !== "SYN_SENT");
  }

  /**
   * The daemon learned that the peer process restarted: asks it about this connection, and fails with
   * `connection_closed` when it stays silent for 3 s (daemon.md §17 RULE).
   *
   * @param now Milliseconds.
   */
  onPeerRestarted(now: number): void {
    if (this.#state === "SYN_SENT") this.#retry.hasten(now);
    else if (!this.#over) {
      this.#live.onPeerRestarted(now, this.#sender.rtt.base);
    }
  }

  /**
   * @param mss New segment size in bytes, clamped to 64..65535; segments already cut keep their size.
   */
  setMss(mss: number): void {
    this.#sender.setMss(mss);
  }

  /**
   * Whether a SYN for this connection comes from a restarted peer, so that this stream is to be dropped and the SYN
   * accepted anew (daemon.md §3.4 RULE). Otherwise give it to {@linkcode onSegment}.
   *
   * @param syn The SYN.
   * @param now Milliseconds. When given, a SYN of an older peer within 2 s of the handshake counts as a late copy.
   * @returns Whether to start over.
   */
  isRestart(syn: Segment, now: number = Infinity): boolean {
    const peer = this.#peer;
    if (peer === undefined || (syn.flags & (SYN | ACK)) !== SYN) return false;
    if (this.#state === "CLOSED") return true;
    if (syn.seq !== peer.isn) return true;
    // The same number again: of a peer of our kind it is a copy, an older peer begins every connection with it.
    if (!peer.reference || this.#state === "SYN_RECV") return false;
    if (this.#state !== "ESTABLISHED") return true;
    const progress = peer.receiver.next > 0 || this.#sender.next > 0;
    return progress && now - this.#establishedAt > RESTART_GUARD_MS;
  }

  /** @returns The next event, or undefined. */
  pollEvent(): StreamEvent | undefined {
    return this.#events.poll();
  }

  /** When `onTimer` or `transmit` has something to do again, milliseconds; Infinity when nothing is due. */
  deadline(): number {
    if (this.#reset !== undefined) return 0;
    if (this.#state === "CLOSED") return Infinity;
    const handshake = Math.min(this.#retry.deadline, this.#stateUntil);
    const peer = this.#peer;
    if (peer === undefined || this.#state === "SYN_RECV") return handshake;
    return Math.min(
      handshake,
      this.#sender.deadline(),
      peer.receiver.deadline,
      this.#peerFin.deadline,
      this.#over ? Infinity : this.#live.deadline(this.#idle),
      this.#state === "ESTABLISHED" ? this.#activeAt + this.#config.idleTimeoutMs : Infinity,
    );
  }

  /**
   * Runs what is due. Harmless when nothing is.
   *
   * @param now Milliseconds.
   */
  onTimer(now: number): void {
    if (this.#state === "CLOSED") return;
    if (now >= this.#stateUntil) {
      this.#onStateTimeout();
      return;
    }
    const peer = this.#peer;
    if (peer === undefined || this.#over || this.#state === "SYN_RECV") return;
    this.#sender.onTimer(now);
    if (
      this.#sender.failed ||
      this.#finOffset !== undefined && now >= this.#retry.deadline &&
        this.#retry.count > MAX_RETRANSMISSIONS
    ) {
      this.#fail(
        "timeout",
        "Connection timed out: the peer stopped answering",
        true,
      );
      return;
    }
    if (this.#peerFin.onTimer(now, peer.receiver)) {
      this.#error = new PilotError(
        "connection_closed",
        "Peer closed the connection before all of its data arrived",
      );
      this.#onPeerFin(now, peer);
    }
    if (
      this.#state === "ESTABLISHED" &&
      now >= this.#activeAt + this.#config.idleTimeoutMs
    ) this.close(now);
    this.#onLiveness(now);
  }

  /** A snapshot of all figures. */
  stats(): StreamStats {
    const { rtt, counters, congestion } = this.#sender;
    const receiver = this.#peer?.receiver;
    return {
      state: this.#state,
      cong_win: Math.floor(congestion.window),
      ssthresh: congestion.threshold === Infinity ? 0 : Math.floor(congestion.threshold),
      in_flight: this.#sender.inFlight,
      srtt_ms: rtt.srtt,
      rttvar_ms: rtt.rttvar,
      unacked: this.#sender.unacked,
      ooo_buf: receiver?.earlySegments ?? 0,
      peer_recv_win: this.#sender.window,
      recv_win: receiver?.window ?? SYN_WINDOW_SLOTS,
      in_recovery: this.#sender.recovering,
      bytes_sent: counters.bytes,
      bytes_recv: receiver?.counters.bytes ?? 0,
      segs_sent: this.#segmentsSent,
      segs_recv: this.#segmentsReceived,
      retransmits: counters.retransmits,
      fast_retx: counters.fastRetransmits,
      sack_recv: counters.sackReceived,
      sack_sent: receiver?.counters.sackSent ?? 0,
      dup_acks: counters.duplicateAcks,
      send_buf: this.#sender.end - this.#sender.una,
      recv_buf: receiver?.readable ?? 0,
    };
  }

  /**
   * Takes a segment of this connection.
   *
   * @param segment The segment; its payload is copied where it is kept.
   * @param now Milliseconds.
   */
  onSegment(segment: Segment, now: number): void {
    if (this.#state === "CLOSED") return;
    this.#segmentsReceived++;
    if (segment.flags & RST) this.#onReset(segment);
    else if (segment.flags & SYN) this.#onSyn(segment, now);
    else if (this.#peer === undefined) {
      // A stale connection of the peer on the same ports: it must go before ours can begin.
      if (segment.flags & ACK) this.#resetStale(segment, now);
    } else if (this.#state === "TIME_WAIT") {
      if (segment.flags & FIN) this.#peer.receiver.ackSoon();
    } else this.#onOpenSegment(segment, this.#peer, now);
  }

  /**
   * The next segment to put on the wire. Call it until it gives undefined after every other call; when pacing or the
   * windows hold data back, `deadline` or the next acknowledgement says when to ask again.
   *
   * @param now Milliseconds.
   * @returns A segment whose payload is valid until the next call into the stream.
   */
  transmit(now: number): Segment | undefined {
    const segment = this.#next(now);
    if (segment !== undefined) {
      this.#segmentsSent++;
      this.#live.onSent(now);
    }
    return segment;
  }

  #next(now: number): Segment | undefined {
    if (this.#reset !== undefined) {
      const { seq, ack } = this.#reset;
      this.#reset = undefined;
      return { flags: RST, seq, ack, window: 0, payload: NO_PAYLOAD };
    }
    if (this.#state === "CLOSED") return undefined;
    const peer = this.#peer;
    if (this.#state === "SYN_SENT" || this.#state === "SYN_RECV") {
      return this.#nextSyn(peer, now);
    }
    if (peer === undefined) return undefined;
    const { receiver } = peer;
    // Reports of gaps travel alone and first: they are what keeps the peer's recovery going.
    if (receiver.hasGap && receiver.ackDue(now)) {
      return this.#acknowledge(peer, receiver.takeReport());
    }
    if (!this.#over && this.#finOffset === undefined) {
      const out = this.#sender.take(now);
      if (out !== undefined) {
        return this.#segment(peer, ACK, out.offset, out.payload);
      }
      if (this.#closing && this.#sender.empty) this.#addFin(now);
    }
    if (this.#finOffset !== undefined && now >= this.#retry.deadline) {
      this.#retry.sent(now);
      return this.#segment(peer, FIN | ACK, this.#finOffset, NO_PAYLOAD);
    }
    if (receiver.ackDue(now)) {
      return this.#acknowledge(peer, receiver.takeReport());
    }
    const lively = this.#lively;
    this.#lively = undefined;
    if (lively === undefined) return undefined;
    return lively === "keepalive"
      ? this.#acknowledge(peer, NO_PAYLOAD)
      : this.#segment(peer, ACK, this.#position - 1, PROBE_PAYLOAD);
  }

  /** Whether the stream takes part in nothing any more but repeating its last ACK. */
  get #over(): boolean {
    return this.#state === "TIME_WAIT" || this.#state === "CLOSED";
  }

  /** Open with nothing outstanding: only keepalives would notice a dead peer. */
  get #idle(): boolean {
    return this.#state === "ESTABLISHED" && this.#sender.empty;
  }

  /** Offset after everything sent, our FIN included. */
  get #position(): number {
    return this.#finOffset === undefined ? this.#sender.next : this.#finOffset + 1;
  }

  #segment(
    peer: Peer,
    flags: number,
    offset: number,
    payload: Uint8Array,
  ): Segment {
    return {
      flags,
      seq: this.#out.toWire(offset),
      ack: this.#ackNumber(peer),
      window: peer.receiver.acknowledged(),
      payload,
    };
  }

  #acknowledge(peer: Peer, report: Uint8Array): Segment {
    return this.#segment(peer, ACK, this.#position, report);
  }

  #ackNumber(peer: Peer): number {
    return peer.space.toWire(
      peer.receiver.next + (this.#peerFin.ended ? 1 : 0),
    );
  }

  #nextSyn(peer: Peer | undefined, now: number): Segment | undefined {
    if (now < this.#retry.deadline) return undefined;
    this.#retry.sent(now);
    this.#synSentAt = now;
    return peer === undefined
      ? {
        flags: SYN,
        seq: this.#config.isn,
        ack: 0,
        window: Math.min(SYN_WINDOW_SLOTS, this.#config.recvBufferSegments),
        payload: NO_PAYLOAD,
      }
      : this.#segment(peer, SYN | ACK, -1, NO_PAYLOAD);
  }

  #meetPeer(syn: Segment): Peer {
    const reference = syn.seq === 0;
    const space = new SeqSpace(syn.seq);
    const receiver = new Receiver(this.#config, space, reference);
    if (this.#discardReads) receiver.discard();
    if (reference) this.#sender.limitToReferencePeer();
    this.#peer = { isn: syn.seq, reference, space, receiver };
    return this.#peer;
  }

  #establish(segment: Segment, now: number): void {
    if (this.#retry.count === 1) {
      this.#sender.rtt.sample(now - this.#synSentAt, now);
    }
    this.#retry.stop();
    this.#stateUntil = Infinity;
    this.#establishedAt = now;
    this.#activeAt = now;
    this.#state = "ESTABLISHED";
    this.#sender.onWindow(segment.window, now);
    this.#live.onReceived(now);
    this.#events.add("established");
    if (this.#closing) {
      this.#state = "FIN_WAIT";
      this.#linger(now);
    }
  }

  #onSyn(segment: Segment, now: number): void {
    const peer = this.#peer;
    const acked = (segment.flags & ACK) !== 0;
    const fits = segment.ack === seqAdd(this.#config.isn, 1);
    if (peer === undefined) {
      if (acked && !fits) this.#resetStale(segment, now);
      else if (acked) {
        this.#meetPeer(segment).receiver.ackSoon();
        this.#establish(segment, now);
      } else {
        // Both sides dialled: answer as if we had been called, and stay one connection.
        this.#meetPeer(segment);
        this.#state = "SYN_RECV";
        this.#retry.start(now, HANDSHAKE_RETRY_MS, HANDSHAKE_RETRY_MAX_MS);
      }
      return;
    }
    if (segment.seq !== peer.isn) return;
    if (this.#state === "SYN_RECV") {
      if (acked && fits) {
        peer.receiver.ackSoon();
        this.#establish(segment, now);
      } else if (!acked) this.#retry.hasten(now);
      return;
    }
    // A repeated SYN or SYN-ACK: our last word of the handshake was lost.
    peer.receiver.ackSoon();
  }

  #onReset(segment: Segment): void {
    const peer = this.#peer;
    const bare = segment.seq === 0 && segment.ack === 0;
    if (peer === undefined) {
      if (bare || segment.ack === seqAdd(this.#config.isn, 1)) {
        this.#fail("connection_refused", "Connection refused by the peer");
      }
      return;
    }
    const distance = seqDiff(
      segment.seq,
      peer.space.toWire(peer.receiver.next),
    );
    if (!bare && Math.abs(distance) > RESET_SLACK_BYTES) return;
    // After our FIN went out everything we sent is acknowledged: the close is done, if not politely.
    if (this.#over || this.#finOffset !== undefined) this.#finish();
    else this.#fail("connection_closed", "Connection reset by the peer");
  }

  #resetStale(segment: Segment, now: number): void {
    this.#reset = { seq: segment.ack, ack: seqAdd(segment.seq, 1) };
    this.#retry.hasten(now + AFTER_RESET_MS);
  }

  #onOpenSegment(segment: Segment, peer: Peer, now: number): void {
    const reading = interpret(
      segment,
      this.#out,
      this.#sender.una,
      this.#position,
      peer.reference,
    );
    if (reading === undefined) return;
    const fin = (segment.flags & FIN) !== 0;
    if (this.#state === "SYN_RECV") {
      if (!fin && (reading.ack === undefined || reading.ack < 0)) return;
      this.#establish(segment, now);
    }
    this.#live.onReceived(now);
    const advanced = reading.ack !== undefined &&
      this.#onAck(segment, reading, reading.ack, peer, now);
    // Acknowledging our FIN may have ended the stream.
    if (this.#over) return;
    if (reading.payload.length > 0) {
      this.#onData(segment, reading.payload, peer, now);
    } else if (!reading.report && !fin && !advanced) {
      this.#answerEmpty(segment, peer, now);
    }
    if (!fin) return;
    const offset = peer.space.toOffset(segment.seq, peer.receiver.next) +
      reading.payload.length;
    peer.receiver.ackSoon();
    if (
      this.#peerFin.onFin(offset, peer.receiver, now, this.#sender.rtt.base)
    ) this.#onPeerFin(now, peer);
  }

  #onAck(
    segment: Segment,
    reading: Reading,
    ack: number,
    peer: Peer,
    now: number,
  ): boolean {
    const sender = this.#sender;
    if (this.#finOffset !== undefined) {
      if (ack <= this.#finOffset || this.#finAcked) return false;
      this.#finAcked = true;
      this.#retry.stop();
      if (this.#peerFin.ended) this.#bothClosed(now);
      else this.#linger(now);
      return true;
    }
    if (ack < 0) return false;
    const empty = segment.payload.length === 0;
    const current = ack >= sender.una;
    const advanced = sender.onAck(
      ack,
      reading.blocks,
      empty && (segment.flags & FIN) === 0 &&
        segment.window === sender.window,
      now,
    );
    if (current && (segment.flags & FIN) === 0) {
      const seq = peer.space.toOffset(segment.seq, peer.receiver.next);
      const idleZero = segment.window === 0 && empty && !advanced &&
        sender.empty;
      if (
        !idleZero && (seq > this.#windowSeq ||
          seq === this.#windowSeq && ack >= this.#windowAck)
      ) {
        this.#windowSeq = seq;
        this.#windowAck = ack;
        sender.onWindow(segment.window, now);
      }
    }
    if (advanced) {
      this.#activeAt = now;
      if (this.#closing) this.#linger(now);
      if (this.#wantWritable && sender.free * 4 >= sender.limit) {
        this.#wantWritable = false;
        this.#events.add("writable");
      }
    }
    return advanced;
  }

  #onData(
    segment: Segment,
    payload: Uint8Array,
    peer: Peer,
    now: number,
  ): void {
    const { receiver } = peer;
    if (this.#peerFin.ended) {
      receiver.ackSoon();
      return;
    }
    const before = receiver.next;
    const offset = peer.space.toOffset(segment.seq, before);
    if (receiver.onData(offset, payload, now)) this.#events.add("readable");
    if (receiver.next === before) return;
    this.#activeAt = now;
    if (this.#closing && this.#stateUntil !== Infinity) this.#linger(now);
    if (this.#peerFin.onProgress(receiver.next, now)) {
      receiver.ackSoon();
      this.#onPeerFin(now, peer);
    }
  }

  /** An empty ACK without news: a keepalive, or a probe of our window (daemon.md §3.2, §3.9 RULE). */
  #answerEmpty(segment: Segment, peer: Peer, now: number): void {
    const { receiver } = peer;
    const urgent = receiver.advertised === 0 &&
      (receiver.window > 0 || segment.window > 0);
    if (urgent) {
      if (this.#live.mayAnswerWindow(now)) receiver.ackSoon();
    } else if (segment.window === 0 && this.#live.mayAnswerKeepalive(now)) {
      receiver.ackSoon();
    }
  }

  #startClosing(now: number): void {
    this.#closing = true;
    this.#wantWritable = false;
    this.#sender.flush();
    if (this.#state !== "SYN_RECV") this.#linger(now);
  }

  #linger(now: number): void {
    this.#stateUntil = now + this.#config.lingerMs;
  }

  /** Everything written is acknowledged, so the FIN is next. */
  #addFin(now: number): void {
    this.#finOffset = this.#sender.discard();
    // From here on the repetitions of the FIN are the limit.
    this.#stateUntil = Infinity;
    this.#retry.start(now, this.#sender.rtt.rto, this.#config.maxRtoMs);
  }

  /** The peer's stream is complete: it takes no more from us than what is under way. */
  #onPeerFin(now: number, peer: Peer): void {
    this.#reportEnd();
    peer.receiver.ackSoon();
    if (this.#finAcked) {
      this.#bothClosed(now);
      return;
    }
    if (!this.#closing) {
      this.#startClosing(now);
      this.#state = "CLOSE_WAIT";
    }
    // An older peer takes no data once it has closed (daemon.md §3.6); waiting for its ACKs would be in vain.
    if (peer.reference && this.#finOffset === undefined) this.#addFin(now);
  }

  #bothClosed(now: number): void {
    if (this.#state === "CLOSE_WAIT") {
      this.#finish();
      return;
    }
    this.#state = "TIME_WAIT";
    this.#stateUntil = now + this.#config.timeWaitMs;
    this.#release();
    this.#peer?.receiver.ackSoon();
    this.#events.add("closed");
  }

  #onStateTimeout(): void {
    switch (this.#state) {
      case "SYN_SENT":
        this.#fail("timeout", "Dial timed out: the peer did not answer");
        break;
      case "SYN_RECV":
        this.#fail("timeout", "Handshake timed out: the peer went silent");
        break;
      case "TIME_WAIT":
        this.#finish();
        break;
      default:
        if (this.#finAcked) {
          // Ours is delivered and confirmed; the peer merely never closed its side.
          this.#resetPeer();
          this.#finish();
        } else {
          this.#fail(
            "timeout",
            `Close timed out: ${this.#sender.end - this.#sender.una} bytes were not acknowledged`,
            true,
          );
        }
    }
  }

  #onLiveness(now: number): void {
    if (this.#over) return;
    const action = this.#live.due(now, this.#idle);
    switch (action) {
      case "dead":
        this.#fail(
          "timeout",
          "Connection timed out: keepalives went unanswered",
          true,
        );
        break;
      case "restarted":
        this.#fail(
          "connection_closed",
          "Connection lost: the peer restarted",
        );
        break;
      case "keepalive":
      case "probe":
        this.#lively = action;
        // An idle stream gives its send memory back.
        if (this.#idle) this.#sender.shrink();
    }
  }

  #reportEnd(): void {
    if (
      this.#peerFin.ended && !this.#endReported && this.readableBytes === 0
    ) {
      this.#endReported = true;
      this.#events.add("end");
    }
  }

  #resetPeer(): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#reset = {
      seq: this.#out.toWire(this.#position),
      ack: this.#ackNumber(peer),
    };
  }

  #fail(code: ErrorCode, message: string, reset: boolean = false): void {
    if (reset) this.#resetPeer();
    this.#error ??= new PilotError(code, message);
    this.#finish();
  }

  #finish(): void {
    const reported = this.#over;
    this.#state = "CLOSED";
    this.#stateUntil = Infinity;
    this.#release();
    this.#peer?.receiver.stop();
    if (!reported) this.#events.add("closed");
  }

  #release(): void {
    this.#sender.clear();
    this.#retry.stop();
    this.#peerFin.stop();
    this.#lively = undefined;
  }
}
