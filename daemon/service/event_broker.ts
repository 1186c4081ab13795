/**
 * The event broker (port 1002; docs/protocol/services.md §5): the first event of a connection subscribes it to a topic,
 * later ones are published to the other subscribers. Delivery never waits: who does not keep up gets what is waiting
 * for it and is disconnected then, so that it knows of the gap; who takes nothing at all is cut off.
 *
 * @module
 */

import { formatSocketAddress } from "../../protocol/address.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { PORT_EVENT_STREAM } from "../../protocol/well_known_ports.ts";
import {
  ALL_TOPICS,
  encodeEvent,
  EventStreamReader,
  type StreamEvent,
} from "../../protocol/service/event_stream.ts";
import type { Backend } from "../ipc/backend.ts";
import type { Conn, ConnListener } from "../stream/stream_conn.ts";
import { type ByteAccount, ByteBudget } from "./byte_budget.ts";
import { peerKey, type Service, type ServiceConn, ServicePort } from "./service_port.ts";
import { type Clock, every } from "../../platform/clock.ts";

/** Subscribers at once; one topic each, so also the bound on topics. As one port may have in the reference. */
const MAX_EVENT_CONNS = 1024;
/** Subscribers from one peer. */
const MAX_EVENT_CONNS_PER_PEER = 256;
/** Bytes waiting for one subscriber; a single larger event is taken when nothing else waits. */
const SUBSCRIBER_QUEUE_BYTES = 1024 * 1024;
/** Events waiting for one subscriber: small ones cost more than their bytes. */
const SUBSCRIBER_QUEUE_EVENTS = 4096;
/** Distinct event bytes waiting for all subscribers together. */
const QUEUED_EVENT_BYTES = 64 * 1024 * 1024;
/** Incomplete events of all publishers, bytes: four of the largest. */
const PARTIAL_EVENT_BYTES = 64 * 1024 * 1024;
/** Incomplete events of one peer, bytes. */
const PARTIAL_EVENT_BYTES_PER_PEER = 32 * 1024 * 1024;
/** Incomplete event that every connection may have in any case, bytes. */
const PARTIAL_EVENT_FREE_BYTES = 64 * 1024;
/** Taken from a connection at once, bytes. */
const READ_BYTES = 64 * 1024;
/** A subscriber that takes nothing for this long while events wait is disconnected, milliseconds. */
export const SUBSCRIBER_STALL_MS = 30_000;

/** Counts of the broker. */
export interface EventStreamStats {
  /** Connections that have subscribed. */
  readonly subscribers: number;
  /** Topics with a subscriber. */
  readonly topics: number;
  /** Subscribers that were disconnected because they did not keep up. */
  readonly overruns: number;
  /** Bytes waiting for subscribers. */
  readonly queuedBytes: number;
}

/** The running broker. */
export interface EventStreamService extends Service {
  /** Counts. */
  readonly stats: EventStreamStats;
}

/** An encoded event, shared by the subscribers it waits for. */
interface SharedEvent {
  readonly bytes: Uint8Array;
  waiting: number;
}

class Broker {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly partial = new ByteBudget({
    total: PARTIAL_EVENT_BYTES,
    perPeer: PARTIAL_EVENT_BYTES_PER_PEER,
    free: PARTIAL_EVENT_FREE_BYTES,
  });
  readonly #topics = new Map<string, Set<EventConn>>();
  readonly #slow = new Set<EventConn>();
  #endSweeps: (() => void) | undefined;
  #queuedBytes = 0;
  #subscribers = 0;
  overruns = 0;

  constructor(backend: Backend, clock: Clock) {
    this.backend = backend;
    this.clock = clock;
  }

  get stats(): EventStreamStats {
    return {
      subscribers: this.#subscribers,
      topics: this.#topics.size,
      overruns: this.overruns,
      queuedBytes: this.#queuedBytes,
    };
  }

  subscribe(conn: EventConn, topic: string): void {
    let set = this.#topics.get(topic);
    if (set === undefined) this.#topics.set(topic, set = new Set());
    set.add(conn);
    this.#subscribers++;
    this.backend.emit("pubsub.subscribed", { topic, remote: conn.remote });
  }

