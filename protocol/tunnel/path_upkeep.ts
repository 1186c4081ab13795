/**
 * Keeps the paths to all peers (protocol/path/manager.ts) in order: polls them when they are due, sends their probes, and
 * wishes for what finds a direct path: the registry's data on where a relayed peer is, and punches. Sans-I/O.
 *
 * @module
 */

import { isIP } from "node:net";
import type { DeadlineQueue, Timed } from "../deadline_queue.ts";
import { type Endpoint, isLoopbackIp, parseIp } from "../ip.ts";
import { ACK, type Packet } from "../packet.ts";
import { isPathProbe, pathProbeId, type Route } from "../path/mod.ts";
import { TokenBucket } from "../rate_limit.ts";
import type { PeerTable } from "./peer_table.ts";
import type { PeerTunnel } from "./peer_tunnel.ts";
import type { Resolution, TunnelAction, TunnelHost } from "./tunnel_host.ts";
import { KEEPALIVE_MS, SWEEP_MS } from "./tunnel_limits.ts";
import type { TunnelSender } from "./tunnel_sender.ts";

/** Announcements because our own mapping may be gone; the beacon answers each with a datagram. */
export const ANNOUNCE_RATE = { perSecond: 1, burst: 2 } as const;
/** Searches for direct paths, all peers together: each asks the registry and makes two hosts punch. */
export const SEARCH_RATE = { perSecond: 20, burst: 100 } as const;
/** How long after a request for punches the beacon's command may concern the peer asked for. */
export const PUNCH_WINDOW_MS = 3_000;
/** Peers that one punch command may concern: each is sent probes. */
const MAX_PUNCHED_PEERS = 4;

/** What keeping paths needs. */
export interface PathUpkeepParts {
  readonly deadlines: DeadlineQueue;
  readonly sender: TunnelSender;
  readonly peers: PeerTable;
  readonly host: TunnelHost;
  readonly act: (action: TunnelAction) => void;
  readonly now: number;
}

/** When the paths to one peer are due. */
class PathTimer implements Timed {
  /** When it fires, ms. */
  atMs = Infinity;
  readonly #run: (now: number) => void;

  constructor(run: (now: number) => void) {
    this.#run = run;
  }

  deadline(): number {
    return this.atMs;
  }

  onTimer(now: number): void {
    this.#run(now);
  }
}

/** Keeps the paths to all peers. */
export class PathUpkeep {
  readonly #parts: PathUpkeepParts;
  readonly #announcements: TokenBucket;
  readonly #searches: TokenBucket;
  readonly #timers = new Map<PeerTunnel, PathTimer>();
  /** Peers for which punches were asked lately, and when. */
  readonly #punching = new Map<PeerTunnel, number>();

