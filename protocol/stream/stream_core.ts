/**
 * The state of one stream and its transitions. Internal: {@linkcode Stream} is the way to use it; segments come in
 * through segment_input.ts, leave through segment_output.ts, and time passes in stream_timers.ts.
 *
 * @module
 */

import { type ErrorCode, PilotError } from "../errors.ts";
import {
  HANDSHAKE_RETRY_MAX_MS,
  HANDSHAKE_RETRY_MS,
  resolveConfig,
  type StreamConfig,
  type StreamOptions,
} from "./stream_config.ts";
import { EventSet } from "./stream_events.ts";
import { Liveness } from "./liveness.ts";
import { PeerFin } from "./peer_fin.ts";
import { Receiver } from "./stream_receiver.ts";
import { Retry } from "./retry.ts";
import type { Segment } from "./segment.ts";
import { Sender } from "./stream_sender.ts";
import { SeqSpace } from "./seq.ts";

/**
 * States, named as in docs/protocol/local-socket.md §7. FIN_WAIT begins with our `close`, CLOSE_WAIT with the peer's
 * FIN.
 */
export type StreamState =
  | "SYN_SENT"
  | "SYN_RECV"
  | "ESTABLISHED"
  | "FIN_WAIT"
  | "CLOSE_WAIT"
  | "TIME_WAIT"
  | "CLOSED";

/** What is there once the peer's initial sequence number is known. */
export interface Peer {
  /** Its initial sequence number. */
  isn: number;
  /** Initial sequence number 0: an older peer (docs/protocol/streams.md §2.1). */
  reference: boolean;
  /** Its sequence space. */
  space: SeqSpace;
  /** The receive side. */
  receiver: Receiver;
}

/** State of a stream, shared by the parts that drive it. */
export class Core {
  readonly config: StreamConfig;
  readonly out: SeqSpace;
  readonly sender: Sender;
  readonly live: Liveness;
  /** Repeats SYN, SYN-ACK or FIN. */
  readonly retry: Retry = new Retry();
  readonly events: EventSet = new EventSet();
  readonly peerFin: PeerFin = new PeerFin();
  state: StreamState;
  error: PilotError | undefined;
  peer: Peer | undefined;

  /** Limit of the present state: handshake, linger or TIME_WAIT. */
  stateUntil: number;
  establishedAt: number = Infinity;
  /** When the latest SYN or SYN-ACK left. */
  synSentAt = 0;
  /** Latest data in either direction. */
  activeAt: number;
  /** No more writes: `close` was called, or the peer closed. */
  closing = false;
  /** Nobody has closed: the program has gone, and the peer is to know. */
  abandoned = false;
  /** Only our direction has ended: what the peer still sends is read (docs/protocol/streams.md §6.5). */
  isHalfClosed = false;
  /** The peer has closed both directions: nothing that we might still write has a reader. */
  isPeerDeaf = false;
  /** The application reads no more. */
  discardReads = false;
  /** A `write` came short. */
  wantWritable = false;
  /** Offset of our FIN once it is part of the stream. */
  finOffset: number | undefined;
  finAcked = false;
  /** A reset to send, also after the end. */
  reset: { seq: number; ack: number } | undefined;
  /** A sign of life to send. */
  sign: "keepalive" | "probe" | undefined;
  #endReported = false;

  /**
   * @param options See {@linkcode StreamOptions}.
   * @param now Milliseconds.
   * @param syn The peer's SYN for a passive open.
   */
  constructor(options: StreamOptions, now: number, syn: Segment | undefined) {
    const config = resolveConfig(options);
    this.config = config;
    this.out = new SeqSpace(config.isn);
    this.sender = new Sender(config, this.out);
    this.live = new Liveness(config, now);
    this.activeAt = now;
    if (syn === undefined) {
      this.state = "SYN_SENT";
      this.stateUntil = now + config.dialTimeoutMs;
    } else {
      this.state = "SYN_RECV";
      this.stateUntil = now + config.halfOpenTimeoutMs;
      this.meetPeer(syn);
    }
    this.startHandshake(now);
  }

  /** Whether nothing is left to do but to repeat the last ACK. */
  get over(): boolean {
    return this.state === "TIME_WAIT" || this.state === "CLOSED";
  }

  /** Open with nothing outstanding: only keepalives would notice a dead peer. */
  get idle(): boolean {
    const isOpen = this.state === "ESTABLISHED" || this.state === "CLOSE_WAIT" && !this.closing ||
      this.isHalfClosed && this.finAcked;
    return isOpen && this.sender.pending === 0;
  }

  /** What the peer still sends is wanted: whatever else ends the stream cuts it short. */
  get isExpectingData(): boolean {
    return this.isHalfClosed && !this.peerFin.ended;
  }

  /** Offset after everything sent, our FIN included. */
  get position(): number {
    return this.finOffset === undefined ? this.sender.next : this.finOffset + 1;
  }

  /** Acknowledgement number for the peer. */
  ackNumber(peer: Peer): number {
    return peer.space.toWire(peer.receiver.next + (this.peerFin.ended ? 1 : 0));
  }

  /** SYN or SYN-ACK is due now and then. */
  startHandshake(now: number): void {
    this.retry.start(now, HANDSHAKE_RETRY_MS, HANDSHAKE_RETRY_MAX_MS);
  }

