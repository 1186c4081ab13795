/**
 * Store and forward of handshakes (rendezvous.md §4.4): what waits for each node until it polls.
 *
 * @module
 */

import { MAX_INBOX, MAX_INBOX_TOTAL } from "./limits.ts";

/** One waiting entry. */
export interface InboxEntry {
  readonly target: number;
  readonly sender: number;
  /** Unix seconds. */
  readonly created: number;
}

/** Entries by target, at most one per sender, in order of arrival. */
export class Inboxes<E extends InboxEntry> {
  readonly #note: (target: number, sender: number, entry: E | undefined) => void;
  readonly #byTarget: Map<number, Map<number, E>> = new Map();
  #size = 0;

  /** @param note Notes each change for the store. */
  constructor(note: (target: number, sender: number, entry: E | undefined) => void) {
    this.#note = note;
  }

  /** Entries waiting in all. */
  get size(): number {
    return this.#size;
  }

  /** Does an entry of this sender wait for this target? */
  has(target: number, sender: number): boolean {
    return this.#byTarget.get(target)?.has(sender) === true;
  }

  /**
   * Adds an entry; one of the same sender is replaced.
   *
   * @returns False when the target's inbox or the whole table is full.
   */
  put(entry: E): boolean {
    const inbox = this.#byTarget.get(entry.target);
    const fresh = inbox?.has(entry.sender) !== true;
    if (fresh && ((inbox?.size ?? 0) >= MAX_INBOX || this.#size >= MAX_INBOX_TOTAL)) {
      return false;
    }
    this.#note(entry.target, entry.sender, entry);
    this.#insert(entry);
    return true;
  }

  #insert(entry: E): void {
    let inbox = this.#byTarget.get(entry.target);
    if (inbox === undefined) this.#byTarget.set(entry.target, inbox = new Map());
    const before = inbox.size;
    inbox.set(entry.sender, entry);
    this.#size += inbox.size - before;
  }

  /**
   * Hands over and forgets everything that waits for a target.
   *
   * @param notBefore Unix seconds; older entries are dropped silently.
   */
  drain(target: number, notBefore: number): E[] {
    const inbox = this.#byTarget.get(target);
    if (inbox === undefined) return [];
    for (const sender of inbox.keys()) this.#note(target, sender, undefined);
    this.#byTarget.delete(target);
    this.#size -= inbox.size;
    return [...inbox.values()].filter(({ created }) => created >= notBefore);
  }

  /** True when nothing waits for the target. */
  empty(target: number): boolean {
    return !this.#byTarget.has(target);
  }

  /** Drops what waited too long for a node that did not come back. */
  expire(notBefore: number): void {
    for (const [target, inbox] of this.#byTarget) {
      for (const [sender, { created }] of inbox) {
        if (created >= notBefore) continue;
        this.#note(target, sender, undefined);
        inbox.delete(sender);
        this.#size--;
      }
      if (inbox.size === 0) this.#byTarget.delete(target);
    }
  }

  /** At start: one stored entry. */
  load(entry: E): void {
    this.#insert(entry);
  }
}
