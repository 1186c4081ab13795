/**
 * Gives the ways to peers (protocol/path/manager.ts) their timers, sends their probes, and looks for direct ways:
 * asks the registry where a relayed peer is now and the beacon to make both sides punch.
 *
 * @module
 */

import { isIP } from "node:net";
import { type Endpoint, isLoopbackIp, parseIp } from "../../protocol/ip.ts";
import { ACK, type Packet } from "../../protocol/packet.ts";
import { isPathProbe, pathProbeId, type Route } from "../../protocol/path/mod.ts";
import type { Clock, TimerSet } from "../../platform/clock.ts";
import type { BeaconLink } from "./beacon_link.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import { TokenBucket } from "./rate_limit.ts";
import type { TunnelSender } from "./tunnel_sender.ts";
import {
  KEEPALIVE_MS,
  type Resolution,
  SWEEP_MS,
  type TunnelConsent,
  type TunnelDeps,
} from "./types.ts";
import type { UpperLayer } from "./upper_layer.ts";

/** Announcements because our own mapping may be gone; the beacon answers each with a datagram. */
export const ANNOUNCE_RATE = { perSecond: 1, burst: 2 } as const;
/** Searches for direct ways, all peers together: each asks the registry and makes two hosts punch. */
export const SEARCH_RATE = { perSecond: 20, burst: 100 } as const;
/** How long after a request for punches the beacon's command may concern the peer asked for. */
export const PUNCH_WINDOW_MS = 3_000;
/** Peers that one punch command may concern: each is sent probes. */
const MAX_PUNCHED_PEERS = 4;

/** What the driver needs. */
export interface PathDriverDeps {
  readonly clock: Clock;
  readonly timers: TimerSet;
  readonly sender: TunnelSender;
  readonly beacon: BeaconLink;
  readonly resolve: (node: number) => Promise<Resolution>;
  readonly peers: PeerTable;
  readonly upper: UpperLayer;
  /** Former peers are not told where we are. */
  readonly consent: TunnelConsent;
  readonly log: TunnelDeps["log"];
}

/** Drives the ways to all peers. */
export class PathDriver {
  readonly #deps: PathDriverDeps;
  readonly #announcements: TokenBucket;
  readonly #searches: TokenBucket;
  /** Peers for which punches were asked lately, and when. */
  readonly #punching = new Map<PeerTunnel, number>();

  constructor(deps: PathDriverDeps) {
    this.#deps = deps;
    const now = deps.clock.now();
    this.#announcements = new TokenBucket(ANNOUNCE_RATE, now);
    this.#searches = new TokenBucket(SEARCH_RATE, now);
    deps.peers.onRemoved((peer) => this.#stop(peer));
  }

  /** To be called after anything that may have stirred the ways to a peer. Cheap when nothing has. */
  stir(peer: PeerTunnel): void {
    if (!peer.paths.needsReschedule || peer.live === undefined) return;
    peer.paths.needsReschedule = false;
    this.#arm(peer);
  }

  /** Takes the answer to a probe of a way. False when it is something else. */
  onAnswer(peer: PeerTunnel, packet: Packet, route: Route): boolean {
    if ((packet.flags & ACK) === 0 || !isPathProbe(packet.payload)) return false;
    const now = this.#deps.clock.now();
    const isChanged = peer.paths.answered(pathProbeId(packet.payload), route, now);
    if (isChanged === undefined) return false;
    if (isChanged) this.#deps.upper.pathChanged(peer);
    this.stir(peer);
    return true;
  }

  /** The beacon says that somebody comes from this endpoint. */
  onPunch(endpoint: Endpoint): void {
    const now = this.#deps.clock.now();
    const peers: PeerTunnel[] = [];
    for (const [peer, askedMs] of this.#punching) {
      if (now - askedMs > PUNCH_WINDOW_MS || peer.live === undefined) this.#punching.delete(peer);
      else if (peer.paths.isRelayed) peers.push(peer);
    }
    const known = peers.filter(({ paths }) =>
      paths.all.some(({ route }) => route.via === "direct" && route.endpoint.host === endpoint.host)
    );
    for (const peer of (known.length > 0 ? known : peers).slice(0, MAX_PUNCHED_PEERS)) {
      peer.paths.punched(endpoint, now);
      this.stir(peer);
    }
  }

  /**
   * Holds the mappings on the way open, by a probe, so that a dead path is found before somebody needs it.
   *
   * @returns False when nobody needs the tunnel.
   */
  keepAlive(peer: PeerTunnel, now: number): boolean {
    const { upper, consent } = this.#deps;
    const isAwaited = peer.isExisting && consent.isFormer(peer.node);
    if (!isAwaited && !upper.isWanted(peer.node)) return false;
    if (now - peer.sentMs >= KEEPALIVE_MS - SWEEP_MS && needsKeepalive(peer)) {
      peer.paths.check(now);
      this.stir(peer);
    }
    return true;
  }

  /** Our network is another one. */
  networkChanged(): void {
    const now = this.#deps.clock.now();
    for (const peer of this.#toldPeers()) {
      peer.paths.networkChanged(now);
      this.stir(peer);
    }
  }

  /** Asks whether the paths in use are still good. */
  checkAll(): void {
    const now = this.#deps.clock.now();
    for (const peer of this.#toldPeers()) {
      peer.paths.check(now);
      this.stir(peer);
    }
  }

  /** Peers that may learn where we are. */
  *#toldPeers(): Iterable<PeerTunnel> {
    const { peers, consent } = this.#deps;
    for (const peer of peers.values()) {
      if (peer.live !== undefined && !consent.isFormer(peer.node)) yield peer;
    }
  }

