/**
 * The two clocks of the server, injectable so that tests can turn them.
 *
 * @module
 */

/** Where time comes from. */
export interface Clock {
  /** Unix time, milliseconds; for timestamps that people and clients see. */
  unixMs(): number;
  /** Milliseconds that never jump; for ages and rates. */
  monotonicMs(): number;
}

/** The clocks of this machine. */
export const SYSTEM_CLOCK: Clock = {
  unixMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/**
 * Unix time in whole seconds.
 *
 * @param clock Where time comes from.
 * @returns Seconds since 1970.
 */
export function unixSeconds(clock: Clock): number {
  return Math.floor(clock.unixMs() / 1000);
}
