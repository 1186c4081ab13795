/**
 * What a node signs with its Ed25519 key for each registry request (docs/protocol/registry.md §2.1). The strings hold
 * no nonce and no time: the reference decided so, and a peer's registry checks exactly these.
 *
 * @module
 */

import { encodeText } from "../bytes.ts";

function ascii(...parts: readonly (string | number)[]): Uint8Array {
  return encodeText(parts.join(":"));
}

/**
 * Requests that somebody makes by virtue of his role in a network (§2.3). The wire lets him claim to be whoever he
 * likes; our registry asks for a signature over the whole request (whole_signature.ts). Older ones of ours asked for one
 * over `<request type>:<node>:<network>`, and with the node that it is about where there is one, so that is sent, too:
 *
 * | request | challenge |
 * | --- | --- |
 * | `delete_network` | `delete_network:<node>:<network>` |
 * | `rename_network` | `rename_network:<node>:<network>` |
 * | `set_join_token` | `set_join_token:<node>:<network>` |
 * | `list_bans` | `list_bans:<node>:<network>` |
 * | `set_network_policy` | `set_network_policy:<node>:<network>` |
 * | `set_expr_policy` | `set_expr_policy:<node>:<network>` |
 * | `set_member_tags` | `set_member_tags:<node>:<network>:<target>` |
 * | `kick_member` | `kick_member:<node>:<network>:<target>` |
 * | `unban_member` | `unban_member:<node>:<network>:<target>` |
 * | `promote_member` | `promote_member:<node>:<network>:<target>` |
 * | `demote_member` | `demote_member:<node>:<network>:<target>` |
 * | `transfer_ownership` | `transfer_ownership:<node>:<network>:<new owner>` |
 */
export type NetworkAction =
  | "delete_network"
  | "rename_network"
  | "set_join_token"
  | "list_bans"
  | "set_network_policy"
  | "set_expr_policy"
  | NetworkMemberAction;

/** Those that are about a member. See {@linkcode NetworkAction}. */
export type NetworkMemberAction =
  | "set_member_tags"
  | "kick_member"
  | "unban_member"
  | "promote_member"
  | "demote_member"
  | "transfer_ownership";

/** All of {@linkcode NetworkMemberAction}. */
export const NETWORK_MEMBER_ACTIONS: readonly NetworkMemberAction[] = [
  ...["set_member_tags", "kick_member", "unban_member"] as const,
  ...["promote_member", "demote_member", "transfer_ownership"] as const,
];

/** All of {@linkcode NetworkAction}. */
export const NETWORK_ACTIONS: readonly NetworkAction[] = [
  ...["delete_network", "rename_network", "set_join_token", "list_bans"] as const,
  ...["set_network_policy", "set_expr_policy"] as const,
  ...NETWORK_MEMBER_ACTIONS,
];

