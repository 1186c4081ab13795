/**
 * Which node is behind which UDP endpoint (rendezvous.md §10).
 *
 * @module
 */

import type { Source } from "../source.ts";
import { MAPPING_TTL_MS, MAX_MAPPINGS, MAX_MAPPINGS_PER_SOURCE } from "./limits.ts";

/** Endpoint of a node, from which it sent a Discover. */
export interface Mapping {
  /** As the runtime names it, to send to. */
  readonly addr: Deno.NetAddr;
  /** Its host. */
  readonly source: Source;
  /** It wants relay_deliver_dest. */
  readonly ex: boolean;
  /** Monotonic milliseconds of the last Discover. */
  lastSeen: number;
}

/** Bounds, smaller in tests. */
export interface MappingLimits {
  /** Default {@linkcode MAX_MAPPINGS}. */
  readonly total?: number;
  /** Default {@linkcode MAX_MAPPINGS_PER_SOURCE}. */
  readonly perSource?: number;
}

/** The endpoints of all nodes. */
export class Mappings {
  readonly #total: number;
  readonly #perSourceLimit: number;
  readonly #byNode: Map<number, Mapping> = new Map();
  readonly #perSource: Map<string, number> = new Map();

  /** @param limits Bounds other than the defaults. */
  constructor(limits: MappingLimits = {}) {
    this.#total = limits.total ?? MAX_MAPPINGS;
    this.#perSourceLimit = limits.perSource ?? MAX_MAPPINGS_PER_SOURCE;
  }

  /** Nodes known. */
  get size(): number {
    return this.#byNode.size;
  }

  /** Endpoint of a node. */
  get(node: number): Mapping | undefined {
    return this.#byNode.get(node);
  }

  /**
   * Notes where a node is; the last Discover wins.
   *
   * @returns False when it is new and there is no room.
   */
  set(node: number, mapping: Mapping): boolean {
    const old = this.#byNode.get(node);
    if (old?.source.key !== mapping.source.key) {
      const count = this.#perSource.get(mapping.source.key) ?? 0;
      if (count >= this.#perSourceLimit) return false;
      if (old === undefined && this.#byNode.size >= this.#total) return false;
      this.#perSource.set(mapping.source.key, count + 1);
      if (old !== undefined) this.#leave(old.source.key);
    }
    this.#byNode.set(node, mapping);
    return true;
  }

  /**
   * Forgets nodes that were silent too long.
   *
   * @param now Monotonic milliseconds.
   */
  sweep(now: number): void {
    for (const [node, { lastSeen, source }] of this.#byNode) {
      if (now - lastSeen <= MAPPING_TTL_MS) continue;
      this.#byNode.delete(node);
      this.#leave(source.key);
    }
  }

  #leave(key: string): void {
    const count = (this.#perSource.get(key) ?? 1) - 1;
    if (count === 0) this.#perSource.delete(key);
    else this.#perSource.set(key, count);
  }
}
