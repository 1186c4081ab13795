/**
 * Network policies and policy documents (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { BACKBONE, type NetworkRecord } from "../../networks/network.ts";
import { cleanExprPolicy, policyChange } from "../../networks/policy_document.ts";
import { changeByRole, checkReader } from "../../networks/role_rights.ts";

/** `set_network_policy`; only what is sent changes. */
const setNetworkPolicy = serve(
  requests.setNetworkPolicy,
  (context, fields) =>
    changeByRole(context, requests.setNetworkPolicy, fields, {
      action: "network.set_policy",
      roles: ["owner", "admin"],
      enterprise: true,
    }, (network) => {
      const { core } = context;
      const change = policyChange(fields);
      checkMaxMembers(network, change.maxMembers ?? 0);
      Object.assign(core.networks.edit(network), change);
      for (const node of network.members.keys()) core.tellViewers(node);
      const { maxMembers, allowedPorts, description } = network;
      return {
        network_id: network.id,
        max_members: maxMembers,
        allowed_ports: allowedPorts.length === 0 ? null : allowedPorts,
        description,
      };
    }),
);

function checkMaxMembers({ members: { size } }: NetworkRecord, max: number): void {
  if (max !== 0 && max < size) {
    throw new RegistryFailure(
      "invalid_state",
      `cannot set max_members to ${max}: network already has ${size} members`,
    );
  }
}

/** `get_network_policy`; see `checkReader`. */
const getNetworkPolicy = serve(requests.getNetworkPolicy, (context, { network_id: id }) => {
  const network = id === BACKBONE ? undefined : context.core.networks.get(id);
  if (network !== undefined) checkReader(context, network);
  return {
    network_id: id,
    max_members: network?.maxMembers ?? 0,
    allowed_ports: network?.allowedPorts ?? [],
    description: network?.description ?? "",
  };
});

/** `set_expr_policy`; an empty text clears. */
const setExprPolicy = serve(
  requests.setExprPolicy,
  (context, fields) =>
    changeByRole(context, requests.setExprPolicy, fields, {
      action: "network.set_expr_policy",
      roles: ["owner", "admin"],
      backbone: "cannot set a policy on the backbone network",
    }, (network) => {
      const document = cleanExprPolicy(fields.expr_policy);
      context.core.networks.setExprPolicy(network, document);
      const reply: requests.SetExprPolicyReply = { network_id: network.id };
      if (document === "") reply.cleared = true;
      return reply;
    }),
);

/** `get_expr_policy`; open to everyone. */
const getExprPolicy = serve(requests.getExprPolicy, ({ core }, { network_id: id }) => {
  const document = id === BACKBONE ? "" : core.networks.get(id).exprPolicy;
  const reply: requests.ExprPolicyReply = { network_id: id };
  if (document !== "") reply.expr_policy = JSON.parse(document);
  return reply;
});

/** All of these. */
export const POLICY_REQUESTS: readonly Served[] = [
  setNetworkPolicy,
  getNetworkPolicy,
  setExprPolicy,
  getExprPolicy,
];
