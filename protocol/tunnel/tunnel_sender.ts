/**
 * The exit of the tunnel layer: packets sealed into send buffers, raw frames copied, both given to the
 * transport of their route.
 *
 * @module
 */

import { DecodeError } from "../errors.ts";
import { PILS_HEADER_BYTES, PILS_OVERHEAD_BYTES } from "./frame.ts";
import {
  ACK,
  decodePacket,
  encodePacketInto,
  FIN,
  HEADER_BYTES,
  type Packet,
  PROTO_CONTROL,
  PROTO_DATAGRAM,
  PROTO_STREAM,
  SYN,
} from "../packet.ts";
import { PATH_BASE_BYTES, type Route, sameRoute } from "../path/mod.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { Transport, Transports } from "./frame_transport.ts";
import type { Session } from "./tunnel_session.ts";
import type { TunnelStats } from "./tunnel_stats.ts";

/** Bytes around a packet's payload in a frame: the tunnel's and the packet's own header, and the tag. */
export const FRAME_OVERHEAD_BYTES: number = PILS_OVERHEAD_BYTES + HEADER_BYTES;

/** Sends frames over the transports. */
export class TunnelSender {
  readonly #transports: Transports;
  readonly #stats: TunnelStats;
  #self = 0;

  constructor(options: { transports: Transports; stats: TunnelStats }) {
    this.#transports = options.transports;
    this.#stats = options.stats;
  }

  /** Our node number; 0 until it is known. */
  get self(): number {
    return this.#self;
  }

  /** Sets our node number, from which on frames can be sent. */
  setSelf(node: number): void {
    this.#self = node;
  }

  /**
   * Seals a packet and sends it by `only`, or by the peer's routes. False when there is none.
   *
   * What is larger than the path is known to carry may become fragments on the path, unless `isProbe`. These are
   * datagrams of an application, which nobody repeats in pieces, and segments that take the relay beside a wider path.
   */
  sealed(
    peer: PeerTunnel,
    session: Session,
    packet: Packet,
    now: number,
    only?: Route,
    isProbe: boolean = false,
  ): boolean {
    const { paths } = peer;
    const isOnce = packet.protocol === PROTO_DATAGRAM;
    const routes = only === undefined
      ? peer.routes(now, this.#transports.relay.isUp, isOnce)
      : [only];
    if (routes.length === 0) return false;
    const { current } = paths;
    // A probe of another path says nothing about the one in use when it is not answered.
    if (only === undefined) {
      paths.sent(now, expectsAnswer(packet), packet.protocol !== PROTO_CONTROL);
    } else if (current !== undefined && sameRoute(only, current.route)) {
      paths.sent(now, false, false);
    }
    const bytes = FRAME_OVERHEAD_BYTES + packet.payload.length;
    for (const route of routes) {
      const transport = this.#transports[route.via];
      if (!transport.isUp) continue;
      const path = route === current?.route ? current : paths.find(route);
      path?.countSent(bytes);
      const isWhole = isProbe || bytes <= (path?.maxBytes ?? PATH_BASE_BYTES);
      this.#seal(transport, session, packet, route, !isWhole);
    }
    this.#stats.packetsSent++;
    this.#stats.bytesSent += packet.payload.length;
    return true;
  }

  #seal(
    transport: Transport,
    session: Session,
    packet: Packet,
    route: Route,
    mayFragment: boolean,
  ): void {
    const { headerBytes } = transport;
    const buffer = transport.acquire(headerBytes + FRAME_OVERHEAD_BYTES + packet.payload.length);
    const packetBytes = encodePacketInto(packet, buffer, headerBytes + PILS_HEADER_BYTES);
    const frameBytes = session.seal(buffer, headerBytes, this.#self, packetBytes);
    const { dstNode } = packet;
    transport.send(buffer, headerBytes + frameBytes, route, this.#self, dstNode, mayFragment);
  }

  /** Sends a frame as it is to `node` by a route. */
  raw(data: Uint8Array, route: Route, node: number): void {
    const transport = this.#transports[route.via];
    if (!transport.isUp) return;
    const bytes = transport.headerBytes + data.length;
    const buffer = transport.acquire(bytes);
    buffer.set(data, transport.headerBytes);
    transport.send(buffer, bytes, route, this.#self, node, false);
  }

  /**
   * Sends what waited for a session; true when a living peer answers some of it at once. What may arrive twice is kept
   * for another path until the peer has proven its key by this one.
   */
  flush(peer: PeerTunnel, now: number): boolean {
    const session = peer.session;
    if (session === undefined) return false;
    let isAnswered = false;
    for (const bytes of peer.takePending()) {
      const packet = decodePacket(bytes);
      if (packet instanceof DecodeError) continue;
      this.sealed(peer, session, packet, now);
      isAnswered ||= expectsAnswer(packet);
      const isKept = peer.live === undefined && !session.isOriginDoubtful;
      if (isKept && packet.protocol !== PROTO_DATAGRAM) peer.queue(bytes);
    }
    return isAnswered;
  }

  /**
   * Sends a control packet of ours to port 0: a keepalive when empty, a probe otherwise (docs/protocol/paths.md §5).
   */
  control(
    peer: PeerTunnel,
    session: Session,
    payload: Uint8Array,
    now: number,
    only?: Route,
  ): void {
    this.sealed(peer, session, this.#controlPacket(peer, payload), now, only);
  }

  /** Sends a probe of the path MTU, which must arrive in one piece or not at all. */
  probe(
    peer: PeerTunnel,
    session: Session,
    payload: Uint8Array,
    now: number,
    only: Route,
  ): void {
    this.sealed(peer, session, this.#controlPacket(peer, payload), now, only, true);
  }

  #controlPacket(peer: PeerTunnel, payload: Uint8Array): Packet {
    return {
      flags: 0,
      protocol: PROTO_CONTROL,
      srcNetwork: 0,
      srcNode: this.#self,
      dstNetwork: 0,
      dstNode: peer.node,
      // An old peer's answer to a keepalive goes to port 1, where it dies.
      srcPort: 1,
      dstPort: 0,
      seq: 0,
      ack: 0,
      window: 0,
      payload,
    };
  }
}

/** Whether a living peer answers this packet within a round trip or a delayed ACK. */
function expectsAnswer(packet: Packet): boolean {
  if (packet.protocol === PROTO_STREAM) {
    return packet.payload.length > 0 || (packet.flags & (SYN | FIN)) !== 0;
  }
  return packet.protocol === PROTO_CONTROL && packet.payload.length > 0 &&
    (packet.flags & ACK) === 0;
}
