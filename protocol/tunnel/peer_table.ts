/**
 * The tunnels to all peers, bounded.
 *
 * @module
 */

import type { PathMode } from "../path/mod.ts";
import { leastWorth, PeerTunnel } from "./peer_tunnel.ts";
import { MAX_PEERS } from "./tunnel_limits.ts";

/** Peers by node number, at most {@linkcode MAX_PEERS}. */
export class PeerTable {
  readonly #mode: PathMode;
  readonly #random: (out: Uint8Array) => void;
  readonly #peers = new Map<number, PeerTunnel>();
  readonly #removed: ((peer: PeerTunnel) => void)[] = [];
  #isClosed = false;

  constructor(
    options: {
      mode: PathMode | undefined;
      random: (out: Uint8Array) => void;
    },
  ) {
    this.#mode = options.mode ?? "auto";
    this.#random = options.random;
  }

  /** No peer is taken in any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The tunnel to a peer. */
  get(node: number): PeerTunnel | undefined {
    return this.#peers.get(node);
  }

  /** All tunnels; may be changed while they are walked through. */
  values(): IterableIterator<PeerTunnel> {
    return this.#peers.values();
  }

  /** The tunnel to a peer, made if need be; undefined when there is no room, or the table is closed. */
  make(node: number, now: number): PeerTunnel | undefined {
    let peer = this.#peers.get(node);
    if (peer !== undefined || this.#isClosed) return peer;
    if (this.#peers.size >= MAX_PEERS && !this.#evict()) return undefined;
    peer = new PeerTunnel(node, now, { mode: this.#mode, random: this.#random });
    this.#peers.set(node, peer);
    return peer;
  }

  /** Calls `listener` with each peer that is forgotten, before its keys are wiped. */
  onRemoved(listener: (peer: PeerTunnel) => void): void {
    this.#removed.push(listener);
  }

  /** Forgets a peer: its keys are wiped, what waits for it is dropped. */
  remove(node: number): void {
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    for (const listener of this.#removed) listener(peer);
    peer.destroy();
    this.#peers.delete(node);
  }

  /** Forgets all peers and takes no other. */
  close(): void {
    this.#isClosed = true;
    for (const node of [...this.#peers.keys()]) this.remove(node);
  }

  /** Makes room; false when there is none to make. */
  #evict(): boolean {
    const victim = leastWorth(this.#peers.values());
    if (victim !== undefined) this.remove(victim.node);
    return victim !== undefined;
  }
}
