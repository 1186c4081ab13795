/**
 * A {@linkcode Conn} on a protocol stream: turns what the stream wants into packets, timers and listener calls.
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { Segment, Stream, StreamState, StreamStats } from "../../protocol/stream/mod.ts";
import type { Conn, ConnListener } from "./stream_conn.ts";
import { LargeSegments } from "./large_segments.ts";
import type { Timed } from "../../protocol/deadline_queue.ts";

/** What a connection needs from its host. */
export interface ConnHost {
  /** Milliseconds. */
  now(): number;
  /** Puts a segment on the wire. */
  sendSegment(conn: HostConn, segment: Segment): void;
  /** Large segments do not seem to arrive. */
  onLargeLost(conn: HostConn): void;
  /** The deadline may have moved. */
  reschedule(conn: HostConn): void;
  /** The handshake is complete. */
  onEstablished(conn: HostConn): void;
  /** Both sides are done; at most late segments are still answered. */
  onClosed(conn: HostConn): void;
  /** The connection has ended and can be forgotten. */
  onGone(conn: HostConn): void;
}

/** Names both ends of a connection. */
export interface ConnNames {
  readonly id: number;
  readonly localAddress: Address;
  readonly localPort: number;
  readonly remoteAddress: Address;
  readonly remotePort: number;
}

/** One connection of this daemon. */
export class HostConn implements Conn, Timed {
  readonly id: number;
  readonly localAddress: Address;
  readonly localPort: number;
  readonly remoteAddress: Address;
  readonly remotePort: number;
  /** We opened it. */
  readonly isActive: boolean;
  /** The host will drive it at the end of the batch; kept by the host. */
  isDue = false;
  readonly #host: ConnHost;
  readonly #stream: Stream;
  readonly #large = new LargeSegments();
  #listener: ConnListener | undefined;
  #driving = false;
  #again = false;
  #ended = false;
  #reported = false;
  /** The listeners that know of the end of the connection. */
  #told: ConnListener | undefined;
  #gone = false;
  /** The new connection of a restarted peer would receive what this one sends. */
  #isReplaced = false;
  /** Why it was ended here, where its stream does not know. */
  #ending: PilotError | undefined;

  constructor(host: ConnHost, names: ConnNames, stream: Stream, isActive: boolean) {
    this.#host = host;
    this.id = names.id;
    this.localAddress = names.localAddress;
    this.localPort = names.localPort;
    this.remoteAddress = names.remoteAddress;
    this.remotePort = names.remotePort;
    this.isActive = isActive;
    this.#stream = stream;
  }

  get state(): StreamState {
    return this.#stream.state;
  }

  /** The peer is an older one, whose window grows by the number of acknowledgements: each segment is answered for itself. */
  get isReference(): boolean {
    return this.#stream.isReference;
  }

  get error(): PilotError | undefined {
    return this.#ending ?? this.#stream.error;
  }

  get readableBytes(): number {
    return this.#stream.readableBytes;
  }

  get writableBytes(): number {
    return this.#stream.writableBytes;
  }

  get ended(): boolean {
    return this.#ended && this.#stream.readableBytes === 0;
  }

  get closed(): boolean {
    return this.#reported;
  }

  get isPeerReading(): boolean {
    return this.#stream.isPeerReading;
  }

  get isDelivered(): boolean {
    return this.#stream.isDelivered;
  }

