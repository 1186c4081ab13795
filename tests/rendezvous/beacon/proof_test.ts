/** Proven endpoints: who gets them, who cannot take them away, and what they are good for. */

import assert from "node:assert/strict";
import {
  DISCOVER_EX,
  DISCOVER_WAKE,
  encodeBeacon,
} from "../../../protocol/beacon/beacon_message.ts";
import {
  COOKIE_SLOT_MS,
  PROOF_TTL_MS,
  UNPROVEN_BURST,
  UNPROVEN_BYTES_PER_SECOND,
  UNPROVEN_CREDIT,
  VERIFY_BURST,
} from "../../../rendezvous/beacon/beacon_limits.ts";
import { Beacon } from "../../../rendezvous/beacon/beacon.ts";
import {
  A,
  B,
  beaconWithKeys,
  C,
  cookieFor,
  discover,
  KEYS,
  messages,
  nonceOf,
  prove,
  question,
  relay,
  settleProofs,
  signed,
} from "./support.ts";

/** Where a relay to a node goes. */
function reached(beacon: Beacon, node: number, now = 0): unknown {
  return beacon.receive(relay(7, node), C, now)[0]?.to;
}

Deno.test("a node gets a cookie, signs it and learns that its endpoint is proven", async () => {
  const beacon = beaconWithKeys();
  const nonce = nonceOf(3);
  assert.equal(cookieFor(beacon, 42, A, { nonce }).isProven, false);
  const [answer] = messages(await prove(beacon, 42, A, { nonce }));
  assert.ok(answer?.[0].type === "cookie" && answer[0].isProven);
  assert.deepEqual([answer[0].nonce, answer[1]], [nonce, A]);
  assert.equal(cookieFor(beacon, 42, A).isProven, true);
  assert.equal(cookieFor(beacon, 42, B).isProven, false, "elsewhere it is not");
  assert.deepEqual(reached(beacon, 42), A);
  assert.equal(beacon.health(0).nodes_proven, 1);
});

Deno.test("a beacon that knows no key for a node gives no cookie", () => {
  const ask = question(42, nonceOf(1));
  assert.deepEqual(new Beacon().receive(ask, A, 0), []);
  assert.deepEqual(beaconWithKeys().receive(question(44, nonceOf(1)), A, 0), []);
  assert.deepEqual(beaconWithKeys().receive(question(0, nonceOf(1)), A, 0), []);
});

Deno.test("a proven endpoint is not taken away by a plain discover, whose sender still learns its own", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  const [answer] = messages(beacon.receive(discover(42), C, 10));
  assert.deepEqual(answer?.[0], {
    type: "discover_reply",
    ip: Uint8Array.of(198, 51, 100, 1),
    port: 9,
  });
  assert.deepEqual(reached(beacon, 42, 10), A);
  assert.equal(beacon.counters.discovers_refused, 1);
  // The same address with another port is another endpoint, too.
  beacon.receive(discover(42), { ...A, port: 1 }, 10);
  assert.deepEqual(reached(beacon, 42, 10), A);
});

Deno.test("a plain discover from the proven endpoint keeps the node known, but the proof grows old", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  for (let now = 25_000; now <= PROOF_TTL_MS; now += 25_000) beacon.receive(discover(42), A, now);
  beacon.sweep(PROOF_TTL_MS + 1);
  beacon.receive(discover(42), C, PROOF_TTL_MS);
  assert.deepEqual(reached(beacon, 42, PROOF_TTL_MS), A, "just still good");
  beacon.receive(discover(42), C, PROOF_TTL_MS + 1);
  assert.deepEqual(reached(beacon, 42, PROOF_TTL_MS + 1), C, "an older program took over");
});

Deno.test("a node that has moved proves the new endpoint at once", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  await prove(beacon, 42, B, { now: 1_000 });
  assert.deepEqual(reached(beacon, 42, 1_000), B);
  assert.equal(beacon.health(0).nodes, 1);
});

