/**
 * The handshake messages seen lately (docs/protocol/trust.md §2).
 *
 * @module
 */

/** Messages remembered (docs/protocol/trust.md §2). */
export const REPLAY_SET_ENTRIES = 8192;
/** Messages remembered per sender, so that no single node can fill the set and lock out the others. */
export const REPLAY_SET_PER_SENDER = 64;
/** How long a message is remembered, ms: longer than it could pass the age check (docs/protocol/trust.md §2). */
export const REPLAY_SET_TTL_MS = 600_000;

/** Remembers hashes of verified messages for {@linkcode REPLAY_SET_TTL_MS}. */
export class ReplaySet {
  /** Hash to sender and expiry, in order of arrival. */
  readonly #seen: Map<string, { from: number; until: number }> = new Map();
  readonly #perSender: Map<number, number> = new Map();

  /** Messages remembered now. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * Records a message.
   *
   * @param hash Its hash.
   * @param from Its verified sender.
   * @param now Unix milliseconds.
   * @returns False, and nothing recorded, when it was seen before or there is no room for it.
   */
  add(hash: string, from: number, now: number): boolean {
    this.reap(now);
    const count = this.#perSender.get(from) ?? 0;
    if (
      this.#seen.has(hash) || this.#seen.size >= REPLAY_SET_ENTRIES ||
      count >= REPLAY_SET_PER_SENDER
    ) {
      return false;
    }
    this.#seen.set(hash, { from, until: now + REPLAY_SET_TTL_MS });
    this.#perSender.set(from, count + 1);
    return true;
  }

  /**
   * Forgets what has expired.
   *
   * @param now Unix milliseconds.
   */
  reap(now: number): void {
    for (const [hash, { from, until }] of this.#seen) {
      // An expiry further off than that was set before the clock was put back; its message is "from the future" now.
      if (until > now && until <= now + REPLAY_SET_TTL_MS) return;
      this.#seen.delete(hash);
      const count = this.#perSender.get(from)!;
      if (count === 1) this.#perSender.delete(from);
      else this.#perSender.set(from, count - 1);
    }
  }
}
