/**
 * Several streams over one bottleneck: a rate and a queue that all of them share, then a delay of each one's own.
 *
 * @module
 */

import { DecodeError } from "../../protocol/errors.ts";
import { decodePacket, encodePacket, PROTO_STREAM } from "../../protocol/packet.ts";
import {
  type CongestionControl,
  type Segment,
  Stream,
  type StreamOptions,
} from "../../protocol/stream/mod.ts";
import { type LinkCounters, type LinkOptions, Network } from "./network.ts";
import { End } from "./pair.ts";

/** Bytes of headers that a segment carries on the wire beyond its packet: tunnel, UDP and IP. */
export const WIRE_OVERHEAD_BYTES = 66;

/** One stream over the shared link. */
export interface FlowOptions {
  /** When it starts, ms. Default 0. */
  startMs?: number;
  /** Its congestion control. Default that of a stream. */
  congestion?: (mss: number) => CongestionControl;
  /** Other options of both ends. */
  stream?: Partial<StreamOptions>;
  /** Timers of the sender fire late, at whole multiples of this, ms. Default 0: exactly. */
  timerMs?: number;
  /** Bytes to send; then it stays silent. Default Infinity. */
  bytes?: number;
}

const CHUNK = new Uint8Array(64 << 10).fill(0x55);

/** A flow: writes as much as it may, reads at once. */
export class Flow {
  readonly client: End;
  readonly server: End;
  readonly options: FlowOptions;
  readonly startMs: number;
  received = 0;
  #written = 0;

  constructor(
    options: FlowOptions,
    id: number,
    send: (from: number, s: Segment, now: number) => void,
  ) {
    this.options = options;
    this.startMs = options.startMs ?? 0;
    this.client = new End((s, now) => send(0, s, now));
    this.server = new End((s, now) => send(1, s, now));
    this.server.listening = { ...options.stream, isn: 0x2000_0001 + id };
    this.client.app = (end, now) => {
      const { stream } = end;
      const total = options.bytes ?? Infinity;
      while (stream?.state === "ESTABLISHED" && this.#written < total) {
        const taken = stream.write(
          CHUNK.subarray(0, Math.min(CHUNK.length, total - this.#written)),
          now,
        );
        this.#written += taken;
        if (taken < CHUNK.length) break;
      }
    };
    this.server.app = (end) => {
      for (const bytes of end.received.splice(0)) this.received += bytes.length;
    };
  }

  /** Opens the stream. */
  start(now: number, id: number): void {
    const { congestion, stream } = this.options;
    this.client.stream = Stream.connect({
      ...stream,
      isn: 0x1000_0001 + id,
      ...(congestion === undefined ? {} : { congestion }),
    }, now);
    this.client.run(now);
  }
}

/** A bottleneck and the flows that go through it. */
export class SharedLink {
  now = 0;
  /** Everything that is sent gets lost. */
  cut = false;
  readonly flows: Flow[];
  readonly #network: Network;
  readonly #startedAt: number[];

  /**
   * @param options The way there; the way back has its delay and its loss, and no rate.
   * @param flows What goes through it.
   * @param seed Of chance.
   */
  constructor(options: LinkOptions, flows: FlowOptions[], seed = 1) {
    const { loss = 0, delayMs = 5 } = options;
    this.#network = new Network(seed, options, { loss: loss / 10, delayMs });
    this.flows = flows.map((flow, id) =>
      new Flow(flow, id, (from, segment, now) => this.#send(id, from, segment, now))
    );
    this.#startedAt = flows.map(() => -1);
    this.#network.links[0].filter = () => this.cut;
  }

  /** What happened on the way there. */
  get counters(): LinkCounters {
    return this.#network.links[0].counters;
  }

  /** From now on the delay of each direction, ms. */
  set delayMs(ms: number) {
    for (const { options } of this.#network.links) options.delayMs = ms;
  }

  /** Runs until a time, ms. */
  runUntil(until: number): void {
    for (;;) {
      let next = this.#network.nextAt;
      for (const [id, flow] of this.flows.entries()) {
        const at = this.#startedAt[id] ?? -1;
        if (at < 0) next = Math.min(next, flow.startMs);
        else next = Math.min(next, this.#wake(flow), flow.server.deadline());
      }
      if (next > until) break;
      this.now = Math.max(this.now, next);
      this.#turn();
    }
    this.now = until;
  }

  /**
   * Bytes received by each flow during the time from now on.
   *
   * @param ms For how long.
   */
  measure(ms: number): number[] {
    const before = this.flows.map((flow) => flow.received);
    this.runUntil(this.now + ms);
    return this.flows.map((flow, i) => flow.received - (before[i] ?? 0));
  }

  #wake(flow: Flow): number {
    const at = flow.client.deadline();
    const { timerMs = 0 } = flow.options;
    return timerMs > 0 && at > this.now ? Math.ceil(at / timerMs) * timerMs : at;
  }

  #turn(): void {
    const { now } = this;
    for (const [id, flow] of this.flows.entries()) {
      if ((this.#startedAt[id] ?? -1) >= 0 || flow.startMs > now) continue;
      this.#startedAt[id] = now;
      flow.start(now, id);
    }
    for (let arrival = this.#network.take(now); arrival; arrival = this.#network.take(now)) {
      const packet = decodePacket(arrival.bytes);
      if (packet instanceof DecodeError) continue;
      const toServer = arrival.to === 1;
      const flow = this.flows[toServer ? packet.srcPort : packet.dstPort];
      (toServer ? flow?.server : flow?.client)?.receive(packet, now);
    }
    for (const flow of this.flows) {
      if (flow.client.stream === undefined) continue;
      if (this.#wake(flow) <= now) flow.client.run(now);
      if (flow.server.deadline() <= now) flow.server.run(now);
    }
  }

  #send(id: number, from: number, segment: Segment, now: number): void {
    const toServer = from === 0;
    const bytes = encodePacket({
      flags: segment.flags,
      protocol: PROTO_STREAM,
      srcNetwork: 0,
      srcNode: toServer ? 5 : 7,
      dstNetwork: 0,
      dstNode: toServer ? 7 : 5,
      srcPort: toServer ? id : 1000,
      dstPort: toServer ? 1000 : id,
      seq: segment.seq,
      ack: segment.ack,
      window: segment.window,
      payload: segment.payload,
    });
    this.#network.links[toServer ? 0 : 1].send(bytes, now, WIRE_OVERHEAD_BYTES);
  }
}
