/**
 * Requests about networks in a node's name: whom they name and what is signed (docs/protocol/registry.md §2.1, §4.5).
 *
 * @module
 */

import {
  challenges,
  type JsonObject,
  NETWORK_ACTIONS,
  type NetworkAction,
} from "../../protocol/registry/registry_message.ts";

/** A request as it goes to the registry, and the text to sign; undefined where nothing is signed. */
export interface NetworkRequest {
  readonly request: JsonObject;
  readonly challenge: Uint8Array | undefined;
  /** Signed as a whole, for registries that check that, though the wire has no text to sign for it. */
  readonly isWhole?: boolean;
}

function isNetworkAction(type: string): type is NetworkAction {
  return (NETWORK_ACTIONS as readonly string[]).includes(type);
}

/**
 * Completes a request.
 *
 * @param self Our node.
 * @param type Of the request.
 * @param fields What it asks.
 * @returns The request with our number in the field where it belongs.
 */
export function networkRequest(self: number, type: string, fields: JsonObject): NetworkRequest {
  const network = Number(fields.network_id ?? 0);
  const as = (challenge: Uint8Array): NetworkRequest => ({
    request: { ...fields, type, node_id: self },
    challenge,
  });
  switch (type) {
    case "join_network":
      return as(challenges.joinNetwork(self, network));
    case "leave_network":
      return as(challenges.leaveNetwork(self, network));
    case "poll_invites":
      return as(challenges.pollInvites(self));
    case "respond_invite":
      return as(challenges.respondInvite(self, network));
    case "invite_to_network":
      return {
        request: { ...fields, type, inviter_id: self },
        challenge: challenges.invite(self, network, Number(fields.target_node_id ?? 0)),
      };
    // Asked in our name: an invite-only network shows these to its members only.
    case "list_nodes":
    case "get_member_tags":
    case "get_network_policy":
      return { request: { ...fields, type, node_id: self }, challenge: undefined, isWhole: true };
    default:
      if (isNetworkAction(type)) {
        const target = fields.target_node_id ?? fields.new_owner_id;
        const about = target === undefined ? undefined : Number(target);
        return as(challenges.networkAction(type, self, network, about));
      }
      return { request: { ...fields, type }, challenge: undefined };
  }
}
