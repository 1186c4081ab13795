/**
 * Requests about networks in a node's name: whom they name and what is signed (rendezvous.md §2.1, §4.5).
 *
 * @module
 */

import { challenges, type JsonObject } from "../../protocol/registry.ts";

/** A request as it goes to the registry, and the text to sign; undefined where nothing is signed. */
export interface NetworkRequest {
  readonly request: JsonObject;
  readonly challenge: Uint8Array | undefined;
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
    default:
      return { request: { ...fields, type }, challenge: undefined };
  }
}