/** One builder per line of §2.1; numbers are node and network numbers, printed in decimal. */
export interface Challenges {
  /** `register:<listen_addr>:<public_key b64>`, both exactly as sent. */
  register(listenAddr: string, publicKey: string): Uint8Array;
  /** `rotate:<node>`, signed with the current key; of daemons before v1.18. */
  rotateKey(node: number): Uint8Array;
  /** `rotate:<node>:<new key b64>`, the key exactly as sent, signed with the current key; of v1.18 and newer. */
  rotateKeyTo(node: number, newKey: string): Uint8Array;
  /** `heartbeat:<node>`. */
  heartbeat(node: number): Uint8Array;
  /** `resolve:<requester>:<node>`. */
  resolve(requester: number, node: number): Uint8Array;
  /** `lookup:<requester>:<node>`, our extension: the wire has no signature here. */
  lookup(requester: number, node: number): Uint8Array;
  /** `check_trust:<requester>:<a>:<b>`, our extension likewise. */
  checkTrust(requester: number, a: number, b: number): Uint8Array;
  /** `resolve_hostname:<requester>:<hostname>`, our extension. */
  resolveHostname(requester: number, hostname: string): Uint8Array;
  /** `report_trust:<node>:<peer>`. */
  reportTrust(node: number, peer: number): Uint8Array;
  /** `revoke_trust:<node>:<peer>`. */
  revokeTrust(node: number, peer: number): Uint8Array;
  /** `handshake:<from>:<to>`; also what handshake messages on port 444 sign. */
  handshake(from: number, to: number): Uint8Array;
  /** `respond:<node>:<peer>`. */
  respondHandshake(node: number, peer: number): Uint8Array;
  /** `poll_handshakes:<node>`. */
  pollHandshakes(node: number): Uint8Array;
  /** `poll_invites:<node>`. */
  pollInvites(node: number): Uint8Array;
  /** `respond_invite:<node>:<network>`. */
  respondInvite(node: number, network: number): Uint8Array;
  /** `punch:<a>:<b>`, in message order. */
  punch(nodeA: number, nodeB: number): Uint8Array;
  /** `set_visibility:<node>`. */
  setVisibility(node: number): Uint8Array;
  /** `set_task_exec:<node>`. */
  setTaskExec(node: number): Uint8Array;
  /** `set_hostname:<node>`. */
  setHostname(node: number): Uint8Array;
  /** `set_tags:<node>`. */
  setTags(node: number): Uint8Array;
  /** `set_key_expiry:<node>`. */
  setKeyExpiry(node: number): Uint8Array;
  /**
   * `update_polo_score:<node>:<delta>`, our extension: the wire has no signature here. Our registry wants the whole
   * request signed by now (whole_signature.ts).
   */
  updatePoloScore(node: number, delta: number): Uint8Array;
  /** `set_polo_score:<node>:<score>`, our extension, likewise. */
  setPoloScore(node: number, score: number): Uint8Array;
  /** `deregister:<node>`. */
  deregister(node: number): Uint8Array;
  /** `release_hold:<node>`, our extension; see whole_signature.ts. */
  releaseHold(node: number): Uint8Array;
  /** `join_network:<node>:<network>`. */
  joinNetwork(node: number, network: number): Uint8Array;
  /** `leave_network:<node>:<network>`. */
  leaveNetwork(node: number, network: number): Uint8Array;
  /** `invite:<inviter>:<network>:<target>`. */
  invite(inviter: number, network: number, target: number): Uint8Array;
  /** See {@linkcode NetworkAction}, our extension. `target` goes with a {@linkcode NetworkMemberAction}. */
  networkAction(action: NetworkAction, node: number, network: number, target?: number): Uint8Array;
  /** `submit_badge:<node>:<badge>`. */
  submitBadge(node: number, badge: string): Uint8Array;
  /** `enroll_recovery:<node>:<commitment>`. */
  enrollRecovery(node: number, commitment: string): Uint8Array;
}

/** The builders. */
export const challenges: Challenges = {
  register: (listenAddr, publicKey) => ascii("register", listenAddr, publicKey),
  rotateKey: (node) => ascii("rotate", node),
  rotateKeyTo: (node, newKey) => ascii("rotate", node, newKey),
  heartbeat: (node) => ascii("heartbeat", node),
  resolve: (requester, node) => ascii("resolve", requester, node),
  lookup: (requester, node) => ascii("lookup", requester, node),
  checkTrust: (requester, a, b) => ascii("check_trust", requester, a, b),
  resolveHostname: (requester, hostname) => ascii("resolve_hostname", requester, hostname),
  reportTrust: (node, peer) => ascii("report_trust", node, peer),
  revokeTrust: (node, peer) => ascii("revoke_trust", node, peer),
  handshake: (from, to) => ascii("handshake", from, to),
  respondHandshake: (node, peer) => ascii("respond", node, peer),
  pollHandshakes: (node) => ascii("poll_handshakes", node),
  pollInvites: (node) => ascii("poll_invites", node),
  respondInvite: (node, network) => ascii("respond_invite", node, network),
  punch: (nodeA, nodeB) => ascii("punch", nodeA, nodeB),
  setVisibility: (node) => ascii("set_visibility", node),
  setTaskExec: (node) => ascii("set_task_exec", node),
  setHostname: (node) => ascii("set_hostname", node),
  setTags: (node) => ascii("set_tags", node),
  setKeyExpiry: (node) => ascii("set_key_expiry", node),
  updatePoloScore: (node, delta) => ascii("update_polo_score", node, delta),
  setPoloScore: (node, score) => ascii("set_polo_score", node, score),
  deregister: (node) => ascii("deregister", node),
  releaseHold: (node) => ascii("release_hold", node),
  joinNetwork: (node, network) => ascii("join_network", node, network),
  leaveNetwork: (node, network) => ascii("leave_network", node, network),
  invite: (inviter, network, target) => ascii("invite", inviter, network, target),
  networkAction: (action, node, network, target) =>
    target === undefined ? ascii(action, node, network) : ascii(action, node, network, target),
  submitBadge: (node, badge) => ascii("submit_badge", node, badge),
  enrollRecovery: (node, commitment) => ascii("enroll_recovery", node, commitment),
};
