/**
 * A stateful firewall in front of a host: no translation, but not everything passes.
 *
 * @module
 */

import type { Endpoint } from "../../../protocol/ip.ts";
import { name } from "./internet.ts";

/** What passes in one direction: everything, only what answers the other direction, or nothing. */
export type Passage = "any" | "answers" | "none";

/** Rules of a firewall. */
export interface FirewallRules {
  readonly outbound: Passage;
  readonly inbound: Passage;
  /** Hosts to which outbound is open, and from which answers are, whatever the rules say. */
  readonly exempt?: readonly string[];
  /** After this silence an exchange is forgotten, ms; default 120 s. */
  readonly timeoutMs?: number;
}

/** Exchanges remembered; the oldest is forgotten. */
const MAX_FLOWS = 1_024;

/** Judges datagrams of one host. */
export class Firewall {
  /** Datagrams refused. */
  refused = 0;
  readonly #rules: FirewallRules;
  /** When something last passed, by the other side. */
  readonly #flows = new Map<string, number>();

  constructor(rules: FirewallRules) {
    this.#rules = rules;
  }

  /** Whether the host may send there. */
  lets(direction: "outbound" | "inbound", other: Endpoint, now: number): boolean {
    const { exempt = [], timeoutMs = 120_000 } = this.#rules;
    const key = name(other);
    const seenMs = this.#flows.get(key);
    const isFlow = seenMs !== undefined && now - seenMs < timeoutMs;
    const isExempt = direction === "outbound" && exempt.includes(other.host);
    const passage = this.#rules[direction];
    // Answers of exempt hosts pass too, even where nothing else does.
    const isAnswer = isFlow && (passage === "answers" || exempt.includes(other.host));
    if (passage !== "any" && !isExempt && !isAnswer) {
      this.refused++;
      return false;
    }
    this.#flows.delete(key);
    this.#flows.set(key, now);
    if (this.#flows.size > MAX_FLOWS) this.#flows.delete(this.#flows.keys().next().value!);
    return true;
  }
}
