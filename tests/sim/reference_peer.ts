/**
 * A peer that behaves as the older implementation was observed to (docs/protocol/streams.md): initial sequence number
 * 0, exact matching of segments, 128 of them out of order, one retransmission per 100 ms tick, an early FIN.
 *
 * @module
 */

import { ACK, FIN, RST, SYN } from "../../protocol/packet.ts";
import type { Segment } from "../../protocol/stream/mod.ts";
import { seqDiff } from "../../protocol/stream/seq.ts";
import type { Peer } from "./pair.ts";

const OUT_OF_ORDER_SEGMENTS = 128;
const TICK_MS = 100;
const DELAYED_ACK_MS = 40;
const MAX_TRIES = 8;
const NOTHING = new Uint8Array(0);

interface Sent {
  seq: number;
  payload: Uint8Array;
  fin: boolean;
  sentAt: number;
  tries: number;
  sacked: boolean;
}

/** Options of {@linkcode ReferencePeer}. */
export interface ReferenceOptions {
  /** Segment size: 1024, 1152 or 4096. Default 4096. */
  mss?: number;
  /** Receive slots. Default 512. */
  slots?: number;
  /** Answer a FIN and drop what is unacknowledged, as observed. */
  send: (segment: Segment, now: number) => void;
}

/** One older peer with one connection. */
export class ReferencePeer implements Peer {
  state: "CLOSED" | "SYN_SENT" | "SYN_RECV" | "ESTABLISHED" | "FIN_WAIT" | "TIME_WAIT" = "CLOSED";
  readonly received: Uint8Array[] = [];
  receivedBytes = 0;
  /** Segments dropped because the out-of-order buffer was full. */
  overflowed = 0;
  /** Segments taken for selective acknowledgements. */
  sackReceived = 0;
  fastRetransmits = 0;
  timeouts = 0;
  reset = false;
  /** Most segments a sender had in flight towards us, seen as distance from what we expect. */
  mostAhead = 0;
  readonly #mss: number;
  readonly #slots: number;
  readonly #send: (segment: Segment, now: number) => void;
  #sendSeq = 0;
  #lastAck = 0;
  #expected = 0;
  readonly #early = new Map<number, Uint8Array>();
  #flight: Sent[] = [];
  #queue: Uint8Array[] = [];
  #peerSlots = 0;
  #cwnd: number;
  #duplicates = 0;
  #rto = 1000;
  #unacked = 0;
  #ackAt = Infinity;
  #tickAt = Infinity;
  #closing = false;
  #lastResend = -Infinity;

  constructor(options: ReferenceOptions) {
    this.#mss = options.mss ?? 4096;
    this.#slots = options.slots ?? 512;
    this.#send = options.send;
    this.#cwnd = 10 * this.#mss;
  }

