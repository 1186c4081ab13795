/**
 * The tunnel layer: datagrams of the UDP socket in, authenticated packets out, and the same way back
 * (docs/protocol/tunnel.md). Encryption is always on; plaintext frames and unauthenticated keys are refused.
 *
 * @module
 */

import { isBeaconMessage } from "../../protocol/beacon/beacon_message.ts";
import type { Identity } from "../../protocol/crypto/identity.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import {
  encodePacketInto,
  HEADER_BYTES,
  type Packet,
  PROTO_STREAM,
} from "../../protocol/packet.ts";
import { type PathReport, RELAY_ROUTE, type Route, samePath } from "../../protocol/path/mod.ts";
import { DEFAULT_MSS_BYTES } from "../../protocol/stream/mod.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import { BeaconLink } from "./beacon_link.ts";
import { noOwnAddress } from "./failures.ts";
import { ExchangeDriver } from "./exchange_driver.ts";
import { Inbound } from "./inbound.ts";
import { KeyExchange } from "./key_exchange.ts";
import { Lanes } from "./lanes.ts";
import { PathDriver } from "./path_driver.ts";
import { PathMtuDriver } from "./path_mtu.ts";
import { PeerTable } from "./peer_table.ts";
import { describePaths, describePeer } from "./peer_info.ts";
import { PeerKeys } from "./peer_keys.ts";
import { Resolver } from "./resolver.ts";
import { sendCopy, TunnelSender } from "./tunnel_sender.ts";
import {
  IDLE_PEER_MS,
  newTunnelStats,
  type PeerInfo,
  SWEEP_MS,
  type TunnelDeps,
  type TunnelStats,
  type TunnelUser,
} from "./types.ts";
import { UpperLayer } from "./upper_layer.ts";

/** All tunnels of this daemon. */
export class Tunnels {
  /** Counters. */
  readonly stats: TunnelStats = newTunnelStats();
  /** The beacon. */
  readonly beacon: BeaconLink;
  readonly #deps: TunnelDeps;
  readonly #clock: Clock;
  readonly #timers: TimerSet;
  readonly #peers: PeerTable;
  readonly #upper: UpperLayer;
  readonly #kex: KeyExchange;
  readonly #sender: TunnelSender;
  readonly #driver: ExchangeDriver;
  readonly #resolver: Resolver;
  readonly #mtu: PathMtuDriver;
  readonly #paths: PathDriver;
  readonly #inbound: Inbound;

