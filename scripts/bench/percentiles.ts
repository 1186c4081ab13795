/**
 * Medians and percentiles.
 *
 * @module
 */

/**
 * A percentile by the nearest rank.
 *
 * @param values Samples, at least one.
 * @param share 0..1.
 * @returns The sample below or at which this share of all samples lies.
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The middle value; of two middle ones the mean. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2;
}

/** Four significant places: more than a run on a busy machine is good for. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
