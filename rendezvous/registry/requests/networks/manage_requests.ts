/**
 * `delete_network`, `rename_network` and `set_network_enterprise` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import { flagField, textField } from "../../../../protocol/registry/registry_message.ts";
import type { RegistryCore } from "../../core.ts";
import { RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { checkNetworkName, checkToken } from "../../networks/network_names.ts";
import { BACKBONE, type NetworkRecord, ownerOf } from "../../networks/network.ts";
import { hashToken } from "../../networks/tokens.ts";
import { changeByRole, networkField, requireAdmin } from "../../networks/role_rights.ts";

/** `delete_network`. */
export const deleteNetwork: Handler = (core, request) =>
  changeByRole(core, request, {
    action: "delete_network",
    roles: ["owner"],
    backbone: "cannot delete the backbone network",
  }, (network) => {
    core.networks.delete(network);
    core.invites.removeNetwork(network.id);
    core.bans.removeNetwork(network.id);
    return { network_id: network.id };
  });

/**
 * `set_join_token`, our extension: another token for a network that is joined by one. Whoever is in stays in; the old
 * token lets nobody in any more.
 */
export const setJoinToken: Handler = (core, request) =>
  changeByRole(core, request, {
    action: "set_join_token",
    roles: ["owner", "admin"],
    backbone: "cannot set a token on the backbone network",
  }, (network) => {
    if (network.joinRule !== "token") {
      throw new RegistryFailure(`cannot set a token: network ${network.id} is not joined by one`);
    }
    const token = textField(request, "token");
    if (token === "") throw new RegistryFailure("token is required");
    checkToken("token", token);
    core.networks.edit(network).tokenHash = hashToken(token);
    return { network_id: network.id };
  });

/** `rename_network`. */
export const renameNetwork: Handler = (core, request) =>
  changeByRole(core, request, {
    action: "rename_network",
    roles: ["owner", "admin"],
    backbone: "cannot rename the backbone network",
  }, (network) => {
    const name = textField(request, "name");
    checkNetworkName(name);
    core.networks.rename(network, name);
    return { network_id: network.id, name };
  });

/**
 * `set_network_enterprise`: off drops all roles but the owner's and ends what admins have invited, on gives everybody a
 * role again.
 */
export const setNetworkEnterprise: Handler = (core, request) => {
  const id = networkField(request);
  requireAdmin(core, request);
  if (id === BACKBONE) throw new RegistryFailure("cannot set enterprise on the backbone network");
  const enterprise = flagField(request, "enterprise");
  return core.change(() => {
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
};

function dropRoles(core: RegistryCore, network: NetworkRecord): void {
  for (const [node, { role }] of network.members) {
    if (role !== "owner") core.networks.update(network, node, { role: "" });
  }
}

/** Whoever has no role becomes a member, and whoever joined first the owner if there is none. */
function giveRoles(core: RegistryCore, network: NetworkRecord): void {
  let hasOwner = ownerOf(network) !== undefined;
  for (const [node, { role }] of network.members) {
    if (!hasOwner) core.networks.update(network, node, { role: "owner" });
    else if (role === "") core.networks.update(network, node, { role: "member" });
    hasOwner = true;
  }
}
