/**
 * Counters over a stretch of time.
 *
 * @module
 */

/**
 * How much counters grow within a time.
 *
 * @param ms How long to wait.
 * @param read Reads the counters.
 * @returns The growth of each, and `seconds`: how long it really was.
 */
export async function measured(
  ms: number,
  read: () => Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  const before = read();
  const started = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  const seconds = (performance.now() - started) / 1000;
  const after = read();
  const growth = Object.keys(before).map((key) => [key, after[key]! - before[key]!]);
  return { ...Object.fromEntries(growth), seconds };
}