  unsubscribe(conn: EventConn, topic: string): void {
    const set = this.#topics.get(topic);
    if (!set?.delete(conn)) return;
    if (set.size === 0) this.#topics.delete(topic);
    this.#subscribers--;
    this.backend.emit("pubsub.unsubscribed", { topic, remote: conn.remote });
  }

  /** A subscriber does not keep up: it gets no more events. */
  overran(conn: EventConn, topic: string | undefined): void {
    this.overruns++;
    if (topic === undefined) return;
    this.unsubscribe(conn, topic);
    this.backend.emit("pubsub.overrun", { topic, remote: conn.remote });
  }

  publish(from: EventConn, event: StreamEvent): void {
    const { topic } = event;
    this.backend.emit("pubsub.published", {
      topic,
      size: event.payload.length,
      from: from.remote,
    });
    const exact = this.#topics.get(topic);
    const all = topic === ALL_TOPICS ? undefined : this.#topics.get(ALL_TOPICS);
    if (exact === undefined && all === undefined) return;
    const shared: SharedEvent = { bytes: encodeEvent(event), waiting: 0 };
    // A subscriber that breaks leaves its set from within; leaving a set while it is walked through is safe.
    for (const set of [exact, all]) {
      for (const conn of set ?? []) if (conn !== from) conn.deliver(shared);
    }
  }

  /** Whether another subscriber may keep the event waiting. */
  mayQueue({ bytes, waiting }: SharedEvent): boolean {
    return waiting > 0 ||
      this.#queuedBytes + bytes.length <= QUEUED_EVENT_BYTES;
  }

  queued(event: SharedEvent): void {
    if (event.waiting++ === 0) this.#queuedBytes += event.bytes.length;
  }

  unqueued(event: SharedEvent): void {
    if (--event.waiting === 0) this.#queuedBytes -= event.bytes.length;
  }

  /** Watches a subscriber with events waiting; one timer for all, none when nobody is slow. */
  watch(conn: EventConn): void {
    this.#slow.add(conn);
    this.#endSweeps ??= every(this.clock, SUBSCRIBER_STALL_MS / 4, () => {
      const now = this.clock.now();
      for (const slow of [...this.#slow]) slow.checkStall(now);
    });
  }

  unwatch(conn: EventConn): void {
    this.#slow.delete(conn);
    if (this.#slow.size > 0) return;
    this.#endSweeps?.();
    this.#endSweeps = undefined;
  }
}

class EventConn implements ConnListener, ServiceConn {
  readonly remote: string;
  readonly #conn: Conn;
  readonly #broker: Broker;
  readonly #done: () => void;
  readonly #reader = new EventStreamReader();
  readonly #account: ByteAccount;
  #topic: string | undefined;
  #queue: SharedEvent[] = [];
  #queuedBytes = 0;
  /** Bytes of the first event in the queue that have been written. */
  #written = 0;
  #progressAt = 0;
  #reading = false;
  #flushing = false;
  #left = false;
  #isOverrun = false;

  constructor(broker: Broker, conn: Conn, done: () => void) {
    this.#broker = broker;
    this.#conn = conn;
    this.#done = done;
    this.#account = broker.partial.open(peerKey(conn));
    this.remote = formatSocketAddress({
      ...conn.remoteAddress,
      port: conn.remotePort,
    });
    conn.setListener(this);
  }

