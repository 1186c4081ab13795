/**
 * The backbone as a network (rendezvous.md §4.5), the beacon directory and punch (§4.6).
 *
 * @module
 */

import { challenges, type JsonObject, numberField, textField } from "../../../protocol/registry.ts";
import { authenticate, isAdmin } from "../authenticate.ts";
import type { RegistryCore } from "../core.ts";
import { RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { MAX_TEXT } from "../limits.ts";
import type { NodeRecord } from "../node.ts";
import { describe } from "./directory.ts";

/** Nodes in one `list_nodes` reply: at about 250 bytes each they just fit the 4 MiB frame. Longer texts can exceed it sooner, which is an error, too. */
const MAX_LISTED_NODES = 16_000;

/** `list_networks`: the backbone, which every node is on. */
export const listNetworks: Handler = (core) => ({
  networks: [{
    id: 0,
    name: "backbone",
    members: core.directory.liveCount,
    join_rule: "open",
    enterprise: false,
    created: 0,
  }],
});

/** `list_nodes`: the backbone's only for the holder of the admin token. */
export const listNodes: Handler = (core, request) => {
  const network = numberField(request, "network_id");
  if (network !== 0) throw new RegistryFailure(`network ${network}: network not found`);
  if (!isAdmin(core, request)) throw new RegistryFailure("backbone listing refused");
  if (core.directory.liveCount > MAX_LISTED_NODES) {
    throw new RegistryFailure(`too many nodes to list (max ${MAX_LISTED_NODES})`);
  }
  return { nodes: Array.from(core.directory.liveNodes(), (node) => listed(core, node)) };
};

function listed(core: RegistryCore, node: NodeRecord): JsonObject {
  const { networks: _networks, public_key: _key, ...shown } = describe(node);
  const silentMs = core.clock.monotonicMs() - node.lastSeen;
  return {
    ...shown,
    last_seen: Math.floor((core.clock.unixMs() - silentMs) / 1000),
  };
}

/** `beacon_register`; the wire has no authentication here, so the table is small and short-lived. */
export const beaconRegister: Handler = (core, request) => {
  const id = numberField(request, "beacon_id");
  const addr = textField(request, "addr");
  if (id === 0) throw new RegistryFailure("beacon_id required");
  if (addr === "") throw new RegistryFailure("addr required");
  if (addr.length > MAX_TEXT) throw new RegistryFailure("addr too long");
  core.beacons.register(id, addr, core.clock.monotonicMs());
  return { beacon_id: id };
};

/** `beacon_list`. */
export const beaconList: Handler = (core) => ({
  beacons: core.beacons.list(core.clock.monotonicMs()),
});

/**
 * `punch`: the endpoints of two nodes, one of whom asks. Unlike in existing servers the asker must be allowed to
 * resolve the other one (§15.3).
 */
export const punch: Handler = async (core, request) => {
  const requester = numberField(request, "requester_id");
  const a = numberField(request, "node_a");
  const b = numberField(request, "node_b");
  const asking = await authenticate(core, requester, request, challenges.punch(a, b));
  if (requester !== a && requester !== b) {
    throw new RegistryFailure("punch denied: requester is neither of the two");
  }
  const other = core.directory.live(requester === a ? b : a);
  if (!core.mayResolve(asking, other)) {
    throw new RegistryFailure(`punch denied: node ${other.id} is private`);
  }
  const addr = (id: number) => {
    const node = core.directory.live(id);
    return node.relayOnly && node !== asking ? "" : node.realAddr;
  };
  return { node_a: a, node_a_addr: addr(a), node_b: b, node_b_addr: addr(b) };
};
