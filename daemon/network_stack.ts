/**
 * The network half of a daemon, built from the bottom up: tunnels, gate, streams, datagrams and pings on one UDP
 * socket. It knows neither registry nor trust service, only what they answer.
 *
 * @module
 */

import type { Address } from "../protocol/address.ts";
import type { AeadFactory } from "../protocol/crypto/aead.ts";
import type { KeyPair } from "../protocol/crypto/key_agreement.ts";
import type { Identity } from "../protocol/crypto/identity.ts";
import type { Emit } from "../protocol/lifecycle_events.ts";
import { type Packet, PROTO_CONTROL, PROTO_DATAGRAM, PROTO_STREAM } from "../protocol/packet.ts";
import type { PathMode, Route } from "../protocol/path/mod.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { UdpSocket } from "../platform/net/udp.ts";
import type { NetworkBackend } from "./ipc/backend.ts";
import { Control } from "./stream/control_packets.ts";
import { Datagrams } from "./stream/datagram_host.ts";
import { Gate, type GateDeps } from "./stream/gate.ts";
import { StreamHost } from "./stream/host.ts";
import { Loopback } from "./stream/loopback.ts";
import type { Conn, Datagram, DialOptions } from "./stream/stream_conn.ts";
import type { BeaconNews } from "./tunnel/beacon_link.ts";
import { Tunnels } from "./tunnel/tunnels.ts";
import type { TunnelConsent, TunnelDeps, TunnelUser } from "./tunnel/types.ts";

/** The nodes that this node trusts. */
export interface Consent extends TunnelConsent {
  /** Trust in the peer was ended here: a common network does not let it in. */
  isRevoked(node: number): boolean;
  /** We have asked this peer for trust and wait for its answer. */
  isAsked(node: number): boolean;
}

/** What the network half is built on. */
export interface NetworkStackDeps extends Pick<TunnelDeps, "lookupKey" | "resolve"> {
  readonly clock: Clock;
  readonly random: (out: Uint8Array) => void;
  readonly socket: UdpSocket;
  readonly keyPair: KeyPair;
  readonly aead: AeadFactory;
  /** Paths that may be taken. Default `auto`. */
  readonly pathMode?: PathMode | undefined;
  /** Largest stream segment, payload bytes. */
  readonly maxSegmentBytes?: number | undefined;
  /** Our node number; 0 before it is known. */
  readonly self: () => number;
  readonly consent: Consent;
  /** This node is public: everyone may come. */
  readonly isPublic: () => boolean;
  readonly memberships: GateDeps["memberships"];
  readonly emit: Emit;
  readonly log: Log;
}

/** Tunnels, streams, datagrams and pings of one node. */
export class NetworkStack implements NetworkBackend, TunnelUser {
  readonly gate: Gate;
  readonly tunnels: Tunnels;
  readonly streams: StreamHost;
  readonly control: Control;
  readonly datagrams: Datagrams;
  readonly #deps: NetworkStackDeps;
  readonly #loopback: Loopback;
  #beacon: BeaconNews = { observed() {} };

  constructor(deps: NetworkStackDeps) {
    const { clock, random, consent, self, emit } = deps;
    this.#deps = deps;
    const gate = this.gate = new Gate({
      clock,
      isPublic: deps.isPublic,
      isTrusted: (node) => consent.hasConsent(node),
      isRevoked: (node) => consent.isRevoked(node),
      isExpected: (node) => consent.isAsked(node),
      memberships: deps.memberships,
    });
    const tunnels = this.tunnels = new Tunnels({
      ...deps,
      // Former peers get a refusal; nothing else of ours answers them.
      visibility: {
        mayKnow: (node) => consent.isFormer(node) || gate.mayKnow(node),
        askMayKnow: async (node) => consent.isFormer(node) || await gate.askMayKnow(node),
      },
    });
    this.#loopback = new Loopback(clock);
    const ensure = (node: number) => tunnels.ensure(node);
    const send = (packet: Packet, route?: Route): void => this.send(packet, route);
    this.streams = new StreamHost({
      ...{ clock, random, gate, self, ensure, send, emit },
      segmentBytes: (node) => tunnels.segmentBytes(node),
      onBlackHole: (node) => tunnels.onBlackHole(node),
    });
    this.control = new Control({ clock, self, ensure, send, gate });
    const isReady = (node: number) => tunnels.isReady(node);
    this.datagrams = new Datagrams({ self, gate, ensure, isReady, send, emit });
  }

