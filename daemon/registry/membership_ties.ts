/**
 * What hangs on common networks, and ends with them: connections, and trust that nobody consented to otherwise.
 *
 * @module
 */

import type { TrustState } from "../../protocol/trust/mod.ts";
import type { StreamHost } from "../stream/host.ts";
import { Memberships, type MembershipsDeps, type SharedNetwork } from "./memberships.ts";

/** What watching members needs. */
export interface MembersDeps extends Omit<MembershipsDeps, "active" | "judged"> {
  readonly state: TrustState;
  readonly isPublic: () => boolean;
  readonly streams: () => Pick<StreamHost, "guests" | "cut">;
  /** Ends trust that came from a common network. */
  readonly endNetworkTrust: (node: number) => Promise<boolean>;
  /** Nothing of a peer's membership is left; what is not needed otherwise may go. */
  readonly parted: (node: number) => void;
  readonly emit: (event: string, data: Record<string, unknown>) => void;
  readonly log: (level: "error", message: string, fields: Record<string, unknown>) => void;
}

/** {@linkcode Memberships} of a daemon, whose answers are acted upon. */
export function watchMembers(deps: MembersDeps): Memberships {
  return new Memberships({
    ...deps,
    active: () => inUse(deps),
    judged: (node, networks, isLess) => act(deps, node, networks, isLess),
  });
}

/** Peers who talk to us, or are trusted, only as members of a network. */
function* inUse({ state, isPublic, streams }: MembersDeps): Iterable<number> {
  for (const { nodeId, source } of state.trusted()) if (source === "same_network") yield nodeId;
  if (isPublic()) return;
  for (const node of streams().guests()) if (!state.isTrusted(node)) yield node;
}

function act(
  deps: MembersDeps,
  node: number,
  networks: readonly SharedNetwork[],
  isLess: boolean,
): void {
  const { state, isPublic, streams, endNetworkTrust, parted, emit, log } = deps;
  const isShared = (network: number) => networks.some(({ id }) => id === network);
  const isOpen = state.hasConsent(node) || isPublic();
  const isOver = networks.length === 0;
  if (isLess) {
    emit("network.peer_left", { peer_node_id: node });
    streams().cut(
      node,
      ({ isActive, localAddress: { network } }) =>
        network === 0 ? !isActive && !isOpen && isOver : !isShared(network),
    );
  }
  if (!isOver) return;
  endNetworkTrust(node).catch((error) =>
    log("error", "trust of a network not ended", { peer_node_id: node, error: String(error) })
  );
  if (isLess) parted(node);
}
