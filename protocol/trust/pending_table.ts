/**
 * Requests that wait for approval, shared fairly among those who ask (docs/protocol/trust.md §3.1).
 *
 * @module
 */

import { PENDING_MAX, PENDING_PER_SOURCE_MAX, type PendingRequest } from "./trust_peer.ts";

/** Pending requests by node, the first to arrive first. */
export class PendingTable {
  readonly #byNode: Map<number, PendingRequest> = new Map();

  /** All requests, the first to arrive first. */
  all(): PendingRequest[] {
    return [...this.#byNode.values()];
  }

  /** The request of a node. */
  get(node: number): PendingRequest | undefined {
    return this.#byNode.get(node);
  }

  /** Does a request of the node wait? */
  has(node: number): boolean {
    return this.#byNode.has(node);
  }

  /** Forgets a request; false when there was none. */
  delete(node: number): boolean {
    return this.#byNode.delete(node);
  }

  /**
   * Adds a request, or renews the one of the same node. Above {@linkcode PENDING_PER_SOURCE_MAX} of one source or
   * {@linkcode PENDING_MAX} in all the oldest of the source with the most makes room, so that who floods the table
   * pushes out its own.
   *
   * @returns The request that had to go.
   */
  put(request: PendingRequest): PendingRequest | undefined {
    const isKnown = this.#byNode.has(request.nodeId);
    this.#byNode.set(request.nodeId, request);
    if (isKnown) return undefined;
    const source = sourceOf(request);
    let ofSource = 0;
    for (const other of this.#byNode.values()) {
      if (sourceOf(other) === source) ofSource++;
    }
    // What comes without a source may come from anywhere, so only the whole table limits it.
    if (source !== "" && ofSource > PENDING_PER_SOURCE_MAX) return this.#dropOldest(source);
    return this.#byNode.size > PENDING_MAX ? this.#dropOldest(this.#largestSource()) : undefined;
  }

  /** Notes where a request comes from that came without a source; false when there is none such. */
  learnSource(node: number, source: string): boolean {
    const request = this.#byNode.get(node);
    if (request === undefined || sourceOf(request) !== "" || source === "") return false;
    this.#byNode.set(node, { ...request, source });
    return true;
  }

  #largestSource(): string {
    const counts = new Map<string, number>();
    let largest = "";
    for (const request of this.#byNode.values()) {
      const source = sourceOf(request);
      const count = (counts.get(source) ?? 0) + 1;
      counts.set(source, count);
      if (count > (counts.get(largest) ?? 0)) largest = source;
    }
    return largest;
  }

  #dropOldest(source: string): PendingRequest | undefined {
    for (const request of this.#byNode.values()) {
      if (sourceOf(request) !== source) continue;
      this.#byNode.delete(request.nodeId);
      return request;
    }
    return undefined;
  }
}

function sourceOf(request: PendingRequest): string {
  return request.source ?? "";
}
