/**
 * Path MTU discovery for the direct paths to peers: probes and their answers, timers, and what follows for segments
 * (RFC 8899). Only paths that full-size stream segments take are probed, so idle peers cost nothing.
 *
 * @module
 */

import { isIP } from "node:net";
import { isLoopbackIp, parseIp } from "../../protocol/ip.ts";
import { ACK, type Packet, PROTO_CONTROL } from "../../protocol/packet.ts";
import {
  encodePathProbe,
  IPV4_UDP_BYTES,
  IPV6_UDP_BYTES,
  isPathProbe,
  PATH_ANSWER_BYTES,
  PATH_BASE_BYTES,
  PathMtu,
  pathProbeId,
  type Route,
} from "../../protocol/path/mod.ts";
import { PORT_PING } from "../../protocol/well_known_ports.ts";
import type { Clock, TimerSet } from "../../platform/clock.ts";
import type { MtuDiscovery } from "./mtu_discovery.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { UpperLayer } from "./upper_layer.ts";
import { TokenBucket } from "./rate_limit.ts";
import { FRAME_OVERHEAD_BYTES, type TunnelSender } from "./tunnel_sender.ts";
import { MAX_SEGMENT_BYTES, PATH_ANSWER_RATE } from "./types.ts";

/** Probes of a path whose answers still count; as many as several sizes have tries. */
const MAX_OUTSTANDING_PROBES = 16;
/** Largest datagram looked for where the socket cannot forbid fragments: beyond an Ethernet frame they would pass. */
const ETHERNET_MTU = 1500;
const ID_BYTES = 6;

/** Discovers the path MTU of every peer. */
export class PathMtuDriver {
  readonly #clock: Clock;
  readonly #timers: TimerSet;
  readonly #sender: TunnelSender;
  readonly #random: (out: Uint8Array) => void;
  readonly #maxDatagramBytes: number;
  readonly #forbidsFragments: boolean;
  readonly #upper: UpperLayer;
  readonly #answers: TokenBucket;

