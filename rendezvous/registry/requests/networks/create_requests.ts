/**
 * `create_network` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import {
  flagField,
  type JsonObject,
  numberField,
  textField,
} from "../../../../protocol/registry/registry_message.ts";
import { unixSeconds } from "../../../server_clock.ts";
import { RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { checkNetworkName, checkToken } from "../../networks/network_names.ts";
import type { NetworkDraft } from "../../networks/network.ts";
import { cleanExprPolicy } from "../../networks/policy_document.ts";
import { requireAdmin } from "../../networks/role_rights.ts";
import { cleanRules } from "../../networks/rules.ts";
import { hashToken } from "../../networks/tokens.ts";

/** `create_network`: the holder of the admin token makes one for a node, which becomes its owner. */
export const createNetwork: Handler = (core, request) => {
  requireAdmin(core, request);
  const creator = numberField(request, "node_id");
  core.directory.live(creator);
  const draft = { ...readDraft(request), created: unixSeconds(core.clock) };
  return core.change(() => {
    const { id, name, enterprise, rules } = core.networks.create(draft, creator);
    const reply: JsonObject = { network_id: id, name, enterprise };
    if (rules !== "") reply["managed"] = true;
    return reply;
  });
};

/** With any other one nobody could ever join. */
const JOIN_RULES: readonly string[] = ["open", "token", "invite"];

function readDraft(request: JsonObject): Omit<NetworkDraft, "created"> {
  const name = textField(request, "name");
  checkNetworkName(name);
  const joinRule = textField(request, "join_rule").toWellFormed() || "open";
  if (!JOIN_RULES.includes(joinRule)) {
    throw new RegistryFailure(`invalid join_rule (must be ${JOIN_RULES.join(", ")})`);
  }
  const enterprise = flagField(request, "enterprise");
  if (joinRule === "invite" && !enterprise) {
    throw new RegistryFailure(
      "enterprise feature: invite-only networks require the enterprise flag",
    );
  }
  const token = textField(request, "token");
  // Without one nobody could join, or in existing servers everybody.
  if (joinRule === "token" && token === "") throw new RegistryFailure("token is required");
  checkToken("token", token);
  const adminToken = textField(request, "network_admin_token");
  checkToken("network_admin_token", adminToken);
  const exprPolicy = Object.hasOwn(request, "expr_policy") ? request["expr_policy"] : undefined;
  return {
    name,
    joinRule,
    enterprise,
    tokenHash: hashToken(token),
    adminTokenHash: hashToken(adminToken),
    rules: cleanRules(Object.hasOwn(request, "rules") ? request["rules"] : undefined),
    exprPolicy: exprPolicy === undefined || exprPolicy === null ? "" : cleanExprPolicy(exprPolicy),
  };
}