Deno.test("a proof is worth nothing from another address, for another node or nonce, by another key, or later", async () => {
  const nonce = nonceOf(1);
  const { cookie, beacon } = (() => {
    const beacon = beaconWithKeys();
    return { beacon, cookie: cookieFor(beacon, 42, A, { nonce }).cookie };
  })();
  const good = await signed({ node: 42, nonce, cookie });
  const attempts: [string, Uint8Array, typeof A, number][] = [
    ["from another host", good, B, 0],
    ["from another port", good, { ...A, port: 4001 }, 0],
    ["as another node", await signed({ node: 43, nonce, cookie }), A, 0],
    ["with another nonce", await signed({ node: 42, nonce: nonceOf(2), cookie }), A, 0],
    ["with another cookie", await signed({ node: 42, nonce, cookie: nonceOf(9) }), A, 0],
    ["by another key", await signed({ node: 42, nonce, cookie, by: KEYS[1]! }), A, 0],
    ["later", good, A, 2 * COOKIE_SLOT_MS],
    ["for an unknown node", await signed({ node: 44, nonce, cookie, by: KEYS[0]! }), A, 0],
  ];
  const flipped = good.slice();
  flipped[5]! ^= DISCOVER_EX; // the flags are signed, too
  attempts.push(["with other flags", flipped, A, 0]);
  for (const [what, bytes, from, now] of attempts) {
    beacon.receive(bytes, from, now);
    assert.deepEqual(await settleProofs(beacon, now), [], what);
    assert.equal(beacon.health(now).nodes_proven, 0, what);
  }
  assert.equal(beacon.counters.proofs_refused, attempts.length);
  beacon.receive(good, A, COOKIE_SLOT_MS);
  assert.equal(
    (await settleProofs(beacon, COOKIE_SLOT_MS)).length,
    1,
    "the cookie itself was good",
  );
});

Deno.test("a cookie of one process is worth nothing in another", async () => {
  const nonce = nonceOf(1);
  const { cookie } = cookieFor(beaconWithKeys(), 42, A, { nonce });
  const other = beaconWithKeys();
  other.receive(await signed({ node: 42, nonce, cookie }), A, 0);
  assert.deepEqual(await settleProofs(other), []);
});

Deno.test("a key that changes while its signature is checked proves nothing", async () => {
  let key = KEYS[0]!.publicKey;
  const beacon = new Beacon({ keyOf: () => key });
  const { cookie } = cookieFor(beacon, 42, A);
  beacon.receive(await signed({ node: 42, nonce: nonceOf(1), cookie }), A, 0);
  key = KEYS[1]!.publicKey;
  assert.deepEqual(await settleProofs(beacon), []);
});

Deno.test("signatures are checked at a limited rate, and only for senders that have a cookie", async () => {
  const beacon = beaconWithKeys();
  const nonce = nonceOf(1);
  const { cookie } = cookieFor(beacon, 42, A, { nonce });
  const good = await signed({ node: 42, nonce, cookie });
  for (let i = 0; i < 5_000; i++) beacon.receive(good, B, 0);
  assert.deepEqual(beacon.takeProofs(), [], "no cookie, no work");
  let checked = 0;
  for (let i = 0; i < VERIFY_BURST + 50; i++) {
    beacon.receive(good, A, 0);
    for (const proof of beacon.takeProofs()) {
      checked++;
      beacon.onVerified(proof, false, 0);
    }
  }
  assert.equal(checked, VERIFY_BURST);
  assert.equal(beacon.counters.limited, 50);
});

Deno.test("the proofs that wait are bounded", async () => {
  const beacon = beaconWithKeys();
  const { cookie } = cookieFor(beacon, 42, A);
  const good = await signed({ node: 42, nonce: nonceOf(1), cookie });
  for (let i = 0; i < 300; i++) beacon.receive(good, A, 0);
  const taken = beacon.takeProofs();
  assert.equal(taken.length, 256);
  beacon.receive(good, A, 0);
  assert.deepEqual(beacon.takeProofs(), [], "those being checked count");
  beacon.onVerified(taken[0]!, false, 0);
  beacon.receive(good, A, 0);
  assert.equal(beacon.takeProofs().length, 1);
});

