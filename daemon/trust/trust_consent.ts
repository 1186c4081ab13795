/**
 * Which nodes this node trusts, as the network half asks with every first packet.
 *
 * @module
 */

import type { TrustState } from "../../protocol/trust/mod.ts";
import type { FormerPeers } from "./former_peers.ts";

/** Answers from the trust state. */
export class TrustConsent {
  readonly #state: TrustState;
  readonly #former: FormerPeers;

  constructor(state: TrustState, former: FormerPeers) {
    this.#state = state;
    this.#former = former;
  }

  /** Key of a trusted peer. */
  pinnedKey(node: number): Uint8Array | undefined {
    return this.#state.pinnedKey(node);
  }

  /** The peer is trusted by consent, not as a member of a network alone. */
  hasConsent(node: number): boolean {
    return this.#state.hasConsent(node);
  }

  /** Trust in the peer was ended here. */
  isRevoked(node: number): boolean {
    return this.#state.isRevoked(node);
  }

  /** We have asked the peer for trust and wait for its answer. */
  isAsked(node: number): boolean {
    return this.#state.isAsked(node);
  }

  /** Trust in a node has ended not long ago: it gets a refusal instead of silence. */
  isFormer(node: number): boolean {
    return this.#former.has(node) && !this.#state.isTrusted(node);
  }
}
