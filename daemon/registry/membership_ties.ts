/**
 * What hangs on common networks, and ends with them: connections, and trust that nobody consented to otherwise.
 *
 * @module
 */

import type { Emit } from "../../protocol/lifecycle_events.ts";
import type { TrustState } from "../../protocol/trust/mod.ts";
import type { Log } from "../../platform/log.ts";
import type { NetworkStack } from "../network_stack.ts";
import type { MembershipsUser, SharedNetwork } from "./memberships.ts";

/** What acting upon memberships needs. */
export interface MembershipTiesDeps {
  readonly state: TrustState;
  readonly isPublic: () => boolean;
  readonly stack: Pick<NetworkStack, "streams" | "gate" | "tunnels">;
  /** Ends trust that came from a common network. */
  readonly endNetworkTrust: (node: number) => Promise<boolean>;
  readonly emit: Emit;
  readonly log: Log;
}

/** Ends what a lost membership had allowed. */
export class MembershipTies implements MembershipsUser {
  readonly #deps: MembershipTiesDeps;

  constructor(deps: MembershipTiesDeps) {
    this.#deps = deps;
  }

  /** Peers who talk to us, or are trusted, only as members of a network. */
  *active(): Iterable<number> {
    const { state, isPublic, stack } = this.#deps;
    for (const { nodeId, source } of state.trusted()) if (source === "same_network") yield nodeId;
    if (isPublic()) return;
    for (const node of stack.streams.guests()) if (!state.isTrusted(node)) yield node;
  }

  judged(node: number, networks: readonly SharedNetwork[], isLess: boolean): void {
    const { state, isPublic, stack, endNetworkTrust, emit, log } = this.#deps;
    const isShared = (network: number) => networks.some(({ id }) => id === network);
    const isOpen = state.hasConsent(node) || isPublic();
    const isOver = networks.length === 0;
    if (isLess) {
      emit("network.peer_left", { peer_node_id: node });
      stack.streams.cut(
        node,
        ({ isActive, localAddress: { network } }) =>
          network === 0 ? !isActive && !isOpen && isOver : !isShared(network),
      );
    }
    if (!isOver) return;
    endNetworkTrust(node).catch((error) =>
      log("error", "trust of a network not ended", { peer_node_id: node, error: String(error) })
    );
    if (isLess) this.#parted(node);
  }

  /** Nothing of a peer's membership is left; what is not needed otherwise goes. */
  #parted(node: number): void {
    const { streams, gate, tunnels } = this.#deps.stack;
    if (!streams.hasConns(node) && gate.mayKnow(node) !== true) tunnels.remove(node);
  }
}
