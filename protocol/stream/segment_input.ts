/**
 * What a received segment does to a stream (docs/protocol/streams.md §4.2 to §8).
 *
 * @module
 */

import { ACK, FIN, RST, SYN } from "../packet.ts";
import type { Core, Peer } from "./stream_core.ts";
import { interpret, type Reading } from "./interpret.ts";
import type { Segment } from "./segment.ts";
import { seqAdd, seqDiff } from "./seq.ts";

/** Distance a reset's number may have from the one expected. */
const RESET_SLACK_BYTES = 1 << 24;
/** Pause between resetting a peer's stale connection and our next SYN, so that they arrive in this order. */
const AFTER_RESET_MS = 50;

/** Takes segments. */
export class Input {
  readonly #core: Core;
  /** Number and acknowledgement of the latest segment whose window counted: older ones do not (RFC 9293 §3.10.7). */
  #windowSeq = -1;
  #windowAck = -1;

  /** @param core The stream's state. */
  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * @param segment A segment of this connection.
   * @param now Milliseconds.
   */
  onSegment(segment: Segment, now: number): void {
    const core = this.#core;
    const { peer } = core;
    if (core.state === "CLOSED") return;
    if (segment.flags & RST) this.#onReset(segment);
    else if (segment.flags & SYN) this.#onSyn(segment, now);
    else if (peer === undefined) {
      if (segment.flags & ACK) this.#resetStale(segment, now);
    } else if (core.state === "TIME_WAIT") {
      // Our last ACK was lost.
      if (segment.flags & FIN) peer.receiver.ackSoon();
    } else this.#onOpen(segment, peer, now);
  }

