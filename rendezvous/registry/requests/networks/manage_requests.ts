/**
 * `delete_network`, `rename_network` and `set_network_enterprise` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { networkTarget } from "../../change_record.ts";
import type { RegistryCore } from "../../core.ts";
import { RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { checkNetworkName, checkToken } from "../../networks/network_names.ts";
import { BACKBONE, type NetworkRecord, ownerOf } from "../../networks/network.ts";
import { hashToken } from "../../networks/tokens.ts";
import { changeByRole, requireAdmin } from "../../networks/role_rights.ts";

/** `delete_network`. */
const deleteNetwork = serve(
  requests.deleteNetwork,
  (context, fields) =>
    changeByRole(context, requests.deleteNetwork, fields, {
      action: "network.delete",
      roles: ["owner"],
      backbone: "cannot delete the backbone network",
    }, (network) => {
      const { core } = context;
      core.networks.delete(network);
      core.invites.removeNetwork(network.id);
      core.bans.removeNetwork(network.id);
      return { network_id: network.id };
    }),
);

/**
 * `set_join_token`, our extension: another token for a network that is joined by one. Members stay in; the old
 * token lets nobody in any more.
 */
const setJoinToken = serve(
  requests.setJoinToken,
  (context, fields) =>
    changeByRole(context, requests.setJoinToken, fields, {
      action: "network.set_join_token",
      roles: ["owner", "admin"],
      backbone: "cannot set a token on the backbone network",
    }, (network) => {
      if (network.joinRule !== "token") {
        throw new RegistryFailure(
          "invalid_state",
          `cannot set a token: network ${network.id} is not joined by one`,
        );
      }
      const { token } = fields;
      if (token === "") throw new RegistryFailure("invalid_argument", "token is required");
      checkToken("token", token);
      context.core.networks.edit(network).tokenHash = hashToken(token);
      return { network_id: network.id };
    }),
);

/** `rename_network`. */
const renameNetwork = serve(
  requests.renameNetwork,
  (context, fields) =>
    changeByRole(context, requests.renameNetwork, fields, {
      action: "network.rename",
      roles: ["owner", "admin"],
      backbone: "cannot rename the backbone network",
    }, (network) => {
      const { name } = fields;
      checkNetworkName(name);
      context.core.networks.rename(network, name);
      return { network_id: network.id, name };
    }),
);

/**
 * `set_network_enterprise`: off drops all roles but the owner's and ends what admins have invited, on gives everybody a
 * role again.
 */
const setNetworkEnterprise = serve(requests.setNetworkEnterprise, (context, fields) => {
  const { core } = context;
  const { network_id: id, enterprise } = fields;
  const actor = requireAdmin(context);
  if (id === BACKBONE) {
    throw new RegistryFailure("denied", "cannot set enterprise on the backbone network");
  }
  const target = networkTarget(id);
  return core.change({ actor, action: "network.set_enterprise", target }, () => {
    const network = core.networks.get(id);
    if (network.enterprise !== enterprise) {
      core.networks.edit(network).enterprise = enterprise;
      if (enterprise) giveRoles(core, network);
      else {
        dropRoles(core, network);
        core.invites.removeNetwork(id);
      }
    }
    return { network_id: id, enterprise };
  });
});

/** All of these. */
export const MANAGE_REQUESTS: readonly Served[] = [
  deleteNetwork,
  setJoinToken,
  renameNetwork,
  setNetworkEnterprise,
];

function dropRoles(core: RegistryCore, network: NetworkRecord): void {
  for (const [node, { role }] of network.members) {
    if (role !== "owner") core.networks.update(network, node, { role: "" });
  }
}

/** Nodes without a role become members, and the first to join the owner if there is none. */
function giveRoles(core: RegistryCore, network: NetworkRecord): void {
  let hasOwner = ownerOf(network) !== undefined;
  for (const [node, { role }] of network.members) {
    if (!hasOwner) core.networks.update(network, node, { role: "owner" });
    else if (role === "") core.networks.update(network, node, { role: "member" });
    hasOwner = true;
  }
}
