/**
 * Counts of requests, as plain numbers: cheap on the hot path, turned into metrics only on request.
 *
 * @module
 */

/** Upper bounds of the buckets of request durations, seconds (docs/protocol/registry.md §7). */
export const DURATION_BOUNDS: readonly number[] = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
];
/** Under which requests are counted whose type nobody serves: their types are free text of strangers. */
export const UNKNOWN_TYPE = "unknown";

/** Counts of one type of request since the start. */
export interface RequestCounts {
  /** Requests answered. */
  requests: number;
  /** Of these, answered with an error. */
  errors: number;
  /** Seconds spent on all of them, waiting for the store included. */
  seconds: number;
  /** By duration: one number per bound, and one for what took longer. Not cumulative. */
  readonly buckets: Float64Array;
}

/** Counts by type of request. Holds one entry per type that is served, at most. */
export class RequestCounters {
  /** Invitations answered: the one request means two things, which its type alone does not show. */
  readonly invites: { accepted: number; rejected: number } = { accepted: 0, rejected: 0 };
  readonly #byType: Map<string, RequestCounts> = new Map();

  /** Counts by type, in no order. */
  entries(): Iterable<[type: string, counts: RequestCounts]> {
    return this.#byType.entries();
  }

  /** Requests of a type that were answered without an error. */
  succeeded(type: string): number {
    const counts = this.#byType.get(type);
    return counts === undefined ? 0 : counts.requests - counts.errors;
  }

  /**
   * Counts an answered request.
   *
   * @param type A type that is served, or {@linkcode UNKNOWN_TYPE}: never text of a client.
   * @param isError Whether the answer is an error.
   * @param ms How long the answer took, milliseconds.
   */
  count(type: string, isError: boolean, ms: number): void {
    let counts = this.#byType.get(type);
    if (counts === undefined) {
      const buckets = new Float64Array(DURATION_BOUNDS.length + 1);
      counts = { requests: 0, errors: 0, seconds: 0, buckets };
      this.#byType.set(type, counts);
    }
    const seconds = ms / 1000;
    counts.requests++;
    if (isError) counts.errors++;
    counts.seconds += seconds;
    let bucket = 0;
    while (bucket < DURATION_BOUNDS.length && seconds > DURATION_BOUNDS[bucket]!) bucket++;
    counts.buckets[bucket]!++;
  }
}
