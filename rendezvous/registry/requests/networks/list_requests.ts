/**
 * `list_networks` and `list_nodes` (docs/protocol/registry.md §4.5).
 *
 * @module
 */

import * as requests from "../../../../protocol/registry/requests/mod.ts";
import { adminOf } from "../../authenticate.ts";
import type { RegistryCore } from "../../core.ts";
import { RegistryFailure } from "../../failure.ts";
import { serve, type Served } from "../../handler.ts";
import { MAX_LISTED_NETWORKS, MAX_LISTED_NODES } from "../../networks/network_limits.ts";
import {
  addressOn,
  BACKBONE,
  BACKBONE_NAME,
  type Membership,
  type NetworkRecord,
} from "../../networks/network.ts";
import { checkReader } from "../../networks/role_rights.ts";
import type { NodeRecord } from "../../node_entry.ts";
import { formatRfc3339 } from "../../rfc3339.ts";
import { describe } from "../directory_requests.ts";

/** `list_networks`: the backbone, which every node is on, and all others. */
const listNetworks = serve(requests.listNetworks, ({ core }) => {
  if (core.networks.size >= MAX_LISTED_NETWORKS) {
    throw new RegistryFailure(
      "limit_exceeded",
      `too many networks to list (max ${MAX_LISTED_NETWORKS})`,
    );
  }
  const backbone = {
    id: BACKBONE,
    name: BACKBONE_NAME,
    members: core.nodes.liveCount,
    join_rule: "open",
    enterprise: false,
    created: 0,
  };
  return { networks: [backbone, ...Array.from(core.networks.all(), summary)] };
});

function summary(network: NetworkRecord): requests.ListedNetwork {
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
const listNodes = serve(requests.listNodes, (context, { network_id: id }) => {
  const { core } = context;
  if (id !== BACKBONE) {
    const network = core.networks.get(id);
    checkReader(context, network);
    return { nodes: listMembers(core, network) };
  }
  if (adminOf(context) === undefined) {
    throw new RegistryFailure("denied", "backbone listing refused");
  }
  checkLength(core.nodes.liveCount);
  return { nodes: Array.from(core.nodes.liveNodes(), (node) => listed(core, node)) };
});

/** All of these. */
export const LIST_REQUESTS: readonly Served[] = [listNetworks, listNodes];

function checkLength(nodes: number): void {
  if (nodes > MAX_LISTED_NODES) {
    throw new RegistryFailure("limit_exceeded", `too many nodes to list (max ${MAX_LISTED_NODES})`);
  }
}

function listMembers(core: RegistryCore, network: NetworkRecord): requests.ListedNode[] {
  checkLength(network.members.size);
  return Array.from(network.members, ([id, membership]) => {
    const node = core.nodes.known(id);
    const facts = node?.state === "live" ? listed(core, node) : { node_id: id, offline: true };
    return { ...facts, address: addressOn(network.id, id), ...shown(membership) };
  });
}

function shown({ role, tags }: Membership): Pick<requests.ListedNode, "role" | "member_tags"> {
  return {
    ...(role === "" ? {} : { role }),
    ...(tags.length === 0 ? {} : { member_tags: tags }),
  };
}

/** A live node; its endpoint only if it is public. */
function listed(core: RegistryCore, node: NodeRecord): requests.ListedNode {
  const { networks: _networks, public_key: _key, ...facts } = describe(core, node);
  const silentMs = core.clock.now() - node.lastSeen;
  return {
    ...facts,
    last_seen: formatRfc3339(Math.floor((core.clock.unixNow() - silentMs) / 1000)),
  };
}
