/**
 * `--link RATE,RTT,LOSS`.
 *
 * @module
 */

/** An emulated link. */
export interface LinkSpec {
  /** Bits per second; undefined for no limit. */
  readonly rate: number | undefined;
  /** Added round trip, milliseconds; half of it in each direction. */
  readonly rttMs: number;
  /** Share of the datagrams lost in each direction, 0..1. */
  readonly loss: number;
}

const RATE = /^(\d+(?:\.\d+)?)(k|m|g)bit$/;
const MULTIPLIER: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9 };
const MAX_RTT_MS = 2_000;
const MAX_LOSS = 0.5;

/**
 * Reads a link.
 *
 * @param text `100mbit,50ms,1%`; rate `-` for none; the units of the last two may be left out.
 * @returns The link, or what is wrong with it.
 */
export function parseLink(text: string): LinkSpec | string {
  const parts = text.split(",").map((part) => part.trim().toLowerCase());
  const [rateText, rttText, lossText] = parts;
  if (parts.length !== 3 || !rateText || !rttText || !lossText) {
    return `"${text}" is not RATE,RTT,LOSS, such as 100mbit,50ms,1%`;
  }
  const match = RATE.exec(rateText);
  if (match === null && rateText !== "-") return `"${rateText}" is no rate, such as 100mbit`;
  const rate = match === null ? undefined : Number(match[1]) * MULTIPLIER[match[2]!]!;
  if (rate !== undefined && rate < 1e5) return `the rate ${rateText} is below 100kbit`;
  const rttMs = Number(rttText.replace(/ms$/, ""));
  if (!(rttMs >= 0 && rttMs <= MAX_RTT_MS)) return `"${rttText}" is no time up to ${MAX_RTT_MS}ms`;
  const loss = Number(lossText.replace(/%$/, "")) / 100;
  if (!(loss >= 0 && loss <= MAX_LOSS)) return `"${lossText}" is no loss up to ${MAX_LOSS * 100}%`;
  return { rate, rttMs, loss };
}

/** The link in words. */
export function describeLink({ rate, rttMs, loss }: LinkSpec): string {
  const speed = rate === undefined ? "no rate limit" : `${rate / 1e6} Mbit/s`;
  return `${speed}, ${rttMs} ms round trip, ${Number((loss * 100).toFixed(3))} % loss each way`;
}
