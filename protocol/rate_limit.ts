/**
 * Token buckets: one, and a bounded table of them by key.
 *
 * @module
 */

/** How fast a bucket refills and how much it holds. */
export interface Rate {
  /** Tokens a second. */
  readonly perSecond: number;
  /** Most tokens held. */
  readonly burst: number;
}

/** A token bucket; time is an argument. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: number;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** Takes one token if there is one. */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Nothing is owed: the bucket could be forgotten without anyone gaining by it. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(
      this.#rate.burst,
      this.#tokens + (now - this.#at) * this.#rate.perSecond / 1000,
    );
    this.#at = now;
  }
}

/**
 * One bucket a key. The table is bounded: at its limit full buckets are forgotten first, and a key that finds no
 * room is refused, so that inventing keys gains an attacker nothing.
 */
export class KeyedRateLimit<K> {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #buckets = new Map<K, TokenBucket>();
  #sweptAt = -Infinity;

  constructor(rate: Rate, maxKeys: number) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
  }

  /** Takes one token of `key` if there is one. */
  take(key: K, now: number): boolean {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#maxKeys) this.#sweep(now);
      if (this.#buckets.size >= this.#maxKeys) return false;
      bucket = new TokenBucket(this.#rate, now);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(now);
  }

  /** Keys remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  #sweep(now: number): void {
    // At most once a second: a flood of new keys must not buy a walk over the table each.
    if (now - this.#sweptAt < 1000) return;
    this.#sweptAt = now;
    for (const [key, bucket] of this.#buckets) {
      if (bucket.isFull(now)) this.#buckets.delete(key);
    }
  }
}