  #onSyn(segment: Segment, now: number): void {
    const core = this.#core;
    const { peer } = core;
    const acked = (segment.flags & ACK) !== 0;
    const fits = segment.ack === seqAdd(core.config.isn, 1);
    if (peer === undefined) {
      if (acked && !fits) this.#resetStale(segment, now);
      else if (acked) {
        core.meetPeer(segment).receiver.ackSoon();
        core.establish(segment, now);
      } else {
        // Both sides dialled: answer as if we had been called, and stay one connection (docs/protocol/streams.md §4.5).
        core.meetPeer(segment);
        core.state = "SYN_RECV";
        core.startHandshake(now);
      }
      return;
    }
    if (segment.seq !== peer.isn) return;
    if (core.state !== "SYN_RECV") {
      // A repeated SYN or SYN-ACK: our last segment of the handshake was lost.
      peer.receiver.ackSoon();
    } else if (!acked) core.retry.hasten(now);
    else if (fits) {
      peer.receiver.ackSoon();
      core.establish(segment, now);
    }
  }

  /** A stale connection of the peer on the same ports must go before ours can begin. */
  #resetStale(segment: Segment, now: number): void {
    this.#core.reset = { seq: segment.ack, ack: seqAdd(segment.seq, 1) };
    this.#core.retry.hasten(now + AFTER_RESET_MS);
  }

  #onReset(segment: Segment): void {
    const core = this.#core;
    const { peer } = core;
    // Older peers reset with zeros (docs/protocol/streams.md §7).
    const bare = segment.seq === 0 && segment.ack === 0;
    if (peer === undefined) {
      if (bare || segment.ack === seqAdd(core.config.isn, 1)) {
        core.fail("connection_refused", "Connection refused by the peer");
      }
      return;
    }
    const distance = seqDiff(
      segment.seq,
      peer.space.toWire(peer.receiver.next),
    );
    if (!bare && Math.abs(distance) > RESET_SLACK_BYTES) return;
    // Once both sides are done with their data a reset merely cuts the farewell short.
    const isFarewell = core.finOffset !== undefined && !core.isExpectingData;
    if (core.over || isFarewell) core.finish();
    else core.fail("connection_closed", "Connection reset by the peer");
  }

  #onOpen(segment: Segment, peer: Peer, now: number): void {
    const core = this.#core;
    const reading = interpret(
      segment,
      core.out,
      core.sender.una,
      core.position,
      peer.reference,
    );
    if (reading === undefined) return;
    const fin = (segment.flags & FIN) !== 0;
    const { ack } = reading;
    if (core.state === "SYN_RECV") {
      if (!fin && (ack === undefined || ack < 0)) return;
      core.establish(segment, now);
    }
    core.live.onReceived(now);
    const advanced = ack !== undefined &&
      this.#onAck(segment, reading, ack, peer, now);
    // The acknowledgement of our FIN may have ended the stream.
    if (core.over) return;
    if (reading.payload.length > 0) {
      this.#onData(segment, reading.payload, peer, now);
    } else if (!reading.report && !fin && !advanced) {
      this.#answerEmpty(segment, peer, now);
    }
    if (fin) this.#onFin(segment, reading.payload.length, peer, now);
  }

  #onAck(
    segment: Segment,
    reading: Reading,
    ack: number,
    peer: Peer,
    now: number,
  ): boolean {
    const core = this.#core;
    const { sender } = core;
    if (core.finOffset !== undefined) {
      if (ack <= core.finOffset || core.finAcked) return false;
      core.onFinAcked(now);
      return true;
    }
    if (ack < 0) return false;
    const plain = segment.payload.length === 0 && (segment.flags & FIN) === 0;
    const current = ack >= sender.una;
    const duplicate = plain && segment.window === sender.window;
    const advanced = sender.onAck(ack, reading.blocks, duplicate, now);
    if (current && (segment.flags & FIN) === 0) {
      // On an idle connection a bare zero is an older peer's keepalive, not its window (docs/protocol/streams.md §8.1).
      const keepalive = plain && segment.window === 0 && !advanced &&
        sender.pending === 0;
      if (!keepalive) this.#onWindow(segment, ack, peer, now);
    }
    if (!advanced) return false;
    core.activeAt = now;
    if (core.closing) core.linger(now);
    if (core.wantWritable && sender.free * 4 >= sender.limit) {
      core.wantWritable = false;
      core.events.add("writable");
    }
    return true;
  }

  #onWindow(segment: Segment, ack: number, peer: Peer, now: number): void {
    const seq = peer.space.toOffset(segment.seq, peer.receiver.next);
    if (seq < this.#windowSeq) return;
    if (seq === this.#windowSeq && ack < this.#windowAck) return;
    this.#windowSeq = seq;
    this.#windowAck = ack;
    this.#core.sender.onWindow(segment.window, now);
  }

  #onData(
    segment: Segment,
    payload: Uint8Array,
    peer: Peer,
    now: number,
  ): void {
    const core = this.#core;
    const { receiver } = peer;
    if (core.peerFin.ended) {
      receiver.ackSoon();
      return;
    }
    const before = receiver.next;
    const offset = peer.space.toOffset(segment.seq, before);
    if (receiver.onData(offset, payload, now)) core.events.add("readable");
    if (receiver.next === before) return;
    core.activeAt = now;
    if (core.closing && core.finOffset === undefined || core.finAcked) {
      core.linger(now);
    }
    if (core.peerFin.onProgress(receiver.next, now)) core.onPeerFin(now, peer);
  }

  #onFin(segment: Segment, length: number, peer: Peer, now: number): void {
    const core = this.#core;
    const { receiver } = peer;
    const offset = peer.space.toOffset(segment.seq, receiver.next) + length;
    receiver.ackSoon();
    if (peer.reference || segment.window === 0) core.isPeerDeaf = true;
    if (core.peerFin.onFin(offset, receiver, now, core.sender.rtt.base)) {
      core.onPeerFin(now, peer);
    } else if (core.peerFin.ended && core.isPeerDeaf && !core.closing) {
      // It had closed its writing before, and now reads no more either.
      core.startClosing(now);
    } else if (core.peerFin.ended && core.finOffset !== undefined) {
      // A repeated FIN: the peer missed ours as well.
      core.retry.hasten(now);
    }
  }

  /**
   * An empty ACK without news: a keepalive, or a probe of our window (docs/protocol/streams.md §2.4, §8.1). An answer
   * to a closed window may leave more often only while it carries news or the prober's own window is open; so two sides
   * cannot answer each other's answers.
   */
  #answerEmpty(segment: Segment, peer: Peer, now: number): void {
    const { receiver } = peer;
    const { live } = this.#core;
    const probe = receiver.advertised === 0 &&
      (receiver.window > 0 || segment.window > 0);
    if (
      probe ? live.mayAnswerWindow(now) : segment.window === 0 && live.mayAnswerKeepalive(now)
    ) receiver.ackSoon();
  }
}
