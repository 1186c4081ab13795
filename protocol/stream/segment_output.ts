/**
 * What a stream puts on the wire, in order of urgency (docs/protocol/streams.md §4.1 to §8).
 *
 * @module
 */

import { ACK, FIN, RST, SYN } from "../packet.ts";
import { SYN_WINDOW_SLOTS } from "./stream_config.ts";
import type { Core, Peer } from "./stream_core.ts";
import { NO_PAYLOAD, type Segment } from "./segment.ts";

/** A byte the peer has already: it acknowledges and drops it. */
const PROBE_PAYLOAD = new Uint8Array(1);

/** Gives segments. */
export class Output {
  readonly #core: Core;

  /** @param core The stream's state. */
  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * @param now Milliseconds.
   * @returns The next segment; undefined when nothing may leave now.
   */
  next(now: number): Segment | undefined {
    const core = this.#core;
    const { peer, reset } = core;
    if (reset !== undefined) {
      core.reset = undefined;
      return { flags: RST, ...reset, window: 0, payload: NO_PAYLOAD };
    }
    if (core.state === "CLOSED") return undefined;
    if (core.state === "SYN_SENT" || core.state === "SYN_RECV") {
      return this.#syn(peer, now);
    }
    if (peer === undefined) return undefined;
    const { receiver } = peer;
    // Reports of gaps travel alone and first: they keep the peer's recovery going.
    if (receiver.hasGap && receiver.ackDue(now)) return this.#ack(peer, now);
    if (!core.over && core.finOffset === undefined) {
      const out = core.sender.take(now);
      if (out !== undefined) {
        return this.#segment(peer, ACK, out.offset, out.payload, now);
      }
      // FIN only after everything is acknowledged (docs/protocol/streams.md §6.1).
      if (core.closing && core.sender.pending === 0) {
        if (core.abandoned && !peer.reference) {
          core.fail("aborted", "Connection abandoned", true);
          return this.next(now); // the RST
        }
        core.addFin(now);
      }
    }
    if (core.finOffset !== undefined && now >= core.retry.deadline) {
      core.retry.sent(now);
      return this.#fin(peer, core.finOffset, now);
    }
    return receiver.ackDue(now) ? this.#ack(peer, now) : this.#sign(peer, now);
  }

  #syn(peer: Peer | undefined, now: number): Segment | undefined {
    const core = this.#core;
    if (now < core.retry.deadline) return undefined;
    core.retry.sent(now);
    core.synSentAt = now;
    if (peer !== undefined) {
      return this.#segment(peer, SYN | ACK, -1, NO_PAYLOAD, now);
    }
    return {
      flags: SYN,
      seq: core.config.isn,
      ack: 0,
      window: Math.min(SYN_WINDOW_SLOTS, core.config.recvBufferSegments),
      payload: NO_PAYLOAD,
    };
  }

  /** Towards peers of ours the window shows whether anything is still read (docs/protocol/streams.md §6.5). */
  #fin(peer: Peer, offset: number, now: number): Segment {
    const fin = this.#segment(peer, FIN | ACK, offset, NO_PAYLOAD, now);
    if (peer.reference) return fin;
    return { ...fin, window: this.#core.isHalfClosed ? Math.max(1, fin.window) : 0 };
  }

  #ack(peer: Peer, now: number): Segment {
    return this.#segment(
      peer,
      ACK,
      this.#core.position,
      peer.receiver.takeReport(),
      now,
    );
  }

  #sign(peer: Peer, now: number): Segment | undefined {
    const core = this.#core;
    const { sign } = core;
    core.sign = undefined;
    if (sign === undefined) return undefined;
    return sign === "keepalive"
      ? this.#segment(peer, ACK, core.position, NO_PAYLOAD, now)
      : this.#segment(peer, ACK, core.position - 1, PROBE_PAYLOAD, now);
  }

  #segment(
    peer: Peer,
    flags: number,
    offset: number,
    payload: Uint8Array,
    now: number,
  ): Segment {
    return {
      flags,
      seq: this.#core.out.toWire(offset),
      ack: this.#core.ackNumber(peer),
      window: peer.receiver.acknowledged(now),
      payload,
    };
  }
}
