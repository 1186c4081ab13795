/**
 * Trust pairs (rendezvous.md §4.3): who may learn whose endpoint. They outlive the registrations of both sides.
 *
 * @module
 */

import { type Changes, pairKey } from "./changes.ts";
import { RegistryFailure } from "./failure.ts";
import { MAX_TRUST_PAIRS, MAX_TRUST_PER_NODE } from "./limits.ts";
import type { NodeRecord } from "./node.ts";
import type { TrustRow } from "./store/store.ts";

/** The pairs, and which side reported each. */
export class TrustTable {
  readonly #changes: Changes;
  readonly #pairs: Map<string, TrustRow> = new Map();

  /** @param changes Where changes are noted for the store. */
  constructor(changes: Changes) {
    this.#changes = changes;
  }

  /** Pairs known. */
  get size(): number {
    return this.#pairs.size;
  }

  /** Is there a pair, whoever reported it? */
  has(a: number, b: number): boolean {
    return this.#pairs.has(pairKey(Math.min(a, b), Math.max(a, b)));
  }

  /** Has `from` itself said that it trusts `to`? */
  reportedBy(from: number, to: number): boolean {
    const row = this.#pairs.get(pairKey(Math.min(from, to), Math.max(from, to)));
    return row !== undefined && (from < to ? row.byLow : row.byHigh);
  }

  /**
   * Records that `from` trusts `to`. Idempotent.
   *
   * @throws {RegistryFailure} At the limits, and for a node with itself.
   */
  report(from: NodeRecord, to: number): void {
    if (from.id === to) throw new RegistryFailure("cannot trust yourself");
    if (this.reportedBy(from.id, to)) return;
    if (from.trustReports >= MAX_TRUST_PER_NODE) {
      throw new RegistryFailure(`too many trust pairs (max ${MAX_TRUST_PER_NODE} per node)`);
    }
    const low = Math.min(from.id, to);
    const high = Math.max(from.id, to);
    const old = this.#pairs.get(pairKey(low, high));
    if (old === undefined && this.#pairs.size >= MAX_TRUST_PAIRS) {
      throw new RegistryFailure("too many trust pairs");
    }
    const row = {
      low,
      high,
      byLow: old?.byLow === true || from.id === low,
      byHigh: old?.byHigh === true || from.id === high,
    };
    from.trustReports++;
    this.#changes.trust(low, high, row);
    this.#pairs.set(pairKey(low, high), row);
  }

  /**
   * Ends a pair for both sides.
   *
   * @param known Finds the records of the two, whose counts change.
   * @returns False when there was none.
   */
  revoke(a: number, b: number, known: (id: number) => NodeRecord | undefined): boolean {
    const low = Math.min(a, b);
    const high = Math.max(a, b);
    const row = this.#pairs.get(pairKey(low, high));
    if (row === undefined) return false;
    this.#changes.trust(low, high, undefined);
    this.#pairs.delete(pairKey(low, high));
    const lowNode = known(low);
    const highNode = known(high);
    if (row.byLow && lowNode !== undefined) lowNode.trustReports--;
    if (row.byHigh && highNode !== undefined) highNode.trustReports--;
    return true;
  }

  /** At start: one stored pair. */
  load(row: TrustRow, known: (id: number) => NodeRecord | undefined): void {
    this.#pairs.set(pairKey(row.low, row.high), row);
    const lowNode = known(row.low);
    const highNode = known(row.high);
    if (row.byLow && lowNode !== undefined) lowNode.trustReports++;
    if (row.byHigh && highNode !== undefined) highNode.trustReports++;
  }
}
