/**
 * The tunnel layer: datagrams of the UDP socket in, authenticated packets out, and the same way back
 * (daemon.md §2). Encryption is always on; plaintext frames and unauthenticated keys are refused.
 *
 * @module
 */

import { isBeaconMessage } from "../../protocol/beacon/beacon_message.ts";
import { equalBytes } from "../../protocol/crypto/base64.ts";
import type { Identity } from "../../protocol/crypto/identity.ts";
import { DecodeError } from "../../protocol/errors.ts";
import {
  decodeFrame,
  type PilaFields,
  PILS_HEADER_BYTES,
  PILS_OVERHEAD_BYTES,
  pilsSender,
} from "../../protocol/tunnel/frame.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import {
  decodePacket,
  encodePacketInto,
  HEADER_BYTES,
  type Packet,
  PROTO_CONTROL,
  PROTO_STREAM,
} from "../../protocol/packet.ts";
import {
  formatRoute,
  type PathReport,
  RELAY_ROUTE,
  type Route,
  samePath,
  sameRoute,
} from "../../protocol/path/mod.ts";
import { DEFAULT_MSS_BYTES } from "../../protocol/stream/mod.ts";
import { type Clock, TimerSet } from "../../platform/clock.ts";
import { BeaconLink } from "./beacon_link.ts";
import { noOwnAddress } from "./failures.ts";
import { ExchangeDriver } from "./exchange_driver.ts";
import { KeyExchange } from "./key_exchange.ts";
import { Lanes } from "./lanes.ts";
import { PathDriver } from "./path_driver.ts";
import { PathMtuDriver } from "./path_mtu.ts";
import { leastWorth, PeerTunnel } from "./peer_tunnel.ts";
import { describePaths, describePeer } from "./peer_info.ts";
import { PeerKeys } from "./peer_keys.ts";
import { Resolver } from "./resolver.ts";
import { FRAME_OVERHEAD_BYTES, TunnelSender } from "./tunnel_sender.ts";
import type { Session } from "./tunnel_session.ts";
import {
  IDLE_PEER_MS,
  MAX_PEERS,
  newTunnelStats,
  type PeerInfo,
  SWEEP_MS,
  type TunnelDeps,
  type TunnelStats,
} from "./types.ts";

const TAG_BYTES = PILS_OVERHEAD_BYTES - PILS_HEADER_BYTES;

/** All tunnels of this daemon. */
export class Tunnels {
  /** Counters. */
  readonly stats: TunnelStats = newTunnelStats();
  /** The beacon. */
  readonly beacon: BeaconLink;
  readonly #deps: TunnelDeps;
  readonly #clock: Clock;
  readonly #timers: TimerSet;
  readonly #keys: PeerKeys;
  readonly #kex: KeyExchange;
  readonly #sender: TunnelSender;
  readonly #driver: ExchangeDriver;
  readonly #paths: PathDriver;
  readonly #mtu: PathMtuDriver;
  readonly #peers = new Map<number, PeerTunnel>();
  readonly #lanes: Lanes;
  readonly #resolver: Resolver;
  #closed = false;
  /** While a control packet is handled that came by another path than usual: its answer goes back that way. */
  #detour: { node: number; route: Route } | undefined;

