/**
 * All nodes in memory, by number, key and hostname. Every request is answered from here: at about one kilobyte a
 * node even the largest network fits, and no request waits for a disk read.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { type Clock, unixSeconds } from "../../platform/clock.ts";
import type { Changes } from "./changes.ts";
import { nodeNotFound, RegistryFailure } from "./failure.ts";
import { HOSTNAME_RESERVED_SECONDS, MAX_NODES } from "./registry_limits.ts";
import { newNode, type NodeRecord } from "./node_entry.ts";
import { canonicalKey } from "./node_names.ts";
import type { NodeRow } from "./store/store.ts";

const MAX_NODE_ID = 0xfffffffe; // the one above is the broadcast address

/** Nodes and their indexes. */
export class NodeTable {
  readonly #clock: Clock;
  readonly #changes: Changes;
  readonly #nodes: Map<number, NodeRecord> = new Map();
  readonly #byKey: Map<string, NodeRecord> = new Map();
  readonly #byHostname: Map<string, NodeRecord> = new Map();
  #nextNode = 1;
  #live = 0;
  #reapCursor = 0;

  /**
   * @param clock Where time comes from.
   * @param changes Where changes are noted for the store.
   */
  constructor(clock: Clock, changes: Changes) {
    this.#clock = clock;
    this.#changes = changes;
  }

  /** Nodes that heartbeat. */
  get liveCount(): number {
    return this.#live;
  }

  /** Nodes known, in any state. */
  get size(): number {
    return this.#nodes.size;
  }

  /** The number that the next new node gets. */
  get nextNode(): number {
    return this.#nextNode;
  }