  /** Numbers of segments held out of order that lie behind what was delivered: nothing takes them out any more. */
  get stale(): number[] {
    return [...this.#early.keys()].filter((seq) => seqDiff(seq, this.#expected) < 0);
  }

  /** Dials. */
  connect(now: number): void {
    this.state = "SYN_SENT";
    this.#emit(SYN, 0, 0, this.#slots, NOTHING, now);
    this.#tickAt = now + 1000;
  }

  /** Queues bytes. */
  write(data: Uint8Array, now: number): void {
    this.#queue.push(data.slice());
    this.run(now);
  }

  /** Closes as observed: FIN at once, whatever is unacknowledged; what is queued but unsent goes first. */
  close(now: number): void {
    if (this.state !== "ESTABLISHED") return;
    this.#closing = true;
    this.#pump(now, true);
    this.state = "FIN_WAIT";
    this.#emit(FIN, this.#sendSeq, 0, 0, NOTHING, now);
    this.#flight.push({
      seq: this.#sendSeq,
      payload: NOTHING,
      fin: true,
      sentAt: now,
      tries: 1,
      sacked: false,
    });
    this.#sendSeq = (this.#sendSeq + 1) >>> 0;
    this.#tickAt = Math.min(this.#tickAt, now + TICK_MS);
  }

  deadline(): number {
    return Math.min(this.#ackAt, this.#tickAt);
  }

  run(now: number): void {
    if (now >= this.#ackAt) this.#ack(now);
    if (now >= this.#tickAt) this.#tick(now);
    if (this.state === "ESTABLISHED") this.#pump(now, false);
  }

  receive(s: Segment, now: number): void {
    if (s.flags & SYN) this.#onSyn(s, now);
    else if (s.flags & FIN) this.#onFin(s, now);
    else if (s.flags & RST) {
      this.reset = true;
      this.#end();
    } else if (s.flags & ACK) this.#onAckSegment(s, now);
    this.run(now);
  }

  #onSyn(s: Segment, now: number): void {
    if (s.flags & ACK) {
      if (this.state !== "SYN_SENT") return;
      this.#open(s);
      this.state = "ESTABLISHED";
      this.#sendSeq = 1;
      this.#tickAt = Infinity;
      this.#ack(now);
      return;
    }
    if (this.state === "CLOSED") {
      this.#open(s);
      this.state = "SYN_RECV";
    }
    this.#emit(SYN | ACK, 0, this.#expected, this.#slots, NOTHING, now);
    this.#sendSeq = Math.max(this.#sendSeq, 1);
  }

  #open(s: Segment): void {
    this.#expected = (s.seq + 1) >>> 0;
    this.#peerSlots = s.window;
  }

  #onFin(s: Segment, now: number): void {
    if (this.state === "CLOSED") return;
    if (s.ack > 0 && this.state !== "TIME_WAIT") this.#onAck(s, now);
    const flags = this.state === "FIN_WAIT" || this.state === "TIME_WAIT" ? ACK : FIN | ACK;
    // Whatever is missing is lost, and nothing is sent again.
    this.state = "TIME_WAIT";
    this.#flight = [];
    this.#queue = [];
    this.#emit(flags, this.#sendSeq, (s.seq + 1) >>> 0, 0, NOTHING, now);
    this.#tickAt = this.#ackAt = Infinity;
  }

  #onAckSegment(s: Segment, now: number): void {
    if (this.state === "SYN_RECV") {
      if (s.ack < this.#sendSeq) return;
      this.state = "ESTABLISHED";
    }
    if (this.state === "CLOSED" || this.state === "TIME_WAIT") return;
    const report = this.#isReport(s.payload);
    this.#onAck(s, now);
    if (s.payload.length === 0 || report || this.state !== "ESTABLISHED") return;
    this.#onData(s, now);
  }

  /** As observed: prefix and length decide, nothing else. */
  #isReport(payload: Uint8Array): boolean {
    const count = payload[4] ?? 0;
    const report = new TextDecoder("latin1").decode(payload.subarray(0, 4)) === "SACK" &&
      count >= 1 && count <= 4 && payload.length >= 5 + 8 * count;
    if (!report) return false;
    this.sackReceived++;
    const view = new DataView(payload.buffer, payload.byteOffset);
    for (let i = 0; i < count; i++) {
      const left = view.getUint32(5 + 8 * i);
      const right = view.getUint32(9 + 8 * i);
      for (const f of this.#flight) {
        if (
          seqDiff(f.seq, left) >= 0 && seqDiff((f.seq + f.payload.length) >>> 0, right) <= 0
        ) f.sacked = true;
      }
    }
    return true;
  }

  #onAck(s: Segment, now: number): void {
    if ((s.flags & FIN) === 0) this.#peerSlots = s.window;
    if (s.ack === 0) return;
    const advance = seqDiff(s.ack, this.#lastAck);
    if (advance < 0) return;
    if (advance === 0) {
      if (s.payload.length > 0 || this.#flight.length === 0) return;
      this.#duplicates++;
      if (this.#duplicates === 3) {
        this.fastRetransmits++;
        this.#cwnd = Math.max(this.#cwnd / 2, this.#mss);
        this.#resend(now);
      }
      return;
    }
    this.#lastAck = s.ack;
    this.#duplicates = 0;
    this.#flight = this.#flight.filter((f) =>
      seqDiff((f.seq + f.payload.length + (f.fin ? 1 : 0)) >>> 0, s.ack) > 0
    );
    for (const f of this.#flight) f.sacked = false;
    this.#cwnd = Math.min(this.#cwnd + advance, 1 << 20);
    this.#rto = 200;
  }

  #onData(s: Segment, now: number): void {
    const ahead = seqDiff(s.seq, this.#expected);
    this.mostAhead = Math.max(this.mostAhead, ahead);
    if (ahead === 0) {
      this.#take(s.payload);
      for (;;) {
        const next = this.#early.get(this.#expected);
        if (next === undefined) break;
        this.#early.delete(this.#expected);
        this.#take(next);
      }
    } else if (ahead > 0 && !this.#early.has(s.seq)) {
      if (this.#early.size >= OUT_OF_ORDER_SEGMENTS) this.overflowed++;
      else this.#early.set(s.seq, s.payload.slice());
    }
    if (this.#early.size > 0) this.#ack(now);
    else if (++this.#unacked >= 2) this.#ack(now);
    else if (this.#ackAt === Infinity) this.#ackAt = now + DELAYED_ACK_MS;
  }

  #take(payload: Uint8Array): void {
    this.received.push(payload.slice());
    this.receivedBytes += payload.length;
    this.#expected = (this.#expected + payload.length) >>> 0;
  }

  #ack(now: number): void {
    this.#unacked = 0;
    this.#ackAt = Infinity;
    this.#emit(ACK, this.#sendSeq, this.#expected, this.#slots, this.#report(), now);
  }

  #report(): Uint8Array {
    if (this.#early.size === 0) return NOTHING;
    const sorted = [...this.#early].sort((a, b) => a[0] - b[0]);
    const blocks: Array<[number, number]> = [];
    for (const [seq, payload] of sorted) {
      const last = blocks.at(-1);
      if (last !== undefined && seq <= last[1]) last[1] = (seq + payload.length) >>> 0;
      else blocks.push([seq, (seq + payload.length) >>> 0]);
    }
    const out = new Uint8Array(5 + 8 * Math.min(4, blocks.length));
    out.set([0x53, 0x41, 0x43, 0x4b, Math.min(4, blocks.length)]);
    const view = new DataView(out.buffer);
    blocks.slice(0, 4).forEach(([left, right], i) => {
      view.setUint32(5 + 8 * i, left);
      view.setUint32(9 + 8 * i, right);
    });
    return out;
  }

  #tick(now: number): void {
    if (this.state === "SYN_SENT") {
      this.#emit(SYN, 0, 0, this.#slots, NOTHING, now);
      this.#tickAt = now + 2000;
      return;
    }
    this.#tickAt = this.#flight.length > 0 ? now + TICK_MS : Infinity;
    const first = this.#flight.find((f) => !f.sacked);
    if (first === undefined || now - first.sentAt < this.#rto) return;
    if (now - this.#lastResend < this.#rto) return;
    if (first.tries > MAX_TRIES) {
      this.#emit(RST, 0, 0, 0, NOTHING, now);
      this.#end();
      return;
    }
    this.timeouts++;
    this.#rto = Math.min(this.#rto * 2, 10_000);
    this.#resend(now);
  }

  #resend(now: number): void {
    const first = this.#flight.find((f) => !f.sacked);
    if (first === undefined) return;
    first.sentAt = this.#lastResend = now;
    first.tries++;
    // After its FIN only the FIN is repeated, with the number of the first unacknowledged byte.
    if (this.state === "FIN_WAIT") this.#emit(FIN, first.seq, 0, 0, NOTHING, now);
    else this.#emit(ACK, first.seq, this.#expected, this.#slots, first.payload, now);
  }

  #pump(now: number, all: boolean): void {
    for (;;) {
      const head = this.#queue[0];
      if (head === undefined) return;
      const inFlight = this.#flight.reduce((n, f) => n + f.payload.length, 0);
      const room = Math.min(
        this.#cwnd,
        this.#peerSlots > 0 ? this.#peerSlots * this.#mss : Infinity,
      );
      if (!all && inFlight + Math.min(head.length, this.#mss) > room) return;
      const payload = head.subarray(0, this.#mss);
      if (payload.length === head.length) this.#queue.shift();
      else this.#queue[0] = head.subarray(this.#mss);
      this.#flight.push({
        seq: this.#sendSeq,
        payload,
        fin: false,
        sentAt: now,
        tries: 1,
        sacked: false,
      });
      this.#emit(ACK, this.#sendSeq, this.#expected, this.#slots, payload, now);
      this.#sendSeq = (this.#sendSeq + payload.length) >>> 0;
      if (this.#tickAt === Infinity) this.#tickAt = now + TICK_MS;
    }
  }

  #emit(
    flags: number,
    seq: number,
    ack: number,
    window: number,
    payload: Uint8Array,
    now: number,
  ): void {
    this.#send({ flags, seq, ack, window, payload }, now);
  }

  #end(): void {
    this.state = "CLOSED";
    this.#flight = [];
    this.#queue = [];
    this.#tickAt = this.#ackAt = Infinity;
  }
}
