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
  IPV4_UDP_BYTES,
  IPV6_UDP_BYTES,
  isPathProbe,
  MtuDiscovery,
  type Path,
  PATH_ANSWER_BYTES,
  PATH_BASE_BYTES,
  pathProbeId,
  type Route,
} from "../../protocol/path/mod.ts";
import { PORT_PING } from "../../protocol/well_known_ports.ts";
import type { Clock, TimerSet } from "../../platform/clock.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { UpperLayer } from "./upper_layer.ts";
import { TokenBucket } from "./rate_limit.ts";
import { FRAME_OVERHEAD_BYTES, type TunnelSender } from "./tunnel_sender.ts";
import { MAX_SEGMENT_BYTES, PATH_ANSWER_RATE } from "./types.ts";

/** Largest datagram looked for where the socket cannot forbid fragments: beyond an Ethernet frame they would pass. */
const ETHERNET_MTU = 1500;

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
  /** Cancel the timers of discoveries, by peer. */
  readonly #waiting = new Map<PeerTunnel, Map<MtuDiscovery, () => void>>();

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
    return Math.min(datagramBytes(peer), this.#maxDatagramBytes) - FRAME_OVERHEAD_BYTES;
  }

  /** MTU of the path to a peer as far as it is proven, IP and UDP headers included. */
  pathMtu(peer: PeerTunnel): number {
    const isV6 = !peer.viaRelay && peer.paths.direct?.host?.includes(":") === true;
    return datagramBytes(peer) + (isV6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES);
  }

  /** A full-size segment goes to a peer: looks for more room, if it is time for that. Cheap. */
  demand(peer: PeerTunnel): void {
    const { direct } = peer.paths;
    if (peer.viaRelay || peer.live === undefined || direct === undefined) return;
    const mtu = direct.mtu ?? this.#begin(peer, direct);
    // sealed() has just noted the time.
    mtu.demand(peer.sentMs);
    if (mtu.deadline <= peer.sentMs && !this.#waiting.get(peer)?.has(mtu)) this.#run(peer, mtu);
  }

  /** A stream gets no large segment through to a peer: back to the base until probes say what passes. */
  suspect(peer: PeerTunnel): void {
    const mtu = peer.paths.direct?.mtu;
    if (mtu === undefined || peer.viaRelay || !mtu.suspect(this.#clock.now())) return;
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
    for (const cancel of this.#waiting.get(peer)?.values() ?? []) cancel();
    this.#waiting.delete(peer);
  }

  #begin(peer: PeerTunnel, { host }: Path): MtuDiscovery {
    const isV6 = host?.includes(":") === true;
    const isLoopback = host !== undefined && isIP(host) !== 0 && isLoopbackIp(parseIp(host));
    const isWhole = this.#forbidsFragments || isLoopback;
    const ethernet = ETHERNET_MTU - (isV6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES);
    const mtu = new MtuDiscovery({
      ipVersion: isV6 ? 6 : 4,
      maxBytes: isWhole ? this.#maxDatagramBytes : Math.min(ethernet, this.#maxDatagramBytes),
      overheadBytes: FRAME_OVERHEAD_BYTES,
    });
    peer.paths.discoverMtu(host, mtu);
    return mtu;
  }

  /** Sends what is due and comes back when more is; waits while the path is not in use. */
  #run(peer: PeerTunnel, mtu: MtuDiscovery): void {
    const waiting = this.#waiting.get(peer) ?? new Map<MtuDiscovery, () => void>();
    this.#waiting.set(peer, waiting);
    waiting.get(mtu)?.();
    waiting.delete(mtu);
    const { live, paths } = peer;
    const { direct } = paths;
    if (live === undefined || peer.viaRelay || direct === undefined || direct.mtu !== mtu) return;
    const now = this.#clock.now();
    const payload = mtu.poll(now, this.#random);
    if (payload !== undefined) this.#sender.probe(peer, live, payload, direct.route);
    const { deadline } = mtu;
    if (deadline === Infinity) return;
    waiting.set(mtu, this.#timers.after(deadline - now, () => this.#run(peer, mtu)));
  }

  #onAnswer(peer: PeerTunnel, payload: Uint8Array): void {
    const mtu = peer.paths.direct?.mtu;
    const isChanged = mtu?.onAnswer(pathProbeId(payload), this.#clock.now());
    if (mtu === undefined || isChanged === undefined) return;
    if (isChanged) this.#upper.sizesChanged(peer);
    this.#run(peer, mtu);
  }

  /** By the route it came by, and short: that it arrived is all there is to say. */
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

/** Largest datagram known to pass by the path in use. */
function datagramBytes(peer: PeerTunnel | undefined): number {
  return peer === undefined || peer.viaRelay
    ? PATH_BASE_BYTES
    : peer.paths.direct?.maxBytes ?? PATH_BASE_BYTES;
}
