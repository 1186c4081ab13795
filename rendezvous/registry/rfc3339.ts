/**
 * Times as the registry's JSON writes them: RFC 3339 (docs/protocol/registry.md §4.1, §6).
 *
 * @module
 */

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Writes a time.
 *
 * @param seconds Unix seconds.
 * @returns RFC 3339 in UTC, whole seconds.
 */
export function formatRfc3339(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/**
 * Reads a time, strictly: a day that no calendar has is no time.
 *
 * @param text As sent.
 * @returns Unix seconds, fractions cut; negative before 1970. Undefined when it is no RFC 3339 time.
 */
export function parseRfc3339(text: string): number | undefined {
  const parts = RFC3339.exec(text);
  if (parts === null) return undefined;
  const [year, month, day] = parts.slice(1, 4).map(Number) as [number, number, number];
  // `Date` itself turns February 30 into March 2. Day 0 of the next month is the last of this one; years below
  // 100 would be taken for 19xx, and leap years repeat every 400.
  const lastDay = new Date(Date.UTC(year % 400 + 2000, month, 0)).getUTCDate();
  if (month < 1 || month > 12 || day < 1 || day > lastDay) return undefined;
  return Math.floor(Date.parse(text) / 1000);
}
