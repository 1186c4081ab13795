/**
 * What nodes sign for each request, as docs/protocol/registry.md §2.1 has it: written down once more, so that a text of
 * the product that changes is noticed.
 *
 * @module
 */

import { encodeText } from "../../../protocol/bytes.ts";
import type { NetworkAction } from "../../../protocol/registry/registry_message.ts";

function ascii(...parts: readonly (string | number)[]): Uint8Array {
  return encodeText(parts.join(":"));
}

/** One builder per line of the table; numbers are node and network numbers. */
export const challenges = {
  register: (listenAddr: string, publicKey: string) => ascii("register", listenAddr, publicKey),
  rotateKey: (node: number) => ascii("rotate", node),
  rotateKeyTo: (node: number, newKey: string) => ascii("rotate", node, newKey),
  heartbeat: (node: number) => ascii("heartbeat", node),
  resolve: (requester: number, node: number) => ascii("resolve", requester, node),
  lookup: (requester: number, node: number) => ascii("lookup", requester, node),
  checkTrust: (requester: number, a: number, b: number) => ascii("check_trust", requester, a, b),
  resolveHostname: (requester: number, hostname: string) =>
    ascii("resolve_hostname", requester, hostname),
  reportTrust: (node: number, peer: number) => ascii("report_trust", node, peer),
  revokeTrust: (node: number, peer: number) => ascii("revoke_trust", node, peer),
  handshake: (from: number, to: number) => ascii("handshake", from, to),
  respondHandshake: (node: number, peer: number) => ascii("respond", node, peer),
  pollHandshakes: (node: number) => ascii("poll_handshakes", node),
  pollInvites: (node: number) => ascii("poll_invites", node),
  respondInvite: (node: number, network: number) => ascii("respond_invite", node, network),
  punch: (nodeA: number, nodeB: number) => ascii("punch", nodeA, nodeB),
  setVisibility: (node: number) => ascii("set_visibility", node),
  setTaskExec: (node: number) => ascii("set_task_exec", node),
  setHostname: (node: number) => ascii("set_hostname", node),
  setTags: (node: number) => ascii("set_tags", node),
  setKeyExpiry: (node: number) => ascii("set_key_expiry", node),
  updatePoloScore: (node: number, delta: number) => ascii("update_polo_score", node, delta),
  setPoloScore: (node: number, score: number) => ascii("set_polo_score", node, score),
  deregister: (node: number) => ascii("deregister", node),
  releaseHold: (node: number) => ascii("release_hold", node),
  joinNetwork: (node: number, network: number) => ascii("join_network", node, network),
  leaveNetwork: (node: number, network: number) => ascii("leave_network", node, network),
  invite: (inviter: number, network: number, target: number) =>
    ascii("invite", inviter, network, target),
  networkAction: (action: NetworkAction, node: number, network: number, target?: number) =>
    target === undefined ? ascii(action, node, network) : ascii(action, node, network, target),
};
