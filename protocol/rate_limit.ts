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

  /** Takes tokens if there are enough. */
  take(now: number, cost: number = 1): boolean {
    if (!this.has(now, cost)) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Are there enough tokens? Takes none. */
  has(now: number, cost: number = 1): boolean {
    this.#refill(now);
    return this.#tokens >= cost;
  }

  /** Nothing is owed: the bucket could be forgotten without anyone gaining by it. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(
      this.#rate.burst,
      this.#tokens + Math.max(0, now - this.#at) * this.#rate.perSecond / 1000,
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

/** How much a source may do. */
export interface TokenBucketOptions extends Rate {
  /** Sources remembered. When more come, the least recently seen one is forgotten, which at worst gives it a full bucket. */
  readonly maxSources: number;
}

/**
 * One bucket a source, for what a new source must always be able to do: at the bound of the table somebody else is
 * forgotten, where {@linkcode KeyedRateLimit} refuses.
 */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  /** In order of last use, oldest first. */
  readonly #buckets: Map<string, TokenBucket> = new Map();

  /** @param options Size and refill of each bucket, and how many there are. */
  constructor(options: TokenBucketOptions) {
    this.#options = options;
  }

  /** Sources remembered now. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Takes tokens if there are enough.
   *
   * @param source Whose bucket.
   * @param now Monotonic milliseconds.
   * @param cost Tokens wanted.
   * @returns False, and nothing is taken, when there are too few.
   */
  take(source: string, now: number, cost: number = 1): boolean {
    const known = this.#buckets.get(source);
    if (known !== undefined) this.#buckets.delete(source);
    else if (this.#buckets.size >= this.#options.maxSources) {
      this.#buckets.delete(this.#buckets.keys().next().value!);
    }
    const bucket = known ?? new TokenBucket(this.#options, now);
    this.#buckets.set(source, bucket);
    return bucket.take(now, cost);
  }

  /** Are there enough tokens? Takes none, and remembers nobody. */
  has(source: string, now: number, cost: number = 1): boolean {
    const bucket = this.#buckets.get(source);
    return bucket === undefined ? this.#options.burst >= cost : bucket.has(now, cost);
  }
}
