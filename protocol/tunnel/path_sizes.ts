/**
 * Path MTU discovery for the direct paths to peers: probes and their answers, and what follows for segments
 * (RFC 8899). Only paths that full-size stream segments take are probed, so idle peers cost nothing.
 *
 * @module
 */

import { isIP } from "node:net";
import { isLoopbackIp, parseIp } from "../ip.ts";
import { ACK, type Packet, PROTO_CONTROL } from "../packet.ts";
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
} from "../path/mod.ts";
import { PORT_PING } from "../well_known_ports.ts";
import type { DeadlineQueue, Timed } from "../deadline_queue.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import { TokenBucket } from "../rate_limit.ts";
import type { Transport } from "./frame_transport.ts";
import { FRAME_OVERHEAD_BYTES, type TunnelSender } from "./tunnel_sender.ts";
import { MAX_SEGMENT_BYTES, PATH_ANSWER_RATE } from "./tunnel_limits.ts";

/** Largest datagram looked for where the socket cannot forbid fragments: beyond an Ethernet frame they would pass. */
const ETHERNET_MTU = 1500;

/** When the discovery of one path's MTU continues. */
class DiscoveryTimer implements Timed {
  readonly #mtu: MtuDiscovery;
  readonly #run: (now: number) => void;

  constructor(mtu: MtuDiscovery, run: (now: number) => void) {
    this.#mtu = mtu;
    this.#run = run;
  }

  /** False while the path is not in use. */
  isOn = false;

  deadline(): number {
    return this.isOn ? this.#mtu.deadline : Infinity;
  }

  onTimer(now: number): void {
    this.#run(now);
  }
}

/** Discovers the path MTU of every peer. */
export class PathSizes {
  readonly #deadlines: DeadlineQueue;
  readonly #sender: TunnelSender;
  readonly #random: (out: Uint8Array) => void;
  readonly #maxDatagramBytes: number;
  readonly #transport: Pick<Transport, "forbidsFragments" | "isReliable" | "maxBytes">;
  readonly #sizesChanged: (peer: PeerTunnel) => void;
  readonly #answers: TokenBucket;
  readonly #timers = new Map<PeerTunnel, Map<MtuDiscovery, DiscoveryTimer>>();

