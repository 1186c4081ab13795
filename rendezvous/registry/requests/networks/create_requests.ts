/**
 * `create_network` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import type { ReadFields } from "../../../../protocol/registry/request_schema.ts";
import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { unixSeconds } from "../../../../platform/clock.ts";
import { networkTarget } from "../../change_record.ts";
import { RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { checkNetworkName, checkToken } from "../../networks/network_names.ts";
import type { NetworkDraft } from "../../networks/network.ts";
import { cleanExprPolicy } from "../../networks/policy_document.ts";
import { requireAdmin } from "../../networks/role_rights.ts";
import { cleanRules } from "../../networks/rules.ts";
import { hashToken } from "../../networks/tokens.ts";

/** `create_network`: the holder of the admin token makes one for a node, which becomes its owner. */
const createNetwork = serve(requests.createNetwork, (context, fields) => {
  const { core } = context;
  const actor = requireAdmin(context);
  core.nodes.live(fields.node_id);
  const draft = { ...readDraft(fields), created: unixSeconds(core.clock) };
  const target = networkTarget(core.networks.nextNetwork);
  return core.change({ actor, action: "network.create", target }, () => {
    const { id, name, enterprise, rules } = core.networks.create(draft, fields.node_id);
    const reply: requests.CreateNetworkReply = { network_id: id, name, enterprise };
    if (rules !== "") reply.managed = true;
    return reply;
  });
});

/** All of these. */
export const CREATE_REQUESTS: readonly Served[] = [createNetwork];

/** With any other one nobody could ever join. */
const JOIN_RULES: readonly string[] = ["open", "token", "invite"];

function readDraft(
  fields: ReadFields<requests.CreateNetworkFields>,
): Omit<NetworkDraft, "created"> {
  const { name, enterprise, token, rules, expr_policy: exprPolicy } = fields;
  checkNetworkName(name);
  const joinRule = fields.join_rule.toWellFormed() || "open";
  if (!JOIN_RULES.includes(joinRule)) {
    throw new RegistryFailure(
      "invalid_argument",
      `invalid join_rule (must be ${JOIN_RULES.join(", ")})`,
    );
  }
  if (joinRule === "invite" && !enterprise) {
    throw new RegistryFailure(
      "denied",
      "enterprise feature: invite-only networks require the enterprise flag",
    );
  }
  // Without one nobody could join, or in existing servers everybody.
  if (joinRule === "token" && token === "") {
    throw new RegistryFailure("invalid_argument", "token is required");
  }
  checkToken("token", token);
  const adminToken = fields.network_admin_token;
  checkToken("network_admin_token", adminToken);
  return {
    name,
    joinRule,
    enterprise,
    tokenHash: hashToken(token),
    adminTokenHash: hashToken(adminToken),
    rules: cleanRules(rules),
    exprPolicy: exprPolicy === undefined || exprPolicy === null ? "" : cleanExprPolicy(exprPolicy),
  };
}
