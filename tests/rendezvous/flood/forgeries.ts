/**
 * Requests in the name of somebody else, well-formed and wrong: without signature, signed by a stranger, with a
 * signature of noise, with a guessed admin token.
 *
 * @module
 */

import { encodeBase64 } from "../../../protocol/crypto/base64.ts";
import type { Identity } from "../../../protocol/crypto/identity.ts";
import { challenges } from "../support/challenges.ts";

// cspell:ignore letmein

type Body = { readonly type: string; readonly [name: string]: unknown };

/** In whose name. */
export interface Victim {
  readonly id: number;
  readonly key: string;
  readonly network: number;
}

/** Every lie there is, signed by `stranger` and otherwise. */
export async function forgeries(victim: Victim, stranger: Identity): Promise<readonly Body[]> {
  const { id, key, network } = victim;
  const peer = id + 1;
  const listen = "203.0.113.66:6666";
  const own = encodeBase64(stranger.publicKey);
  const action = (name: Parameters<typeof challenges.networkAction>[0]) =>
    challenges.networkAction(name, id, network, peer);
  const lies: readonly (readonly [Body, Uint8Array])[] = [
    [
      { type: "register", public_key: key, listen_addr: listen, hostname: "evil" },
      challenges.register(listen, key),
    ],
    [{ type: "heartbeat", node_id: id }, challenges.heartbeat(id)],
    [{ type: "deregister", node_id: id }, challenges.deregister(id)],
    [{ type: "release_hold", node_id: id }, challenges.releaseHold(id)],
    [{ type: "rotate_key", node_id: id, new_public_key: own }, challenges.rotateKey(id)],
    [
      { type: "set_key_expiry", node_id: id, expires_at: "2027-01-01T00:00:00Z" },
      challenges.setKeyExpiry(id),
    ],
    [{ type: "resolve", node_id: peer, requester_id: id }, challenges.resolve(id, peer)],
    [{ type: "set_hostname", node_id: id, hostname: "evil" }, challenges.setHostname(id)],
    [{ type: "set_visibility", node_id: id, public: true }, challenges.setVisibility(id)],
    [{ type: "set_tags", node_id: id, tags: ["evil"] }, challenges.setTags(id)],
    [{ type: "set_task_exec", node_id: id, enabled: true }, challenges.setTaskExec(id)],
    [{ type: "report_trust", node_id: id, peer_id: peer }, challenges.reportTrust(id, peer)],
    [{ type: "revoke_trust", node_id: id, peer_id: peer }, challenges.revokeTrust(id, peer)],
    [
      { type: "request_handshake", from_node_id: id, to_node_id: peer, justification: "evil" },
      challenges.handshake(id, peer),
    ],
    [
      { type: "respond_handshake", node_id: id, peer_id: peer, accept: true },
      challenges.respondHandshake(id, peer),
    ],
    [{ type: "poll_handshakes", node_id: id }, challenges.pollHandshakes(id)],
    [{ type: "poll_invites", node_id: id }, challenges.pollInvites(id)],
    [{ type: "punch", requester_id: id, node_a: id, node_b: peer }, challenges.punch(id, peer)],
    [
      { type: "update_polo_score", node_id: id, delta: 1000 },
      challenges.updatePoloScore(id, 1000),
    ],
    [{ type: "set_polo_score", node_id: id, polo_score: 9 }, challenges.setPoloScore(id, 9)],
    [
      { type: "leave_network", node_id: id, network_id: network },
      challenges.leaveNetwork(id, network),
    ],
    [
      { type: "join_network", node_id: peer, network_id: network },
      challenges.joinNetwork(peer, network),
    ],
    [
      { type: "invite_to_network", inviter_id: id, target_node_id: peer, network_id: network },
      challenges.invite(id, network, peer),
    ],
    ...([
      "kick_member",
      "unban_member",
      "promote_member",
      "demote_member",
      "set_member_tags",
    ] as const).map((
      type,
    ) =>
      [
        { type, node_id: id, network_id: network, target_node_id: id, tags: ["evil"] },
        action(type),
      ] as const
    ),
    [
      { type: "transfer_ownership", network_id: network, owner_id: id, new_owner_id: peer },
      action("transfer_ownership"),
    ],
    [
      { type: "rename_network", network_id: network, node_id: id, name: "evil" },
      challenges.networkAction("rename_network", id, network),
    ],
    [
      { type: "set_join_token", network_id: network, node_id: id, token: "evil" },
      challenges.networkAction("set_join_token", id, network),
    ],
    [
      { type: "list_bans", network_id: network, node_id: id },
      challenges.networkAction("list_bans", id, network),
    ],
    [
      { type: "delete_network", network_id: network, node_id: id },
      challenges.networkAction("delete_network", id, network),
    ],
    [
      { type: "set_network_policy", network_id: network, node_id: id, max_members: 1 },
      challenges.networkAction("set_network_policy", id, network),
    ],
    [
      { type: "set_expr_policy", network_id: network, node_id: id, expr_policy: {} },
      challenges.networkAction("set_expr_policy", id, network),
    ],
    [{ type: "create_network", node_id: id, name: "evil" }, challenges.heartbeat(id)],
  ];
  const noise = encodeBase64(crypto.getRandomValues(new Uint8Array(64)));
  const bodies: Body[] = [];
  for (const [body, challenge] of lies) {
    const signature = encodeBase64(await stranger.sign(challenge));
    bodies.push(
      body,
      { ...body, signature },
      { ...body, signature: noise },
      { ...body, admin_token: "letmein", network_admin_token: "letmein" },
    );
  }
  return bodies;
}
