/**
 * Two ends with one stream each, a network between them and a clock cranked by hand (after quinn's `Pair`).
 *
 * @module
 */

import { DecodeError } from "../../protocol/errors.ts";
import {
  ACK,
  decodePacket,
  encodePacket,
  type Packet,
  PROTO_STREAM,
  RST,
  SYN,
} from "../../protocol/packet.ts";
import {
  type Segment,
  Stream,
  type StreamEvent,
  type StreamOptions,
} from "../../protocol/stream/mod.ts";
import { type LinkOptions, Network } from "./network.ts";

/** A segment seen on the wire. */
export interface Seen extends Segment {
  at: number;
  from: number;
}

/** Anything that takes part in the simulation. */
export interface Peer {
  /** Datagram from the network. */
  receive(segment: Segment, now: number): void;
  /** Runs timers and sends what is due. */
  run(now: number): void;
  deadline(): number;
}

/** What {@linkcode Pair} is made with. */
export interface PairOptions {
  seed?: number;
  link?: LinkOptions;
  /** The way back; default as the way there. */
  back?: LinkOptions;
  client?: Partial<StreamOptions>;
  server?: Partial<StreamOptions>;
  /** Keep every segment in `wire`. Default false. */
  record?: boolean;
}

/** An end that owns a stream and behaves like the daemon around it. */
export class End implements Peer {
  stream: Stream | undefined;
  /** Streams that were replaced by a restart of the peer. */
  readonly dropped: Stream[] = [];
  readonly events: StreamEvent[] = [];
  readonly received: Uint8Array[] = [];
  /** Called after everything that may have changed the stream. */
  app: ((end: End, now: number) => void) | undefined;
  /** Accept SYNs. */
  listening: Partial<StreamOptions> | undefined;
  /** Read as data comes. */
  reading = true;
  readonly #send: (segment: Segment, now: number) => void;

  constructor(send: (segment: Segment, now: number) => void) {
    this.#send = send;
  }

  /** Bytes received so far, joined. */
  get data(): Uint8Array {
    const out = new Uint8Array(this.received.reduce((n, b) => n + b.length, 0));
    let at = 0;
    for (const bytes of this.received) {
      out.set(bytes, at);
      at += bytes.length;
    }
    return out;
  }

  receive(segment: Segment, now: number): void {
    const syn = (segment.flags & (SYN | ACK)) === SYN;
    if (syn && this.stream?.isRestart(segment, now)) {
      this.dropped.push(this.stream);
      this.stream = undefined;
    }
    if (this.stream === undefined || this.stream.state === "CLOSED") {
      if (syn && this.listening !== undefined) {
        this.stream = Stream.accept(
          { isn: 0x2000_0001, ...this.listening },
          segment,
          now,
        );
      } else if ((segment.flags & RST) === 0 && segment.flags !== 0) {
        const ack = segment.seq + segment.payload.length + (syn ? 1 : 0);
        this.#send({
          flags: RST,
          seq: segment.ack,
          ack: ack >>> 0,
          window: 0,
          payload: new Uint8Array(0),
        }, now);
        return;
      }
    } else this.stream.onSegment(segment, now);
    this.run(now);
  }

  run(now: number): void {
    const { stream } = this;
    if (stream === undefined) return;
    if (stream.deadline() <= now) stream.onTimer(now);
    this.#events();
    this.app?.(this, now);
    for (;;) {
      const segment = stream.transmit(now);
      if (segment === undefined) break;
      this.#send(segment, now);
    }
    this.#events();
  }

  deadline(): number {
    return this.stream?.deadline() ?? Infinity;
  }

  /** Reads everything there is. */
  drain(): void {
    for (;;) {
      const bytes = this.stream?.read();
      if (bytes === undefined) break;
      this.received.push(bytes);
    }
  }

  #events(): void {
    if (this.reading) this.drain();
    for (;;) {
      const event = this.stream?.pollEvent();
      if (event === undefined) break;
      this.events.push(event);
    }
  }
}

