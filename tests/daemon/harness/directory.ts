/**
 * A registry's knowledge in memory, with answers that can be held back or withheld.
 *
 * @module
 */

import { PilotError } from "../../../protocol/errors.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import type { SharedNetwork } from "../../../daemon/registry/memberships.ts";
import type { Resolution } from "../../../protocol/tunnel/tunnel_host.ts";

/** Names a pair in {@linkcode FakeDirectory.pairs}. */
export function pair(a: number, b: number): string {
  return `${Math.min(a, b)}:${Math.max(a, b)}`;
}

/** What nodes ask the registry. */
export class FakeDirectory {
  readonly keys = new Map<number, Uint8Array>();
  readonly endpoints = new Map<number, Endpoint>();
  readonly alternatives = new Map<number, readonly Endpoint[]>();
  /** Nodes that may not be resolved. */
  readonly untrusted = new Set<number>();
  /** Pairs known to the registry: `low:high`. */
  readonly pairs = new Set<string>();
  /** The registry cannot be reached. */
  isDown = false;
  /** Questions asked, as `lookup 5`. */
  readonly asked: string[] = [];
  readonly #held = new Map<number, PromiseWithResolvers<void>>();

  /** Holds back all answers about a node until {@linkcode FakeDirectory.release}. */
  hold(node: number): void {
    this.#held.set(node, Promise.withResolvers());
  }

  /** Gives the answers that were held back. */
  release(node: number): void {
    this.#held.get(node)?.resolve();
    this.#held.delete(node);
  }

  async lookupKey(node: number): Promise<Uint8Array | undefined> {
    await this.#ask("lookup", node);
    return this.keys.get(node);
  }

  /** Nodes that only those they trust may resolve. */
  readonly hidden = new Set<number>();

  async resolve(node: number, requester: number = 0): Promise<Resolution> {
    await this.#ask("resolve", node);
    const isRefused = this.hidden.has(node) && !this.pairs.has(pair(requester, node));
    if (this.untrusted.has(node) || isRefused) {
      throw new PilotError("untrusted", `no trust with ${node}`);
    }
    if (!this.keys.has(node)) throw new PilotError("not_found", `no node ${node}`);
    return {
      endpoint: this.endpoints.get(node),
      alternatives: this.alternatives.get(node) ?? [],
    };
  }

  /** Networks of nodes. */
  readonly networks = new Map<number, number[]>();

  /** Networks that two nodes share. */
  shared(a: number, b: number): SharedNetwork[] {
    const theirs = this.networks.get(b) ?? [];
    return (this.networks.get(a) ?? []).filter((id) => id !== 0 && theirs.includes(id))
      .map((id) => ({ id, allows: () => true }));
  }

  /** The same, asked. */
  async askShared(a: number, b: number): Promise<SharedNetwork[]> {
    await this.#ask("shared", b);
    return this.shared(a, b);
  }

  /** How often a question was asked. */
  count(question: string): number {
    return this.asked.filter((asked) => asked === question).length;
  }

  async #ask(what: string, node: number): Promise<void> {
    this.asked.push(`${what} ${node}`);
    await this.#held.get(node)?.promise;
    if (this.isDown) throw new PilotError("unavailable", "registry down");
  }
}
