/**
 * `list_networks` and `list_nodes` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import type { JsonObject } from "../../../../protocol/registry/registry_message.ts";
import { isAdmin } from "../../authenticate.ts";
import type { RegistryCore } from "../../core.ts";
import { RegistryFailure } from "../../failure.ts";
import type { Handler } from "../../handler.ts";
import { MAX_LISTED_NETWORKS, MAX_LISTED_NODES } from "../../networks/network_limits.ts";
import {
  addressOn,
  BACKBONE,
  BACKBONE_NAME,
  type Membership,
  type NetworkRecord,
} from "../../networks/network.ts";
import { checkReader, networkField } from "../../networks/role_rights.ts";
import type { NodeRecord } from "../../node_entry.ts";
import { formatRfc3339 } from "../../rfc3339.ts";
import { describe } from "../directory_requests.ts";

/** `list_networks`: the backbone, which every node is on, and all others. */
export const listNetworks: Handler = (core) => {
  if (core.networks.size >= MAX_LISTED_NETWORKS) {
    throw new RegistryFailure(`too many networks to list (max ${MAX_LISTED_NETWORKS})`);
  }
  const backbone = {
    id: BACKBONE,
    name: BACKBONE_NAME,
    members: core.directory.liveCount,
    join_rule: "open",
    enterprise: false,
    created: 0,
  };
  return { networks: [backbone, ...Array.from(core.networks.all(), summary)] };
};

function summary(network: NetworkRecord): JsonObject {
  const { id, name, members, joinRule, enterprise, created, maxMembers, description } = network;
  return {
    id,
    name,
    members: members.size,
    join_rule: joinRule,
    enterprise,
    created,
    ...(enterprise && maxMembers !== 0 ? { max_members: maxMembers } : {}),
    ...(enterprise && description !== "" ? { description } : {}),
    ...(network.rules === "" ? {} : { managed: true, rules: JSON.parse(network.rules) }),
    ...(network.exprPolicy === "" ? {} : { has_expr_policy: true }),
  };
}

/** `list_nodes`: the backbone's only for the holder of the admin token, those of other networks as `checkReader` says. */
export const listNodes: Handler = (core, request) => {
  const id = networkField(request);
  if (id !== BACKBONE) {
    const network = core.networks.get(id);
    checkReader(core, request, network);
    return { nodes: listMembers(core, network) };
  }
  if (!isAdmin(core, request)) throw new RegistryFailure("backbone listing refused");
  checkLength(core.directory.liveCount);
  return { nodes: Array.from(core.directory.liveNodes(), (node) => listed(core, node)) };
};

function checkLength(nodes: number): void {
  if (nodes > MAX_LISTED_NODES) {
    throw new RegistryFailure(`too many nodes to list (max ${MAX_LISTED_NODES})`);
  }
}

function listMembers(core: RegistryCore, network: NetworkRecord): JsonObject[] {
  checkLength(network.members.size);
  return Array.from(network.members, ([id, membership]) => {
    const node = core.directory.known(id);
    const facts = node?.state === "live" ? listed(core, node) : { node_id: id, offline: true };
    return { ...facts, address: addressOn(network.id, id), ...shown(membership) };
  });
}

function shown({ role, tags }: Membership): JsonObject {
  return {
    ...(role === "" ? {} : { role }),
    ...(tags.length === 0 ? {} : { member_tags: tags }),
  };
}

/** A live node; its endpoint only if it is public. */
function listed(core: RegistryCore, node: NodeRecord): JsonObject {
  const { networks: _networks, public_key: _key, ...facts } = describe(core, node);
  const silentMs = core.clock.monotonicMs() - node.lastSeen;
  return {
    ...facts,
    last_seen: formatRfc3339(Math.floor((core.clock.unixMs() - silentMs) / 1000)),
  };
}