  constructor(deps: TunnelDeps) {
    const { clock, socket, random, consent, resolve, log } = deps;
    this.#deps = deps;
    this.#clock = clock;
    const timers = this.#timers = new TimerSet(clock);
    const peers = this.#peers = new PeerTable({ clock, mode: deps.pathMode, random });
    const upper = this.#upper = new UpperLayer(deps);
    const keys = new PeerKeys({
      clock,
      pinned: (node) => consent.pinnedKey(node),
      lookup: deps.lookupKey,
    });
    peers.onRemoved(({ node }) => keys.forget(node));
    const { aead, keyPair, visibility } = deps;
    const kex = this.#kex = new KeyExchange({ clock, keyPair, aead, keys, random, visibility });
    const isHidden = deps.pathMode === "relay-only";
    const beacon = this.beacon = new BeaconLink({
      ...{ clock, isHidden },
      send: (data, to) => sendCopy(socket, data, to),
    });
    const sender = this.#sender = new TunnelSender({ clock, socket, stats: this.stats, beacon });
    const common = { clock, timers, peers, upper, kex, sender, beacon, resolve, consent, log };
    const driver = this.#driver = new ExchangeDriver(common);
    this.#resolver = new Resolver({ ...common, driver });
    const mtu = this.#mtu = new PathMtuDriver({
      ...common,
      random,
      maxSegmentBytes: deps.maxSegmentBytes,
      forbidsFragments: socket.forbidsFragments,
    });
    const paths = this.#paths = new PathDriver(common);
    const lanes = new Lanes(common);
    this.#inbound = new Inbound(deps, { ...common, driver, paths, mtu, lanes, stats: this.stats });
    this.#scheduleSweep();
  }

  /** Begins to hand packets and news to the layer above; until then it gets none. */
  start(user: TunnelUser): void {
    this.#upper.user = user;
    const { beacon: news } = user;
    this.beacon.listen({
      observed: (endpoint) => news.observed(endpoint),
      proven: () => news.proven?.(),
      wake: () => news.wake?.(),
      answers: (endpoint) => news.answers?.(endpoint),
      silent: () => news.silent?.(),
      punch: (endpoint) => {
        this.#driver.onPunch(this.#peers.values(), endpoint);
        this.#paths.onPunch(endpoint);
      },
      relayed: (frame) => {
        if (this.#deps.pathMode !== "no-relay") this.#inbound.onFrame(frame, RELAY_ROUTE, true);
      },
    });
  }

  /** Sets our node number, from which on frames can be sent. */
  async setSelf(node: number, identity: Identity): Promise<void> {
    await this.#kex.setSelf(node, identity);
    this.#sender.self = node;
    this.beacon.start(node, identity);
  }

  /** Handles one datagram of a batch that the socket hands over; `data` is only used during the call. */
  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (this.#peers.isClosed) return;
    if (isBeaconMessage(data)) this.beacon.onDatagram(data, from);
    // Whoever may not see our address gets no answer from it.
    else if (this.#deps.pathMode !== "relay-only") {
      this.#inbound.onFrame(data, { via: "direct", endpoint: from }, true);
    }
  }

  /**
   * Makes sure there is a way to a peer: known already, or found through the registry.
   *
   * @throws {PilotError} `not_found`, `untrusted`, `unavailable`, `limit_exceeded`, `connection_failed`.
   */
  async ensure(node: number): Promise<void> {
    if (this.#sender.self === 0) throw noOwnAddress();
    if (this.isReady(node)) return;
    await this.#resolver.find(node);
  }

  /** A peer is known, was heard lately, and packets for it can be sealed: {@linkcode Tunnels.ensure} has nothing to do. */
  isReady(node: number): boolean {
    if (this.#sender.self === 0) return false;
    const peer = this.#peers.get(node);
    const now = this.#clock.now();
    return peer?.live !== undefined && !peer.isDoubtful(now) && now - peer.heardMs < IDLE_PEER_MS;
  }

  /**
   * Seals and sends a packet, or queues it behind the key exchange. False when there is no way to the peer.
   *
   * @param packet The packet.
   * @param route For the answer to a packet: the route that this one came by. It is taken if it is none of the path in
   * use.
   */
  send(packet: Packet, route?: Route): boolean {
    const peer = this.#peers.get(packet.dstNode);
    if (peer === undefined || this.#sender.self === 0) return false;
    const session = peer.session;
    if (session !== undefined) {
      // An unproven session may come from a replay, so the exchange goes on beside it.
      if (peer.live === undefined) this.#driver.want(peer);
      const { current } = peer.paths;
      const isDetour = route !== undefined && current !== undefined &&
        !samePath(current.route, route);
      const isSent = this.#sender.sealed(peer, session, packet, isDetour ? route : undefined);
      this.#paths.stir(peer);
      if (packet.payload.length >= DEFAULT_MSS_BYTES && packet.protocol === PROTO_STREAM) {
        this.#mtu.demand(peer);
      }
      return isSent;
    }
    const bytes = new Uint8Array(HEADER_BYTES + packet.payload.length);
    encodePacketInto(packet, bytes);
    peer.queue(bytes);
    this.#driver.want(peer);
    return true;
  }

  /** The peer was last heard through the beacon. */
  isRelayed(node: number): boolean {
    return this.#peers.get(node)?.viaRelay ?? false;
  }

  /** There is a tunnel to the node, and it is of the existing kind. */
  readonly isExisting = (node: number): boolean => this.#peers.get(node)?.isExisting === true;

  /** Our network is another one: the beacon and every peer learn where we are now. */
  networkChanged(): void {
    this.beacon.networkChanged();
    this.#paths.networkChanged();
  }

  /** Something about our addresses has changed: are the paths in use still good? */
  checkPaths(): void {
    this.beacon.announce();
    this.#paths.checkAll();
  }

  /** Payload bytes of a stream segment that the path to a peer carries without fragments. */
  segmentBytes(node: number): number {
    return this.#mtu.segmentBytes(this.#peers.get(node));
  }

  /** A stream gets no segment larger than the default through to a peer. */
  suspectPath(node: number): void {
    const peer = this.#peers.get(node);
    if (peer !== undefined) this.#mtu.suspect(peer);
  }

  /** Forgets a peer: keys wiped, packets dropped. */
  remove(node: number): void {
    this.#peers.remove(node);
  }

  /** The peers as `info` shows them. */
  list(): PeerInfo[] {
    const now = this.#clock.now();
    return [...this.#peers.values()].map((peer) => describePeer(peer, this.#mtu, now));
  }

  /** The ways to a peer; undefined when there is no tunnel to it. */
  describe(node: number): PathReport | undefined {
    const peer = this.#peers.get(node);
    return peer && describePaths(peer, this.#mtu, this.#clock.now());
  }

  /** Stops all timers and wipes all keys. The socket is closed by its owner. */
  close(): void {
    this.beacon.close();
    this.#kex.close();
    this.#peers.close();
    this.#timers.close();
  }

  #scheduleSweep(): void {
    this.#timers.after(SWEEP_MS, () => {
      this.#scheduleSweep(); // first: whatever goes wrong, there is a next time
      const now = this.#clock.now();
      for (const peer of [...this.#peers.values()]) {
        const isUnused = peer.expire(now);
        if (!this.#paths.keepAlive(peer, now) && isUnused) this.remove(peer.node);
      }
    });
  }
}
