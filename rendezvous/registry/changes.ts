/**
 * Remembers what changed in memory until it is in the store. Only final states are kept, so many changes of one
 * node in a turn are one row.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { ChangeRecord, CommittedBatch } from "./change_record.ts";
import { type NetworkRecord, networkRow } from "./networks/network.ts";
import type { NodeRecord } from "./node_entry.ts";
import type {
  BanRow,
  InviteRow,
  MemberRow,
  NodeRow,
  Pair,
  RequestRow,
  ResponseRow,
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

/** The changes since the last {@linkcode Changes.take}. Noting them is allowed only inside {@linkcode Changes.record}. */
export class Changes {
  /** Any other change of memory would never reach the store. */
  #isOpen = false;
  /** The change that runs has noted something. */
  #isMade = false;
  #sequence = 0;
  #records: ChangeRecord[] = [];
  #nextNode = 0;
  #nextNodeChanged = false;
  readonly #nodes: Set<NodeRecord> = new Set();
  readonly #trust: PairChanges<TrustRow> = new PairChanges();
  readonly #requests: PairChanges<RequestRow> = new PairChanges();
  readonly #responses: PairChanges<ResponseRow> = new PairChanges();
  #nextNetwork = 0;
  #nextNetworkChanged = false;
  readonly #networks: Set<NetworkRecord> = new Set();
  readonly #networksRemoved: Set<number> = new Set();
  readonly #members: PairChanges<MemberRow> = new PairChanges();
  readonly #invites: PairChanges<InviteRow> = new PairChanges();
  readonly #bans: PairChanges<BanRow> = new PairChanges();

  /** Nothing to store. */
  get empty(): boolean {
    return !this.#nextNodeChanged && this.#nodes.size === 0 &&
      this.#trust.empty && this.#requests.empty && this.#responses.empty &&
      !this.#nextNetworkChanged && this.#networks.size === 0 &&
      this.#networksRemoved.size === 0 && this.#members.empty && this.#invites.empty &&
      this.#bans.empty;
  }

  /**
   * Runs a change, in which everything that changes is noted.
   *
   * @param record Who changes what.
   * @param apply The change; it must not wait.
   * @returns What it gives.
   */
  record<T>(record: ChangeRecord, apply: () => T): T {
    this.#isOpen = true;
    this.#isMade = false;
    try {
      return apply();
    } finally {
      this.#isOpen = false;
      if (this.#isMade) this.#records.push(record);
    }
  }

  #mustBeOpen(): void {
    if (!this.#isOpen) {
      throw new PilotError("internal", "Registry memory changed outside RegistryCore.change");
    }
    this.#isMade = true;
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

  /** Number of the next new network. */
  nextNetwork(value: number): void {
    this.#mustBeOpen();
    this.#nextNetwork = value;
    this.#nextNetworkChanged = true;
  }

  /** The network has changed or will before the current change ends. */
  network(record: NetworkRecord): void {
    this.#mustBeOpen();
    this.#networks.add(record);
  }

  /** The network was deleted, and all memberships in it. */
  networkRemoved(id: number): void {
    this.#mustBeOpen();
    this.#networksRemoved.add(id);
  }

  /** A membership as it is now. */
  member(row: MemberRow): void {
    this.#mustBeOpen();
    this.#members.set([row.network, row.node], row);
  }

  /** A membership that ended. */
  memberRemoved(network: number, node: number): void {
    this.#mustBeOpen();
    this.#members.set([network, node], undefined);
  }

  /** An invitation. */
  invite(row: InviteRow): void {
    this.#mustBeOpen();
    this.#invites.set([row.target, row.network], row);
  }

  /** An invitation that was answered or dropped. */
  inviteRemoved(target: number, network: number): void {
    this.#mustBeOpen();
    this.#invites.set([target, network], undefined);
  }

  /** A ban. */
  ban(row: BanRow): void {
    this.#mustBeOpen();
    this.#bans.set([row.network, row.node], row);
  }

  /** A ban that ended. */
  banRemoved(network: number, node: number): void {
    this.#mustBeOpen();
    this.#bans.set([network, node], undefined);
  }

  /** At start: the numbers as stored. */
  startAt(numbers: { sequence?: number; nextNode?: number; nextNetwork?: number }): void {
    this.#sequence = numbers.sequence ?? this.#sequence;
    this.#nextNode = numbers.nextNode ?? this.#nextNode;
    this.#nextNetwork = numbers.nextNetwork ?? this.#nextNetwork;
  }

  /**
   * Copies the changes out and starts over.
   *
   * @returns The batch for the store, and what was done.
   */
  take(): CommittedBatch {
    const sequence = ++this.#sequence;
    const records = this.#records;
    this.#records = [];
    const nodes = Array.from(this.#nodes, nodeRow);
    this.#nodes.clear();
    this.#nextNodeChanged = false;
    const trust = this.#trust.take();
    const requests = this.#requests.take();
    const responses = this.#responses.take();
    const networks = Array.from(this.#networks, networkRow);
    this.#networks.clear();
    const networksRemoved = [...this.#networksRemoved];
    this.#networksRemoved.clear();
    this.#nextNetworkChanged = false;
    const members = this.#members.take();
    const invites = this.#invites.take();
    const bans = this.#bans.take();
    const rows = {
      sequence,
      nextNode: this.#nextNode,
      nodes,
      trust: trust.rows,
      trustRemoved: trust.removed,
      requests: requests.rows,
      requestsRemoved: requests.removed,
      responses: responses.rows,
      responsesRemoved: responses.removed,
      nextNetwork: this.#nextNetwork,
      networks,
      networksRemoved,
      members: members.rows,
      membersRemoved: members.removed,
      invites: invites.rows,
      invitesRemoved: invites.removed,
      bans: bans.rows,
      bansRemoved: bans.removed,
    };
    return { sequence, changes: records, rows };
  }
}

function nodeRow(node: NodeRecord): NodeRow {
  const { lastSeen: _lastSeen, trustReports: _trustReports, pending: _pending, ...row } = node;
  return row;
}