  setListener(listener: ConnListener): void {
    this.#listener = listener;
    if (this.readableBytes > 0 || this.#ended || this.#reported) {
      queueMicrotask(() => this.#catchUp(listener));
    }
  }

  read(maxBytes?: number): Uint8Array | undefined {
    const data = this.#stream.read(maxBytes);
    if (data !== undefined) this.#afterRead();
    return data;
  }

  readInto(out: Uint8Array): number {
    const bytes = this.#stream.readInto(out);
    if (bytes > 0) this.#afterRead();
    return bytes;
  }

  #afterRead(): void {
    // Reading may owe the peer a window update.
    if (!this.#gone) this.drive();
    // Nobody drives a stream that has ended, but this may have been the last of its remains.
    else if (this.#stream.pollEvent() === "end") this.#ended = true;
  }

  write(data: Uint8Array): number {
    const taken = this.#stream.write(data, this.#host.now());
    if (taken > 0) this.drive();
    return taken;
  }

  closeWrite(): boolean {
    const isKnown = this.#stream.closeWrite(this.#host.now());
    this.drive();
    return isKnown;
  }

  close(): void {
    this.#stream.close(this.#host.now());
    this.drive();
  }

  abandon(): void {
    this.#stream.abandon(this.#host.now());
    this.drive();
  }

  abort(): void {
    this.#stream.abort(this.#host.now());
    this.drive();
  }

  stats(): StreamStats {
    return this.#stream.stats();
  }

  /** A segment of the peer for this connection; {@linkcode HostConn.drive} is to follow. */
  onSegment(segment: Segment): void {
    const now = this.#host.now();
    this.#large.heard(now);
    this.#stream.onSegment(segment, now);
  }

  /** Whether a SYN for this connection means that the peer has restarted. */
  isRestart(syn: Segment): boolean {
    return this.#stream.isRestart(syn, this.#host.now());
  }

  /** The peer has restarted and uses these ports again: ends silently, for the sake of the new connection. */
  replace(): void {
    this.#isReplaced = true;
    this.#ending = new PilotError("connection_closed", "The peer restarted", {
      hint: "Connect again.",
    });
    this.abort();
  }

  /** A program that does not own the connection ends it: its owner and the peer are notified. */
  disconnect(): void {
    this.#ending = new PilotError("connection_closed", "The connection was ended by `disconnect`");
    this.abort();
  }

  /** The peer's process is a new one and knows nothing of this connection. */
  onPeerRestarted(): void {
    this.#stream.onPeerRestarted(this.#host.now());
    this.drive();
  }

  /** The path carries segments of this size from now on. */
  setMss(bytes: number): void {
    this.#stream.setMss(bytes);
  }

  /** The path broke and another one is in use. */
  onPathRepaired(): void {
    this.#stream.onPathRepaired(this.#host.now());
    this.drive();
  }

  deadline(): number {
    return this.#gone ? Infinity : this.#stream.deadline();
  }

  onTimer(now: number): void {
    this.#stream.onTimer(now);
    this.drive();
  }

  /** Sends what is due, notifies the listener of what is new, and moves the timer; safe to call from listener calls. */
  drive(): void {
    this.#again = true;
    if (this.#driving || this.#gone) return;
    this.#driving = true;
    try {
      while (this.#again && !this.#gone) {
        this.#again = false;
        this.#transmit();
        this.#report();
      }
    } finally {
      this.#driving = false;
    }
    if (!this.#gone) this.#host.reschedule(this);
  }

  #transmit(): void {
    const now = this.#host.now();
    for (let segment = this.#stream.transmit(now); segment; segment = this.#stream.transmit(now)) {
      if (this.#isReplaced) continue;
      // Before it leaves, so that this one may already become fragments.
      if (this.#large.sent(segment, now)) this.#host.onLargeLost(this);
      this.#host.sendSegment(this, segment);
    }
  }

  #report(): void {
    for (let event = this.#stream.pollEvent(); event; event = this.#stream.pollEvent()) {
      this.#again = true;
      switch (event) {
        case "established":
          this.#host.onEstablished(this);
          break;
        case "readable":
          this.#listener?.onReadable();
          break;
        case "writable":
          this.#listener?.onWritable();
          break;
        case "end":
          this.#ended = true;
          this.#listener?.onReadable();
          break;
        case "closed":
          this.#close();
          break;
      }
    }
    if (this.#stream.state === "CLOSED") this.#forget();
  }

  #close(): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#host.onClosed(this);
    this.#tell();
  }

  #forget(): void {
    this.#close();
    this.#gone = true;
    this.#host.onGone(this);
  }

  /** A listener set late learns what happened before. */
  #catchUp(listener: ConnListener): void {
    if (this.#listener !== listener) return;
    if (this.readableBytes > 0 || this.#ended) listener.onReadable();
    if (this.#reported) this.#tell();
  }

  #tell(): void {
    if (this.#told === this.#listener) return;
    this.#told = this.#listener;
    this.#listener?.onClosed(this.error);
  }
}
