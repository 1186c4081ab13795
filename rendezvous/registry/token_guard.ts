/**
 * Counts wrong tokens by source, so that nobody can try many. What one source tries does not affect others: a node that
 * knows a token can use it from elsewhere meanwhile.
 *
 * @module
 */

import type { Logger } from "../../platform/log.ts";
import { TokenBuckets } from "../../protocol/rate_limit.ts";
import { RegistryFailure } from "./failure.ts";
import {
  MAX_TRACKED_SOURCES,
  TOKEN_WARNING_SECONDS,
  WRONG_TOKENS_BURST,
  WRONG_TOKENS_PER_SECOND,
} from "./registry_limits.ts";

/** Kinds of tokens: the registry's and the networks' admin tokens together, and the tokens for joining. */
export type TokenKind = "admin" | "join";

/** See the module. */
export class TokenGuard {
  /** Wrong tokens since the start, and attempts that were not looked at any more. */
  readonly counts: Record<TokenKind | "refused", number> = { admin: 0, join: 0, refused: 0 };
  readonly #log: Logger;
  readonly #failures: TokenBuckets = new TokenBuckets({
    burst: WRONG_TOKENS_BURST,
    perSecond: WRONG_TOKENS_PER_SECOND,
    maxSources: MAX_TRACKED_SOURCES,
  });
  readonly #warnings: TokenBuckets = new TokenBuckets({
    burst: 1,
    perSecond: 1 / TOKEN_WARNING_SECONDS,
    maxSources: MAX_TRACKED_SOURCES,
  });

  /** @param log Written to once per burst. */
  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Checks a token that was sent. Must be called without waiting between the attempts of one source.
   *
   * @param attempt `source`: who, as limits count; `kind`, and `network` for a token to join it: for what; `now`:
   * monotonic milliseconds.
   * @param matches Whether it is the right one.
   * @returns What `matches` gives.
   * @throws {RegistryFailure} When the source has tried too many wrong ones: then a right one is not looked at either.
   */
  check(
    attempt: { source: string; kind: TokenKind; network?: number; now: number },
    matches: () => boolean,
  ): boolean {
    const { source, kind, network, now } = attempt;
    const key = network === undefined ? source : `${source} ${network}`;
    if (!this.#failures.has(key, now)) {
      this.counts.refused++;
      throw new RegistryFailure(
        "limit_exceeded",
        "rate limited: too many wrong tokens from this address",
      );
    }
    if (matches()) return true;
    this.counts[kind]++;
    this.#failures.take(key, now);
    if (!this.#failures.has(key, now) && this.#warnings.take(source, now)) {
      this.#log.warn("too many wrong tokens from one address, refusing its attempts", {
        source,
        kind,
        network,
      });
    }
    return false;
  }
}
