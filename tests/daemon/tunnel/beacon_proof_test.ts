/** A daemon and the real beacon of this project on a virtual network: proof, moving, wakes. */

import assert from "node:assert/strict";
import { decodeBeacon, encodeBeacon } from "../../../protocol/beacon/beacon_message.ts";
import type { Endpoint } from "../../../protocol/ip.ts";
import {
  NOTIFY_RATE,
  PROOF_CHECK_MS,
  PROOF_RENEW_MS,
  WAKE_GAP_MS,
} from "../../../daemon/tunnel/beacon_proof.ts";
import type { Outgoing } from "../../../rendezvous/beacon/beacon.ts";
import type { TestNode } from "../harness/node.ts";
import { RealBeacon } from "../harness/real_beacon.ts";
import { Nat } from "../harness/udp.ts";
import { World } from "../harness/world.ts";

const AT: Endpoint = { host: "203.0.113.1", port: 9001 };
const TYPE_AUTH = 0x0d;

/** Tells a node where the beacon is, to which it then announces itself. */
function join(node: TestNode): void {
  node.tunnels.beacon.setEndpoint(AT);
}

/** Runs a test with a world whose beacon is the real one. */
async function withBeacon(
  body: (world: World, beacon: RealBeacon) => Promise<void>,
): Promise<void> {
  await using world = new World({ hasBeacon: false });
  const beacon = new RealBeacon(world, AT);
  try {
    await body(world, beacon);
  } finally {
    await beacon.close();
  }
}

/** Messages of the extension that nodes sent. */
function asked(world: World): Uint8Array[] {
  return world.net.log.filter(({ data }) => data[0] === TYPE_AUTH).map(({ data }) => data);
}

Deno.test("a daemon proves its endpoint when it starts, and after five minutes again", () =>
  withBeacon(async (world, { beacon }) => {
    const a = await world.node(5);
    join(a);
    await world.run(100);
    assert.ok(a.tunnels.beacon.isProven);
    assert.deepEqual(a.eventNames, ["tunnel.endpoint_proven"]);
    assert.equal(asked(world).length, 2, "question and proof");
    world.net.clearLog();
    await world.run(PROOF_RENEW_MS - PROOF_CHECK_MS);
    assert.equal(beacon.counters.proofs, 1, "only asked");
    const questions = asked(world).length;
    assert.ok(questions >= 2 && questions <= 4, `${questions}`);
    await world.run(3 * PROOF_CHECK_MS);
    assert.equal(beacon.counters.proofs, 2);
  }));

Deno.test("the loss of any one datagram of the proof is made good within seconds", async () => {
  for (let lost = 0; lost < 4; lost++) {
    await withBeacon(async (world, { beacon }) => {
      let seen = 0;
      world.net.drop = ({ data }) => (data[0] === TYPE_AUTH || data[0] === 0x0e) && seen++ === lost;
      const a = await world.node(5);
      join(a);
      await world.run(4_000);
      assert.ok(a.tunnels.beacon.isProven, `datagram ${lost}`);
      assert.equal(beacon.health(world.clock.now()).nodes_proven, 1);
    });
  }
});

Deno.test("a beacon that does not know the extension is asked now and then, and used as ever", async () => {
  await using world = new World();
  const a = await world.node(5);
  await world.run(10_000);
  assert.equal(asked(world).length, 3);
  await world.run(10 * 60_000);
  const questions = asked(world).length;
  assert.ok(questions >= 8 && questions <= 14, `${questions}`);
  assert.ok(!a.tunnels.beacon.isProven);
  assert.deepEqual(a.observed[0], a.endpoint);
});

Deno.test("a daemon whose address changes proves the new one with its next announcement", () =>
  withBeacon(async (world, real) => {
    const nat = new Nat(world.net, { host: "198.51.100.7" });
    const a = await world.node(5, { nat });
    join(a);
    await world.run(100);
    const port = () => Number(a.observed.at(-1)?.port);
    const before = port();
    nat.rebind();
    await world.run(26_000);
    assert.notEqual(port(), before);
    assert.equal(real.beacon.counters.proofs, 2);
    const [delivery] = real.beacon.receive(
      encodeBeacon({ type: "relay", sender: 9, dest: 5, frame: new Uint8Array(1) }),
      { host: "192.0.2.9", port: 1 },
      world.clock.now(),
    );
    assert.deepEqual(delivery?.to, { host: "198.51.100.7", port: port() });
  }));

