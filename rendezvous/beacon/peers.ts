/**
 * Other beacons and the nodes they have (docs/protocol/beacon.md §3).
 *
 * Only configured or listed endpoints are peers: what others send as Sync is ignored.
 *
 * @module
 */

import type { Endpoint } from "../../protocol/ip.ts";
import { MAX_PEERS, MAX_SYNCED_NODES, SYNC_MIN_MS, SYNC_TTL_MS } from "./beacon_limits.ts";
import { sameEndpoint } from "../../protocol/ip.ts";

/** Another beacon. */
export interface Peer {
  readonly addr: Endpoint;
  /** Its nodes, ascending: 4 bytes each, found by halving. */
  nodes: Uint32Array;
  /** Monotonic milliseconds of the last Sync that counted. */
  syncedAt: number;
}

/** The other beacons. */
export class Peers {
  #peers: readonly Peer[] = [];

  /** Their endpoints. */
  get addrs(): readonly Endpoint[] {
    return this.#peers.map(({ addr }) => addr);
  }

  /** How many there are. */
  get size(): number {
    return this.#peers.length;
  }

  /** Nodes that peers reported and that count at the moment. */
  nodeCount(now: number): number {
    return this.#peers.reduce((sum, peer) => sum + (isFresh(peer, now) ? peer.nodes.length : 0), 0);
  }

  /**
   * Sets who is a peer. What is known of those that stay is kept.
   *
   * @param addrs IP addresses and ports; above {@linkcode MAX_PEERS} the last are left out.
   */
  set(addrs: readonly Endpoint[]): void {
    const peers: Peer[] = [];
    for (const addr of addrs) {
      if (peers.length >= MAX_PEERS) break;
      if (peers.some((peer) => sameEndpoint(peer.addr, addr))) continue;
      const known = this.at(addr);
      peers.push(known ?? { addr, nodes: new Uint32Array(0), syncedAt: -Infinity });
    }
    this.#peers = peers;
  }

  /** The peer at an endpoint. */
  at(addr: Endpoint): Peer | undefined {
    for (const peer of this.#peers) if (sameEndpoint(peer.addr, addr)) return peer;
    return undefined;
  }

  /** May a Sync of this peer be looked at? */
  maySync(peer: Peer, now: number): boolean {
    return now - peer.syncedAt >= SYNC_MIN_MS;
  }

  /** Replaces the nodes of a peer. */
  learn(peer: Peer, nodes: readonly number[], now: number): void {
    peer.nodes = Uint32Array.from(nodes.slice(0, MAX_SYNCED_NODES)).sort();
    peer.syncedAt = now;
  }

  /** The peer that has a node; of several the one heard last. */
  of(node: number, now: number): Peer | undefined {
    let found: Peer | undefined;
    for (const peer of this.#peers) {
      if (!isFresh(peer, now) || !contains(peer.nodes, node)) continue;
      if (found === undefined || peer.syncedAt > found.syncedAt) found = peer;
    }
    return found;
  }
}

function isFresh(peer: Peer, now: number): boolean {
  return now - peer.syncedAt <= SYNC_TTL_MS;
}

function contains(sorted: Uint32Array, value: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}
