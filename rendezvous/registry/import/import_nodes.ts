/**
 * Nodes of a snapshot (docs/protocol/registry.md §6): those that were registered, and the numbers of those that were
 * gone.
 *
 * @module
 */

import * as v from "valibot";
import { isEndpointText } from "../endpoint.ts";
import { MAX_LAN_ADDRS, MAX_NODES, MAX_POLO_SCORE, MAX_TEXT } from "../registry_limits.ts";
import { canonicalKey, cleanTags, hostnameProblem } from "../node_names.ts";
import { newNode } from "../node_entry.ts";
import type { NodeRow } from "../store/store.ts";
import {
  BadRecord,
  checkedAs,
  FLAG,
  type Notes,
  numberOf,
  parseRecord,
  TEXT,
  TEXTS,
  TIME,
  whole,
} from "./record.ts";

/** Largest node number; the one above is the broadcast address. */
export const MAX_NODE_ID = 0xfffffffe;

const NODE = v.object({
  id: whole(1, MAX_NODE_ID),
  public_key: TEXT,
  owner: TEXT,
  real_addr: TEXT,
  lan_addrs: TEXTS,
  hostname: TEXT,
  tags: TEXTS,
  public: FLAG,
  task_exec: FLAG,
  version: TEXT,
  external_id: v.pipe(TEXT, v.maxLength(MAX_TEXT)),
  polo_score: v.nullish(v.pipe(v.number(), v.integer()), 0),
  key_created: TIME,
  key_rotated: TIME,
  key_expires: TIME,
  key_rot_count: v.nullish(whole(0), 0),
});

type SnapshotNode = v.InferOutput<typeof NODE>;

/** The nodes, with their indexes. */
export class NodeImport {
  readonly rows: NodeRow[] = [];
  readonly #nextNode: number;
  readonly #now: number;
  readonly #notes: Notes;
  /** Node numbers; true for those that were registered. */
  readonly #ids: Map<number, boolean> = new Map();
  readonly #keys: Map<string, number> = new Map();
  readonly #hostnames: Map<string, number> = new Map();

  /**
   * @param nextNode Number that the next new node gets.
   * @param now Unix seconds.
   * @param notes Counts what is left out.
   */
  constructor(nextNode: number, now: number, notes: Notes) {
    this.#nextNode = nextNode;
    this.#now = now;
    this.#notes = notes;
  }

  /** Is there a node of that number? */
  has(id: number): boolean {
    return this.#ids.has(id);
  }

  /**
   * Makes sure that a number that a record names was given out once.
   *
   * @returns False when its node has no key any more, so that nobody can be it again.
   * @throws {BadRecord} When it never was.
   */
  refersTo(id: number, where: string): boolean {
    if (id < 1 || id >= this.#nextNode) {
      throw new BadRecord(where, `node ${id} was never given out (next_node is ${this.#nextNode})`);
    }
    return this.#ids.has(id);
  }

  /** Takes over `nodes`. @throws {BadRecord} */
  addNodes(nodes: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(nodes)) {
      const where = `node ${name}`;
      const id = numberOf(name, MAX_NODE_ID, where);
      const node = parseRecord(NODE, nodes[name], where);
      if (node.id !== id) throw new BadRecord(where, `its id is ${node.id}`);
      this.refersTo(id, where);
      if (node.public_key === "") {
        this.#notes.leave("nodes without a key", where);
        continue;
      }
      this.#add(this.#row(node, where), where);
    }
  }

  /** Takes over `pub_key_idx`: the numbers of nodes that were not registered. @throws {BadRecord} */
  addKeys(index: Readonly<Record<string, unknown>>): void {
    for (const text of Object.keys(index)) {
      const where = `pub_key_idx ${text}`;
      const id = parseRecord(whole(1, MAX_NODE_ID), index[text], where);
      this.refersTo(id, where);
      const key = this.#key(text, where);
      if (this.#keys.get(key) === id) continue;
      if (this.#ids.get(id) === true) {
        // An earlier key of a node that has another one now. It must not open the node.
        this.#notes.leave("former keys", where);
        continue;
      }
      if (this.#ids.has(id)) throw new BadRecord(where, `node ${id} has another key, too`);
      this.#add({ ...this.#blank(id, key), state: "silent", offlineSince: this.#now }, where);
    }
  }

  #add(row: NodeRow, where: string): void {
    const { id, key, hostname } = row;
    const twin = this.#keys.get(key);
    if (twin !== undefined) throw new BadRecord(where, `its key belongs to node ${twin}, too`);
    const namesake = hostname === "" ? undefined : this.#hostnames.get(hostname);
    if (namesake !== undefined) {
      throw new BadRecord(where, `its hostname belongs to node ${namesake}, too`);
    }
    if (this.rows.length >= MAX_NODES) throw new BadRecord(where, `more than ${MAX_NODES} nodes`);
    this.#ids.set(id, row.state === "live");
    this.#keys.set(key, id);
    if (hostname !== "") this.#hostnames.set(hostname, id);
    this.rows.push(row);
  }

  #key(text: string, where: string): string {
    const key = canonicalKey(text);
    if (key === undefined) throw new BadRecord(where, "its key is not the base64 of 32 bytes");
    return key;
  }

  /** A row with nothing but number and key. That key has not proven itself here. */
  #blank(id: number, key: string): NodeRow {
    const fresh = newNode(id, key, {
      monotonicMs: 0,
      seconds: this.#now,
    });
    const { lastSeen: _lastSeen, trustReports: _trustReports, pending: _pending, ...row } = fresh;
    return row;
  }

  #row(node: SnapshotNode, where: string): NodeRow {
    const blank = this.#blank(node.id, this.#key(node.public_key, where));
    return {
      ...blank,
      owner: node.owner.slice(0, MAX_TEXT),
      realAddr: this.#endpoint(node.real_addr, where),
      lanAddrs: node.lan_addrs.filter(isEndpointText).slice(0, MAX_LAN_ADDRS),
      hostname: this.#hostname(node.hostname, where),
      tags: checkedAs(where, () => cleanTags(node.tags)),
      public: node.public,
      taskExec: node.task_exec,
      version: node.version.slice(0, MAX_TEXT),
      keyCreated: node.key_created || blank.keyCreated,
      keyRotated: node.key_rotated,
      keyRotations: node.key_rot_count,
      keyExpires: node.key_expires,
      poloScore: Math.min(MAX_POLO_SCORE, Math.max(-MAX_POLO_SCORE, node.polo_score)) || 0,
      externalId: node.external_id,
    };
  }

  /** Renewed when the node registers again, so one that cannot be used is no loss. */
  #endpoint(text: string, where: string): string {
    if (text === "" || isEndpointText(text)) return text;
    this.#notes.leave("addresses of nodes that are no ip:port", where);
    return "";
  }

  /** Directory sync of existing servers gives display names without a check. */
  #hostname(text: string, where: string): string {
    if (text === "" || hostnameProblem(text) === undefined) return text;
    this.#notes.leave("hostnames that are not valid", where);
    return "";
  }
}