Deno.test("a daemon notices within a minute that the beacon has forgotten it", () =>
  withBeacon(async (world, real) => {
    const a = await world.node(5);
    join(a);
    await world.run(100);
    real.restart();
    await world.run(PROOF_CHECK_MS + 26_000);
    assert.equal(real.beacon.health(world.clock.now()).nodes_proven, 1);
    real.wake(5);
    await world.run(10);
    assert.equal(a.woken, 1);
  }));

Deno.test("a wake is acted upon once, also when it is repeated, and the next one again", () =>
  withBeacon(async (world, { beacon }) => {
    const a = await world.node(5);
    join(a);
    await world.run(100);
    const send = (outgoing: readonly Outgoing[]) => {
      for (const { bytes, to } of outgoing) world.net.inject(bytes, AT, to);
    };
    send(beacon.wake(5, world.clock.now()));
    await world.run(200);
    send(beacon.repeatWakes(world.clock.now()));
    await world.run(10);
    assert.equal(beacon.counters.wakes, 2);
    assert.equal(a.woken, 1);
    beacon.stopWaking(5);
    send(beacon.wake(5, world.clock.now()));
    await world.run(WAKE_GAP_MS);
    assert.equal(a.woken, 2);
  }));

Deno.test("wakes of a beacon that sends any number, and those that are replayed, are acted upon once a second", () =>
  withBeacon(async (world, real) => {
    const a = await world.node(5);
    join(a);
    await world.run(100);
    real.wake(5);
    await world.run(10);
    const wake = world.net.log.map(({ data }) => data).find((data) => data[0] === 0x0f)!;
    const message = decodeBeacon(wake);
    assert.ok("type" in message && message.type === "wake");
    for (let i = 0; i < 1_000; i++) {
      real.sendBytes(encodeBeacon({ ...message, sequence: i % 2 + 50 }), a.endpoint);
      await world.run(3);
    }
    await world.run(WAKE_GAP_MS);
    assert.ok(a.woken >= 4 && a.woken <= 6, `${a.woken}`);
    const before = a.woken;
    await world.run(10 * WAKE_GAP_MS);
    assert.equal(a.woken, before);
  }));

Deno.test("the notice of a beacon of v1.18 makes us look into the inbox, within its rate and from its place only", () =>
  withBeacon(async (world, real) => {
    const a = await world.node(5);
    const notice = encodeBeacon({ type: "notify" });
    await join(a);
    await world.run(100);
    real.sendBytes(notice, a.endpoint);
    await world.run(10);
    assert.equal(a.woken, 1);
    world.net.inject(notice, { host: "192.0.2.66", port: AT.port }, a.endpoint);
    real.sendBytes(Uint8Array.of(0x0a, 0x02), a.endpoint);
    await world.run(2 * WAKE_GAP_MS);
    assert.equal(a.woken, 1);
    for (let i = 0; i < 600; i++) {
      real.sendBytes(notice, a.endpoint);
      await world.run(100);
    }
    await world.run(2 * WAKE_GAP_MS);
    const most = 60 * NOTIFY_RATE.perSecond + NOTIFY_RATE.burst + 1;
    assert.ok(a.woken > 5 && a.woken <= most, `${a.woken}`);
  }));

Deno.test("forged wakes, cookies and endpoints have no effect beyond a bounded number of questions", () =>
  withBeacon(async (world, real) => {
    const a = await world.node(5);
    join(a);
    await world.run(100);
    real.wake(5);
    await world.run(10);
    const wake = world.net.log.map(({ data }) => data).find((data) => data[0] === 0x0f)!;
    const message = decodeBeacon(wake);
    assert.ok("type" in message && message.type === "wake");
    const forged = [
      encodeBeacon({ ...message, token: new Uint8Array(16), sequence: 99 }),
      encodeBeacon({
        type: "cookie",
        isProven: true,
        nonce: new Uint8Array(16),
        cookie: new Uint8Array(16),
      }),
    ];
    world.net.clearLog();
    for (const bytes of forged) real.sendBytes(bytes, a.endpoint);
    // With the right token, but not from the beacon.
    world.net.inject(
      encodeBeacon({ ...message, sequence: 100 }),
      { host: "198.51.100.66", port: 1 },
      a.endpoint,
    );
    await world.run(10);
    assert.equal(a.woken, 1);
    assert.equal(asked(world).length, 0);
    for (let i = 0; i < 200; i++) {
      const ip = Uint8Array.of(198, 51, 100, i);
      real.sendBytes(encodeBeacon({ type: "discover_reply", ip, port: 1 }), a.endpoint);
      await world.run(10);
    }
    assert.ok(asked(world).length <= 2 * 7, `${asked(world).length}`);
  }));
