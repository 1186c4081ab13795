/**
 * Rate limits by source: a bounded table of token buckets.
 *
 * @module
 */

/** How much a source may do. */
export interface TokenBucketOptions {
  /** Tokens of a source that was silent. */
  readonly burst: number;
  /** Tokens that come back each second. */
  readonly perSecond: number;
  /** Sources remembered. When more come, the least recently seen one is forgotten, which at worst gives it a full bucket. */
  readonly maxSources: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets, one per source text. */
export class TokenBuckets {
  readonly #options: TokenBucketOptions;
  /** In order of last use, oldest first. */
  readonly #buckets: Map<string, Bucket> = new Map();

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
    const { burst, perSecond, maxSources } = this.#options;
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      if (this.#buckets.size >= maxSources) this.#forgetOldest();
      bucket = { tokens: burst, at: now };
    } else {
      this.#buckets.delete(source);
      const earned = Math.max(0, now - bucket.at) * perSecond / 1000;
      bucket.tokens = Math.min(burst, bucket.tokens + earned);
      bucket.at = now;
    }
    this.#buckets.set(source, bucket);
    if (bucket.tokens < cost) return false;
    bucket.tokens -= cost;
    return true;
  }

  /** Are there enough tokens? Takes none, and remembers nobody. */
  has(source: string, now: number, cost: number = 1): boolean {
    const { burst, perSecond } = this.#options;
    const bucket = this.#buckets.get(source);
    if (bucket === undefined) return burst >= cost;
    const earned = Math.max(0, now - bucket.at) * perSecond / 1000;
    return Math.min(burst, bucket.tokens + earned) >= cost;
  }

  #forgetOldest(): void {
    for (const source of this.#buckets.keys()) {
      this.#buckets.delete(source);
      return;
    }
  }
}