  onReadable(): void {
    // The connection calls back from within its methods; a nested round would overtake this one's chunk.
    if (this.#reading) return;
    this.#reading = true;
    const conn = this.#conn;
    for (
      let chunk = conn.read(READ_BYTES);
      chunk !== undefined;
      chunk = conn.read(READ_BYTES)
    ) {
      if (!this.#left) this.#take(chunk);
    }
    this.#reading = false;
    if (conn.ended) this.stop();
  }

  onWritable(): void {
    this.#flush();
  }

  onClosed(): void {
    this.#leave();
    this.#done();
  }

  stop(): void {
    this.#leave();
    this.#conn.close();
  }

  deliver(event: SharedEvent): void {
    const { length } = event.bytes;
    if (this.#queue.length === 0) {
      // Asked before writing: what has begun must be finished, since half an event would garble the rest.
      if (
        this.#conn.writableBytes < length && !this.#broker.mayQueue(event)
      ) {
        return this.#overrun();
      }
      const written = this.#conn.write(event.bytes);
      if (written === length || this.#left) return;
      this.#written = written;
      this.#progressAt = this.#broker.clock.now();
      this.#broker.watch(this);
    } else if (
      this.#queuedBytes + length > SUBSCRIBER_QUEUE_BYTES ||
      this.#queue.length >= SUBSCRIBER_QUEUE_EVENTS ||
      !this.#broker.mayQueue(event)
    ) {
      return this.#overrun();
    }
    this.#queue.push(event);
    this.#queuedBytes += length;
    this.#broker.queued(event);
    if (this.#conn.writableBytes > 0) this.#flush();
  }

  checkStall(now: number): void {
    if (now - this.#progressAt < SUBSCRIBER_STALL_MS) return;
    if (!this.#isOverrun) this.#broker.overran(this, this.#topic);
    this.#cutOff();
  }

  /** An event is lost for this subscriber: a gap in the middle would go unseen, an end does not. */
  #overrun(): void {
    if (this.#isOverrun) return;
    this.#isOverrun = true;
    this.#broker.overran(this, this.#topic);
    if (this.#queue.length === 0) this.stop();
  }

  #take(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    for (;;) {
      const event = this.#reader.next();
      if (event === undefined) break;
      if (event instanceof DecodeError) return this.#cutOff();
      if (this.#topic === undefined) {
        this.#topic = event.topic;
        this.#broker.subscribe(this, event.topic);
      } else {
        this.#broker.publish(this, event);
      }
    }
    if (!this.#account.hold(this.#reader.bufferedBytes)) this.#cutOff();
  }

  #cutOff(): void {
    this.#leave();
    this.#conn.abort();
  }

  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    for (
      let event = this.#queue[0];
      event !== undefined;
      event = this.#queue[0]
    ) {
      const rest = event.bytes.subarray(this.#written);
      const written = this.#conn.write(rest);
      if (this.#left) break; // it broke from within; nothing waits any more
      if (written > 0) this.#progressAt = this.#broker.clock.now();
      if (written < rest.length) {
        this.#written += written;
        if (this.#conn.writableBytes > 0) continue; // room was made, and reported, from within the write
        break;
      }
      this.#queue.shift();
      this.#written = 0;
      this.#queuedBytes -= event.bytes.length;
      this.#broker.unqueued(event);
    }
    this.#flushing = false;
    if (this.#queue.length > 0) return;
    this.#broker.unwatch(this);
    if (this.#isOverrun && !this.#left) this.stop();
  }

  /** Takes no part any more; what waits is forgotten. */
  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#account.hold(0);
    if (this.#topic !== undefined) {
      this.#broker.unsubscribe(this, this.#topic);
    }
    for (const event of this.#queue) this.#broker.unqueued(event);
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#broker.unwatch(this);
  }
}

/**
 * Runs the event broker on port 1002. Only peers that pass the connection gate can subscribe.
 *
 * @param backend The daemon.
 * @param options Whose time limits the patience with slow subscribers.
 * @returns The running service.
 * @throws {PilotError} `already_exists` when the port is bound.
 */
export function attachEventStream(
  backend: Backend,
  { clock }: { readonly clock: Clock },
): EventStreamService {
  const broker = new Broker(backend, clock);
  const port = new ServicePort<EventConn>(backend, {
    port: PORT_EVENT_STREAM,
    maxConns: MAX_EVENT_CONNS,
    maxConnsPerPeer: MAX_EVENT_CONNS_PER_PEER,
    serve: (conn, done) => new EventConn(broker, conn, done),
  });
  return {
    get stats() {
      return broker.stats;
    },
    info: () => ({
      event_subscribers: broker.stats.subscribers,
      event_overruns: broker.stats.overruns,
    }),
    close: () => port.close(),
  };
}
