/** Which way the path manager takes when it learns of another one, and what it looks for. */

import assert from "node:assert/strict";
import { PROBE_ANSWER_MS } from "../../../protocol/path/path.ts";
import {
  CHECK_PROBES_MS,
  FASTER_PAUSE_MS,
  FORGIVE_MS,
  MAX_PATHS,
  PATH_SUSPECT_MS,
  SEARCH_PROBES_MS,
} from "../../../protocol/path/manager.ts";
import { RELAY_ROUTE, type Route } from "../../../protocol/path/route.ts";
import { A, B, Rig, settled, WAIT } from "./manager_rig.ts";

Deno.test("an endpoint from the beacon is probed as the other side punches", () => {
  const rig = settled(RELAY_ROUTE);
  rig.poll(30);
  assert.ok(B.via === "direct");
  const { endpoint } = B;
  assert.ok(rig.stirs(() => rig.paths.punched(endpoint, 500)));
  assert.deepEqual(
    SEARCH_PROBES_MS.map((ms) => rig.poll(500 + ms)).flat().filter((w) => w === "B"),
    [
      ...["B", "B", "B", "B", "B"],
    ],
  );
  assert.equal(rig.answer(B, 1_520), true);
  assert.equal(rig.current, "B");
  assert.equal(rig.paths.nextSearchMs, Infinity);
});

Deno.test("a new process of the peer is followed to where it came from first, if we may go there", () => {
  const rig = settled();
  const { paths } = rig;
  assert.equal(paths.restarted(A, 900), false, "there it is");
  assert.equal(paths.sinceMs, 0);
  assert.equal(paths.restarted(B, 1_000), true);
  assert.deepEqual([rig.current, paths.sinceMs, paths.isRepaired], ["B", 1_000, false]);
  assert.deepEqual([rig.candidate(B).heardMs, rig.candidate(B).kind], [1_000, "observed"]);
  assert.equal(paths.restarted(RELAY_ROUTE, 1_100), true);
  assert.deepEqual([rig.current, rig.candidate(RELAY_ROUTE).heardMs], ["relay", 1_100]);
  const nowhere: Route = { via: "direct", endpoint: { host: "192.0.2.8", port: 0 } };
  assert.equal(paths.restarted(nowhere, 1_200), false);
  assert.equal(new Rig("no-relay").paths.restarted(RELAY_ROUTE, 0), false);
  assert.equal(new Rig("relay-only").paths.restarted(A, 0), false);
  const fresh = new Rig();
  assert.equal(fresh.paths.restarted(A, 5), true);
  assert.equal(fresh.current, "A");
});

Deno.test("a change of our network is asked about by all ways, and a relayed peer looked for", () => {
  const rig = settled();
  assert.ok(rig.stirs(() => rig.paths.networkChanged(2_000)));
  assert.equal(rig.candidate(A).rttMs, undefined);
  assert.deepEqual(rig.poll(2_000), ["A", "relay"]);
  assert.equal(rig.paths.nextSearchMs, Infinity);
  const relayed = settled(RELAY_ROUTE);
  relayed.poll(30);
  relayed.paths.networkChanged(2_000);
  assert.deepEqual(relayed.poll(2_000), ["relay", "search"]);
  const only = new Rig("relay-only");
  only.paths.heard(RELAY_ROUTE, 0, true);
  only.paths.networkChanged(2_000);
  assert.deepEqual(only.poll(2_000), ["relay"]);
});

Deno.test("a path first heard by after frames went other ways, too, is doubtful until it answers", () => {
  const rig = settled();
  const { paths } = rig;
  paths.distrust(1_000);
  assert.deepEqual(rig.poll(1_000), ["A"]);
  assert.ok(paths.isDoubtful(999 + PROBE_ANSWER_MS));
  assert.ok(!paths.isDoubtful(1_000 + PROBE_ANSWER_MS), "for as long as an answer counts");
  rig.answer(A, 1_020);
  assert.ok(!paths.isDoubtful(1_021));
  // Meanwhile any other way that is known to work is better, were it slower.
  const other = settled();
  other.add(B);
  other.probe(B, 6_000, 80);
  assert.equal(other.current, "A");
  other.paths.distrust(6_100);
  assert.ok(other.poll(6_101).includes("changed"));
  assert.equal(other.current, "B");
  assert.ok(!other.paths.isDoubtful(6_102));
  // The relay is no address that could be wrong.
  const relayed = settled(RELAY_ROUTE);
  relayed.paths.distrust(1_000);
  assert.ok(!relayed.paths.isDoubtful(1_001));
  const nobody = new Rig();
  nobody.paths.distrust(1_000);
  assert.ok(!nobody.paths.isDoubtful(1_001));
});

