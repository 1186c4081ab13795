/**
 * The reliable stream: handshake, data, close, and the timers between them (docs/protocol/streams.md). Sans-I/O:
 * segments and the time go in, segments, events and the next deadline come out.
 *
 * @module
 */

import { ACK, SYN } from "../packet.ts";
import {
  MAX_MSS_BYTES,
  MIN_MSS_BYTES,
  OWN_SLOT_BYTES,
  RESTART_GUARD_MS,
  SLOT_BYTES,
  type StreamOptions,
  SYN_WINDOW_SLOTS,
} from "./stream_config.ts";
import { Core, type StreamState } from "./stream_core.ts";
import type { StreamEvent } from "./stream_events.ts";
import { Input } from "./segment_input.ts";
import { Output } from "./segment_output.ts";
import type { Segment } from "./segment.ts";
import type { StreamStats } from "./stream_stats.ts";
import { deadline, onTimer } from "./stream_timers.ts";
import type { PilotError } from "../errors.ts";

export type { StreamState };

/**
 * One side of one connection. Its owner feeds it segments and the time, calls {@linkcode Stream.transmit} after every
 * call until it gives undefined, and comes back at {@linkcode Stream.deadline}.
 */
export class Stream {
  readonly #core: Core;
  readonly #input: Input;
  readonly #output: Output;
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
    this.#core = new Core(options, now, syn);
    this.#input = new Input(this.#core);
    this.#output = new Output(this.#core);
  }

  /**
   * Opens a stream actively; its SYN is due at once (docs/protocol/streams.md §4.1).
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
   * Opens a stream for a received SYN; the SYN-ACK is due at once (docs/protocol/streams.md §4.2).
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
    return this.#core.state;
  }

  /** The peer is known to be an older one: its initial sequence number was 0 (docs/protocol/streams.md §2.1). */
  get isReference(): boolean {
    return this.#core.peer?.reference === true;
  }

  /** Why the stream ended badly, or why what was read before `end` is incomplete. */
  get error(): PilotError | undefined {
    return this.#core.error;
  }

  /** Bytes `write` takes now. */
  get writableBytes(): number {
    const { closing, over, sender } = this.#core;
    return closing || over ? 0 : sender.free;
  }

  /** Bytes that can be read now. */
  get readableBytes(): number {
    return this.#core.peer?.receiver.readable ?? 0;
  }

  /**
   * Takes bytes to send. When that leaves the send buffer full, a `writable` event follows.
   *
   * @param data Bytes, copied.
   * @param now Milliseconds.
   * @returns Bytes taken; 0 when the send buffer is full or the stream is closing or closed.
   */
  write(data: Uint8Array, now: number): number {
    const core = this.#core;
    if (core.closing || core.over) return 0;
    const taken = core.sender.write(data);
    // Also when it just fitted: a writer that checks for room first must be notified as well.
    if (taken < data.length || core.sender.free === 0) core.wantWritable = true;
    if (taken > 0) core.activeAt = now;
    return taken;
  }

  /**
   * Hands over received bytes; call `transmit` afterwards, a window update may be due.
   *
   * @param maxBytes Bytes at most. Default all of the next piece.
   * @returns The next bytes in order, owned by the caller; undefined when there are none now.
   */
  read(maxBytes: number = Infinity): Uint8Array | undefined {
    const out = this.#core.peer?.receiver.read(maxBytes);
    if (out !== undefined) this.#core.reportEnd();
    return out;
  }

  /**
   * Copies received bytes out, which costs less than {@linkcode Stream.read} for who copies anyway; call `transmit`
   * afterwards.
   *
   * @param out Filled from its start.
   * @returns Bytes copied; 0 when there are none now.
   */
  readInto(out: Uint8Array): number {
    const bytes = this.#core.peer?.receiver.readInto(out) ?? 0;
    if (bytes > 0) this.#core.reportEnd();
    return bytes;
  }

  /** The application will not read any more: what arrived and what arrives is acknowledged and dropped. */
  closeRead(): void {
    this.#core.discardReads = true;
    this.#core.peer?.receiver.discard();
    this.#core.reportEnd();
  }

  /**
   * Closes gracefully: the FIN follows when everything written is acknowledged, which is waited for as long as there
   * is progress (docs/protocol/streams.md §6.1). Reading stays possible until `end` or `closed`.
   *
   * @param now Milliseconds.
   */
  close(now: number): void {
    const core = this.#core;
    if (core.over) return;
    if (core.isHalfClosed) return core.endHalfClose(now);
    if (core.closing) return;
    if (core.state === "SYN_SENT" && core.sender.pending === 0) {
      // Nothing was promised to anyone yet.
      core.finish();
      return;
    }
    core.startClosing(now);
    if (core.state === "ESTABLISHED") core.state = "FIN_WAIT";
  }

  /**
   * Closes for writing alone: the FIN follows as for {@linkcode close}, and what the peer still sends is read until it
   * closes, too. {@linkcode isDelivered} then shows that the peer has everything. Existing peers know no half close.
   *
   * @param now Milliseconds.
   * @returns Whether the peer can be notified; false leaves the stream as it is.
   */
  closeWrite(now: number): boolean {
    const core = this.#core;
    if (core.peer === undefined || core.peer.reference) return false;
    if (core.closing || core.over) return true;
    core.isHalfClosed = !core.peerFin.ended && !core.discardReads;
    core.startClosing(now);
    if (core.state === "ESTABLISHED") core.state = "FIN_WAIT";
    return true;
  }

  /** The peer has acknowledged everything written, and our close. */
  get isDelivered(): boolean {
    return this.#core.finAcked;
  }

  /** The peer has closed its side for writing, and reads what we still write. */
  get isPeerReading(): boolean {
    const { peerFin, isPeerDeaf, over, error } = this.#core;
    // An end ahead of data that never came is a failure, and no half close.
    return peerFin.ended && !isPeerDeaf && !over && error === undefined;
  }

  /**
   * As {@linkcode close}, for a program that has gone without closing: when everything written is acknowledged the peer
   * gets an RST instead of a FIN, so that it does not take for whole what was not ended. Existing peers get the FIN,
   * as theirs end so.
   *
   * @param now Milliseconds.
   */
  abandon(now: number): void {
    if (!this.#core.closing) this.#core.abandoned = true;
    this.close(now);
  }

  /**
   * Ends the stream at once: one RST, everything dropped.
   *
   * @param _now Milliseconds.
   */
  abort(_now: number): void {
    const core = this.#core;
    core.peer?.receiver.clear();
    if (core.over) core.finish();
    else core.fail("aborted", "Connection aborted", true);
  }

  /**
   * The daemon learned that the peer process restarted: asks it about this connection, and fails with
   * `connection_closed` when it stays silent for 3 s (docs/protocol/streams.md §8.3).
   *
   * @param now Milliseconds.
   */
  onPeerRestarted(now: number): void {
    const core = this.#core;
    if (core.state === "SYN_SENT") core.retry.hasten(now);
    else if (!core.over) core.live.onPeerRestarted(now, core.sender.rtt.base);
  }

  /**
   * The path's segment size changed.
   *
   * @param mss New segment size in bytes, clamped to 64..65535; segments sent before are repeated in pieces of it.
   */
  setMss(mss: number): void {
    const clamped = Math.min(Math.max(mss, MIN_MSS_BYTES), MAX_MSS_BYTES);
    this.#core.sender.setMss(Math.floor(clamped));
  }

  /**
   * The path to the peer broke and another one is in use: what is in flight is sent again without waiting for timeouts
   * that have grown meanwhile, and congestion control starts over (RFC 9000 §9.4).
   *
   * @param now Milliseconds.
   */
  onPathRepaired(now: number): void {
    const core = this.#core;
    if (core.state === "SYN_SENT") core.retry.hasten(now);
    else if (!core.over) core.sender.onPathRepaired(now);
  }

  /**
   * Whether a SYN for this connection comes from a restarted peer, so that this stream is to be dropped and the SYN
   * accepted afresh (docs/protocol/streams.md §4.4). Otherwise give it to {@linkcode onSegment}.
   *
   * @param syn The SYN.
   * @param now Milliseconds. When given, a SYN of an older peer within 2 s of the handshake counts as a late copy.
   * @returns Whether to start over.
   */
  isRestart(syn: Segment, now: number = Infinity): boolean {
    const { peer, state, sender, establishedAt } = this.#core;
    if (peer === undefined || (syn.flags & (SYN | ACK)) !== SYN) return false;
    if (state === "CLOSED" || syn.seq !== peer.isn) return true;
    // The same number again: of a peer of our kind it is a copy, an older peer begins every connection with it.
    if (!peer.reference || state === "SYN_RECV") return false;
    if (state !== "ESTABLISHED") return true;
    const progress = peer.receiver.next > 0 || sender.next > 0;
    return progress && now - establishedAt > RESTART_GUARD_MS;
  }

  /** The next event, or undefined when there is none. */
  pollEvent(): StreamEvent | undefined {
    return this.#core.events.poll();
  }

  /** When `onTimer` or `transmit` has something to do again, milliseconds; Infinity when nothing is due. */
  deadline(): number {
    return deadline(this.#core);
  }

  /**
   * Runs what is due. Harmless when nothing is.
   *
   * @param now Milliseconds.
   */
  onTimer(now: number): void {
    onTimer(this.#core, now);
  }

  /** A snapshot of all figures. */
  stats(): StreamStats {
    const { state, sender, peer } = this.#core;
    const { rtt, counters, congestion } = sender;
    const receiver = peer?.receiver;
    return {
      state,
      cong_win: Math.floor(congestion.window),
      ssthresh: congestion.threshold === Infinity ? 0 : Math.floor(congestion.threshold),
      in_flight: sender.inFlight,
      srtt_ms: rtt.srtt,
      rttvar_ms: rtt.rttvar,
      unacked: sender.unacked,
      ooo_buf: receiver?.earlySegments ?? 0,
      peer_recv_win: sender.window,
      recv_win: receiver?.window ?? SYN_WINDOW_SLOTS,
      window_slot_bytes: peer?.reference === false ? OWN_SLOT_BYTES : SLOT_BYTES,
      in_recovery: sender.recovering,
      bytes_sent: sender.bytesSent,
      bytes_recv: receiver?.counters.bytes ?? 0,
      segs_sent: this.#segmentsSent,
      segs_recv: this.#segmentsReceived,
      retransmits: counters.retransmits,
      fast_retx: counters.fastRetransmits,
      sack_recv: counters.sackReceived,
      sack_sent: receiver?.counters.sackSent ?? 0,
      dup_acks: counters.duplicateAcks,
      send_buf: sender.pending,
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
    this.#segmentsReceived++;
    this.#input.onSegment(segment, now);
  }

  /**
   * The next segment to put on the wire. Call it until it gives undefined after every other call; when pacing or the
   * windows hold data back, `deadline` or the next acknowledgement says when to ask again.
   *
   * @param now Milliseconds.
   * @returns A segment whose payload is valid until the next call into the stream.
   */
  transmit(now: number): Segment | undefined {
    const segment = this.#output.next(now);
    if (segment !== undefined) {
      this.#segmentsSent++;
      this.#core.live.onSent(now);
    }
    return segment;
  }
}