Deno.test("a full table of said endpoints keeps no proven one out", async () => {
  const beacon = beaconWithKeys({ limits: { total: 2, perSource: 1 } });
  beacon.receive(discover(1), A, 0);
  beacon.receive(discover(2), B, 0);
  assert.equal(beacon.receive(discover(3), C, 0).length, 0);
  await prove(beacon, 42, A);
  assert.deepEqual(reached(beacon, 42), A);
  assert.equal(beacon.size, 3);
  // What becomes proven leaves its place to others.
  const small = beaconWithKeys({ limits: { total: 1 } });
  small.receive(discover(42), A, 0);
  await prove(small, 42, A);
  assert.equal(small.receive(discover(1), A, 0).length, 1);
});

Deno.test("a proven sender is relayed from its endpoint only; elsewhere it learns where it is", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  beacon.receive(discover(7), B, 0);
  assert.equal(beacon.receive(relay(42, 7), A, 0)[0]?.to, B);
  const [answer] = messages(beacon.receive(relay(42, 7), C, 0));
  assert.deepEqual([answer?.[0].type, answer?.[1]], ["discover_reply", C]);
  assert.equal(beacon.counters.relay_refused, 1);
  const tiny = encodeBeacon({ type: "relay", sender: 42, dest: 7, frame: new Uint8Array(0) });
  const v6 = { host: "2001:db8::1", port: 1 };
  assert.deepEqual(beacon.receive(tiny, v6, 0), [], "no answer larger than the datagram");
  assert.equal(beacon.receive(relay(42, 7), C, PROOF_TTL_MS + 1)[0]?.to, B, "the proof is old");
});

Deno.test("a proven node is introduced only when it asks from its endpoint", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  beacon.receive(discover(7), B, 0);
  const punch = encodeBeacon({ type: "punch_request", requester: 42, target: 7 });
  assert.deepEqual(beacon.receive(punch, C, 0), []);
  assert.equal(beacon.receive(punch, A, 0).length, 2);
});

Deno.test("delivery has the form that was proven; a plain discover does not change it", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A, { flags: DISCOVER_WAKE | DISCOVER_EX });
  const form = () => messages(beacon.receive(relay(7, 42), C, 0))[0]?.[0].type;
  assert.equal(form(), "relay_deliver_dest");
  beacon.receive(discover(42), A, 0);
  assert.equal(form(), "relay_deliver_dest");
});

Deno.test("to an address that only says to be a node little is relayed, however many nodes it says to be", () => {
  const beacon = beaconWithKeys();
  const bytes = 1_000;
  let now = 0;
  let sent = 0;
  for (let i = 0; i < 2_000; i++) {
    const node = 100 + i % 50;
    // The forger names the victim, and other addresses in between.
    beacon.receive(discover(node), { ...C, port: 1 + i % 7 }, now);
    beacon.receive(discover(node), B, now);
    const from = { host: `192.0.2.${i % 200}`, port: 1 };
    for (const { to } of beacon.receive(relay(7, node, bytes - 9), from, now)) {
      if (to.host === B.host) sent += bytes;
    }
    now += 1;
  }
  const bound = UNPROVEN_BURST + now * UNPROVEN_BYTES_PER_SECOND / 1000;
  assert.ok(sent <= bound, `${sent} > ${bound}`);
  assert.ok(sent > bound - 2 * bytes);
});

Deno.test("an old daemon that answers through the relay is relayed to without end", () => {
  const beacon = beaconWithKeys();
  beacon.receive(discover(8), A, 0);
  beacon.receive(discover(9), B, 0);
  let passed = 0;
  const rounds = 20;
  const perRound = Math.floor(UNPROVEN_CREDIT / 1_000);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < perRound; i++) {
      passed += beacon.receive(relay(8, 9, 991), A, round * 1_000).length;
    }
    beacon.receive(relay(9, 8, 30), B, round * 1_000); // an acknowledgement
  }
  assert.equal(passed, rounds * perRound);
});

Deno.test("a proven address is relayed to at the rate of the sender", async () => {
  const beacon = beaconWithKeys();
  await prove(beacon, 42, A);
  let passed = 0;
  for (let i = 0; i < 3_000; i++) passed += beacon.receive(relay(7, 42, 991), C, 0).length;
  assert.equal(passed, 3_000);
});
