/**
 * UDP in memory: sockets, links with delay and loss, address translators, taps and injected datagrams.
 *
 * @module
 */

import type { Clock } from "../../../platform/clock.ts";
import {
  newUdpStats,
  SEND_BUFFER_BYTES,
  type UdpSocket,
  type UdpStats,
} from "../../../platform/net/udp.ts";
import type { Endpoint } from "../../../protocol/ip.ts";

/** A datagram as the network sees it, translators already passed. */
export interface Sent {
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly data: Uint8Array;
  /** May become fragments where it is too large. */
  readonly mayFragment: boolean;
  /** Lost on the way by {@linkcode VirtualNetwork.drop} or because it is too large. */
  isLost: boolean;
}

/** `host:port`. */
export function text(endpoint: Endpoint): string {
  return `${endpoint.host}:${endpoint.port}`;
}

type Receive = (data: Uint8Array, from: Endpoint) => void;

/** Connects {@linkcode VirtualSocket}s. */
export class VirtualNetwork {
  /** One-way delay, milliseconds. */
  delayMs = 5;
  /** Decides which datagrams are lost. */
  drop: (datagram: Sent) => boolean = () => false;
  /** Largest datagram that arrives in one piece between two hosts, bytes of UDP payload. */
  maxBytes: (from: Endpoint, to: Endpoint) => number = () => Infinity;
  /** Everything that was sent, in order. */
  readonly log: Sent[] = [];
  readonly #clock: Clock;
  readonly #receivers = new Map<string, Receive>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes an endpoint; the returned function gives it back. */
  attach(endpoint: Endpoint, receive: Receive): () => void {
    const key = text(endpoint);
    if (this.#receivers.has(key)) throw new Error(`${key} is taken`);
    this.#receivers.set(key, receive);
    return () => void this.#receivers.delete(key);
  }

  /** Opens a socket. */
  bind(host: string, port: number, nat?: Uplink): VirtualSocket {
    return new VirtualSocket(this, { host, port }, nat);
  }

  /** Sends a datagram, from any address: networks do not check it. */
  inject(data: Uint8Array, from: Endpoint, to: Endpoint, mayFragment: boolean = false): void {
    const at = this.#clock.now();
    const sent: Sent = { at, from, to, data: data.slice(), mayFragment, isLost: false };
    const isTooLarge = data.length > this.maxBytes(from, to) && !mayFragment;
    sent.isLost = this.drop(sent) || isTooLarge;
    this.log.push(sent);
    if (sent.isLost) return;
    this.#clock.after(
      this.delayMs,
      () => this.#receivers.get(text(to))?.(sent.data.slice(), from),
    );
  }

  /** Forgets what was sent. */
  clearLog(): void {
    this.log.length = 0;
  }
}

/** What a socket sends through when it has no address of its own on the network. */
export interface Uplink {
  /** Sends out a datagram of a socket; what comes in goes to {@linkcode VirtualSocket.receive}. */
  send(socket: VirtualSocket, data: Uint8Array, to: Endpoint, mayFragment: boolean): void;
  /** Takes a socket; the returned function gives it back. */
  attach?(socket: VirtualSocket): () => void;
}

/** An address translator: outgoing datagrams open a mapping, and only those addressed may answer. */
export class Nat implements Uplink {
  readonly #net: VirtualNetwork;
  readonly #host: string;
  readonly #isSymmetric: boolean;
  readonly #mappings = new Map<string, { outside: Endpoint; allowed: Set<string> }>();
  readonly #detach: (() => void)[] = [];
  #nextPort = 20_000;

  constructor(net: VirtualNetwork, options: { host: string; isSymmetric?: boolean }) {
    this.#net = net;
    this.#host = options.host;
    this.#isSymmetric = options.isSymmetric ?? false;
  }

  /** Sends out a datagram of a socket behind the translator. */
  send(socket: VirtualSocket, data: Uint8Array, to: Endpoint, mayFragment: boolean): void {
    const key = this.#isSymmetric ? `${text(socket.local)} ${text(to)}` : text(socket.local);
    let mapping = this.#mappings.get(key);
    if (mapping === undefined) {
      const allowed = new Set<string>();
      mapping = { outside: { host: this.#host, port: this.#nextPort++ }, allowed };
      this.#mappings.set(key, mapping);
      this.#detach.push(this.#net.attach(mapping.outside, (received, from) => {
        if (allowed.has(text(from))) socket.receive(received, from);
      }));
    }
    mapping.allowed.add(text(to));
    this.#net.inject(data, mapping.outside, to, mayFragment);
  }

  /** Forgets all mappings, as translators do after silence or a restart; new ones get new ports. */
  rebind(): void {
    for (const detach of this.#detach.splice(0)) detach();
    this.#mappings.clear();
  }
}

/** A {@linkcode UdpSocket} on a {@linkcode VirtualNetwork}. */
export class VirtualSocket implements UdpSocket {
  readonly kind = "virtual";
  readonly local: Endpoint;
  readonly stats: UdpStats = newUdpStats();
  forbidsFragments = true;
  /** Buffers taken and not given back; 0 when nothing leaks. */
  borrowed = 0;
  readonly #net: VirtualNetwork;
  readonly #nat: Uplink | undefined;
  readonly #detach: () => void;
  #onDatagram: Receive | undefined;

  constructor(net: VirtualNetwork, local: Endpoint, nat: Uplink | undefined) {
    this.#net = net;
    this.#nat = nat;
    this.local = local;
    this.#detach = nat === undefined
      ? net.attach(local, (data, from) => this.receive(data, from))
      : nat.attach?.(this) ?? (() => {});
  }

  /** Exactly what was asked for, so that writing beyond it fails. */
  acquire(bytes: number = SEND_BUFFER_BYTES): Uint8Array<ArrayBuffer> {
    this.borrowed++;
    return new Uint8Array(bytes);
  }

  send(
    buffer: Uint8Array<ArrayBuffer>,
    length: number,
    to: Endpoint,
    mayFragment: boolean = false,
  ): void {
    this.borrowed--;
    this.stats.sent++;
    this.stats.sentBytes += length;
    if (length > buffer.length) throw new Error(`${length} bytes of ${buffer.length}`);
    const data = buffer.subarray(0, length);
    if (this.#nat === undefined) this.#net.inject(data, this.local, to, mayFragment);
    else this.#nat.send(this, data, to, mayFragment);
    // Whoever still writes to it must not reach the network.
    buffer.fill(0xaa);
  }

  /** A datagram from the network. */
  receive(data: Uint8Array, from: Endpoint): void {
    this.stats.received++;
    this.stats.receivedBytes += data.length;
    const buffer = data.slice();
    this.#onDatagram?.(buffer, from);
    // As a real socket's next datagram would: what is kept beyond the call must have been copied.
    buffer.fill(0xaa);
  }

  start(onDatagram: Receive): void {
    this.#onDatagram = onDatagram;
  }

  close(): Promise<void> {
    this.#onDatagram = undefined;
    this.#detach();
    return Promise.resolve();
  }
}
