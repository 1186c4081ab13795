/**
 * The way out of the tunnel layer: packets sealed into send buffers, raw frames copied, both wrapped for the
 * beacon where they go through it.
 *
 * @module
 */

import { encodeRelayInto, RELAY_HEADER_BYTES } from "../../protocol/beacon/beacon_message.ts";
import { DecodeError } from "../../protocol/errors.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import { PILS_HEADER_BYTES, PILS_OVERHEAD_BYTES } from "../../protocol/tunnel/frame.ts";
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
} from "../../protocol/packet.ts";
import { PATH_BASE_BYTES, type Route, sameRoute } from "../../protocol/path/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";
import type { BeaconLink } from "./beacon_link.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { Session } from "./tunnel_session.ts";
import type { TunnelStats } from "./types.ts";

/** Bytes around a packet's payload in a frame: the tunnel's and the packet's own header, and the tag. */
export const FRAME_OVERHEAD_BYTES: number = PILS_OVERHEAD_BYTES + HEADER_BYTES;
/** The same with the beacon's header. */
const MAX_OVERHEAD_BYTES = RELAY_HEADER_BYTES + FRAME_OVERHEAD_BYTES;
/** Largest datagram to the beacon that need not become fragments (docs/protocol/beacon.md §4.3). */
const MAX_RELAY_BYTES = 1_232;

/** Sends frames over the daemon's socket. */
export class TunnelSender {
  /** Our node number; 0 until it is known. */
  self = 0;
  readonly #clock: Clock;
  readonly #socket: UdpSocket;
  readonly #stats: TunnelStats;
  readonly #beacon: Pick<BeaconLink, "endpoint">;

  constructor(
    options: {
      clock: Clock;
      socket: UdpSocket;
      stats: TunnelStats;
      beacon: Pick<BeaconLink, "endpoint">;
    },
  ) {
    this.#clock = options.clock;
    this.#socket = options.socket;
    this.#stats = options.stats;
    this.#beacon = options.beacon;
  }

  /**
   * Seals a packet and sends it by `only`, or by the peer's routes. False when there is none.
   *
   * What is larger than the path is known to carry may become fragments on the way, unless `isProbe`. These are
   * datagrams of an application, which nobody repeats in pieces, and segments that take the relay beside a wider path.
   */
  sealed(
    peer: PeerTunnel,
    session: Session,
    packet: Packet,
    only?: Route,
    isProbe: boolean = false,
  ): boolean {
    const now = this.#clock.now();
    const beacon = this.#beacon.endpoint;
    const routes = only === undefined
      ? peer.routes(now, beacon !== undefined, packet.protocol === PROTO_DATAGRAM)
      : [only];
    if (routes.length === 0) return false;
    // A probe of another path says nothing about the one in use when it is not answered.
    if (only === undefined) {
      peer.paths.sent(now, expectsAnswer(packet), packet.protocol !== PROTO_CONTROL);
    } else if (peer.paths.current !== undefined && sameRoute(only, peer.paths.current.route)) {
      peer.paths.sent(now, false, false);
    }
    const { current } = peer.paths;
    for (const route of routes) {
      const to = route.via === "direct" ? route.endpoint : beacon;
      if (to === undefined) continue;
      const buffer = this.#socket.acquire(MAX_OVERHEAD_BYTES + packet.payload.length);
      const offset = route.via === "relay" ? encodeRelayInto(buffer, 0, this.self, peer.node) : 0;
      const packetBytes = encodePacketInto(packet, buffer, offset + PILS_HEADER_BYTES);
      const frameBytes = session.seal(buffer, offset, this.self, packetBytes);
      const bytes = offset + frameBytes;
      const path = route === current?.route ? current : peer.paths.find(route);
      path?.countSent(frameBytes);
      const limit = route.via === "direct" ? path?.maxBytes ?? PATH_BASE_BYTES : MAX_RELAY_BYTES;
      this.#socket.send(buffer, bytes, to, bytes > limit && !isProbe);
    }
    this.#stats.packetsSent++;
    this.#stats.bytesSent += packet.payload.length;
    return true;
  }

  /** Sends a frame as it is to `node` by a route. */
  raw(data: Uint8Array, route: Route, node: number): void {
    const to = route.via === "direct" ? route.endpoint : this.#beacon.endpoint;
    if (to === undefined) return;
    const buffer = this.#socket.acquire(RELAY_HEADER_BYTES + data.length);
    const offset = route.via === "relay" ? encodeRelayInto(buffer, 0, this.self, node) : 0;
    buffer.set(data, offset);
    this.#socket.send(buffer, offset + data.length, to);
  }

  /**
   * Sends what waited for a session; true when a living peer answers some of it at once. What may arrive twice is kept
   * for another way until the peer has proven its key by this one.
   */
  flush(peer: PeerTunnel): boolean {
    const session = peer.session;
    if (session === undefined) return false;
    const pending = peer.pending;
    peer.pending = [];
    let isAnswered = false;
    for (const bytes of pending) {
      const packet = decodePacket(bytes);
      if (packet instanceof DecodeError) continue;
      this.sealed(peer, session, packet);
      isAnswered ||= expectsAnswer(packet);
      const isKept = peer.live === undefined && !session.isOriginDoubtful;
      if (isKept && packet.protocol !== PROTO_DATAGRAM) peer.queue(bytes);
    }
    return isAnswered;
  }

  /**
   * Sends a control packet of ours to port 0: a keepalive when empty, a probe otherwise (docs/protocol/paths.md §5).
   */
  control(peer: PeerTunnel, session: Session, payload: Uint8Array, only?: Route): void {
    this.sealed(peer, session, this.#controlPacket(peer, payload), only);
  }

  /** Sends a probe of the path MTU, which must arrive in one piece or not at all. */
  probe(peer: PeerTunnel, session: Session, payload: Uint8Array, only: Route): void {
    this.sealed(peer, session, this.#controlPacket(peer, payload), only, true);
  }

  #controlPacket(peer: PeerTunnel, payload: Uint8Array): Packet {
    return {
      flags: 0,
      protocol: PROTO_CONTROL,
      srcNetwork: 0,
      srcNode: this.self,
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

/** Sends a copy of `data` as it is. */
export function sendCopy(socket: UdpSocket, data: Uint8Array, to: Endpoint): void {
  const buffer = socket.acquire(data.length);
  buffer.set(data);
  socket.send(buffer, data.length, to);
}

/** Whether a living peer answers this packet within a round trip or a delayed ACK. */
function expectsAnswer(packet: Packet): boolean {
  if (packet.protocol === PROTO_STREAM) {
    return packet.payload.length > 0 || (packet.flags & (SYN | FIN)) !== 0;
  }
  return packet.protocol === PROTO_CONTROL && packet.payload.length > 0 &&
    (packet.flags & ACK) === 0;
}
