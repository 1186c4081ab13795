import assert from "node:assert/strict";
import {
  MAX_CLIENTS,
  MAX_REFUSALS,
  maxClients,
  maxRefusals,
  MIN_CLIENTS,
} from "../../../daemon/ipc/ipc_limits.ts";

/** What a daemon has open without clients, with the caches of the runtime. */
const OWN_DESCRIPTORS = 30;

Deno.test("clients, refused ones included, leave descriptors for the daemon's work", () => {
  for (const descriptors of [48, 64, 100, 256, 1024, 4096, 1_048_576]) {
    const clients = maxClients(descriptors);
    assert.ok(clients >= MIN_CLIENTS && clients <= MAX_CLIENTS);
    if (descriptors < 64) continue; // it can hardly run
    assert.ok(clients + maxRefusals(descriptors) + OWN_DESCRIPTORS < descriptors, `${descriptors}`);
  }
  assert.equal(maxClients(64), 16);
  assert.equal(maxClients(undefined), MAX_CLIENTS);
  assert.equal(maxRefusals(undefined), MAX_REFUSALS);
  assert.equal(maxClients(1_048_576), MAX_CLIENTS);
});