  /** The peer's SYN, with or without ACK, gives its sequence space. */
  meetPeer(syn: Segment): Peer {
    const reference = syn.seq === 0;
    const space = new SeqSpace(syn.seq);
    const receiver = new Receiver(this.config, { space, reference, rtt: this.sender.rtt });
    if (this.discardReads) receiver.discard();
    if (reference) this.sender.limitToReferencePeer();
    this.peer = { isn: syn.seq, reference, space, receiver };
    return this.peer;
  }

  /** The handshake is done by this segment. */
  establish(segment: Segment, now: number): void {
    // Karn's rule: only a handshake without repetition measures the round trip.
    if (this.retry.count === 1) {
      this.sender.rtt.sample(now - this.synSentAt, now);
    }
    this.retry.stop();
    this.stateUntil = Infinity;
    this.establishedAt = this.activeAt = now;
    this.state = "ESTABLISHED";
    this.sender.onWindow(segment.window, now);
    this.live.onReceived(now);
    this.events.add("established");
    if (!this.closing) return;
    this.state = "FIN_WAIT";
    this.linger(now);
  }

  /** No more writes; what was written still goes out, and then the FIN. */
  startClosing(now: number): void {
    this.closing = true;
    this.wantWritable = false;
    this.sender.flush();
    if (this.state !== "SYN_SENT" && this.state !== "SYN_RECV") {
      this.linger(now);
    }
  }

  /** There was progress: a closing stream gets more time. One that is closed by halves has all the time there is. */
  linger(now: number): void {
    const isWaiting = this.isHalfClosed && this.finAcked;
    this.stateUntil = isWaiting ? Infinity : now + this.config.lingerMs;
  }

  /** Our writing had ended, and now our reading does: the FIN goes out again, as one that closes both directions. */
  endHalfClose(now: number): void {
    this.isHalfClosed = false;
    this.linger(now);
    if (this.finOffset !== undefined && !this.peerFin.ended) this.#repeatFin(now);
  }

  /** Our FIN comes next; what is not acknowledged by now is dropped. */
  addFin(now: number): void {
    this.finOffset = this.sender.clear();
    // From here on the repetitions of the FIN are the limit.
    this.stateUntil = Infinity;
    this.#repeatFin(now);
  }

  #repeatFin(now: number): void {
    this.retry.start(now, this.sender.rtt.rto, this.config.maxRtoMs);
  }

  /** The peer's side of the stream is complete. */
  onPeerFin(now: number, peer: Peer): void {
    this.reportEnd();
    peer.receiver.ackSoon();
    if (this.finAcked) {
      this.#bothClosed(now);
      return;
    }
    if (!this.closing) {
      this.state = "CLOSE_WAIT";
      if (this.isPeerDeaf || this.error !== undefined) this.startClosing(now);
    }
    // An older peer takes no data once it has closed (docs/protocol/streams.md §6.1): nothing will be acknowledged any
    // more.
    if (peer.reference && this.finOffset === undefined) {
      this.#reportUndelivered();
      this.addFin(now);
    }
  }

  /** Our FIN was acknowledged. */
  onFinAcked(now: number): void {
    this.finAcked = true;
    this.retry.stop();
    if (this.isHalfClosed) this.events.add("writable");
    if (this.peerFin.ended) this.#bothClosed(now);
    else this.linger(now);
  }

  /** Reports `end` when the peer has closed and everything was read. */
  reportEnd(): void {
    if (this.#endReported || !this.peerFin.ended) return;
    if ((this.peer?.receiver.readable ?? 0) > 0) return;
    this.#endReported = true;
    this.events.add("end");
  }

  /** Ends the stream badly. */
  fail(code: ErrorCode, message: string, reset: boolean = false): void {
    if (reset) this.resetPeer();
    this.error ??= new PilotError(code, message);
    this.finish();
  }

  /** Ends the stream; what was received in order stays readable. */
  finish(): void {
    if (!this.over) this.events.add("closed");
    this.state = "CLOSED";
    this.stateUntil = Infinity;
    this.#release();
    this.peer?.receiver.stop();
  }

  /** Notifies the peer that the stream is gone. */
  resetPeer(): void {
    const { peer } = this;
    if (peer === undefined) return;
    this.reset = {
      seq: this.out.toWire(this.position),
      ack: this.ackNumber(peer),
    };
  }

  /**
   * What has not even left is lost: the application must not take the close for a delivery. What is on its way may have
   * arrived: older peers close without acknowledging (docs/protocol/streams.md §6.1).
   */
  #reportUndelivered(): void {
    const { una, pending, next } = this.sender;
    const unsent = una + pending - next;
    if (unsent === 0) return;
    this.error ??= new PilotError(
      "connection_closed",
      `Peer closed the connection before it had taken everything (${unsent} bytes were not sent)`,
    );
  }

  #bothClosed(now: number): void {
    if (this.state === "CLOSE_WAIT") {
      this.finish();
      return;
    }
    this.events.add("closed");
    this.state = "TIME_WAIT";
    this.stateUntil = now + this.config.timeWaitMs;
    this.#release();
    this.peer?.receiver.ackSoon();
  }

  #release(): void {
    this.sender.clear();
    this.retry.stop();
    this.peerFin.stop();
    this.sign = undefined;
  }
}