  /** Nodes that heartbeat, in the order of their numbers. */
  *liveNodes(): Iterable<NodeRecord> {
    for (const node of this.#nodes.values()) if (node.state === "live") yield node;
  }

  /** A node in any state. */
  known(id: number): NodeRecord | undefined {
    return this.#nodes.get(id);
  }

  /**
   * A live node.
   *
   * @throws {RegistryFailure} When it is not registered now.
   */
  live(id: number): NodeRecord {
    const node = this.#nodes.get(id);
    if (node === undefined || node.state !== "live") throw nodeNotFound(id);
    return node;
  }

  /** The node bound to a canonical key, in any state. */
  byKey(key: string): NodeRecord | undefined {
    return this.#byKey.get(key);
  }

  /** The node of a hostname; `any` also when it is silent at the moment. */
  byHostname(hostname: string, state: "live" | "any" = "live"): NodeRecord | undefined {
    const node = this.#byHostname.get(hostname);
    return state === "any" || node?.state === "live" ? node : undefined;
  }

  /**
   * Gives a new key its number.
   *
   * @throws {RegistryFailure} When the registry is full.
   */
  create(key: string): NodeRecord {
    if (this.#nodes.size >= MAX_NODES || this.#nextNode > MAX_NODE_ID) {
      throw new RegistryFailure("limit_exceeded", "registry full");
    }
    const node = newNode(this.#nextNode, key, {
      monotonicMs: this.#clock.now(),
      seconds: unixSeconds(this.#clock),
    });
    this.#nextNode++;
    this.#changes.nextNode(this.#nextNode);
    this.#changes.node(node);
    this.#nodes.set(node.id, node);
    this.#byKey.set(key, node);
    this.#live++;
    return node;
  }

  /** Notes that the fields of a node change, and hands it out for that. */
  edit(node: NodeRecord): NodeRecord {
    this.#changes.node(node);
    return node;
  }

  /** Makes a node live and young. */
  revive(node: NodeRecord): void {
    node.lastSeen = this.#clock.now();
    if (node.state === "live") return;
    this.edit(node).state = "live";
    node.offlineSince = 0;
    this.#live++;
  }

  /** A live node has said something. Not stored: heartbeats need not be durable. */
  touch(node: NodeRecord): void {
    node.lastSeen = this.#clock.now();
  }

  /** Forgets everything of a node but its number, its key and the trust others have in it. */
  leave(node: NodeRecord): void {
    if (node.state === "live") this.#live--;
    this.#dropHostname(node);
    Object.assign(this.edit(node), {
      state: "left",
      offlineSince: unixSeconds(this.#clock),
      owner: "",
      realAddr: "",
      lanAddrs: [],
      relayOnly: false,
      pending: undefined,
      tags: [],
      public: false,
      taskExec: false,
      version: "",
      poloScore: 0,
      externalId: "",
    });
  }

  /**
   * The node that has a hostname already.
   *
   * @returns The node that has it, or undefined when it is free for `node`.
   */
  hostnameOwner(hostname: string, node: NodeRecord): NodeRecord | undefined {
    const owner = this.#byHostname.get(hostname);
    if (owner === undefined || owner === node) return undefined;
    const silentFor = unixSeconds(this.#clock) - owner.offlineSince;
    const lapsed = owner.state !== "live" && silentFor > HOSTNAME_RESERVED_SECONDS;
    return lapsed ? undefined : owner;
  }

  /**
   * Gives a node a hostname, or none.
   *
   * @param hostname A valid one, or "".
   * @throws {RegistryFailure} When another node has it.
   */
  setHostname(node: NodeRecord, hostname: string): void {
    if (node.hostname === hostname) return;
    if (hostname !== "") {
      const owner = this.hostnameOwner(hostname, node);
      if (owner !== undefined) {
        throw new RegistryFailure(
          "already_exists",
          `hostname "${hostname}" already in use by node ${owner.id}`,
        );
      }
      const lapsed = this.#byHostname.get(hostname);
      if (lapsed !== undefined) this.#dropHostname(lapsed);
    }
    this.#dropHostname(node);
    this.edit(node).hostname = hostname;
    if (hostname !== "") this.#byHostname.set(hostname, node);
  }

  #dropHostname(node: NodeRecord): void {
    if (node.hostname === "") return;
    this.#byHostname.delete(node.hostname);
    this.edit(node).hostname = "";
  }

  /** Binds a node to a new canonical key that no node has. */
  setKey(node: NodeRecord, key: string): void {
    this.#byKey.delete(node.key);
    this.edit(node).key = key;
    this.#byKey.set(key, node);
  }

  /**
   * Marks nodes that were silent too long. Looks at a part of the nodes each time, in turns.
   *
   * @param staleMs Silence after which a node is gone.
   * @param batch Nodes looked at.
   * @returns How many were marked.
   */
  reap(staleMs: number, batch: number): number {
    const now = this.#clock.now();
    let reaped = 0;
    for (let i = Math.min(batch, this.#nextNode); i > 0; i--) {
      this.#reapCursor = this.#reapCursor % this.#nextNode + 1;
      const node = this.#nodes.get(this.#reapCursor);
      if (node?.state !== "live" || now - node.lastSeen <= staleMs) continue;
      this.edit(node).state = "silent";
      node.offlineSince = Math.floor(
        (this.#clock.unixNow() - (now - node.lastSeen)) / 1000,
      );
      this.#live--;
      reaped++;
    }
    return reaped;
  }

  /** At start: the number the next node gets. */
  loadNextNode(value: number): void {
    this.#nextNode = Math.max(1, value);
  }

  /**
   * At start: one stored node. It counts as seen now, so that nobody is thrown out because the server was down.
   *
   * @throws {PilotError} `invalid_state` when it contradicts another one.
   */
  loadNode(row: NodeRow): void {
    const node: NodeRecord = {
      pending: undefined,
      ...row,
      lastSeen: this.#clock.now(),
      trustReports: 0,
    };
    const { id, key, hostname } = node;
    const wrong = id < 1 || id >= this.#nextNode
      ? "its number was never given out"
      : canonicalKey(key) !== key
      ? "its key is malformed"
      : this.#byKey.has(key)
      ? "its key belongs to another node"
      : hostname !== "" && this.#byHostname.has(hostname)
      ? "its hostname belongs to another node"
      : undefined;
    if (wrong !== undefined) {
      throw new PilotError("invalid_state", `node ${id}: ${wrong}`);
    }
    this.#nodes.set(id, node);
    this.#byKey.set(key, node);
    if (hostname !== "") this.#byHostname.set(hostname, node);
    if (node.state === "live") this.#live++;
  }
}
