/**
 * When a direct path to a relayed peer is looked for: soon at first, every quarter of a minute while there is traffic,
 * and seldom while there is none. No I/O.
 *
 * @module
 */

/** Pauses between searches for a direct path while relayed; the last repeats while there is traffic. */
export const SEARCH_PAUSES_MS: readonly number[] = [1_000, 3_000, 5_000, 10_000, 15_000];
/** Traffic within this time makes a search urgent. */
export const SEARCH_ACTIVE_MS = 30_000;
/** Pause between searches of an idle pair at first; doubles. */
export const SEARCH_IDLE_MS = 60_000;
/** Longest such pause. */
export const MAX_SEARCH_IDLE_MS = 600_000;

/** The searches for one peer. */
export class SearchSchedule {
  /** The next search, ms; Infinity when none is planned. */
  nextMs: number = Infinity;
  #count = 0;
  #trafficMs = -Infinity;

  /** Plans the first search. */
  begin(atMs: number): void {
    this.#count = 0;
    this.nextMs = atMs;
  }

  /** Plans none. */
  stop(): void {
    this.nextMs = Infinity;
  }

  /** Notes traffic. True when a search that was put off is due now: the path is needed again. */
  onTraffic(now: number): boolean {
    const wasIdle = now - this.#trafficMs > SEARCH_ACTIVE_MS;
    this.#trafficMs = now;
    if (!wasIdle || this.nextMs === Infinity || this.nextMs <= now) return false;
    this.#count = Math.min(this.#count, SEARCH_PAUSES_MS.length);
    this.nextMs = now;
    return true;
  }

  /** Whether a search is due; if so the next one is planned. One that nobody wants is put off. */
  take(now: number, isNeeded: boolean): boolean {
    if (now < this.nextMs) return false;
    if (!isNeeded) {
      this.nextMs = now + MAX_SEARCH_IDLE_MS;
      return false;
    }
    const last = SEARCH_PAUSES_MS.length - 1;
    const count = this.#count++;
    const isUrgent = count < last || now - this.#trafficMs < SEARCH_ACTIVE_MS;
    // 8 doublings exceed the maximum.
    const idleMs = Math.min(MAX_SEARCH_IDLE_MS, SEARCH_IDLE_MS * 2 ** Math.min(8, count));
    this.nextMs = now + (isUrgent ? SEARCH_PAUSES_MS[Math.min(count, last)]! : idleMs);
    return true;
  }
}
