/**
 * Store and forward of handshakes (docs/protocol/registry.md §4.4): what waits for each node until it polls.
 *
 * @module
 */

import { MAX_INBOX, MAX_INBOX_PER_SOURCE, MAX_INBOX_TOTAL } from "./registry_limits.ts";

/** One waiting entry. */
export interface InboxEntry {
  readonly target: number;
  readonly sender: number;
  /** Unix seconds. */
  readonly created: number;
}

interface Waiting<E> {
  readonly entry: E;
  /** Where its sender came from then. */
  readonly source: string;
  /** Rises with each entry of all inboxes. */
  readonly seq: number;
  /** It has been handed over, though perhaps it did not arrive. */
  isHanded: boolean;
}

/** How many entries of one source an inbox has. */
interface Share<E> {
  readonly oldest: E;
  readonly count: number;
}

/** Entries by target, at most one per sender, in order of arrival. */
export class Inboxes<E extends InboxEntry> {
  readonly #note: (target: number, sender: number, entry: E | undefined) => void;
  readonly #sourceOf: (sender: number) => string;
  readonly #maxTotal: number;
  readonly #byTarget: Map<number, Map<number, Waiting<E>>> = new Map();
  /** Entries of all inboxes by source, in order of arrival. */
  readonly #bySource: Map<string, Set<Waiting<E>>> = new Map();
  #size = 0;
  #seq = 0;

  /**
   * @param note Notes each change for the store.
   * @param sourceOf Where a sender comes from, for fair shares; "" when unknown.
   * @param maxTotal Entries in all.
   */
  constructor(
    note: (target: number, sender: number, entry: E | undefined) => void,
    sourceOf: (sender: number) => string = () => "",
    maxTotal: number = MAX_INBOX_TOTAL,
  ) {
    this.#note = note;
    this.#sourceOf = sourceOf;
    this.#maxTotal = maxTotal;
  }

  /** Entries waiting in all. */
  get size(): number {
    return this.#size;
  }

  /** The entry of this sender for this target. */
  get(target: number, sender: number): E | undefined {
    return this.#byTarget.get(target)?.get(sender)?.entry;
  }

  /** Is there an entry of this sender for this target? */
  has(target: number, sender: number): boolean {
    return this.#byTarget.get(target)?.has(sender) === true;
  }

  /** Does an entry of this sender wait for this target, not handed over yet? */
  isWaiting(target: number, sender: number): boolean {
    return this.#byTarget.get(target)?.get(sender)?.isHanded === false;
  }

  /**
   * Adds an entry; one of the same sender is replaced. In a full inbox the source with the most entries loses its
   * oldest, and in a full table the source with the most of all: who floods them pushes out its own.
   *
   * @returns The entry that made room, if any; perhaps one for another target.
   */
  put(entry: E): E | undefined {
    const { target, sender } = entry;
    const inbox = this.#byTarget.get(target);
    const isNew = inbox?.has(sender) !== true;
    let dropped: E | undefined;
    if (isNew && inbox !== undefined) {
      const source = this.#sourceOf(sender);
      const own = this.#shares(inbox).get(source);
      if (source !== "" && (own?.count ?? 0) >= MAX_INBOX_PER_SOURCE) dropped = own!.oldest;
      else if (inbox.size >= MAX_INBOX) dropped = this.#largestShare(inbox).oldest;
    }
    if (isNew && dropped === undefined && this.#size >= this.#maxTotal) {
      dropped = this.#oldestOfAll();
    }
    if (dropped !== undefined) this.remove(dropped.target, dropped.sender);
    this.#note(target, sender, entry);
    this.#insert(entry);
    return dropped;
  }

  #insert(entry: E): void {
    let inbox = this.#byTarget.get(entry.target);
    if (inbox === undefined) this.#byTarget.set(entry.target, inbox = new Map());
    // At the end, so that the entries stay in the order of their numbers.
    this.#forget(inbox, entry.sender);
    const source = this.#sourceOf(entry.sender);
    const waiting = { entry, source, seq: ++this.#seq, isHanded: false };
    inbox.set(entry.sender, waiting);
    this.#size++;
    const others = this.#bySource.get(source);
    if (others === undefined) this.#bySource.set(source, new Set([waiting]));
    else others.add(waiting);
  }

  #forget(inbox: Map<number, Waiting<E>>, sender: number): boolean {
    const waiting = inbox.get(sender);
    if (waiting === undefined) return false;
    inbox.delete(sender);
    this.#size--;
    const others = this.#bySource.get(waiting.source)!;
    others.delete(waiting);
    if (others.size === 0) this.#bySource.delete(waiting.source);
    return true;
  }

  /** The oldest entry of the source that has the most. */
  #oldestOfAll(): E | undefined {
    let largest: Set<Waiting<E>> | undefined;
    for (const entries of this.#bySource.values()) {
      if (largest === undefined || entries.size > largest.size) largest = entries;
    }
    for (const { entry } of largest ?? []) return entry;
    return undefined;
  }

  #shares(inbox: Map<number, Waiting<E>>): Map<string, Share<E>> {
    const shares = new Map<string, Share<E>>();
    for (const { entry, source } of inbox.values()) {
      const share = shares.get(source);
      shares.set(source, { oldest: share?.oldest ?? entry, count: (share?.count ?? 0) + 1 });
    }
    return shares;
  }

  #largestShare(inbox: Map<number, Waiting<E>>): Share<E> {
    return [...this.#shares(inbox).values()].reduce((a, b) => b.count > a.count ? b : a);
  }

  /** Forgets the entry of a sender; false when there was none. */
  remove(target: number, sender: number): boolean {
    const inbox = this.#byTarget.get(target);
    if (inbox === undefined || !this.#forget(inbox, sender)) return false;
    this.#note(target, sender, undefined);
    if (inbox.size === 0) this.#byTarget.delete(target);
    return true;
  }

  /**
   * Hands over everything that waits for a target. It stays until the target says that it has it.
   *
   * @param notBefore Unix seconds; older entries are dropped silently.
   * @returns The entries, and the number of the last one.
   */
  hand(target: number, notBefore: number): { entries: E[]; seq: number } {
    this.#expireOf(target, notBefore);
    const entries: E[] = [];
    let seq = 0;
    for (const waiting of this.#byTarget.get(target)?.values() ?? []) {
      waiting.isHanded = true;
      entries.push(waiting.entry);
      seq = waiting.seq;
    }
    return { entries, seq };
  }

  /** The target has everything up to a number. */
  taken(target: number, seq: number): void {
    for (const waiting of [...this.#byTarget.get(target)?.values() ?? []]) {
      if (waiting.isHanded && waiting.seq <= seq) this.remove(target, waiting.entry.sender);
    }
  }

  /** Drops what waited too long for a node that did not come back. */
  expire(notBefore: number): void {
    for (const target of [...this.#byTarget.keys()]) this.#expireOf(target, notBefore);
  }

  #expireOf(target: number, notBefore: number): void {
    for (const { entry } of [...this.#byTarget.get(target)?.values() ?? []]) {
      if (entry.created < notBefore) this.remove(target, entry.sender);
    }
  }

  /** At start: one stored entry. */
  load(entry: E): void {
    this.#insert(entry);
  }
}
