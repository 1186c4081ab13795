/**
 * The tunnel layer: datagrams of the UDP socket in, authenticated packets out, and the same way back
 * (docs/protocol/tunnel.md). Encryption is always on; plaintext frames and unauthenticated keys are refused.
 *
 * @module
 */

import { isBeaconMessage } from "../../protocol/beacon/beacon_message.ts";
import type { Identity } from "../../protocol/crypto/identity.ts";
import type { Endpoint } from "../../protocol/ip.ts";
import type { Packet } from "../../protocol/packet.ts";
import { directRoute, type PathReport, RELAY_ROUTE, type Route } from "../../protocol/path/mod.ts";
import { RelayTransport } from "../../protocol/tunnel/frame_transport.ts";
import { TunnelCore } from "../../protocol/tunnel/tunnel_core.ts";
import type { ResolveReason, TunnelAction } from "../../protocol/tunnel/tunnel_host.ts";
import { IDLE_PEER_MS } from "../../protocol/tunnel/tunnel_limits.ts";
import type { TunnelStats } from "../../protocol/tunnel/tunnel_stats.ts";
import type { Verification } from "../../protocol/tunnel/verifications.ts";
import { Alarm } from "../../platform/alarm.ts";
import type { Clock } from "../../platform/clock.ts";
import type { UdpSocket } from "../../platform/net/udp.ts";
import { BeaconLink } from "./beacon_link.ts";
import { noOwnAddress } from "./failures.ts";
import { KeyExchange } from "./key_exchange.ts";
import { describePaths, describePeer } from "./peer_info.ts";
import { PeerKeys } from "./peer_keys.ts";
import { Resolver } from "./resolver.ts";
import type { PeerInfo, TunnelDeps, TunnelUser } from "./types.ts";
import { UdpTransport } from "./udp_transport.ts";
import { UpperLayer } from "./upper_layer.ts";

/** All tunnels of this daemon. */
export class Tunnels {
  /** The beacon. */
  readonly beacon: BeaconLink;
  readonly #deps: TunnelDeps;
  readonly #clock: Clock;
  readonly #core: TunnelCore;
  readonly #alarm: Alarm;
  readonly #upper: UpperLayer;
  readonly #kex: KeyExchange;
  readonly #resolver: Resolver;
  /** The route of the last datagram: the next one usually has the same. */
  #lastRoute: Route | undefined;

