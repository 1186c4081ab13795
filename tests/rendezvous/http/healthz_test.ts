/** Health of a registry whose store fails. */

import assert from "node:assert/strict";
import { getLogger } from "../../../platform/log.ts";
import { newBeaconCounters } from "../../../rendezvous/beacon/beacon_counters.ts";
import { health } from "../../../rendezvous/http/healthz.ts";
import { RegistryCore } from "../../../rendezvous/registry/core.ts";
import { MemoryStore } from "../../../rendezvous/registry/store/memory_store.ts";
import { View } from "../../../rendezvous/view.ts";
import { ManualClock } from "../../support/manual_clock.ts";
import { CHANGE } from "../support/context.ts";

/** A store that can be broken. */
class FragileStore extends MemoryStore {
  isBroken = false;

  override commit(...parameters: Parameters<MemoryStore["commit"]>): Promise<void> {
    return this.isBroken ? Promise.reject(new Error("disk full")) : super.commit(...parameters);
  }
}

Deno.test("health is 503 with the reason while the store refuses writes, and 200 again after", async () => {
  const [store, clock] = [new FragileStore(), new ManualClock()];
  const core = new RegistryCore({ store, clock, log: getLogger(["test"]) });
  const zero = { nodes: 0, nodes_proven: 0, peers: 0, peer_nodes: 0, wakes_pending: 0 };
  const view = new View({
    core,
    clock,
    beacon: { health: () => ({ ...newBeaconCounters(), ...zero }) },
    connections: () => 0,
    httpConnections: () => 0,
    storeBytes: () => Promise.resolve(undefined),
    facts: {
      ...{
        pid: 1,
        registry: "127.0.0.1:1",
        beacon: "127.0.0.1:2",
        udp: "portable",
        started: 0,
        registryKey: "k",
      },
      ...{ http: undefined, store: undefined, tlsFingerprint: undefined },
      join: { uri: "pilot://127.0.0.1:1", hint: undefined },
    },
  });
  assert.equal((await health(view, false)).status, 200);
  store.isBroken = true;
  await assert.rejects(core.change(CHANGE, () => core.nodes.create("key")));
  const { status, body } = await health(view, false);
  assert.equal(status, 503);
  assert.equal(body["status"], "unhealthy");
  assert.match(String(body["reason"]), /store/);
  store.isBroken = false;
  await core.tick();
  assert.equal((await health(view, false)).status, 200);
  await core.close();
});
