/**
 * Trust as the local socket reports it (docs/protocol/local-socket.md §4).
 *
 * @module
 */

import { encodeBase64 } from "../../protocol/crypto/base64.ts";
import type {
  IpcOutgoingHandshake,
  IpcPendingHandshake,
  IpcRefusedHandshake,
  IpcTrustedPeer,
} from "../../protocol/ipc/mod.ts";
import type { TrustState } from "../../protocol/trust/mod.ts";
import type { PeerNames } from "../peer_names.ts";
import type { Refusals } from "./refusals.ts";

/** Milliseconds as whole seconds. */
function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

function keyText(key: Uint8Array | undefined): string {
  return key === undefined ? "" : encodeBase64(key);
}

/** Requests of ours without an answer. */
export function outgoingList(state: TrustState): IpcOutgoingHandshake[] {
  return state.outgoing().map(({ nodeId, requestedAt }) => ({
    node_id: nodeId,
    requested_at: seconds(requestedAt),
  }));
}

/** Requests of ours that were refused. */
export function refusedList(refusals: Refusals): IpcRefusedHandshake[] {
  return refusals.all().map(({ nodeId, reason, refusedAt }) => ({
    node_id: nodeId,
    reason,
    refused_at: seconds(refusedAt),
  }));
}

/** Requests that wait for us. */
export function pendingList(state: TrustState): IpcPendingHandshake[] {
  return state.pending().map(({ nodeId, publicKey, justification, receivedAt }) => ({
    node_id: nodeId,
    public_key: keyText(publicKey),
    justification,
    received_at: seconds(receivedAt),
  }));
}

/** Trusted peers. */
export function trustedList(
  state: TrustState,
  names: Pick<PeerNames, "nameOf"> | undefined,
): IpcTrustedPeer[] {
  return state.trusted().map((peer) => ({
    node_id: peer.nodeId,
    public_key: keyText(peer.publicKey),
    approved_at: seconds(peer.approvedAt),
    mutual: peer.mutual,
    network: peer.network ?? 0,
    hostname: names?.nameOf(peer.nodeId) ?? "",
  }));
}