  constructor(deps: TunnelDeps) {
    const { clock, socket, random, consent, resolve, log } = deps;
    this.#deps = deps;
    this.#clock = clock;
    const upper = this.#upper = new UpperLayer(deps);
    const beacon = this.beacon = new BeaconLink({
      clock,
      isHidden: deps.pathMode === "relay-only",
      send: (data, to) => sendCopy(socket, data, to),
    });
    const direct = new UdpTransport(socket);
    const core = this.#core = new TunnelCore({
      transports: { direct, relay: new RelayTransport(direct, () => beacon.endpoint) },
      host: upper,
      random,
      pathMode: deps.pathMode,
      maxSegmentBytes: deps.maxSegmentBytes,
      now: clock.now(),
    });
    const keys = new PeerKeys({
      clock,
      pinned: (node) => consent.pinnedKey(node),
      lookup: deps.lookupKey,
    });
    core.peers.onRemoved(({ node }) => keys.forget(node));
    const { aead, keyPair, visibility } = deps;
    this.#kex = new KeyExchange({ keyPair, aead, keys, visibility });
    this.#resolver = new Resolver({ clock, core, beacon, resolve, log });
    this.#alarm = new Alarm(clock, (now) => {
      core.poll(now);
      this.#perform();
    });
    this.#alarm.by(core.deadline);
  }

  /** Counters. */
  get stats(): TunnelStats {
    return this.#core.stats;
  }

  /** Begins to hand packets and news to the layer above; until then it gets none. */
  start(user: TunnelUser): void {
    this.#upper.start(user);
    const { beacon: news } = user;
    this.beacon.listen({
      observed: (endpoint) => news.observed(endpoint),
      proven: () => news.proven?.(),
      wake: () => news.wake?.(),
      answers: (endpoint) => news.answers?.(endpoint),
      silent: () => news.silent?.(),
      punch: (endpoint) => {
        this.#core.onPunch(endpoint, this.#clock.now());
        this.#perform();
      },
      relayed: (frame) => {
        if (this.#deps.pathMode !== "no-relay") this.#onFrame(frame, RELAY_ROUTE);
      },
    });
  }

  /** Sets our node number, from which on frames can be sent. */
  async setSelf(node: number, identity: Identity): Promise<void> {
    this.#core.setSelf(node, await this.#kex.setSelf(node, identity));
    this.beacon.start(node, identity);
  }

  /** Handles one datagram of a batch that the socket hands over; `data` is only used during the call. */
  onDatagram(data: Uint8Array, from: Endpoint): void {
    if (this.#core.peers.isClosed) return;
    if (isBeaconMessage(data)) this.beacon.onDatagram(data, from);
    // A node that may not see our address gets no answer from it.
    else if (this.#deps.pathMode !== "relay-only") {
      let route = this.#lastRoute;
      if (route?.via !== "direct" || route.endpoint !== from) {
        this.#lastRoute = route = directRoute(from);
      }
      this.#onFrame(data, route);
    }
  }

  /**
   * Makes sure there is a path to a peer: known already, or found through the registry.
   *
   * @throws {PilotError} `not_found`, `untrusted`, `unavailable`, `limit_exceeded`, `connection_failed`.
   */
  async ensure(node: number): Promise<void> {
    if (this.#core.self === 0) throw noOwnAddress();
    if (this.isReady(node)) return;
    await this.#resolver.find(node);
  }

  /** A peer is known, was heard lately, and packets for it can be sealed: {@linkcode Tunnels.ensure} has nothing to do. */
  isReady(node: number): boolean {
    if (this.#core.self === 0) return false;
    const peer = this.#core.peers.get(node);
    const now = this.#clock.now();
    return peer?.live !== undefined && !peer.isDoubtful(now) && now - peer.heardMs < IDLE_PEER_MS;
  }

  /**
   * Seals and sends a packet, or queues it behind the key exchange. False when there is no path to the peer.
   *
   * @param packet The packet.
   * @param route For the answer to a packet: the route that this one came by. It is taken if it is none of the path in
   * use.
   */
  send(packet: Packet, route?: Route): boolean {
    const isSent = this.#core.send(packet, this.#clock.now(), route);
    this.#perform();
    return isSent;
  }

  /** The peer was last heard through the beacon. */
  isRelayed(node: number): boolean {
    return this.#core.peers.get(node)?.viaRelay ?? false;
  }

  /** There is a tunnel to the node, and it is of the existing kind. */
  readonly isExisting = (node: number): boolean => this.#core.peers.get(node)?.isExisting === true;

  /** Our network is another one: the beacon and every peer learn where we are now. */
  networkChanged(): void {
    this.beacon.networkChanged();
    this.#core.networkChanged(this.#clock.now());
    this.#perform();
  }

  /** Something about our addresses has changed: are the paths in use still good? */
  checkPaths(): void {
    this.beacon.announce();
    this.#core.checkPaths(this.#clock.now());
    this.#perform();
  }

  /** Payload bytes of a stream segment that the path to a peer carries without fragments. */
  segmentBytes(node: number): number {
    return this.#core.sizes.segmentBytes(this.#core.peers.get(node));
  }

  /** A stream gets no segment larger than the default through to a peer. */
  onBlackHole(node: number): void {
    this.#core.onBlackHole(node, this.#clock.now());
    this.#perform();
  }

  /** Forgets a peer: keys wiped, packets dropped. */
  remove(node: number): void {
    this.#core.peers.remove(node);
  }

  /** The peers as `info` shows them. */
  list(): PeerInfo[] {
    const now = this.#clock.now();
    return [...this.#core.peers.values()].map((peer) => describePeer(peer, this.#core.sizes, now));
  }

  /** The paths to a peer; undefined when there is no tunnel to it. */
  describe(node: number): PathReport | undefined {
    const peer = this.#core.peers.get(node);
    return peer && describePaths(peer, this.#core.sizes, this.#clock.now());
  }

  /** Stops all timers and wipes all keys. The socket is closed by its owner. */
  close(): void {
    this.beacon.close();
    this.#kex.close();
    this.#core.close();
    this.#alarm.cancel();
  }

  #onFrame(frame: Uint8Array, route: Route): void {
    this.#core.onFrame(frame, route, true, this.#clock.now());
    this.#perform();
  }

  /** Does what the core wants done, and comes back when it wants more. */
  #perform(): void {
    for (const action of this.#core.takeActions()) this.#act(action);
    this.#alarm.by(this.#core.deadline);
  }

  #act(action: TunnelAction): void {
    switch (action.type) {
      case "verify":
        void this.#verify(action.verification);
        break;
      case "resolve":
        if (action.reason === "unanswered") this.#resolver.again(action.node);
        else void this.#resolve(action.node, action.reason);
        break;
      case "punch":
        this.beacon.requestPunch(action.node);
        break;
      case "announce":
        this.beacon.announce();
        break;
      default:
        this.#upper.tell(action);
    }
  }

  async #verify(verification: Verification): Promise<void> {
    const { log } = this.#deps;
    const { node } = verification;
    let result;
    try {
      result = await this.#kex.verify(verification);
      // Anyone can cause this, so it must not fill the log.
      if (typeof result === "string" && result !== "closed") {
        log("debug", "key exchange refused", { peer_node_id: node, reason: result });
      }
    } catch (error) {
      log("error", "key exchange failed", { peer_node_id: node, error: String(error) });
      result = "failed";
    }
    this.#core.onVerified(verification, result, this.#clock.now());
    this.#perform();
  }

  async #resolve(node: number, reason: ResolveReason): Promise<void> {
    const { resolve, log } = this.#deps;
    let found;
    try {
      found = await resolve(node);
    } catch (error) {
      log("debug", "peer not resolved", { peer_node_id: node, error: String(error) });
    }
    if (this.#core.peers.isClosed) return;
    this.#core.onResolved(node, reason, found, this.#clock.now());
    this.#perform();
  }
}

/** Sends a copy of `data` as it is. */
function sendCopy(socket: UdpSocket, data: Uint8Array, to: Endpoint): void {
  const buffer = socket.acquire(data.length);
  buffer.set(data);
  socket.send(buffer, data.length, to);
}
