/**
 * The beacon directory and punch (docs/protocol/registry.md §4.6).
 *
 * @module
 */

import { challenges, numberField, textField } from "../../../protocol/registry/registry_message.ts";
import { authenticate } from "../authenticate.ts";
import { nodeNotFound, RegistryFailure } from "../failure.ts";
import type { Handler } from "../handler.ts";
import { MAX_TEXT } from "../registry_limits.ts";
import { maySee } from "../sight.ts";

/**
 * `beacon_register`; the wire has no authentication here, so the table is small, short-lived and shared by sources.
 * Ours are `time` and `token_code`: with the cluster's token only beacons that have it are listed.
 */
export const beaconRegister: Handler = (core, request, peer) => {
  const id = numberField(request, "beacon_id");
  const addr = textField(request, "addr");
  if (id === 0) throw new RegistryFailure("beacon_id required");
  if (addr === "") throw new RegistryFailure("addr required");
  if (addr.length > MAX_TEXT) throw new RegistryFailure("addr too long");
  const { beaconToken: token, clock } = core;
  if (token !== undefined) {
    const timeMs = numberField(request, "time", Number.MAX_SAFE_INTEGER);
    const code = textField(request, "token_code");
    if (!token.accepts({ id, addr, timeMs }, code, clock.unixMs())) {
      throw new RegistryFailure("beacon_register denied: the cluster's token is required");
    }
  }
  const source = token === undefined ? peer.key : undefined;
  core.beacons.register({ id, addr, source }, clock.monotonicMs());
  return { beacon_id: id };
};

/** `beacon_list`. Ours is `time`, Unix milliseconds: the cheapest question by which a client can compare clocks. */
export const beaconList: Handler = (core) => ({
  beacons: core.beacons.list(core.clock.monotonicMs()),
  time: core.clock.unixMs(),
});

/**
 * `punch`: the endpoints of two nodes, one of whom asks. Unlike in existing servers the asker must be one who may
 * see the other (§8.3).
 */
export const punch: Handler = async (core, request) => {
  const requester = numberField(request, "requester_id");
  const a = numberField(request, "node_a");
  const b = numberField(request, "node_b");
  const asking = await authenticate(core, requester, request, challenges.punch(a, b));
  if (requester !== a && requester !== b) {
    throw new RegistryFailure("punch denied: requester is neither of the two");
  }
  const wanted = requester === a ? b : a;
  core.fresh.note(requester, wanted, core.clock.monotonicMs());
  const other = core.directory.known(wanted);
  if (other === undefined) throw nodeNotFound(wanted);
  if (!maySee(core, asking, other)) {
    throw new RegistryFailure(`punch denied: node ${other.id} is private`);
  }
  const addr = (id: number) => {
    const node = core.directory.live(id);
    return node.relayOnly && node !== asking ? "" : node.realAddr;
  };
  return { node_a: a, node_a_addr: addr(a), node_b: b, node_b_addr: addr(b) };
};
