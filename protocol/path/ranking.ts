/**
 * Which of two paths to a peer is better.
 *
 * @module
 */

import type { Path } from "./path.ts";

/** A direct path is left for another that works as well only when it is this much faster: share, and ms. */
export const FASTER = { share: 0.75, ms: 1 } as const;

/**
 * What is kept longest when there is no room: an answer counts more than the registry's data, and that more than a
 * frame; among equals the latest sign counts.
 */
export function retention(path: Path): number {
  const rank = path.answered > 0 ? 2 : path.kind === "observed" ? 0 : 1;
  return rank * 1e15 + Math.max(0, path.heardMs, path.answeredMs);
}

/** Whether a path that was not tried in use is more likely to work than another. */
export function isLikelier(a: Path, b: Path): boolean {
  if (a.answeredMs !== b.answeredMs) return a.answeredMs > b.answeredMs;
  return a.kind === "public" && b.kind !== "public";
}

/** Round trip, less what the local network may be slower and is preferred nevertheless. */
export function cost({ rttMs, kind }: Path): number {
  return (rttMs ?? Infinity) - (kind === "lan" ? FASTER.ms : 0);
}

/** Whether a path is so much faster than the one in use that this is left for it. */
export function isFaster(other: Path, current: Path): boolean {
  const { rttMs } = other;
  if (rttMs === undefined || current.rttMs === undefined) return false;
  if (rttMs < current.rttMs * FASTER.share - FASTER.ms) return true;
  return other.kind === "lan" && current.kind !== "lan" && rttMs <= current.rttMs + FASTER.ms;
}
