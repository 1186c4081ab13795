/**
 * Durations as people write them: `500ms`, `30s`, `2m`, `1h30m`, or a bare number of seconds
 * (docs/protocol/command-line.md §7).
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  us: 0.001,
  µs: 0.001,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^(?:\d+(?:\.\d+)?(?:us|µs|ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(us|µs|ms|s|m|h)/g;
/** Longest duration accepted, milliseconds: what a timer can hold (2^31-1, about 24 days). */
export const MAX_DURATION_MS = 0x7fffffff;

/**
 * Parses a duration.
 *
 * @param text Go syntax (`1h30m`, `1.5s`) or a number of seconds.
 * @returns Milliseconds, 0..{@linkcode MAX_DURATION_MS}.
 * @throws {PilotError} `invalid_argument`.
 */
export function parseDuration(text: string): number {
  let ms: number | undefined;
  if (/^\d+(\.\d+)?$/.test(text)) {
    ms = Number(text) * 1000;
  } else if (WHOLE.test(text)) {
    ms = 0;
    for (const [, amount, unit] of text.matchAll(PART)) {
      ms += Number(amount) * (UNIT_MS[unit!] ?? NaN);
    }
  }
  if (ms === undefined || !(ms <= MAX_DURATION_MS)) {
    throw new PilotError("invalid_argument", `Not a duration: "${text}"`, {
      hint: "Write 500ms, 30s, 2m, 1h30m, or a number of seconds.",
    });
  }
  return ms;
}
