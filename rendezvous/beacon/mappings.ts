/**
 * Which node is behind which UDP endpoint (docs/protocol/beacon.md §2), and how well that is known.
 *
 * A plain Discover proves nothing: the last one wins. An endpoint that was proven by the node's key is kept
 * against plain words from elsewhere until the proof is old.
 *
 * @module
 */

import { type Endpoint, sameEndpoint } from "../../protocol/ip.ts";
import type { Source } from "../../platform/net/source.ts";
import {
  MAPPING_TTL_MS,
  MAX_MAPPINGS,
  MAX_MAPPINGS_PER_SOURCE,
  MAX_PROVEN_MAPPINGS,
  PROOF_TTL_MS,
  UNPROVEN_CREDIT,
} from "./beacon_limits.ts";

/** Endpoint of a node, from which it sent a Discover. */
export interface Mapping {
  /** Where to send. */
  readonly addr: Endpoint;
  /** Its host. */
  readonly source: Source;
  /** It wants relay_deliver_dest. */
  readonly ex: boolean;
  /** Monotonic milliseconds of the last Discover. */
  lastSeen: number;
  /** Monotonic milliseconds of the last proof; undefined for one that was only said. */
  readonly provenAt: number | undefined;
  /** Sent back with a wake; undefined when the node does not understand wakes. */
  readonly wakeToken: Uint8Array | undefined;
  /** Bytes that may still be relayed there without proof because it takes part. */
  credit: number;
}

/** Bounds, smaller in tests. */
export interface MappingLimits {
  /** Default {@linkcode MAX_MAPPINGS}. */
  readonly total?: number;
  /** Default {@linkcode MAX_MAPPINGS_PER_SOURCE}. */
  readonly perSource?: number;
  /** Default {@linkcode MAX_PROVEN_MAPPINGS}. */
  readonly proven?: number;
}

/** An announcement. */
export interface Announcement {
  readonly addr: Endpoint;
  readonly source: Source;
  readonly ex: boolean;
}

/** Is the proof of an endpoint recent? */
export function isProven(mapping: Mapping, now: number): boolean {
  return mapping.provenAt !== undefined && now - mapping.provenAt <= PROOF_TTL_MS;
}

/** Spends what may be relayed to an endpoint that is not proven. False when there is too little. */
export function takeCredit(mapping: Mapping, bytes: number): boolean {
  if (mapping.credit < bytes) return false;
  mapping.credit -= bytes;
  return true;
}

/** The endpoint sent something that is no Discover: it takes part. */
export function renewCredit(mapping: Mapping): void {
  mapping.credit = UNPROVEN_CREDIT;
}

/** The endpoints of all nodes. */
export class Mappings {
  readonly #total: number;
  readonly #perSourceLimit: number;
  readonly #provenLimit: number;
  readonly #byNode: Map<number, Mapping> = new Map();
  /** Nodes by source, without those that were proven: only the others are invented for nothing. */
  readonly #perSource: Map<string, number> = new Map();
  #proven = 0;

  /** @param limits Bounds other than the defaults. */
  constructor(limits: MappingLimits = {}) {
    this.#total = limits.total ?? MAX_MAPPINGS;
    this.#perSourceLimit = limits.perSource ?? MAX_MAPPINGS_PER_SOURCE;
    this.#provenLimit = limits.proven ?? MAX_PROVEN_MAPPINGS;
  }

  /** Nodes known. */
  get size(): number {
    return this.#byNode.size;
  }

  /** Nodes whose endpoint was proven, be it long ago. */
  get proven(): number {
    return this.#proven;
  }

  /** Sources that are counted: those with a node that was not proven. */
  get sources(): number {
    return this.#perSource.size;
  }

  /** Endpoint of a node. */
  get(node: number): Mapping | undefined {
    return this.#byNode.get(node);
  }

  /** Numbers of the nodes, those known longest first. */
  nodes(): IterableIterator<number> {
    return this.#byNode.keys();
  }

  /**
   * Notes where a node says to be.
   *
   * @param now Monotonic milliseconds.
   * @returns `noted`; `kept` when a proven endpoint stands against it; `full` when there is no room.
   */
  announce(node: number, announcement: Announcement, now: number): "noted" | "kept" | "full" {
    const old = this.#byNode.get(node);
    const isSame = old !== undefined && sameEndpoint(old.addr, announcement.addr);
    if (old !== undefined && isProven(old, now)) {
      if (isSame) old.lastSeen = now;
      return isSame ? "noted" : "kept";
    }
    const mapping: Mapping = {
      ...announcement,
      lastSeen: now,
      provenAt: undefined,
      wakeToken: undefined,
      // Announcing again is no sign that the address takes part.
      credit: isSame ? old.credit : 0,
    };
    return this.#set(node, mapping) ? "noted" : "full";
  }

  /**
   * Notes where a node has proven to be.
   *
   * @param wakeToken Sent back with a wake; undefined for none.
   * @param now Monotonic milliseconds.
   * @returns False when there is no room.
   */
  prove(
    node: number,
    announcement: Announcement,
    wakeToken: Uint8Array | undefined,
    now: number,
  ): boolean {
    return this.#set(node, {
      ...announcement,
      lastSeen: now,
      provenAt: now,
      wakeToken,
      credit: 0,
    });
  }

  #set(node: number, mapping: Mapping): boolean {
    const old = this.#byNode.get(node);
    const isPlain = mapping.provenAt === undefined;
    const wasPlain = old !== undefined && old.provenAt === undefined;
    if (isPlain) {
      const { key } = mapping.source;
      const isCounted = wasPlain && old.source.key === key;
      if (!isCounted && (this.#perSource.get(key) ?? 0) >= this.#perSourceLimit) return false;
      if (!wasPlain && this.#byNode.size - this.#proven >= this.#total) return false;
    } else if ((old === undefined || wasPlain) && this.#proven >= this.#provenLimit) {
      return false;
    }
    if (old !== undefined) this.#uncount(old);
    this.#count(mapping);
    this.#byNode.set(node, mapping);
    return true;
  }

  /**
   * Forgets nodes that were silent too long.
   *
   * @param now Monotonic milliseconds.
   */
  sweep(now: number): void {
    for (const [node, mapping] of this.#byNode) {
      if (now - mapping.lastSeen <= MAPPING_TTL_MS) continue;
      this.#byNode.delete(node);
      this.#uncount(mapping);
    }
  }

  #count({ provenAt, source: { key } }: Mapping): void {
    if (provenAt !== undefined) this.#proven++;
    else this.#perSource.set(key, (this.#perSource.get(key) ?? 0) + 1);
  }

  #uncount({ provenAt, source: { key } }: Mapping): void {
    if (provenAt !== undefined) {
      this.#proven--;
      return;
    }
    const count = (this.#perSource.get(key) ?? 1) - 1;
    if (count === 0) this.#perSource.delete(key);
    else this.#perSource.set(key, count);
  }
}