  constructor(deps: TunnelDeps) {
    const { clock } = deps;
    this.#deps = deps;
    this.#clock = clock;
    this.#timers = new TimerSet(clock);
    this.#keys = new PeerKeys({ clock, pinned: deps.pinnedKey, lookup: deps.lookupKey });
    this.#kex = new KeyExchange({
      clock,
      keyPair: deps.keyPair,
      aead: deps.aead,
      keys: this.#keys,
      random: deps.random,
      mayKnow: deps.askMayKnow,
    });
    this.#sender = new TunnelSender({
      clock,
      socket: deps.socket,
      stats: this.stats,
      beacon: () => this.beacon.endpoint,
    });
    this.beacon = new BeaconLink({
      clock,
      send: (data, endpoint) => this.#sender.raw(data, { via: "direct", endpoint }, 0),
      isHidden: deps.pathMode === "relay-only",
      events: {
        ...deps.beacon,
        punch: (endpoint) => {
          this.#driver.onPunch(this.#peers.values(), endpoint);
          this.#paths.onPunch(endpoint);
        },
        relayed: (frame) => {
          if (deps.pathMode !== "no-relay") this.#onFrame(frame, RELAY_ROUTE);
        },
      },
    });
    this.#driver = new ExchangeDriver({
      clock,
      timers: this.#timers,
      kex: this.#kex,
      sender: this.#sender,
      beacon: this.beacon,
      resolveAgain: (node) => this.#resolver.again(node),
    });
    const finding = {
      clock,
      peer: (node: number) => this.#peers.get(node),
      made: (node: number) => this.#closed ? undefined : this.#peer(node),
      resolve: deps.resolve,
      log: deps.log,
    };
    this.#lanes = new Lanes(finding);
    this.#resolver = new Resolver({
      ...finding,
      driver: this.#driver,
      beacon: this.beacon,
      isClosed: () => this.#closed,
    });
    this.#mtu = new PathMtuDriver({
      clock,
      timers: this.#timers,
      sender: this.#sender,
      random: deps.random,
      maxSegmentBytes: deps.maxSegmentBytes,
      forbidsFragments: deps.socket.forbidsFragments,
      onChanged: (node) => deps.onPathChanged(node, false),
    });
    this.#paths = new PathDriver({
      clock,
      timers: this.#timers,
      sender: this.#sender,
      beacon: this.beacon,
      resolve: deps.resolve,
      needs: (node) => ({ isWanted: deps.isWanted(node), hasConns: deps.hasConns(node) }),
      isFormer: deps.isFormer,
      changed: (peer) => this.#onPathChanged(peer),
      log: deps.log,
    });
    this.#scheduleSweep();
  }

  /** Sets our node number, from which on frames can be sent. */
  async setSelf(node: number, identity: Identity): Promise<void> {
    await this.#kex.setSelf(node, identity);
    this.#sender.self = node;
    this.beacon.start(node, identity);
  }

  /** Handles one received datagram; `data` is only used during the call. */
  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (this.#closed) return;
    if (isBeaconMessage(data)) this.beacon.onDatagram(data, from);
    // Whoever may not see our address gets no answer from it.
    else if (this.#deps.pathMode !== "relay-only") {
      this.#onFrame(data, { via: "direct", endpoint: from });
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

  /** Seals and sends a packet, or queues it behind the key exchange. False when there is no way to the peer. */
  send(packet: Packet): boolean {
    const peer = this.#peers.get(packet.dstNode);
    if (peer === undefined || this.#sender.self === 0) return false;
    const session = peer.session;
    if (session !== undefined) {
      // An unproven session may come from a replay, so the exchange goes on beside it.
      if (peer.live === undefined) this.#driver.want(peer);
      const { node, route } = this.#detour ?? {};
      const isDetour = packet.protocol === PROTO_CONTROL && node === packet.dstNode;
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
    this.#paths.networkChanged(this.#peers.values());
  }

  /** Something about our addresses has changed: are the paths in use still good? */
  checkPaths(): void {
    this.beacon.announce();
    this.#paths.checkAll(this.#peers.values());
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
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    this.#driver.stop(peer);
    this.#mtu.stop(peer);
    this.#paths.stop(peer);
    peer.destroy();
    this.#peers.delete(node);
    this.#keys.forget(node);
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
    this.#closed = true;
    this.beacon.close();
    this.#kex.close();
    for (const node of [...this.#peers.keys()]) this.remove(node);
    this.#timers.close();
  }

  #onFrame(bytes: Uint8Array, route: Route): void {
    const sender = pilsSender(bytes);
    if (sender !== undefined) {
      // Too short to hold a packet: nobody seals that, and our answer of 138 B would be worth asking for by it.
      if (sender === this.#sender.self || bytes.length < FRAME_OVERHEAD_BYTES) return;
      this.#onSealed(sender, bytes, route);
      return;
    }
    const frame = decodeFrame(bytes);
    if (frame instanceof DecodeError) return;
    switch (frame.type) {
      case "pila":
        if (frame.sender !== this.#sender.self) this.#onPila(frame, route);
        break;
      // Never taken as a key; as a request for ours it is answered (§2.3 RULE), where its node may know that we are
      // here: existing peers ask with these 40 B, so they cannot be refused for their size.
      case "pilk":
        this.#reply(frame.sender, "request", route);
        break;
      case "pilt": // Encryption is always on (§2.7 RULE).
        this.stats.plaintextRefused++;
        break;
      case "pilp": // Sending it opened the NAT on the way; there is nothing to do here.
        break;
    }
  }

  #onSealed(sender: number, frame: Uint8Array, route: Route): void {
    const peer = this.#peers.get(sender);
    if (peer?.session === undefined) {
      if (this.#kex.isVerifying(sender)) this.#kex.holdEarly(sender, frame, route);
      else this.#reply(sender, "unopened", route);
      return;
    }
    const now = this.#clock.now();
    // The frame is opened in place, so what may have to wait for a key under verification is kept before.
    const kept = this.#kex.isVerifying(sender) ? frame.slice() : undefined;
    const { result, session, replaced, promoted } = peer.open(frame, now);
    if (result === "replayed") {
      this.stats.replaysDropped++;
    } else if (result === "forged") {
      this.stats.encryptFail++;
      // Either noise, or the peer has a new key that we do not know yet.
      if (kept !== undefined) this.#kex.holdEarly(sender, kept, route);
      else this.#reply(sender, "unopened", route);
    } else {
      const isNew = promoted === true && session !== undefined;
      this.#onPlain(peer, frame.subarray(PILS_HEADER_BYTES, -TAG_BYTES), route, now, isNew);
      if (isNew) this.#onProven(peer, session, replaced !== undefined);
    }
  }

  #onPlain(peer: PeerTunnel, bytes: Uint8Array, route: Route, now: number, isNew: boolean): void {
    const packet = decodePacket(bytes);
    if (packet instanceof DecodeError) {
      this.stats.encryptFail++;
      return;
    }
    const isControl = packet.protocol === PROTO_CONTROL;
    const isMoved = isNew && peer.paths.restarted(route, now);
    if (peer.paths.heard(route, now, !isControl) || isMoved) this.#onPathChanged(peer);
    this.stats.encryptOk++;
    this.stats.packetsReceived++;
    this.stats.bytesReceived += packet.payload.length;
    // The tunnel has authenticated the sender, so it alone may be the source (§2.6 RULE).
    if (packet.srcNode !== peer.node || packet.dstNode !== this.#sender.self) return;
    if (isControl) this.#onControl(peer, packet, route);
    else this.#deps.onPacket(packet, peer.node, route.via);
    this.#paths.stir(peer);
  }

  #onControl(peer: PeerTunnel, packet: Packet, route: Route): void {
    if (this.#paths.onAnswer(peer, packet, route) || this.#mtu.onPacket(peer, packet, route)) {
      return;
    }
    const { current } = peer.paths;
    const isDetour = current !== undefined && !samePath(current.route, route);
    this.#detour = isDetour ? { node: peer.node, route } : undefined;
    this.#deps.onPacket(packet, peer.node, route.via);
    this.#detour = undefined;
  }

  #onPathChanged(peer: PeerTunnel): void {
    this.#deps.emit("tunnel.path_changed", {
      peer_node_id: peer.node,
      relay: peer.viaRelay,
      endpoint: formatRoute(peer.paths.current?.route),
    });
    this.#deps.onPathChanged(peer.node, peer.paths.isRepaired);
  }

  #onProven(peer: PeerTunnel, session: Session, rekeyed: boolean): void {
    session.separatePrefix(this.#deps.random);
    this.#driver.stop(peer);
    peer.pending = [];
    if (session.isOriginDoubtful) peer.paths.distrust(this.#clock.now());
    this.#deps.emit("tunnel.established", {
      peer_node_id: peer.node,
      authenticated: true,
      relay: peer.viaRelay,
      rekeyed,
    });
    if (rekeyed) this.#deps.onPeerRestarted(peer.node);
    this.#paths.stir(peer);
  }

  #onPila(pila: PilaFields, route: Route): void {
    const node = pila.sender;
    const peer = this.#peers.get(node);
    const known = peer?.find(pila.x25519);
    if (peer !== undefined && known !== undefined) {
      if (this.#isStrange(peer, known, route)) {
        this.#driver.answerStranger(peer, known, route);
        return;
      }
      // Nothing new, and perhaps a replay: no state changes, and an answer only on request, at a limited rate.
      if (pila.request) this.#reply(node, "response", route);
      return;
    }
    // Costs nothing, and ends what anybody can forge in the name of a trusted peer without a limit being touched.
    const pinned = this.#deps.pinnedKey(node);
    if (pinned !== undefined && !equalBytes(pinned, pila.ed25519)) {
      this.#deps.emit("security.key_mismatch", { peer_node_id: node });
      return;
    }
    const isExpected = peer?.cancelTimer !== undefined || this.#deps.isWanted(node);
    const source = route.via === "relay" ? `relay ${node}` : route.endpoint.host;
    const lane = this.#lanes.of(node, route);
    if (!this.#kex.admits(source, node, lane, isExpected)) {
      if (isExpected && lane === "other") this.#lanes.learn(node);
      return;
    }
    this.#kex.verify(pila, route, lane, isExpected).then((verified) => {
      if (this.#closed && typeof verified !== "string") verified.session.destroy();
      if (this.#closed || verified === "busy") return;
      if (typeof verified === "string") {
        // Anybody can cause this, so it must not fill the log.
        this.#deps.log("debug", "key exchange refused", { peer_node_id: node, reason: verified });
        if (verified === "mismatch") {
          this.#deps.emit("security.key_mismatch", { peer_node_id: node });
        }
        return;
      }
      this.#install(node, verified.session, route);
      for (const early of verified.early) this.#onSealed(node, early.frame, early.route);
    }).catch((error) =>
      this.#deps.log("error", "key exchange failed", { peer_node_id: node, error: String(error) })
    );
  }

  /** Answers or asks by PILA where the node may know that we are here. */
  #reply(node: number, kind: "request" | "response" | "unopened", route: Route): void {
    if (!this.#deps.isWanted(node) && this.#deps.mayKnow(node) !== true) return;
    const lane = this.#lanes.of(node, route);
    if (kind === "unopened") this.#driver.ask(node, route, lane);
    else this.#driver.reply(node, kind, route, lane);
  }

  #install(node: number, session: Session, route: Route): void {
    const peer = this.#peer(node);
    if (peer === undefined || peer.find(session.peerKey) !== undefined) {
      session.destroy();
      return;
    }
    peer.addCandidate(session);
    if (this.#isStrange(peer, session, route)) {
      this.#driver.answerStranger(peer, session, route);
      return;
    }
    this.#driver.send(node, "response", route);
    if (peer.live !== undefined) this.#driver.challenge(peer, session);
    // A datagram is not answered, and without an answer the key would stay unproven.
    else if (!this.#sender.flush(peer)) this.#driver.prove(peer);
  }

  /** A new key beside a live session, from where the peer was never seen: either it has moved, or somebody replays. */
  #isStrange(peer: PeerTunnel, session: Session, route: Route): boolean {
    return peer.live !== undefined && peer.candidates.includes(session) &&
      !peer.paths.candidates.some((candidate) => sameRoute(candidate.route, route));
  }

  #peer(node: number): PeerTunnel | undefined {
    let peer = this.#peers.get(node);
    if (peer === undefined) {
      if (this.#peers.size >= MAX_PEERS && !this.#evict()) return undefined;
      peer = new PeerTunnel(node, this.#clock.now(), {
        mode: this.#deps.pathMode ?? "auto",
        random: this.#deps.random,
      });
      this.#peers.set(node, peer);
    }
    return peer;
  }

  /** Makes room; false when there is none to make. */
  #evict(): boolean {
    const victim = leastWorth(this.#peers.values());
    if (victim !== undefined) this.remove(victim.node);
    return victim !== undefined;
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
