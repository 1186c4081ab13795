/**
 * What the nameserver knows: who may register what, for how long, and how much of it (docs/protocol/nameserver.md §4).
 * No clock and no I/O of its own.
 *
 * @module
 */

import {
  isPlainName,
  type NameProvider,
  type NameQuestion,
  type NameRecord,
  type NameReply,
} from "../../protocol/service/nameserver_text.ts";

/** A record is forgotten this long after its last registration, milliseconds (docs/protocol/nameserver.md §4). */
export const NAME_TTL_MS = 5 * 60_000;
/** Records of all nodes in a nameserver: at the very most 10 MB on disk, which a change rewrites. */
export const MAX_NAME_RECORDS = 16_384;
/** Records of one node in a nameserver, so that one cannot keep the others out: more names and services than one agent has. */
export const MAX_NAME_RECORDS_PER_NODE = 64;
/** Providers of one service in a nameserver: so many of the longest names fit into one reply of 65 535 bytes. */
export const MAX_NAME_PROVIDERS = 200;

/** For names that could be taken for others. */
const BAD_NAME =
  "invalid name: use lowercase letters, digits, inner hyphens, and dots between labels";

/** Who asks for a registration. */
export interface NameCaller {
  /** The authenticated node. */
  readonly node: number;
  /** The node that runs the nameserver. */
  readonly self: number;
}

/** A record and who holds it. */
export interface HeldName {
  /** The record. */
  readonly record: NameRecord;
  /** Its node; 0 when that is not known, for network names read from a file without it. */
  readonly owner: number;
}

interface Entry extends HeldName {
  readonly expiresMs: number;
}

/** All records. `now` is monotonic, milliseconds. */
export class NameRecords {
  /** One table for all addresses, one for all networks, one for the providers of each service. */
  readonly #tables = new Map<string, Map<string, Entry>>();
  readonly #perNode = new Map<number, number>();
  #size = 0;
  #revision = 0;

  /** Records, those included that have expired and were not swept yet: they count for the bounds. */
  get size(): number {
    return this.#size;
  }

  /** Changes when {@linkcode list} would give something else; a refresh does not. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Registers or refreshes.
   *
   * @param record The record.
   * @param caller Who asks.
   * @param now Milliseconds.
   * @returns Why not, as the text for the caller; undefined when it is registered.
   */
  register(record: NameRecord, caller: NameCaller, now: number): string | undefined {
    if (record.type !== "N" && record.address.node !== caller.node) {
      const what = record.type === "A" ? "address" : "service";
      return `cannot register ${what} for another node`;
    }
    if (!isPlainName(record.name)) return BAD_NAME;
    const held = this.#find(record, now);
    if (held !== undefined && held.owner !== caller.node && !mayTakeOver(held, caller)) {
      return `name "${record.name}" is registered by another node`;
    }
    return this.#put(record, caller.node, now);
  }

  /**
   * Takes a record in that was saved; it is as new.
   *
   * @param held The record and its owner.
   * @param now Milliseconds.
   * @returns Whether there was room for it.
   */
  restore({ record, owner }: HeldName, now: number): boolean {
    return this.#put(record, owner, now) === undefined;
  }

  /**
   * Answers a question. What has expired is not there.
   *
   * @param question The question.
   * @param now Milliseconds.
   * @returns The reply.
   */
  query(question: NameQuestion, now: number): NameReply {
    const table = this.#tables.get(tableOf(question));
    if (question.type === "S") {
      const providers: NameProvider[] = [];
      for (const { record, expiresMs } of table?.values() ?? []) {
        if (record.type === "S" && expiresMs > now) providers.push(record);
      }
      return { kind: "S", providers };
    }
    const { name } = question;
    const entry = table?.get(name);
    if (entry !== undefined && entry.expiresMs > now) {
      const { record } = entry;
      if (record.type === "A") return { kind: "A", name, address: record.address };
      if (record.type === "N") return { kind: "N", name, network: record.network };
    }
    const what = question.type === "A" ? "name" : "network";
    return { kind: "error", message: `${what} "${name}" not found` };
  }

  /**
   * Removes what has expired.
   *
   * @param now Milliseconds.
   */
  sweep(now: number): void {
    for (const [name, table] of this.#tables) {
      for (const [key, entry] of table) {
        if (entry.expiresMs > now) continue;
        table.delete(key);
        this.#count(entry.owner, -1);
        this.#revision++;
      }
      if (table.size === 0) this.#tables.delete(name);
    }
  }

  /**
   * All records, for saving.
   *
   * @returns Records in the order in which their tables and they came.
   */
  *list(): Generator<HeldName> {
    for (const table of this.#tables.values()) yield* table.values();
  }

  #find(record: NameRecord, now: number): Entry | undefined {
    const entry = this.#tables.get(tableOf(record))?.get(keyOf(record));
    return entry !== undefined && entry.expiresMs > now ? entry : undefined;
  }

  #put(record: NameRecord, owner: number, now: number): string | undefined {
    const name = tableOf(record);
    const key = keyOf(record);
    const table = this.#tables.get(name);
    const old = table?.get(key);
    if (old?.owner !== owner && (this.#perNode.get(owner) ?? 0) >= MAX_NAME_RECORDS_PER_NODE) {
      return `too many records of this node, the limit is ${MAX_NAME_RECORDS_PER_NODE}`;
    }
    if (old === undefined) {
      if (this.#size >= MAX_NAME_RECORDS) return "nameserver is full, try again later";
      if (record.type === "S" && (table?.size ?? 0) >= MAX_NAME_PROVIDERS) {
        return `too many providers, the limit is ${MAX_NAME_PROVIDERS}`;
      }
    } else {
      this.#count(old.owner, -1);
    }
    this.#count(owner, 1);
    if (old === undefined || old.owner !== owner || !isSame(old.record, record)) this.#revision++;
    const entry = { record, owner, expiresMs: now + NAME_TTL_MS };
    if (table === undefined) this.#tables.set(name, new Map([[key, entry]]));
    else table.set(key, entry);
    return undefined;
  }

  #count(owner: number, change: 1 | -1): void {
    this.#size += change;
    if (owner === 0) return; // nobody to charge
    const count = (this.#perNode.get(owner) ?? 0) + change;
    if (count === 0) this.#perNode.delete(owner);
    else this.#perNode.set(owner, count);
  }
}

/** Network names have no owner of their own: the operator of the nameserver may correct them. */
function mayTakeOver({ record, owner }: HeldName, { node, self }: NameCaller): boolean {
  return record.type === "N" && (owner === 0 || node === self);
}

function tableOf(what: NameQuestion | NameRecord): string {
  return what.type === "S" ? `S ${what.network} ${what.port}` : what.type;
}

/**
 * A provider is known by its node, so that one that calls itself otherwise, or claims addresses in networks that nobody
 * has seen it in, has one place in a list.
 */
function keyOf(record: NameRecord): string {
  return record.type === "S" ? String(record.address.node) : record.name;
}

/** Two records of one table and key. */
function isSame(a: NameRecord, b: NameRecord): boolean {
  if (a.type === "N" || b.type === "N") {
    return a.type === "N" && b.type === "N" && a.network === b.network;
  }
  return a.name === b.name && a.address.network === b.address.network &&
    a.address.node === b.address.node;
}