  /**
   * Begins to take what arrives.
   *
   * @param beacon Called with what the beacon says of this node.
   */
  start(beacon: BeaconNews): void {
    this.#beacon = beacon;
    this.tunnels.start(this);
    this.#loopback.start((packet) => this.onPacket(packet, undefined, false));
    this.#deps.socket.start(
      (data, from) => this.tunnels.onDatagram(data, from),
      () => this.streams.endBatch(),
    );
  }

  /** Sets our node number, from which on frames can be sent. */
  async setSelf(node: number, identity: Identity): Promise<void> {
    await this.tunnels.setSelf(node, identity);
  }

  /**
   * Sends a packet. What finds no path is lost like any datagram: streams retransmit, pings time out.
   *
   * @param packet Its payload may be reused after the call.
   * @param route For an answer: the route that the question came by.
   */
  send(packet: Packet, route?: Route): void {
    if (packet.dstNode === this.#deps.self()) this.#loopback.send(packet);
    else this.tunnels.send(packet, route);
  }

  /**
   * Ends everything but the socket.
   *
   * @param graceMs How long connections may take to deliver what they hold.
   */
  async stop(graceMs: number): Promise<void> {
    await this.streams.shutdown(graceMs);
  }

  /** Wipes all keys and stops all timers, after {@linkcode NetworkStack.stop}. */
  close(): void {
    this.tunnels.close();
    this.#loopback.close();
  }

  // ---- NetworkBackend

  bind(port: number, onAccept: (conn: Conn) => void): void {
    this.streams.bind(port, onAccept);
  }

  unbind(port: number): void {
    this.streams.unbind(port);
  }

  dial(address: Address, port: number, options?: DialOptions): Promise<Conn> {
    return this.streams.dial(address, port, options);
  }

  disconnect(id: number): boolean {
    return this.streams.disconnect(id);
  }

  sendDatagram(address: Address, port: number, data: Uint8Array): Promise<void> {
    return this.datagrams.send(address, port, data);
  }

  trySendDatagram(address: Address, port: number, data: Uint8Array): boolean {
    return this.datagrams.trySend(address, port, data);
  }

  onDatagram(handler: (datagram: Datagram) => void): void {
    this.datagrams.onDatagram(handler);
  }

  ping(
    address: Address,
    options: { timeoutMs: number; signal?: AbortSignal },
  ): Promise<{ rttMs: number; relayed: boolean }> {
    return this.control.ping(address, options);
  }

  // ---- TunnelUser

  get beacon(): BeaconNews {
    return this.#beacon;
  }

  onPacket(packet: Packet, route: Route | undefined, isBatch: boolean): void {
    switch (packet.protocol) {
      case PROTO_STREAM:
        this.streams.onPacket(packet, isBatch);
        break;
      case PROTO_DATAGRAM:
        this.datagrams.onPacket(packet);
        break;
      case PROTO_CONTROL:
        this.control.onPacket(packet, route);
        break;
      default: // Unknown protocols are ignored, as by every known implementation.
    }
  }

  onPathChanged(node: number, isRepaired: boolean): void {
    this.streams.onPathChanged(node, isRepaired);
  }

  onPeerRestarted(node: number): void {
    this.streams.onPeerRestarted(node);
  }

  hasConns(node: number): boolean {
    return this.streams.hasConns(node);
  }
}
