/**
 * The beacon directory and punch (docs/protocol/registry.md §4.6).
 *
 * @module
 */

import * as requests from "../../../protocol/registry/requests/mod.ts";
import { authenticate } from "../authenticate.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import { serve, type Served } from "../handler.ts";
import { MAX_TEXT } from "../registry_limits.ts";
import { maySee } from "../sight.ts";

/**
 * `beacon_register`; the wire has no authentication here, so the table is small, short-lived and shared by sources.
 * Ours are `time` and `token_code`: with the cluster's token only beacons that have it are listed.
 */
const beaconRegister = serve(requests.beaconRegister, ({ core, peer }, fields) => {
  const { beacon_id: id, addr } = fields;
  if (id === 0) throw new RegistryFailure("invalid_argument", "beacon_id required");
  if (addr === "") throw new RegistryFailure("invalid_argument", "addr required");
  if (addr.length > MAX_TEXT) throw new RegistryFailure("invalid_argument", "addr too long");
  const { beaconToken: token, clock } = core;
  if (token !== undefined) {
    const { time: timeMs, token_code: code } = fields;
    if (!token.accepts({ id, addr, timeMs }, code, clock.unixNow())) {
      throw new RegistryFailure(
        "denied",
        "beacon_register denied: the cluster's token is required",
      );
    }
  }
  const source = token === undefined ? peer.key : undefined;
  core.beacons.register({ id, addr, source }, clock.now());
  return { beacon_id: id };
});

/** `beacon_list`. Ours is `time`, Unix milliseconds: the cheapest question by which a client can compare clocks. */
const beaconList = serve(requests.beaconList, ({ core }) => ({
  beacons: core.beacons.list(core.clock.now()),
  time: core.clock.unixNow(),
}));

/**
 * `punch`: the endpoints of two nodes, one of which asks. Unlike in existing servers the requester must be one that may
 * see the other (§8.3).
 */
const punch = serve(requests.punch, async (context, fields) => {
  const { core } = context;
  const { requester_id: requester, node_a: a, node_b: b } = fields;
  const { node: asking } = await authenticate(context, requests.punch, fields);
  if (requester !== a && requester !== b) {
    throw new RegistryFailure("denied", "punch denied: requester is neither of the two");
  }
  const wanted = requester === a ? b : a;
  core.fresh.note(requester, wanted, core.clock.now());
  const other = core.nodes.known(wanted);
  if (other === undefined) throw nodeNotFound(wanted);
  if (!maySee(core, asking, other)) {
    throw new RegistryFailure("denied", `punch denied: node ${other.id} is private`);
  }
  const addr = (id: number) => {
    const node = core.nodes.live(id);
    return node.relayOnly && node !== asking ? "" : node.realAddr;
  };
  return { node_a: a, node_a_addr: addr(a), node_b: b, node_b_addr: addr(b) };
});

/** All of these. */
export const BEACON_REQUESTS: readonly Served[] = [beaconRegister, beaconList, punch];
