/**
 * Ids of messages that arrived lately, so that one that is sent again is stored once (docs/protocol/services.md §4.1).
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";

/** How long an id is remembered, ms. */
export const DUPLICATE_WINDOW_MS = 10 * 60_000;
/** Ids remembered of one sender; it pushes out only its own. */
export const MAX_IDS_PER_SENDER = 1_024;
/** Senders whose ids are remembered; the one that was silent longest is forgotten. */
export const MAX_ID_SENDERS = 256;

/** Remembers ids by sender. */
export class RecentMessages {
  readonly #clock: Clock;
  readonly #bySender = new Map<number, Map<string, { atMs: number; stored: Promise<unknown> }>>();

  /** @param clock Whose time ids are remembered by. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Stores a message, unless one of that id was stored lately or is being stored.
   *
   * @param sender Node that sent it.
   * @param id Its id.
   * @param store Stores it. When that fails, the id is free again.
   * @returns False when it was a duplicate of one that is stored.
   * @throws What `store` throws, for duplicates of a message that is being stored as well.
   */
  async once(sender: number, id: string, store: () => Promise<unknown>): Promise<boolean> {
    const ids = this.#idsOf(sender);
    const known = ids.get(id);
    if (known !== undefined && this.#clock.now() - known.atMs < DUPLICATE_WINDOW_MS) {
      await known.stored;
      return false;
    }
    const entry = { atMs: this.#clock.now(), stored: store() };
    ids.delete(id);
    ids.set(id, entry);
    if (ids.size > MAX_IDS_PER_SENDER) ids.delete(ids.keys().next().value!);
    try {
      await entry.stored;
    } catch (error) {
      if (ids.get(id) === entry) ids.delete(id);
      throw error;
    }
    return true;
  }

  #idsOf(sender: number): Map<string, { atMs: number; stored: Promise<unknown> }> {
    const ids = this.#bySender.get(sender) ?? new Map();
    this.#bySender.delete(sender);
    this.#bySender.set(sender, ids);
    if (this.#bySender.size > MAX_ID_SENDERS) {
      this.#bySender.delete(this.#bySender.keys().next().value!);
    }
    return ids;
  }
}
