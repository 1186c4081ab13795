/**
 * The tunnel layer without I/O: frames in, authentic packets out, and the same way back (docs/protocol/tunnel.md). Time
 * is an argument, frames leave by transports, and what has to wait for others comes out as actions. Encryption is
 * always on; plaintext frames and unauthenticated keys are refused.
 *
 * After every call its owner takes the actions, and calls {@linkcode TunnelCore.poll} at
 * {@linkcode TunnelCore.deadline}.
 *
 * @module
 */

import type { Aead } from "../crypto/aead.ts";
import { DeadlineQueue, type Timed } from "../deadline_queue.ts";
import type { Endpoint } from "../ip.ts";
import { encodePacketInto, HEADER_BYTES, type Packet, PROTO_STREAM } from "../packet.ts";
import { directRoute, type PathMode, type Route, samePath } from "../path/mod.ts";
import { DEFAULT_MSS_BYTES } from "../stream/mod.ts";
import { Exchanges } from "./exchanges.ts";
import { Inbound } from "./inbound.ts";
import { PathSizes } from "./path_sizes.ts";
import { addResolution, PathUpkeep } from "./path_upkeep.ts";
import { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { Transports } from "./frame_transport.ts";
import type {
  OwnKeyFrames,
  Resolution,
  ResolveReason,
  TunnelAction,
  TunnelHost,
} from "./tunnel_host.ts";
import { SWEEP_MS } from "./tunnel_limits.ts";
import { TunnelSender } from "./tunnel_sender.ts";
import { newTunnelStats, type TunnelStats } from "./tunnel_stats.ts";
import { type Verification, Verifications } from "./verifications.ts";

/** What the tunnels of a node are made of. */
export interface TunnelCoreOptions {
  /** What carries frames. */
  readonly transports: Transports;
  /** The owner that drives it. */
  readonly host: TunnelHost;
  /** Random bytes. */
  readonly random: (out: Uint8Array) => void;
  /** Which paths may be taken. Default `auto`. */
  readonly pathMode?: PathMode | undefined;
  /** Largest stream segment, payload bytes. */
  readonly maxSegmentBytes?: number | undefined;
  /** Milliseconds. */
  readonly now: number;
}

/** What comes out when nothing is to be done. */
const NO_ACTIONS: readonly TunnelAction[] = [];

/** All tunnels of a node. */
export class TunnelCore {
  /** Counters. */
  readonly stats: TunnelStats = newTunnelStats();
  /** The peers. */
  readonly peers: PeerTable;
  /** Which sizes the paths carry. */
  readonly sizes: PathSizes;
  readonly #deadlines = new DeadlineQueue();
  readonly #sender: TunnelSender;
  readonly #exchanges: Exchanges;
  readonly #paths: PathUpkeep;
  readonly #inbound: Inbound;
  readonly #sweep: Timed;
  #ownKey: OwnKeyFrames | undefined;
  #actions: TunnelAction[] = [];

  /**
   * Knows no peer yet.
   *
   * @param options See {@linkcode TunnelCoreOptions}.
   */
  constructor(options: TunnelCoreOptions) {
    const { transports, host, random, now } = options;
    const { stats } = this;
    const deadlines = this.#deadlines;
    const act = (action: TunnelAction) => void this.#actions.push(action);
    const peers = this.peers = new PeerTable({ mode: options.pathMode, random });
    const sender = this.#sender = new TunnelSender({ transports, stats });
    const common = { deadlines, peers, sender, host, random, act, now };
    const exchanges = this.#exchanges = new Exchanges({ ...common, ownKey: () => this.#ownKey });
    const sizes = this.sizes = new PathSizes({
      ...common,
      maxSegmentBytes: options.maxSegmentBytes,
      transport: transports.direct,
      sizesChanged: ({ node }) => act({ type: "sizes_changed", node }),
    });
    const paths = this.#paths = new PathUpkeep(common);
    const verifications = new Verifications({ random });
    this.#inbound = new Inbound({ ...common, verifications, exchanges, paths, sizes, stats });
    let sweepMs = now + SWEEP_MS;
    this.#sweep = {
      deadline: () => sweepMs,
      onTimer: (at) => {
        sweepMs = at + SWEEP_MS; // first: whatever goes wrong, there is a next time
        this.#expire(at);
      },
    };
    deadlines.touch(this.#sweep);
  }

  /** Our node number; 0 until it is known. */
  get self(): number {
    return this.#sender.self;
  }

  /** Sets our node number, from which on frames can be sent, and our key as frames. */
  setSelf(node: number, ownKey: OwnKeyFrames): void {
    this.#ownKey = ownKey;
    this.#sender.setSelf(node);
  }

  /** Another key exchange would be one too many. */
  get isFull(): boolean {
    return this.#exchanges.isFull;
  }

  /** A key exchange with the peer is in progress. */
  isExchanging(peer: PeerTunnel): boolean {
    return this.#exchanges.isRunning(peer);
  }

  /** What is to be done outside since it was asked last, in order. */
  takeActions(): readonly TunnelAction[] {
    const actions = this.#actions;
    if (actions.length === 0) return NO_ACTIONS;
    this.#actions = [];
    return actions;
  }

  /** When to call {@linkcode TunnelCore.poll} next, ms; Infinity for never. */
  get deadline(): number {
    return this.#deadlines.deadline;
  }

  /** Does what is due. */
  poll(now: number): void {
    this.#deadlines.poll(now);
  }

  /**
   * Handles one frame.
   *
   * @param bytes Only used, and changed, during the call.
   * @param route Where it came from.
   * @param isBatch Handed on with its packet.
   * @param now Milliseconds.
   */
  onFrame(bytes: Uint8Array, route: Route, isBatch: boolean, now: number): void {
    if (!this.peers.isClosed) this.#inbound.onFrame(bytes, route, isBatch, now);
  }

  /**
   * Takes the result of a `verify` action: the cipher under the derived key, or why there is none (`mismatch`: the node
   * has another key).
   */
  onVerified(verification: Verification, result: Aead | string, now: number): void {
    if (!this.peers.isClosed) this.#inbound.onVerified(verification, result, now);
    else if (typeof result !== "string") result.destroy();
  }

  /** Takes the result of a `resolve` action; undefined when the registry does not say. */
  onResolved(
    node: number,
    reason: ResolveReason,
    found: Resolution | undefined,
    now: number,
  ): void {
    const peer = reason === "claimed" && found !== undefined
      ? this.peers.make(node, now)
      : this.peers.get(node);
    if (peer === undefined) return;
    if (reason === "search") this.#paths.onResolved(peer, found, now);
    else if (found !== undefined) addResolution(peer, found);
  }

  /** Starts the key exchange with a peer over the paths that are known. */
  startExchange(peer: PeerTunnel, now: number): void {
    this.#exchanges.start(peer, now);
  }

  /** Asks a peer for its key at an endpoint, and changes nothing by it. */
  askAt(peer: PeerTunnel, endpoint: Endpoint): void {
    const route = directRoute(endpoint);
    if (peer.paths.admits(route)) this.#exchanges.send(peer.node, "request", route);
  }

  /** The beacon says that a peer comes from this endpoint. */
  onPunch(endpoint: Endpoint, now: number): void {
    this.#exchanges.onPunch(endpoint);
    this.#paths.onPunch(endpoint, now);
  }

  /**
   * Seals and sends a packet, or queues it behind the key exchange. False when there is no path to the peer.
   *
   * @param packet The packet.
   * @param now Milliseconds.
   * @param route For the answer to a packet: the route that this one came by. It is taken if it is none of the path in
   * use.
   */
  send(packet: Packet, now: number, route?: Route): boolean {
    const peer = this.peers.get(packet.dstNode);
    if (peer === undefined || this.#sender.self === 0) return false;
    const { session } = peer;
    if (session !== undefined) {
      // An unproven session may come from a replay, so the exchange continues beside it.
      if (peer.live === undefined) this.#exchanges.start(peer, now);
      const { current } = peer.paths;
      const isDetour = route !== undefined && current !== undefined &&
        !samePath(current.route, route);
      const isSent = this.#sender.sealed(peer, session, packet, now, isDetour ? route : undefined);
      this.#paths.reschedule(peer, now);
      if (packet.payload.length >= DEFAULT_MSS_BYTES && packet.protocol === PROTO_STREAM) {
        this.sizes.demand(peer);
      }
      return isSent;
    }
    const bytes = new Uint8Array(HEADER_BYTES + packet.payload.length);
    encodePacketInto(packet, bytes);
    peer.queue(bytes);
    this.#exchanges.start(peer, now);
    return true;
  }

  /** Our network is another one. */
  networkChanged(now: number): void {
    this.#paths.networkChanged(now);
  }

  /** Asks whether the paths in use are still good. */
  checkPaths(now: number): void {
    this.#paths.checkAll(now);
  }

  /** A stream gets no segment larger than the default through to a peer. */
  onBlackHole(node: number, now: number): void {
    const peer = this.peers.get(node);
    if (peer !== undefined) this.sizes.suspect(peer, now);
  }

  /** Wipes all keys; nothing is done any more. */
  close(): void {
    this.peers.close();
    this.#deadlines.clear();
    this.#actions = [];
  }

  #expire(now: number): void {
    for (const peer of [...this.peers.values()]) {
      const isUnused = peer.expire(now);
      if (!this.#paths.keepAlive(peer, now) && isUnused) this.peers.remove(peer.node);
    }
  }
}
