/**
 * Remembers what changed in memory until it is in the store. Only final states are kept, so many changes of one
 * node in a turn are one row.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { NodeRecord } from "./node.ts";
import type {
  NodeRow,
  Pair,
  RequestRow,
  ResponseRow,
  StoreBatch,
  TrustRow,
} from "./store/store.ts";

/** Text key of a pair of node numbers. */
export function pairKey(first: number, second: number): string {
  return `${first}:${second}`;
}

/** Rows by pair; `undefined` means removed. */
class PairChanges<R> {
  readonly #rows: Map<string, { pair: Pair; row: R | undefined }> = new Map();

  set(pair: Pair, row: R | undefined): void {
    this.#rows.set(pairKey(...pair), { pair, row });
  }

  get empty(): boolean {
    return this.#rows.size === 0;
  }

  take(): { rows: R[]; removed: Pair[] } {
    const rows: R[] = [];
    const removed: Pair[] = [];
    for (const { pair, row } of this.#rows.values()) {
      if (row === undefined) removed.push(pair);
      else rows.push(row);
    }
    this.#rows.clear();
    return { rows, removed };
  }
}

/** The changes since the last {@linkcode Changes.take}. Recording is allowed only while `open`. */
export class Changes {
  /** True inside `RegistryCore.change`: any other change of memory would never reach the store. */
  open = false;
  #nextNode = 0;
  #nextNodeChanged = false;
  readonly #nodes: Set<NodeRecord> = new Set();
  readonly #trust: PairChanges<TrustRow> = new PairChanges();
  readonly #requests: PairChanges<RequestRow> = new PairChanges();
  readonly #responses: PairChanges<ResponseRow> = new PairChanges();

  /** Nothing to store. */
  get empty(): boolean {
    return !this.#nextNodeChanged && this.#nodes.size === 0 &&
      this.#trust.empty && this.#requests.empty && this.#responses.empty;
  }

  #mustBeOpen(): void {
    if (!this.open) {
      throw new PilotError("internal", "Registry memory changed outside RegistryCore.change");
    }
  }

  /** Number of the next new node. */
  nextNode(value: number): void {
    this.#mustBeOpen();
    this.#nextNode = value;
    this.#nextNodeChanged = true;
  }

  /** The node has changed or will before the current change ends. */
  node(record: NodeRecord): void {
    this.#mustBeOpen();
    this.#nodes.add(record);
  }

  /** A trust pair; `undefined` when it was removed. */
  trust(low: number, high: number, row: TrustRow | undefined): void {
    this.#mustBeOpen();
    this.#trust.set([low, high], row);
  }

  /** A waiting handshake request; `undefined` when it was removed. */
  request(target: number, sender: number, row: RequestRow | undefined): void {
    this.#mustBeOpen();
    this.#requests.set([target, sender], row);
  }

  /** A waiting handshake answer; `undefined` when it was removed. */
  response(target: number, sender: number, row: ResponseRow | undefined): void {
    this.#mustBeOpen();
    this.#responses.set([target, sender], row);
  }

  /** At start: the number as stored. */
  startAt(nextNode: number): void {
    this.#nextNode = nextNode;
  }

  /**
   * Copies the changes out and begins anew.
   *
   * @returns The batch for the store.
   */
  take(): StoreBatch {
    const nodes = Array.from(this.#nodes, nodeRow);
    this.#nodes.clear();
    this.#nextNodeChanged = false;
    const trust = this.#trust.take();
    const requests = this.#requests.take();
    const responses = this.#responses.take();
    return {
      nextNode: this.#nextNode,
      nodes,
      trust: trust.rows,
      trustRemoved: trust.removed,
      requests: requests.rows,
      requestsRemoved: requests.removed,
      responses: responses.rows,
      responsesRemoved: responses.removed,
    };
  }
}

function nodeRow(node: NodeRecord): NodeRow {
  const { lastSeen: _lastSeen, trustReports: _trustReports, ...row } = node;
  return row;
}
