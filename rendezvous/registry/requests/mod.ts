/**
 * All requests that are served, by type. Everything else is answered like an unknown type.
 *
 * @module
 */

import type { Handler } from "../handler.ts";
import * as directory from "./directory_requests.ts";
import { releaseHold } from "./hold_requests.ts";
import * as identity from "./identity_requests.ts";
import * as key from "./key_requests.ts";
import * as network from "./beacon_requests.ts";
import { createNetwork } from "./networks/create_requests.ts";
import * as invites from "./networks/invite_requests.ts";
import { joinNetwork, leaveNetwork } from "./networks/join_requests.ts";
import { listNetworks, listNodes } from "./networks/list_requests.ts";
import * as manage from "./networks/manage_requests.ts";
import * as members from "./networks/member_requests.ts";
import * as policy from "./networks/policy_requests.ts";
import * as polo from "./polo.ts";
import * as trust from "./trust_requests.ts";

/** Handlers by the `type` of the request. */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map([
  ["register", identity.register],
  ["heartbeat", identity.heartbeat],
  ["deregister", identity.deregister],
  ["release_hold", releaseHold],
  ["rotate_key", key.rotateKey],
  ["set_key_expiry", key.setKeyExpiry],
  ["get_key_info", key.getKeyInfo],
  ["lookup", directory.lookup],
  ["resolve", directory.resolve],
  ["resolve_hostname", directory.resolveHostname],
  ["set_hostname", directory.setHostname],
  ["set_visibility", directory.setVisibility],
  ["set_tags", directory.setTags],
  ["set_task_exec", directory.setTaskExec],
  ["update_polo_score", polo.updatePoloScore],
  ["set_polo_score", polo.setPoloScore],
  ["get_polo_score", polo.getPoloScore],
  ["report_trust", trust.reportTrust],
  ["revoke_trust", trust.revokeTrust],
  ["check_trust", trust.checkTrust],
  ["request_handshake", trust.requestHandshake],
  ["poll_handshakes", trust.pollHandshakes],
  ["respond_handshake", trust.respondHandshake],
  ["list_networks", listNetworks],
  ["list_nodes", listNodes],
  ["create_network", createNetwork],
  ["join_network", joinNetwork],
  ["leave_network", leaveNetwork],
  ["delete_network", manage.deleteNetwork],
  ["set_join_token", manage.setJoinToken],
  ["rename_network", manage.renameNetwork],
  ["set_network_enterprise", manage.setNetworkEnterprise],
  ["invite_to_network", invites.inviteToNetwork],
  ["poll_invites", invites.pollInvites],
  ["respond_invite", invites.respondInvite],
  ["kick_member", members.kickMember],
  ["unban_member", members.unbanMember],
  ["list_bans", members.listBans],
  ["promote_member", members.promoteMember],
  ["demote_member", members.demoteMember],
  ["transfer_ownership", members.transferOwnership],
  ["get_member_role", members.getMemberRole],
  ["set_member_tags", members.setMemberTags],
  ["get_member_tags", members.getMemberTags],
  ["set_network_policy", policy.setNetworkPolicy],
  ["get_network_policy", policy.getNetworkPolicy],
  ["set_expr_policy", policy.setExprPolicy],
  ["get_expr_policy", policy.getExprPolicy],
  ["beacon_register", network.beaconRegister],
  ["beacon_list", network.beaconList],
  ["punch", network.punch],
]);