  #stop(peer: PeerTunnel): void {
    peer.cancelPathTimer?.();
    peer.cancelPathTimer = undefined;
    peer.pathTimerMs = Infinity;
    this.#punching.delete(peer);
  }

  #arm(peer: PeerTunnel): void {
    const { deadline } = peer.paths;
    if (deadline === Infinity || peer.pathTimerMs <= deadline) return;
    peer.cancelPathTimer?.();
    const { clock, timers } = this.#deps;
    const now = clock.now();
    peer.pathTimerMs = Math.max(deadline, now);
    if (deadline <= now) this.#run(peer);
    else peer.cancelPathTimer = timers.after(deadline - now, () => this.#run(peer));
  }

  #run(peer: PeerTunnel): void {
    peer.cancelPathTimer = undefined;
    const { live } = peer;
    if (live !== undefined) {
      const { clock, sender, upper } = this.#deps;
      const { node } = peer;
      const now = clock.now();
      const work = peer.paths.poll(now, {
        isWanted: upper.isWanted(node),
        hasConns: upper.user.hasConns(node),
      });
      if (work.changed) upper.pathChanged(peer);
      if (work.announce && this.#announcements.take(now)) this.#deps.beacon.announce();
      if (work.search) this.#search(peer, now);
      for (const { route, payload } of work.probes) sender.control(peer, live, payload, route);
    }
    peer.paths.needsReschedule = false;
    peer.pathTimerMs = Infinity;
    if (live !== undefined) this.#arm(peer);
  }

  #search(peer: PeerTunnel, now: number): void {
    if (!this.#searches.take(now)) return;
    const { beacon, clock, resolve, log } = this.#deps;
    this.#punching.set(peer, now);
    const begin = () => {
      if (peer.live === undefined) return;
      beacon.requestPunch(peer.node);
      peer.paths.search(clock.now());
      this.stir(peer);
    };
    resolve(peer.node).then((found) => {
      addResolution(peer, found);
      begin();
    }).catch((error) => {
      log("debug", "no new endpoint", { peer_node_id: peer.node, error: String(error) });
      // The endpoints known so far may do.
      begin();
    });
  }
}

/** Adds what the registry says of a peer to its ways. */
export function addResolution(
  { paths }: PeerTunnel,
  { endpoint, alternatives, others }: Resolution,
): void {
  if (endpoint !== undefined) paths.add("public", endpoint);
  for (const lan of alternatives) paths.add("lan", lan);
  for (const other of others ?? []) paths.add("public", other);
}

/**
 * A mapping on the way is to be held: not within this machine or a local network, and the beacon's is held anyway. A
 * peer that takes silence for a dead path wants to hear something on every kind.
 */
function needsKeepalive({ live, paths: { current } }: PeerTunnel): boolean {
  if (current === undefined) return false;
  if (live?.expectsKeepalives) return true;
  if (current.route.via === "relay" || current.kind === "lan") return false;
  const { host } = current.route.endpoint;
  return isIP(host) === 0 || !isLoopbackIp(parseIp(host));
}