/** Two ends and their network. */
export class Pair {
  now = 0;
  readonly network: Network;
  readonly client: End;
  readonly server: End;
  readonly ends: [Peer, Peer];
  readonly wire: Seen[] = [];
  /** Segments handed to the network, by end. */
  readonly sent: [number, number] = [0, 0];
  /** Datagrams the decoder rejected. */
  rejected = 0;
  readonly #record: boolean;

  constructor(options: PairOptions = {}) {
    this.network = new Network(options.seed ?? 1, options.link, options.back);
    this.#record = options.record ?? false;
    this.client = new End((s, now) => this.send(0, s, now));
    this.server = new End((s, now) => this.send(1, s, now));
    this.server.listening = options.server ?? {};
    this.ends = [this.client, this.server];
    this.#clientOptions = { isn: 0x1000_0001, ...options.client };
  }

  readonly #clientOptions: StreamOptions;

  /** Opens a stream from the client; it is established when `drive` has run. */
  connect(options: Partial<StreamOptions> = {}): this {
    this.client.stream = Stream.connect(
      { ...this.#clientOptions, ...options },
      this.now,
    );
    this.client.run(this.now);
    return this;
  }

  /** Connects and drives until both sides are established. */
  established(): this {
    this.connect();
    this.drive(() =>
      this.client.stream?.state === "ESTABLISHED" &&
      this.server.stream?.state === "ESTABLISHED"
    );
    return this;
  }

  /** Puts a segment on the wire, encoded. */
  send(from: number, segment: Segment, now: number): void {
    const toServer = from === 0;
    const packet: Packet = {
      flags: segment.flags,
      protocol: PROTO_STREAM,
      srcNetwork: 0,
      srcNode: toServer ? 5 : 7,
      dstNetwork: 0,
      dstNode: toServer ? 7 : 5,
      srcPort: toServer ? 50_000 : 1000,
      dstPort: toServer ? 1000 : 50_000,
      seq: segment.seq,
      ack: segment.ack,
      window: segment.window,
      payload: segment.payload,
    };
    const bytes = encodePacket(packet);
    this.sent[from] = (this.sent[from] ?? 0) + 1;
    if (this.#record) {
      this.wire.push({
        ...segment,
        payload: segment.payload.slice(),
        at: now,
        from,
      });
    }
    this.network.links[toServer ? 0 : 1].send(bytes, now);
  }

  /**
   * Advances to the next thing that happens.
   *
   * @returns Whether there was anything before `until`.
   */
  step(until: number = Infinity): boolean {
    const next = Math.min(
      this.network.nextAt,
      this.ends[0].deadline(),
      this.ends[1].deadline(),
    );
    if (next > until || next === Infinity) return false;
    this.now = Math.max(this.now, next);
    for (;;) {
      const arrival = this.network.take(this.now);
      if (arrival === undefined) break;
      const packet = decodePacket(arrival.bytes);
      if (packet instanceof DecodeError) this.rejected++;
      else this.ends[arrival.to === 0 ? 0 : 1].receive(packet, this.now);
    }
    for (const end of this.ends) {
      if (end.deadline() <= this.now) end.run(this.now);
    }
    return true;
  }

  /**
   * Steps until the condition holds.
   *
   * @throws When it does not within `limitMs` of simulated time, or nothing more happens.
   */
  drive(done: () => boolean, limitMs = 600_000): void {
    const until = this.now + limitMs;
    let stuck = 0;
    let last = this.now;
    while (!done()) {
      if (!this.step(until)) {
        throw new Error(
          `Simulation ended at ${this.now} ms without the condition: ` +
            JSON.stringify([
              this.client.stream?.stats(),
              this.server.stream?.stats(),
            ]),
        );
      }
      // A stream whose deadline stays in the past would spin here.
      stuck = this.now === last ? stuck + 1 : 0;
      last = this.now;
      if (stuck > 100_000) throw new Error(`Simulation spins at ${this.now}`);
    }
  }

  /** Lets simulated time pass. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.step(until));
    this.now = until;
  }
}
