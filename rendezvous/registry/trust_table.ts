/**
 * Consent (docs/protocol/registry.md §4.3): what each node has said about each other. Two who consent are a pair. It
 * outlives the registrations of both sides.
 *
 * @module
 */

import { type Changes, pairKey } from "./changes.ts";
import { type Consent, isConsent } from "./consent.ts";
import { RegistryFailure } from "./failure.ts";
import { MAX_ONE_SIDED_PAIRS, MAX_TRUST_PAIRS, MAX_TRUST_PER_NODE } from "./registry_limits.ts";
import type { NodeRecord } from "./node_entry.ts";
import type { TrustRow } from "./store/store.ts";

/** What all nodes have said about each other. */
export class TrustTable {
  readonly #changes: Changes;
  readonly #rows: Map<string, TrustRow> = new Map();
  /** Rows in which at most one side consents, the oldest first. */
  readonly #oneSided: Map<string, TrustRow> = new Map();
  readonly #known: (id: number) => NodeRecord | undefined;

  /**
   * @param changes Where changes are noted for the store.
   * @param known Finds the record of a node, whose count changes.
   */
  constructor(changes: Changes, known: (id: number) => NodeRecord | undefined) {
    this.#changes = changes;
    this.#known = known;
  }

  /** Pairs: both sides consent. */
  get size(): number {
    return this.#rows.size - this.#oneSided.size;
  }

  /** What `from` has said last about `to`. */
  said(from: number, to: number): Consent {
    const row = this.#rows.get(keyOf(from, to));
    if (row === undefined) return "none";
    return from < to ? row.byLow : row.byHigh;
  }

  /** Does `from` state that it trusts `to`, or asks it for trust? */
  consents(from: number, to: number): boolean {
    return isConsent(this.said(from, to));
  }

  /** Do both sides consent? */
  isPair(a: number, b: number): boolean {
    return this.consents(a, b) && this.consents(b, a);
  }

  /**
   * Records what a node says about another one. Idempotent.
   *
   * @throws {RegistryFailure} At the limits, and for a node with itself.
   */
  say(from: NodeRecord, to: number, consent: Exclude<Consent, "none">): void {
    if (from.id === to) throw new RegistryFailure("invalid_argument", "cannot trust yourself");
    const before = this.said(from.id, to);
    // Who asks for what it has granted before takes nothing back.
    if (before === consent || (before === "trusts" && consent === "asked")) return;
    if (isConsent(consent) && !isConsent(before)) this.#checkRoom(from, to);
    this.#set(from.id, to, consent);
  }

  /** The other side has refused: a request ends with it, a grant does not. */
  refuse(asker: number, by: number): void {
    if (this.said(asker, by) === "asked") this.#set(asker, by, "none");
  }

  #checkRoom(from: NodeRecord, to: number): void {
    if (from.trustReports >= MAX_TRUST_PER_NODE) {
      throw new RegistryFailure(
        "limit_exceeded",
        `too many trust pairs (max ${MAX_TRUST_PER_NODE} per node)`,
      );
    }
    if (this.#rows.has(keyOf(from.id, to))) return;
    if (this.size >= MAX_TRUST_PAIRS) {
      throw new RegistryFailure("limit_exceeded", "too many trust pairs");
    }
    // What only one side has said may be invented: it never takes the place of pairs, and the oldest goes.
    if (this.#oneSided.size < MAX_ONE_SIDED_PAIRS) return;
    const [oldest] = this.#oneSided.values();
    this.#set(oldest!.low, oldest!.high, "none");
    this.#set(oldest!.high, oldest!.low, "none");
  }

  #set(from: number, to: number, consent: Consent): void {
    const low = Math.min(from, to);
    const high = Math.max(from, to);
    const key = pairKey(low, high);
    const old = this.#rows.get(key) ?? { low, high, byLow: "none", byHigh: "none" };
    const row: TrustRow = from === low ? { ...old, byLow: consent } : { ...old, byHigh: consent };
    this.#count(old, -1);
    if (row.byLow === "none" && row.byHigh === "none") {
      this.#changes.trust(low, high, undefined);
      this.#rows.delete(key);
      this.#oneSided.delete(key);
      return;
    }
    this.#changes.trust(low, high, row);
    this.#insert(key, row);
  }

  #insert(key: string, row: TrustRow): void {
    this.#rows.set(key, row);
    this.#count(row, 1);
    if (isConsent(row.byLow) && isConsent(row.byHigh)) this.#oneSided.delete(key);
    else this.#oneSided.set(key, row);
  }

  #count({ low, high, byLow, byHigh }: TrustRow, by: 1 | -1): void {
    for (const [id, consent] of [[low, byLow], [high, byHigh]] as const) {
      const node = isConsent(consent) ? this.#known(id) : undefined;
      if (node !== undefined) node.trustReports += by;
    }
  }

  /** At start: one stored row. */
  load(row: TrustRow): void {
    this.#insert(keyOf(row.low, row.high), row);
  }
}

function keyOf(a: number, b: number): string {
  return pairKey(Math.min(a, b), Math.max(a, b));
}
