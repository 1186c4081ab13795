/**
 * One stream against a hand-written peer: every segment is spelled out by the test.
 *
 * @module
 */

import { ACK, FIN, RST, SYN } from "../../../protocol/packet.ts";
import {
  type Segment,
  Stream,
  type StreamEvent,
  type StreamOptions,
} from "../../../protocol/stream/mod.ts";

/** Own initial sequence number in scripted tests. */
export const OWN_ISN = 1_000;
/** Peer's one, when it is of our kind. */
export const PEER_ISN = 5_000;

/** Bytes 0, 1, 2 ... */
export function bytes(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);
}

/** A segment with defaults. */
export function segment(fields: Partial<Segment>): Segment {
  return {
    flags: ACK,
    seq: 0,
    ack: 0,
    window: 512,
    payload: new Uint8Array(0),
    ...fields,
  };
}

/** Names of the flags of a segment. */
export function flagNames(flags: number): string {
  const names: string[] = [];
  if (flags & SYN) names.push("SYN");
  if (flags & FIN) names.push("FIN");
  if (flags & RST) names.push("RST");
  if (flags & ACK) names.push("ACK");
  return names.join("|");
}

/** A stream, its clock, and the peer's numbers. */
export class Script {
  now = 0;
  readonly stream: Stream;
  readonly peerIsn: number;

  constructor(stream: Stream, peerIsn: number) {
    this.stream = stream;
    this.peerIsn = peerIsn;
  }

  /** An established stream that we opened. */
  static established(
    options: Partial<StreamOptions> = {},
    peerIsn = PEER_ISN,
    window = 512,
  ): Script {
    const stream = Stream.connect({ isn: OWN_ISN, ...options }, 0);
    const script = new Script(stream, peerIsn);
    script.out();
    script.now = 10;
    const ack = ((options.isn ?? OWN_ISN) + 1) >>> 0;
    script.in({ flags: SYN | ACK, seq: peerIsn, ack, window });
    script.out();
    script.events();
    return script;
  }

  /** Sequence number of a byte of ours. */
  own(offset: number): number {
    return (OWN_ISN + 1 + offset) >>> 0;
  }

  /** Sequence number of a byte of the peer. */
  peer(offset: number): number {
    return (this.peerIsn + 1 + offset) >>> 0;
  }

  /** Everything the stream wants to send now; payloads are copied. */
  out(): Segment[] {
    const list: Segment[] = [];
    for (;;) {
      const s = this.stream.transmit(this.now);
      if (s === undefined) return list;
      list.push({ ...s, payload: s.payload.slice() });
      if (list.length > 100_000) throw new Error("transmit never ends");
    }
  }

  /** Gives the stream a segment and returns what it sends at once. */
  in(fields: Partial<Segment>): Segment[] {
    this.stream.onSegment(segment(fields), this.now);
    return this.out();
  }

  /** Data of the peer. */
  data(offset: number, payload: Uint8Array, ackOffset = 0): Segment[] {
    return this.in({
      seq: this.peer(offset),
      ack: this.own(ackOffset),
      payload,
    });
  }

  /** Lets time pass, running timers; returns what was sent and when. */
  pass(ms: number): Array<Segment & { at: number }> {
    const until = this.now + ms;
    const list: Array<Segment & { at: number }> = [];
    for (let turns = 0;; turns++) {
      const next = this.stream.deadline();
      if (next > until) break;
      if (turns > 100_000) throw new Error(`deadline stays at ${next}`);
      this.now = Math.max(this.now, next);
      this.stream.onTimer(this.now);
      for (const s of this.out()) list.push({ ...s, at: this.now });
    }
    this.now = until;
    return list;
  }

  /** Pending events. */
  events(): StreamEvent[] {
    const list: StreamEvent[] = [];
    for (;;) {
      const event = this.stream.pollEvent();
      if (event === undefined) return list;
      list.push(event);
    }
  }

  /** Reads everything. */
  read(): Uint8Array {
    const parts: number[] = [];
    for (;;) {
      const part = this.stream.read();
      if (part === undefined) return Uint8Array.from(parts);
      for (const byte of part) parts.push(byte);
    }
  }
}
