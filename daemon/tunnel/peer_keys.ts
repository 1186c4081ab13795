/**
 * Which Ed25519 key a node must show: the pinned one of a trusted peer, otherwise the registry's
 * (docs/protocol/tunnel.md §4.4).
 *
 * @module
 */

import { equalBytes } from "../../protocol/crypto/base64.ts";
import type { Clock } from "../../platform/clock.ts";

/** What became of comparing a shown key with the expected one. */
export type KeyVerdict =
  /** The key is the node's. */
  | "ok"
  /** The node has another key, pinned or registered. */
  | "mismatch"
  /** The registry does not know the node. */
  | "unknown"
  /** The registry could not be asked. */
  | "unavailable";

/** Registered keys remembered; at the limit the oldest goes. */
const MAX_KEYS = 16_384;
/** How long a registered key is cached. */
const KEY_TTL_MS = 10 * 60_000;
/**
 * How long a failed or contradicting answer is cached: long enough to bound what a stranger's PILA costs the
 * registry.
 */
const NEGATIVE_TTL_MS = 5_000;

interface Entry {
  readonly key: Uint8Array | undefined;
  readonly atMs: number;
}

/** Answers {@linkcode KeyVerdict}s, asking the registry at most once at a time for a node. */
export class PeerKeys {
  readonly #clock: Clock;
  readonly #pinned: (node: number) => Uint8Array | undefined;
  readonly #lookup: (node: number) => Promise<Uint8Array | undefined>;
  readonly #known = new Map<number, Entry>();
  readonly #asking = new Map<number, Promise<KeyVerdict | undefined>>();

  constructor(options: {
    clock: Clock;
    /** Key of a trusted peer. */
    pinned: (node: number) => Uint8Array | undefined;
    /** The registry's key; undefined when it does not know the node; rejects when it cannot be asked. */
    lookup: (node: number) => Promise<Uint8Array | undefined>;
  }) {
    this.#clock = options.clock;
    this.#pinned = options.pinned;
    this.#lookup = options.lookup;
  }

  /** Whether `shown` is the key of `node`. */
  async check(node: number, shown: Uint8Array): Promise<KeyVerdict> {
    const pinned = this.#pinned(node);
    // A pinned key outranks the registry, which could otherwise impersonate every trusted peer.
    if (pinned !== undefined) {
      return equalBytes(pinned, shown) ? "ok" : "mismatch";
    }
    const known = this.#fresh(node, KEY_TTL_MS);
    if (known?.key !== undefined && equalBytes(known.key, shown)) return "ok";
    if (this.#fresh(node, NEGATIVE_TTL_MS) === undefined) {
      let asking = this.#asking.get(node);
      if (asking === undefined) {
        asking = this.#ask(node).finally(() => this.#asking.delete(node));
        this.#asking.set(node, asking);
      }
      const failed = await asking;
      if (failed !== undefined) return failed;
    }
    const key = this.#known.get(node)?.key;
    if (key === undefined) return "unknown";
    return equalBytes(key, shown) ? "ok" : "mismatch";
  }

  /** Forgets what the registry said about a node. */
  forget(node: number): void {
    this.#known.delete(node);
  }

  #fresh(node: number, ttlMs: number): Entry | undefined {
    const entry = this.#known.get(node);
    return entry !== undefined && this.#clock.now() - entry.atMs < ttlMs ? entry : undefined;
  }

  async #ask(node: number): Promise<KeyVerdict | undefined> {
    let key: Uint8Array | undefined;
    try {
      key = await this.#lookup(node);
    } catch {
      // Not remembered: the next PILA may find the registry back.
      return "unavailable";
    }
    this.#known.delete(node);
    this.#known.set(node, { key, atMs: this.#clock.now() });
    if (this.#known.size > MAX_KEYS) {
      this.#known.delete(this.#known.keys().next().value!);
    }
    return undefined;
  }
}