Deno.test("a path is left for a clearly faster one, and not again for half a minute", () => {
  const rig = settled();
  rig.add(B);
  rig.probe(A, 900, 100);
  for (let i = 0; i < 4; i++) rig.probe(A, 1_100 + 200 * i, 100);
  assert.equal(rig.candidate(A).rttMs, 100);
  rig.probe(B, 2_000, 40);
  assert.equal(rig.current, "B");
  const left = 2_040;
  // A is the faster one now.
  rig.probe(A, 3_000, 5);
  assert.equal(rig.current, "B");
  rig.probe(B, left + FASTER_PAUSE_MS - 100, 40);
  rig.probe(A, left + FASTER_PAUSE_MS - 6, 5);
  assert.equal(rig.current, "B");
  rig.probe(A, left + FASTER_PAUSE_MS - 5, 5);
  assert.equal(rig.current, "A");
});

Deno.test("when the first direct path is found every direct path is measured, once", () => {
  const rig = new Rig();
  rig.add(A);
  rig.add(B);
  rig.paths.heard(A, 0, false);
  assert.deepEqual(rig.poll(0), ["A", "B"]);
  assert.equal(rig.paths.restarted(B, 10), true);
  assert.equal(rig.candidate(A).probeMs, SEARCH_PROBES_MS[1], "those bursts continue");
  const alone = new Rig();
  alone.add(A);
  alone.paths.heard(A, 0, false);
  assert.deepEqual(alone.poll(0), []);
});

Deno.test("the direct endpoint is the one in use, or the likeliest: by its last answer, then by the registry's data", () => {
  const rig = new Rig();
  assert.equal(rig.paths.direct, undefined);
  rig.add(B, "lan");
  rig.add(A, "public");
  const host = () => rig.paths.direct?.host;
  assert.equal(host(), "192.0.2.7");
  rig.paths.heard(RELAY_ROUTE, 0, true);
  rig.candidate(B).answeredMs = 5;
  assert.equal(host(), "192.0.2.8");
  rig.candidate(A).answeredMs = 6;
  assert.equal(host(), "192.0.2.7");
  rig.paths.restarted(B, 10);
  assert.equal(host(), "192.0.2.8");
});

Deno.test("a relay in use that does not answer has us announce ourselves", () => {
  const rig = settled(RELAY_ROUTE);
  rig.poll(30);
  rig.paths.check(2_000);
  rig.poll(2_000);
  assert.deepEqual(rig.poll(1_999 + WAIT).filter((what) => what === "announce"), []);
  assert.deepEqual(rig.poll(2_000 + WAIT).filter((what) => what === "announce"), ["announce"]);
});

Deno.test("an answer takes the doubt away, ends the burst and may lead elsewhere", () => {
  const rig = settled();
  const { paths } = rig;
  paths.sent(500, true, false);
  paths.check(600);
  rig.poll(600);
  assert.ok(rig.stirs(() => assert.equal(rig.answer(A, 620), false)));
  assert.equal(rig.candidate(A).probeMs, Infinity);
  assert.ok(!paths.isDoubtful(5_000));
  assert.equal(paths.answered(12_345, A, 700), undefined, "none of ours");
  assert.equal(rig.answer(A, 700), undefined, "a second time");
});

Deno.test("data makes a search urgent that was put off", () => {
  const rig = new Rig();
  rig.paths.heard(RELAY_ROUTE, 0, false);
  rig.demand = { isWanted: false, hasConns: false };
  rig.poll(0);
  assert.ok(rig.paths.nextSearchMs > 100_000);
  assert.ok(!rig.stirs(() => rig.paths.sent(50_000, false, false)), "no data");
  assert.ok(rig.stirs(() => rig.paths.sent(50_001, false, true)));
  assert.equal(rig.paths.nextSearchMs, 50_001);
});

Deno.test("data that comes in makes a search urgent as well", () => {
  const rig = new Rig();
  rig.paths.heard(RELAY_ROUTE, 0, false);
  rig.demand = { isWanted: false, hasConns: false };
  rig.poll(0);
  rig.paths.heard(RELAY_ROUTE, 50_000, false);
  assert.ok(rig.paths.nextSearchMs > 100_000);
  rig.paths.heard(RELAY_ROUTE, 50_001, true);
  assert.equal(rig.paths.nextSearchMs, 50_001);
});

Deno.test("a search is made for a wanted tunnel and for connections, each alone", () => {
  for (const [isWanted, hasConns] of [[true, false], [false, true], [true, true]] as const) {
    const rig = new Rig();
    rig.paths.heard(RELAY_ROUTE, 0, false);
    rig.demand = { isWanted, hasConns };
    assert.deepEqual(rig.poll(0), ["search"]);
  }
});

Deno.test("a peer that used to answer and is heard, but answers no more, is not reached: the relay is taken", () => {
  for (const didAnswer of [true, false]) {
    const rig = new Rig();
    rig.add(A);
    rig.paths.heard(A, 0, true);
    if (didAnswer) rig.probe(A, 100);
    rig.paths.check(2_000);
    for (const at of [2_000, 2_300, 2_700]) rig.poll(at);
    rig.paths.heard(A, 2_800, false);
    rig.paths.heard(RELAY_ROUTE, 2_900, false);
    assert.equal(rig.poll(2_999).includes("changed"), false);
    assert.equal(rig.poll(3_000).includes("changed"), didAnswer);
    assert.equal(rig.current, didAnswer ? "relay" : "A");
  }
});