  constructor(options: {
    deadlines: DeadlineQueue;
    sender: TunnelSender;
    random: (out: Uint8Array) => void;
    /** Largest segment wanted, payload bytes. */
    maxSegmentBytes: number | undefined;
    /** What carries frames on direct paths. */
    transport: Pick<Transport, "forbidsFragments" | "isReliable" | "maxBytes">;
    /** Called when segments to a peer have another size. */
    sizesChanged: (peer: PeerTunnel) => void;
    peers: PeerTable;
    now: number;
  }) {
    this.#deadlines = options.deadlines;
    this.#sender = options.sender;
    this.#random = options.random;
    const wantedBytes = (options.maxSegmentBytes ?? MAX_SEGMENT_BYTES) + FRAME_OVERHEAD_BYTES;
    this.#maxDatagramBytes = Math.min(wantedBytes, options.transport.maxBytes);
    this.#transport = options.transport;
    this.#sizesChanged = options.sizesChanged;
    options.peers.onRemoved((peer) => this.#stop(peer));
    this.#answers = new TokenBucket(PATH_ANSWER_RATE, options.now);
  }

  /** Payload bytes of a stream segment that the path to a peer carries in one piece. */
  segmentBytes(peer: PeerTunnel | undefined): number {
    return Math.min(this.#datagramBytes(peer), this.#maxDatagramBytes) - FRAME_OVERHEAD_BYTES;
  }

  /** MTU of the path to a peer as far as it is proven, IP and UDP headers included. */
  pathMtu(peer: PeerTunnel): number {
    const isV6 = !peer.viaRelay && peer.paths.direct?.host?.includes(":") === true;
    return this.#datagramBytes(peer) + (isV6 ? IPV6_UDP_BYTES : IPV4_UDP_BYTES);
  }

  /** A full-size segment goes to a peer: looks for more room, if it is time for that. Cheap. */
  demand(peer: PeerTunnel): void {
    const { direct } = peer.paths;
    if (peer.viaRelay || peer.live === undefined || direct === undefined) return;
    if (this.#transport.isReliable) return;
    const mtu = direct.mtu ?? this.#begin(peer, direct);
    // sealed() has just noted the time.
    mtu.demand(peer.sentMs);
    // A probe that is due goes out at once, one that waits for its answer in its time.
    if (mtu.deadline <= peer.sentMs) this.#run(peer, mtu, peer.sentMs);
  }

  /** A stream gets no large segment through to a peer: back to the base until probes say what passes. */
  suspect(peer: PeerTunnel, now: number): void {
    const mtu = peer.paths.direct?.mtu;
    if (mtu === undefined || peer.viaRelay || !mtu.suspect(now)) return;
    this.#sizesChanged(peer);
    this.#run(peer, mtu, now);
  }

  /**
   * Takes a packet that has to do with path MTU discovery.
   *
   * @returns False when it has not.
   */
  onPacket(peer: PeerTunnel, packet: Packet, route: Route, now: number): boolean {
    if (packet.protocol !== PROTO_CONTROL || !isPathProbe(packet.payload)) return false;
    if ((packet.flags & ACK) !== 0) this.#onAnswer(peer, packet.payload, now);
    else if (packet.dstPort === PORT_PING) this.#answer(peer, packet, route, now);
    return true;
  }

  /** Largest datagram known to pass by the path in use; a reliable transport cuts frames anywhere. */
  #datagramBytes(peer: PeerTunnel | undefined): number {
    if (peer === undefined || peer.viaRelay) return PATH_BASE_BYTES;
    const { isReliable, maxBytes } = this.#transport;
    return isReliable ? maxBytes : peer.paths.direct?.maxBytes ?? PATH_BASE_BYTES;
  }

  #stop(peer: PeerTunnel): void {
    for (const timer of this.#timers.get(peer)?.values() ?? []) {
      timer.isOn = false;
      this.#deadlines.delete(timer);
    }
    this.#timers.delete(peer);
  }

  #timerOf(peer: PeerTunnel, mtu: MtuDiscovery): DiscoveryTimer {
    let timers = this.#timers.get(peer);
    if (timers === undefined) this.#timers.set(peer, timers = new Map());
    let timer = timers.get(mtu);
    if (timer === undefined) {
      timer = new DiscoveryTimer(mtu, (now) => this.#run(peer, mtu, now));
      timers.set(mtu, timer);
    }
    return timer;
  }

  #begin(peer: PeerTunnel, { host }: Path): MtuDiscovery {
    const isV6 = host?.includes(":") === true;
    const isLoopback = host !== undefined && isIP(host) !== 0 && isLoopbackIp(parseIp(host));
    const isWhole = this.#transport.forbidsFragments || isLoopback;
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
  #run(peer: PeerTunnel, mtu: MtuDiscovery, now: number): void {
    const timer = this.#timerOf(peer, mtu);
    const { live, paths } = peer;
    const { direct } = paths;
    timer.isOn = live !== undefined && !peer.viaRelay && direct?.mtu === mtu;
    if (!timer.isOn || live === undefined || direct === undefined) return;
    const payload = mtu.poll(now, this.#random);
    if (payload !== undefined) this.#sender.probe(peer, live, payload, now, direct.route);
    this.#deadlines.touch(timer);
  }

  #onAnswer(peer: PeerTunnel, payload: Uint8Array, now: number): void {
    const mtu = peer.paths.direct?.mtu;
    const isChanged = mtu?.onAnswer(pathProbeId(payload), now);
    if (mtu === undefined || isChanged === undefined) return;
    if (isChanged) this.#sizesChanged(peer);
    this.#run(peer, mtu, now);
  }

  /** By the route it came by, and short: that it arrived is all there is to say. */
  #answer(peer: PeerTunnel, probe: Packet, route: Route, now: number): void {
    const { session } = peer;
    if (session === undefined || !this.#answers.take(now)) return;
    this.#sender.sealed(
      peer,
      session,
      {
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
      },
      now,
      route,
    );
  }
}