  constructor(options: {
    clock: Clock;
    timers: TimerSet;
    sender: TunnelSender;
    random: (out: Uint8Array) => void;
    /** Largest segment wanted, payload bytes. */
    maxSegmentBytes: number | undefined;
    /** See `UdpSocket.forbidsFragments`. */
    forbidsFragments: boolean;
    /** Told when segments to a peer have another size. */
    upper: UpperLayer;
    peers: PeerTable;
  }) {
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#sender = options.sender;
    this.#random = options.random;
    this.#maxDatagramBytes = (options.maxSegmentBytes ?? MAX_SEGMENT_BYTES) + FRAME_OVERHEAD_BYTES;
    this.#forbidsFragments = options.forbidsFragments;
    this.#upper = options.upper;
    options.peers.onRemoved((peer) => this.#stop(peer));
    this.#answers = new TokenBucket(PATH_ANSWER_RATE, options.clock.now());
  }

  /** Payload bytes of a stream segment that the path to a peer carries in one piece. */
  segmentBytes(peer: PeerTunnel | undefined): number {
    return Math.min(this.#datagramBytes(peer), this.#maxDatagramBytes) - FRAME_OVERHEAD_BYTES;
  }

  /** MTU of the path to a peer as far as it is proven, IP and UDP headers included. */
  pathMtu(peer: PeerTunnel): number {
    const isV6 = !peer.viaRelay && peer.direct?.host.includes(":") === true;
    return this.#datagramBytes(peer) + (isV6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES);
  }

  /** A full-size segment goes to a peer: looks for more room, if it is time for that. Cheap. */
  demand(peer: PeerTunnel): void {
    if (peer.viaRelay || peer.live === undefined || peer.direct === undefined) return;
    if (peer.mtu?.host !== peer.direct.host) this.#begin(peer, peer.direct.host);
    const mtu = peer.mtu!;
    // sealed() has just noted the time.
    mtu.search.demand(peer.sentMs);
    if (mtu.cancelTimer === undefined && mtu.search.deadline <= peer.sentMs) {
      this.#run(peer, mtu);
    }
  }

  /** A stream gets no large segment through to a peer: back to the base until probes say what passes. */
  suspect(peer: PeerTunnel): void {
    const { mtu } = peer;
    if (mtu === undefined || peer.viaRelay || !mtu.search.suspect(this.#clock.now())) return;
    mtu.probes.clear();
    this.#upper.sizesChanged(peer);
    this.#run(peer, mtu);
  }

  /**
   * Takes a packet that has to do with path MTU discovery.
   *
   * @returns False when it has not.
   */
  onPacket(peer: PeerTunnel, packet: Packet, route: Route): boolean {
    if (packet.protocol !== PROTO_CONTROL || !isPathProbe(packet.payload)) return false;
    if ((packet.flags & ACK) !== 0) this.#onAnswer(peer, packet.payload);
    else if (packet.dstPort === PORT_PING) this.#answer(peer, packet, route);
    return true;
  }

  #stop(peer: PeerTunnel): void {
    peer.mtu?.cancelTimer?.();
    peer.mtu = undefined;
  }

  #datagramBytes(peer: PeerTunnel | undefined): number {
    return peer === undefined || peer.viaRelay ? PATH_BASE_BYTES : peer.directBytes;
  }

  #begin(peer: PeerTunnel, host: string): void {
    this.#stop(peer);
    const isLiteral = isIP(host) !== 0;
    const isV6 = host.includes(":");
    const isWhole = this.#forbidsFragments || (isLiteral && isLoopbackIp(parseIp(host)));
    const ethernet = ETHERNET_MTU - (isV6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES);
    peer.mtu = {
      host,
      search: new PathMtu({
        ipVersion: isV6 ? 6 : 4,
        maxBytes: isWhole ? this.#maxDatagramBytes : Math.min(ethernet, this.#maxDatagramBytes),
      }),
      probes: new Map(),
      cancelTimer: undefined,
    };
  }

  /** Sends what is due and comes back when more is; rests while the path is not in use. */
  #run(peer: PeerTunnel, mtu: MtuDiscovery): void {
    mtu.cancelTimer?.();
    mtu.cancelTimer = undefined;
    const { live, direct } = peer;
    const isInUse = peer.mtu === mtu && !peer.viaRelay && direct?.host === mtu.host;
    if (!isInUse || live === undefined) return;
    const now = this.#clock.now();
    const bytes = mtu.search.poll(now);
    if (bytes !== undefined) {
      const id = new Uint8Array(ID_BYTES);
      this.#random(id);
      const payload = encodePathProbe(id, bytes - FRAME_OVERHEAD_BYTES);
      const oldest = mtu.probes.keys().next().value;
      if (mtu.probes.size >= MAX_OUTSTANDING_PROBES && oldest !== undefined) {
        mtu.probes.delete(oldest);
      }
      mtu.probes.set(pathProbeId(payload), { bytes, sentMs: now });
      this.#sender.probe(peer, live, payload, { via: "direct", endpoint: direct });
    }
    const { deadline } = mtu.search;
    if (deadline === Infinity) return;
    mtu.cancelTimer = this.#timers.after(deadline - now, () => this.#run(peer, mtu));
  }

  #onAnswer(peer: PeerTunnel, payload: Uint8Array): void {
    const { mtu } = peer;
    const id = pathProbeId(payload);
    const probe = mtu?.probes.get(id);
    if (mtu === undefined || probe === undefined) return;
    mtu.probes.delete(id);
    const now = this.#clock.now();
    if (mtu.search.onAnswer(probe.bytes, now - probe.sentMs, now)) this.#upper.sizesChanged(peer);
    this.#run(peer, mtu);
  }

  /** By the way it came, and short: that it arrived is all there is to say. */
  #answer(peer: PeerTunnel, probe: Packet, route: Route): void {
    const { session } = peer;
    if (session === undefined || !this.#answers.take(this.#clock.now())) return;
    this.#sender.sealed(peer, session, {
      ...probe,
      flags: ACK,
      srcNode: probe.dstNode,
      dstNode: probe.srcNode,
      srcNetwork: probe.dstNetwork,
      dstNetwork: probe.srcNetwork,
      srcPort: PORT_PING,
      dstPort: probe.srcPort,
      ack: (probe.seq + 1) >>> 0,
      payload: probe.payload.subarray(0, PATH_ANSWER_BYTES),
    }, route);
  }
}
