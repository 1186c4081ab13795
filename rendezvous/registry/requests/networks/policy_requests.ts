/**
 * Network policies and policy documents (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import type { JsonObject } from "../../../../protocol/registry/registry_message.ts";
import { RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { BACKBONE, type NetworkRecord } from "../../networks/network.ts";
import { cleanExprPolicy, policyChange } from "../../networks/policy_document.ts";
import { changeByRole, checkReader, networkField } from "../../networks/role_rights.ts";

/** `set_network_policy`; only what is sent changes. */
export const setNetworkPolicy: Handler = (core, request) =>
  changeByRole(core, request, {
    action: "set_network_policy",
    roles: ["owner", "admin"],
    enterprise: true,
  }, (network) => {
    const change = policyChange(request);
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
  });

function checkMaxMembers({ members: { size } }: NetworkRecord, max: number): void {
  if (max !== 0 && max < size) {
    throw new RegistryFailure(
      `cannot set max_members to ${max}: network already has ${size} members`,
    );
  }
}

/** `get_network_policy`; see `checkReader`. */
export const getNetworkPolicy: Handler = (core, request) => {
  const id = networkField(request);
  const network = id === BACKBONE ? undefined : core.networks.get(id);
  if (network !== undefined) checkReader(core, request, network);
  return {
    network_id: id,
    max_members: network?.maxMembers ?? 0,
    allowed_ports: network?.allowedPorts ?? [],
    description: network?.description ?? "",
  };
};

/** `set_expr_policy`; an empty text clears. */
export const setExprPolicy: Handler = (core, request) =>
  changeByRole(core, request, {
    action: "set_expr_policy",
    roles: ["owner", "admin"],
    backbone: "cannot set a policy on the backbone network",
  }, (network) => {
    const sent = Object.hasOwn(request, "expr_policy") ? request["expr_policy"] : undefined;
    const document = cleanExprPolicy(sent);
    core.networks.setExprPolicy(network, document);
    const reply: JsonObject = { network_id: network.id };
    if (document === "") reply["cleared"] = true;
    return reply;
  });

/** `get_expr_policy`; open to everyone. */
export const getExprPolicy: Handler = (core, request) => {
  const id = networkField(request);
  const document = id === BACKBONE ? "" : core.networks.get(id).exprPolicy;
  const reply: JsonObject = { network_id: id };
  if (document !== "") reply["expr_policy"] = JSON.parse(document);
  return reply;
};