Deno.test("a path that recovers has no search begun for it, and is suspected again when it falls silent again", () => {
  const rig = settled();
  const { paths } = rig;
  paths.sent(600, true, false);
  rig.poll(1_000);
  rig.poll(1_000 + WAIT);
  assert.notEqual(paths.nextSearchMs, Infinity);
  rig.answer(A, 1_260);
  rig.poll(1_270);
  assert.equal(paths.nextSearchMs, Infinity);
  // The relay, which has never answered, is asked again as well.
  paths.sent(20_000, true, false);
  assert.deepEqual(rig.poll(20_000 + PATH_SUSPECT_MS).slice(-2), ["A", "relay"]);
});

Deno.test("the relay is asked again for as long as it might be the remedy", () => {
  const rig = settled();
  rig.paths.sent(600, true, false);
  rig.poll(1_000);
  for (const ms of CHECK_PROBES_MS) rig.poll(1_000 + ms);
  rig.candidate(RELAY_ROUTE).stopProbes();
  assert.deepEqual(rig.poll(20_000).filter((what) => what !== "A"), [
    "relay",
    "search",
    "announce",
  ]);
});

Deno.test("a new path begins with nothing against it", () => {
  const rig = settled();
  rig.paths.heard(RELAY_ROUTE, 2_000, false);
  assert.ok(rig.paths.isDoubtful(2_000));
  assert.ok(rig.stirs(() => rig.paths.restarted(B, 2_010)));
  assert.ok(!rig.paths.isDoubtful(2_010));
  // Not in use for a minute, though the clock says more.
  rig.candidate(B).failures = 1;
  rig.poll(FORGIVE_MS + 1_000);
  assert.equal(rig.candidate(B).failures, 1);
  // One that was taken in need is no repair any more when a better one is found.
  const broken = settled();
  broken.paths.sent(600, true, false);
  broken.poll(1_000);
  broken.answer(RELAY_ROUTE, 1_060);
  broken.poll(1_000 + WAIT);
  assert.equal(broken.paths.isRepaired, true);
  broken.paths.restarted(B, 3_000);
  assert.equal(broken.paths.isRepaired, false);
});

Deno.test("the address of ours at which the peer was heard is the one that we answer from", () => {
  assert.ok(B.via === "direct");
  const local = { host: "198.51.100.1", port: 4000 };
  const atLocal: Route = { via: "direct", endpoint: { ...B.endpoint, local: local.host } };
  const localOf = (rig: Rig) => {
    const { route } = rig.candidate(B);
    return route.via === "direct" ? route.endpoint.local : undefined;
  };
  const heard = settled();
  heard.add(B);
  assert.ok(heard.stirs(() => heard.paths.heard(atLocal, 1_000, true)));
  assert.equal(localOf(heard), local.host);
  const restarted = settled();
  restarted.add(B);
  restarted.paths.restarted(atLocal, 1_000);
  assert.equal(localOf(restarted), local.host);
});

Deno.test("a change of network reschedules even a manager without paths, and brings an idle search forward", () => {
  const rig = new Rig();
  assert.ok(rig.stirs(() => rig.paths.networkChanged(5)));
  const idle = new Rig();
  idle.paths.heard(RELAY_ROUTE, 0, false);
  idle.demand = { isWanted: false, hasConns: false };
  idle.poll(0);
  idle.paths.networkChanged(2_000);
  assert.equal(idle.paths.nextSearchMs, 2_000);
});

Deno.test("an answer before the first frame chooses nothing", () => {
  const rig = new Rig();
  assert.ok(B.via === "direct");
  rig.paths.punched(B.endpoint, 0);
  rig.poll(0);
  assert.equal(rig.answer(B, 20), false);
  assert.equal(rig.current, undefined);
});

Deno.test("a path that was opened without data is not probed for a silence", () => {
  const rig = new Rig("relay-only");
  rig.paths.heard(RELAY_ROUTE, 0, false);
  rig.poll(0);
  assert.equal(rig.paths.deadline, Infinity);
});

Deno.test("the path in use is not given up for room, however little speaks for it", () => {
  const rig = new Rig();
  rig.paths.heard(A, 1, false); // observed, and never answered
  for (let n = 0; n < 2 * MAX_PATHS; n++) {
    rig.paths.add("public", { host: "203.0.113.1", port: 1_000 + n });
  }
  assert.equal(rig.current, "A");
  assert.ok(rig.paths.all.includes(rig.paths.current!));
  assert.equal(rig.paths.all.length, MAX_PATHS + 1, "and the relay");
});
