import assert from "node:assert/strict";
import { BeaconDirectory } from "../../../rendezvous/registry/beacon_directory.ts";
import {
  BEACON_TTL_SECONDS,
  MAX_BEACONS,
  MAX_BEACONS_PER_SOURCE,
} from "../../../rendezvous/registry/registry_limits.ts";

const addr = "192.0.2.1:9001";
const TTL_MS = BEACON_TTL_SECONDS * 1000;

/** A table that strangers have filled. */
function filled(): BeaconDirectory {
  const beacons = new BeaconDirectory();
  for (let id = 1; id <= MAX_BEACONS; id++) {
    const source = `198.51.100.${Math.floor(id / MAX_BEACONS_PER_SOURCE)}`;
    beacons.register({ id, addr, source }, 0);
  }
  return beacons;
}

Deno.test("BeaconDirectory gives one address a few places", () => {
  const beacons = new BeaconDirectory();
  const one = "198.51.100.1";
  for (let id = 1; id <= MAX_BEACONS_PER_SOURCE; id++) {
    beacons.register({ id, addr, source: one }, 0);
  }
  assert.throws(() => beacons.register({ id: 100, addr, source: one }, 0), /of one address/);
  beacons.register({ id: 100, addr, source: "198.51.100.2" }, 0);
  beacons.register({ id: 1, addr, source: one }, 0);
  beacons.register({ id: 101, addr, source: undefined }, 0);
});

Deno.test("BeaconDirectory keeps a number for the address that took it, until it expires", () => {
  const beacons = new BeaconDirectory();
  beacons.register({ id: 1, addr, source: "a" }, 0);
  assert.throws(() => beacons.register({ id: 1, addr: "6.6.6.6:1", source: "b" }, 1), /in use/);
  beacons.register({ id: 1, addr: "192.0.2.2:9001", source: "a" }, 1);
  assert.deepEqual(beacons.list(1), [{ id: 1, addr: "192.0.2.2:9001" }]);
  // This process, and who has the token, are not kept out by whoever came first.
  beacons.register({ id: 1, addr, source: undefined }, 2);
  assert.throws(() => beacons.register({ id: 1, addr: "6.6.6.6:1", source: "a" }, 3), /in use/);
  assert.deepEqual(beacons.list(3), [{ id: 1, addr }]);
  beacons.register({ id: 1, addr: "192.0.2.3:9001", source: "b" }, 2 + TTL_MS);
  assert.deepEqual(beacons.list(2 + TTL_MS), [{ id: 1, addr: "192.0.2.3:9001" }]);
});

Deno.test("BeaconDirectory is bounded, and what is certain takes a place of what is not", () => {
  const beacons = filled();
  const full = new RegExp(`max ${MAX_BEACONS}`);
  assert.throws(() => beacons.register({ id: 9999, addr, source: "203.0.113.1" }, 1), full);
  beacons.register({ id: 9999, addr, source: undefined }, 1);
  const listed = beacons.list(1);
  assert.equal(listed.length, MAX_BEACONS);
  assert.ok(listed.some(({ id }) => id === 9999));
  for (let id = 1; id < MAX_BEACONS; id++) {
    beacons.register({ id: 10_000 + id, addr, source: undefined }, 1);
  }
  assert.throws(() => beacons.register({ id: 1, addr, source: undefined }, 1), full);
});
