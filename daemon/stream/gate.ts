/**
 * Who may open a connection or send a datagram to us: trust first, then rates (daemon.md §3.4).
 *
 * @module
 */

import { PORT_HANDSHAKE } from "../../protocol/ports.ts";
import type { Clock } from "../clock.ts";
import { KeyedRateLimit, type Rate, TokenBucket } from "../tunnel/rate_limit.ts";

/** SYNs a second from all peers together: about what one core can answer. */
export const SYN_RATE: Rate = { perSecond: 10_000, burst: 20_000 };
/** SYNs a second from one peer that we do not trust (daemon.md §3.1; bursts as anchors.md C.3). */
export const SYN_RATE_STRANGER: Rate = { perSecond: 10, burst: 64 };
/** SYNs a second from one trusted peer: above what one dials by itself in a loop, half of what all may. */
export const SYN_RATE_TRUSTED: Rate = { perSecond: 5_000, burst: 10_000 };
/** Sources whose SYNs are counted (daemon.md §3.1). */
export const MAX_SYN_SOURCES = 4_096;
/** Verdicts of the registry that are remembered. */
const MAX_VERDICTS = 4_096;
/** How long such a verdict is believed. */
const VERDICT_TTL_MS = 60_000;
/** Questions to the registry at a time; a peer beyond them is asked about at its next SYN. */
const MAX_ASKING = 64;

/** What the gate needs to know. */
export interface GateDeps {
  readonly clock: Clock;
  /** This node is public: everyone may come. */
  readonly isPublic: () => boolean;
  /** The peer is in our trust store. */
  readonly isTrusted: (node: number) => boolean;
  /** We wait for an answer of this peer to our handshake request. */
  readonly isExpected: (node: number) => boolean;
  /** Asks the registry whether we share a network with the peer; rejects when it cannot be asked. */
  readonly checkTrust: (node: number) => Promise<boolean>;
}

/** Decides about first packets of peers. */
export class Gate {
  readonly #deps: GateDeps;
  readonly #all: TokenBucket;
  readonly #strangers = new KeyedRateLimit<number>(SYN_RATE_STRANGER, MAX_SYN_SOURCES);
  readonly #trusted = new KeyedRateLimit<number>(SYN_RATE_TRUSTED, MAX_SYN_SOURCES);
  readonly #verdicts = new Map<number, { ok: boolean; atMs: number }>();
  /** Nodes being asked about; the value tells an answer that counts from one that came too late. */
  readonly #asking = new Map<number, symbol>();

  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#all = new TokenBucket(SYN_RATE, deps.clock.now());
  }

  /**
   * Whether a peer may talk to a port. When only the registry knows, the answer is no for now; the peer's retry
   * finds the verdict.
   */
  admits(node: number, port: number): boolean {
    const { isPublic, isTrusted, isExpected } = this.#deps;
    if (isTrusted(node) || isPublic()) return true;
    // The answer to our own request comes as a new connection from a peer that is not trusted yet.
    if (port === PORT_HANDSHAKE && isExpected(node)) return true;
    const verdict = this.#verdicts.get(node);
    if (verdict !== undefined && this.#deps.clock.now() - verdict.atMs < VERDICT_TTL_MS) {
      return verdict.ok;
    }
    this.#ask(node);
    return false;
  }

  /** Whether another SYN of this peer is within its rate and everybody's. */
  takeSyn(node: number): boolean {
    const now = this.#deps.clock.now();
    const limit = this.#deps.isTrusted(node) ? this.#trusted : this.#strangers;
    return limit.take(node, now) && this.#all.take(now);
  }

  /** Forgets what the registry said about a peer. */
  forget(node: number): void {
    this.#verdicts.delete(node);
    this.#asking.delete(node);
  }

  #ask(node: number): void {
    if (this.#asking.has(node) || this.#asking.size >= MAX_ASKING) return;
    const question = Symbol();
    this.#asking.set(node, question);
    this.#deps.checkTrust(node).then((ok) => {
      if (this.#asking.get(node) !== question) return;
      this.#verdicts.delete(node);
      this.#verdicts.set(node, { ok, atMs: this.#deps.clock.now() });
      if (this.#verdicts.size > MAX_VERDICTS) {
        this.#verdicts.delete(this.#verdicts.keys().next().value!);
      }
    }, () => {
      // The registry is not there: the gate stays shut, and the peer's next SYN asks again.
    }).finally(() => {
      if (this.#asking.get(node) === question) this.#asking.delete(node);
    });
  }
}