  constructor(parts: PathUpkeepParts) {
    this.#parts = parts;
    this.#announcements = new TokenBucket(ANNOUNCE_RATE, parts.now);
    this.#searches = new TokenBucket(SEARCH_RATE, parts.now);
    parts.peers.onRemoved((peer) => this.#stop(peer));
  }

  /** To be called after anything that may have changed when the paths to a peer are due. Cheap when nothing has. */
  reschedule(peer: PeerTunnel, now: number): void {
    if (!peer.paths.needsReschedule || peer.live === undefined) return;
    peer.paths.needsReschedule = false;
    this.#arm(peer, now);
  }

  /** Frames to a peer take another path from now on. */
  changed({ node, paths, viaRelay }: PeerTunnel): void {
    this.#parts.act({
      type: "path_changed",
      node,
      route: paths.current?.route,
      isRelayed: viaRelay,
      isRepaired: paths.isRepaired,
    });
  }

  /** Takes the answer to a probe of a path. False when it is something else. */
  onAnswer(peer: PeerTunnel, packet: Packet, route: Route, now: number): boolean {
    if ((packet.flags & ACK) === 0 || !isPathProbe(packet.payload)) return false;
    const isChanged = peer.paths.answered(pathProbeId(packet.payload), route, now);
    if (isChanged === undefined) return false;
    if (isChanged) this.changed(peer);
    this.reschedule(peer, now);
    return true;
  }

  /** The beacon says that a peer comes from this endpoint. */
  onPunch(endpoint: Endpoint, now: number): void {
    const peers: PeerTunnel[] = [];
    for (const [peer, askedMs] of this.#punching) {
      if (now - askedMs > PUNCH_WINDOW_MS || peer.live === undefined) this.#punching.delete(peer);
      else if (peer.paths.isRelayed) peers.push(peer);
    }
    const known = peers.filter(({ paths }) => paths.knowsHost(endpoint.host));
    for (const peer of (known.length > 0 ? known : peers).slice(0, MAX_PUNCHED_PEERS)) {
      peer.paths.punched(endpoint, now);
      this.reschedule(peer, now);
    }
  }

  /**
   * Holds the mappings on the path open, by a probe, so that a dead path is found before it is needed.
   *
   * @returns False when nobody needs the tunnel.
   */
  keepAlive(peer: PeerTunnel, now: number): boolean {
    const { host } = this.#parts;
    const isAwaited = peer.isExisting && host.isFormer(peer.node);
    if (!isAwaited && !host.isWanted(peer.node)) return false;
    if (now - peer.sentMs >= KEEPALIVE_MS - SWEEP_MS && needsKeepalive(peer)) {
      peer.paths.check(now);
      this.reschedule(peer, now);
    }
    return true;
  }

  /** Our network is another one. */
  networkChanged(now: number): void {
    for (const peer of this.#toldPeers()) {
      peer.paths.networkChanged(now);
      this.reschedule(peer, now);
    }
  }

  /** Asks whether the paths in use are still good. */
  checkAll(now: number): void {
    for (const peer of this.#toldPeers()) {
      peer.paths.check(now);
      this.reschedule(peer, now);
    }
  }

  /** Peers that may learn where we are. */
  *#toldPeers(): Iterable<PeerTunnel> {
    const { peers, host } = this.#parts;
    for (const peer of peers.values()) {
      if (peer.live !== undefined && !host.isFormer(peer.node)) yield peer;
    }
  }

  #stop(peer: PeerTunnel): void {
    const timer = this.#timers.get(peer);
    if (timer !== undefined) {
      timer.atMs = Infinity;
      this.#parts.deadlines.delete(timer);
    }
    this.#timers.delete(peer);
    this.#punching.delete(peer);
  }

  #arm(peer: PeerTunnel, now: number): void {
    const { deadline } = peer.paths;
    if (deadline === Infinity) return;
    let timer = this.#timers.get(peer);
    if (timer === undefined) {
      timer = new PathTimer((at) => this.#run(peer, at));
      this.#timers.set(peer, timer);
    }
    if (timer.atMs <= deadline) return;
    timer.atMs = Math.max(deadline, now);
    if (deadline <= now) this.#run(peer, now);
    else this.#parts.deadlines.touch(timer);
  }

  #run(peer: PeerTunnel, now: number): void {
    const timer = this.#timers.get(peer);
    if (timer === undefined) return;
    const { live } = peer;
    if (live !== undefined) {
      const { sender, host, act } = this.#parts;
      const { node } = peer;
      const work = peer.paths.poll(now, {
        isWanted: host.isWanted(node),
        hasConns: host.hasConns(node),
      });
      if (work.changed) this.changed(peer);
      if (work.announce && this.#announcements.take(now)) act({ type: "announce" });
      if (work.search) this.#search(peer, now);
      for (const { route, payload } of work.probes) sender.control(peer, live, payload, now, route);
    }
    peer.paths.needsReschedule = false;
    timer.atMs = Infinity;
    if (live !== undefined) this.#arm(peer, now);
  }

  #search(peer: PeerTunnel, now: number): void {
    if (!this.#searches.take(now)) return;
    this.#punching.set(peer, now);
    this.#parts.act({ type: "resolve", node: peer.node, reason: "search" });
  }

  /** The registry was asked for a search; `found` is undefined when it failed: what is known so far may do. */
  onResolved(peer: PeerTunnel, found: Resolution | undefined, now: number): void {
    if (found !== undefined) addResolution(peer, found);
    if (peer.live === undefined) return;
    this.#parts.act({ type: "punch", node: peer.node });
    peer.paths.search(now);
    this.reschedule(peer, now);
  }
}

/** Adds what the registry says of a peer to its paths. */
export function addResolution(
  { paths }: PeerTunnel,
  { endpoint, alternatives, others }: Resolution,
): void {
  if (endpoint !== undefined) paths.add("public", endpoint);
  for (const lan of alternatives) paths.add("lan", lan);
  for (const other of others ?? []) paths.add("public", other);
}

/**
 * A mapping on the path is to be held: not within this machine or a local network, and the beacon's is held anyway. A
 * peer that takes silence for a dead path wants to hear something on every kind.
 */
function needsKeepalive({ live, paths: { current } }: PeerTunnel): boolean {
  if (current === undefined) return false;
  if (live?.expectsKeepalives) return true;
  const { host, kind } = current;
  if (host === undefined || kind === "lan") return false;
  return isIP(host) === 0 || !isLoopbackIp(parseIp(host));
}
