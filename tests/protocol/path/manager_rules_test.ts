/** When the path manager doubts, asks, pauses, leaves and forgives, to the millisecond. */

import assert from "node:assert/strict";
import { PROBE_ANSWER_MS } from "../../../protocol/path/path.ts";
import {
  AFTER_FAILURE_MS,
  CHECK_PROBES_MS,
  CURRENT_PAUSE_MS,
  FORGIVE_MS,
  MAX_OBSERVED_PAUSE_MS,
  OBSERVED_PAUSE_MS,
  PATH_DOUBT_MS,
  PATH_QUIET_MS,
  PATH_SUSPECT_MS,
  SEARCH_PROBES_MS,
} from "../../../protocol/path/manager.ts";
import { RELAY_ROUTE } from "../../../protocol/path/route.ts";
import { A, B, Rig, RTT, settled, WAIT } from "./manager_rig.ts";

Deno.test("a frame that should be answered makes the path doubtful after a second without one", () => {
  const { paths } = settled();
  assert.equal(paths.isDoubtful(100_000), false, "nothing was sent");
  paths.sent(500, false, true);
  assert.equal(paths.isDoubtful(100_000), false, "nothing that is answered");
  paths.sent(600, true, true);
  paths.sent(900, true, true);
  assert.equal(paths.sentMs, 900);
  assert.equal(paths.isDoubtful(600 + PATH_DOUBT_MS), false);
  assert.equal(paths.isDoubtful(601 + PATH_DOUBT_MS), true, "the first of them counts");
  paths.heard(A, 650, false);
  assert.equal(paths.isDoubtful(100_000), false);
});

Deno.test("the first unanswered frame stirs, further ones do not", () => {
  const rig = settled();
  assert.ok(rig.stirs(() => rig.paths.sent(600, true, false)));
  assert.ok(!rig.stirs(() => rig.paths.sent(610, true, false)));
  assert.ok(!rig.stirs(() => rig.paths.sent(620, false, false)));
});

Deno.test("after 400 ms without an answer the path in use and the relay are probed, once", () => {
  const rig = settled();
  rig.paths.sent(600, true, false);
  assert.equal(rig.paths.deadline, 600 + PATH_SUSPECT_MS);
  assert.deepEqual(rig.poll(599 + PATH_SUSPECT_MS), []);
  assert.deepEqual(rig.poll(600 + PATH_SUSPECT_MS), ["A", "relay"]);
  assert.deepEqual(rig.poll(601 + PATH_SUSPECT_MS), []);
  // A burst in progress continues unchanged.
  const busy = settled();
  busy.paths.check(900);
  busy.poll(900);
  busy.paths.sent(910, true, false);
  assert.deepEqual(busy.poll(1_310), ["A", "relay", "search", "announce"]);
  assert.equal(busy.candidate(A).probeMs, 900 + CHECK_PROBES_MS[2]!);
});

Deno.test("a relayed peer that does not answer has us announce ourselves and probe the relay", () => {
  const rig = settled(RELAY_ROUTE);
  rig.paths.sent(600, true, false);
  assert.deepEqual(rig.poll(1_000).filter((what) => what !== "search"), ["relay", "announce"]);
  assert.deepEqual(rig.poll(1_001), [], "once");
});

Deno.test("a peer that comes by the relay puts the path in use in doubt, until that answers or is heard by", () => {
  const rig = settled();
  const { paths } = rig;
  paths.heard(RELAY_ROUTE, 2_000, false);
  assert.ok(paths.isDoubtful(2_000));
  assert.deepEqual(rig.poll(2_000), ["A"]);
  paths.heard(RELAY_ROUTE, 2_100, false);
  assert.ok(paths.isDoubtful(2_100), "the answer is still awaited");
  rig.answer(A, 2_110);
  assert.ok(!paths.isDoubtful(2_110));
  paths.heard(RELAY_ROUTE, 4_000, false);
  assert.ok(paths.isDoubtful(4_000));
  paths.heard(A, 4_010, false);
  assert.ok(!paths.isDoubtful(4_010));
  // From another address it is a candidate, no doubt.
  const other = settled();
  other.paths.heard(B, 2_000, false);
  assert.ok(!other.paths.isDoubtful(2_000));
  assert.deepEqual(other.poll(2_000), ["A", "B"]);
});

Deno.test("a path that has just answered is not probed for a second because the peer uses another path", () => {
  const rig = settled(); // answered at 20
  rig.paths.heard(RELAY_ROUTE, RTT + CURRENT_PAUSE_MS - 1, false);
  assert.deepEqual(rig.poll(RTT + CURRENT_PAUSE_MS - 1), []);
  assert.ok(!rig.paths.isDoubtful(RTT + CURRENT_PAUSE_MS - 1));
  rig.paths.heard(RELAY_ROUTE, RTT + CURRENT_PAUSE_MS, false);
  assert.deepEqual(rig.poll(RTT + CURRENT_PAUSE_MS), ["A"]);
});

Deno.test("a path that is known to work is not probed because a frame came by it, unless it is in use", () => {
  const rig = settled();
  rig.add(B);
  rig.probe(B, 100);
  rig.paths.heard(B, 3_000, false);
  assert.deepEqual(rig.poll(3_000), ["A"]);
  rig.answer(A, 3_020);
  // What it has shown expires after a while.
  rig.paths.heard(B, 100 + RTT + PROBE_ANSWER_MS + 1, false);
  assert.deepEqual(rig.poll(100 + RTT + PROBE_ANSWER_MS + 1), ["A", "B"]);
});

Deno.test("an address that only frames speak for is probed after pauses that double, to half a minute", () => {
  const rig = settled();
  const times: number[] = [];
  for (let now = 10_000; now < 200_000; now += 10) {
    rig.paths.heard(B, now, false);
    for (const what of rig.poll(now)) {
      if (what === "A") rig.answer(A, now);
      if (what === "B") times.push(now);
    }
  }
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  const doubled = pauses.map((_, i) => Math.min(MAX_OBSERVED_PAUSE_MS, OBSERVED_PAUSE_MS * 2 ** i));
  assert.deepEqual(pauses, doubled);
  assert.equal(pauses.at(-1), MAX_OBSERVED_PAUSE_MS);
});

Deno.test("a path that breaks is left for the relay when the peer is heard by it, and looked for after a second", () => {
  const rig = settled();
  const { paths } = rig;
  paths.sent(600, true, false);
  rig.poll(1_000);
  assert.equal(rig.answer(RELAY_ROUTE, 1_060), false);
  assert.equal(paths.deadline, 1_000 + WAIT);
  assert.deepEqual(rig.poll(999 + WAIT), []);
  assert.deepEqual(rig.poll(1_000 + WAIT), ["announce", "changed"]);
  assert.deepEqual([rig.current, paths.isRelayed, paths.isRepaired], ["relay", true, true]);
  assert.deepEqual([paths.sinceMs, rig.candidate(A).failures], [1_000 + WAIT, 1]);
  assert.equal(paths.nextSearchMs, 1_000 + WAIT + AFTER_FAILURE_MS);
  assert.ok(!paths.isDoubtful(1_000 + WAIT), "the new path has not failed yet");
  // The first way of all is improved at once.
  const first = new Rig();
  first.paths.heard(RELAY_ROUTE, 50, true);
  assert.deepEqual([first.paths.nextSearchMs, first.paths.isRepaired], [50, false]);
  assert.deepEqual(first.poll(50), ["search"]);
});

Deno.test("a path that breaks is kept when nothing else is known to work; then everything is tried", () => {
  const rig = settled();
  rig.paths.sent(600, true, false);
  rig.poll(1_000);
  assert.deepEqual(rig.poll(1_000 + WAIT), ["search", "announce"]);
  assert.equal(rig.current, "A");
  assert.equal(rig.paths.isRepaired, false);
  // The relay is asked again when its burst is over; a planned search is not restarted.
  const planned = rig.paths.nextSearchMs;
  assert.deepEqual(rig.poll(1_260), ["announce"]);
  assert.equal(rig.paths.nextSearchMs, planned);
  // Heard by the relay since: now it is.
  assert.equal(rig.paths.heard(RELAY_ROUTE, 1_270, false), true);
  assert.equal(rig.current, "relay");
});

Deno.test("the relay counts as proven by what was heard since the path fell silent, not before", () => {
  const rig = settled();
  rig.paths.heard(RELAY_ROUTE, 1_000, false); // the instant of the first unanswered probe
  rig.poll(1_000);
  rig.candidate(A).probe([0], 1_000);
  rig.poll(1_000);
  rig.paths.sent(1_000, true, false);
  rig.candidate(RELAY_ROUTE).heardMs = 1_000;
  assert.ok(!rig.poll(1_000 + WAIT).includes("changed"));
  rig.candidate(RELAY_ROUTE).heardMs = 1_001;
  assert.ok(rig.poll(1_001 + WAIT).includes("changed"));
});

Deno.test("failures are forgiven to a path that has held for a minute, not while an answer is awaited", () => {
  const rig = settled();
  const { paths } = rig;
  rig.candidate(A).failures = 2;
  paths.heard(A, FORGIVE_MS - 10, false);
  paths.sent(FORGIVE_MS - 5, true, false);
  rig.poll(FORGIVE_MS + 1);
  assert.equal(rig.candidate(A).failures, 2, "it may have broken just now");
  paths.heard(A, FORGIVE_MS + 2, false);
  rig.poll(FORGIVE_MS + 3);
  assert.equal(rig.candidate(A).failures, 0);
  const young = settled();
  young.candidate(A).failures = 1;
  young.poll(FORGIVE_MS);
  assert.equal(young.candidate(A).failures, 1);
  young.poll(FORGIVE_MS + 1);
  assert.equal(young.candidate(A).failures, 0);
});

Deno.test("a silence after data is asked about once, while there are connections", () => {
  const rig = settled();
  const { paths } = rig;
  rig.poll(PATH_QUIET_MS); // that of the start
  rig.answer(A, PATH_QUIET_MS + RTT);
  assert.ok(!rig.stirs(() => paths.heard(A, 5_000, false)), "no data");
  assert.equal(paths.deadline, Infinity);
  assert.ok(rig.stirs(() => paths.heard(A, 6_000, true)));
  assert.ok(!rig.stirs(() => paths.heard(A, 6_001, true)));
  assert.equal(paths.deadline, 6_001 + PATH_QUIET_MS);
  assert.deepEqual(rig.poll(6_000 + PATH_QUIET_MS), []);
  assert.deepEqual(rig.poll(6_001 + PATH_QUIET_MS), ["A"]);
  rig.answer(A, 7_030);
  assert.deepEqual(rig.poll(9_000), []);
  paths.heard(A, 10_000, true);
  rig.demand = { isWanted: true, hasConns: false };
  assert.deepEqual(rig.poll(11_000), []);
  rig.demand = { isWanted: true, hasConns: true };
  assert.deepEqual(rig.poll(12_000), [], "that silence has been asked about");
});

Deno.test("how long the peer takes to answer anything counts until a probe shows it", () => {
  const rig = new Rig();
  rig.add(A);
  rig.paths.heard(A, 0, false);
  rig.paths.sent(100, true, false);
  rig.paths.heard(A, 400, false);
  assert.equal(rig.candidate(A).waitMs, 900);
});

Deno.test("a path that is heard again after all its probes were lost is asked again", () => {
  const rig = new Rig();
  rig.add(A);
  rig.paths.heard(A, 0, false);
  rig.paths.check(0);
  for (const at of [0, 300, 700, 1_500]) rig.poll(at);
  assert.ok(!rig.stirs(() => rig.paths.heard(A, 2_000, false)), "the last is still to be sent");
  assert.deepEqual(rig.poll(3_000), ["A"]);
  rig.candidate(A).unansweredMs = 3_000;
  rig.paths.heard(A, 3_499, false);
  assert.deepEqual(rig.poll(3_499), [], "its answer may come yet");
  assert.ok(rig.stirs(() => rig.paths.heard(A, 3_500, false)));
  assert.deepEqual(rig.poll(3_500), ["A"]);
  assert.equal(rig.candidate(A).unansweredMs, 3_500, "the old ones are forgotten");
});

Deno.test("a burst that was slept through leaves at once; a check in progress is not restarted", () => {
  const rig = settled();
  rig.poll(1_000);
  rig.answer(A, 1_020);
  rig.add(B);
  assert.ok(rig.stirs(() => rig.paths.search(2_000)));
  assert.deepEqual(rig.poll(2_000 + SEARCH_PROBES_MS.at(-1)!), Array(5).fill("B"));
  assert.ok(rig.stirs(() => rig.paths.check(9_000)));
  rig.poll(9_000);
  assert.ok(!rig.stirs(() => rig.paths.check(9_100)));
  assert.equal(rig.paths.deadline, 9_000 + WAIT);
  const nobody = new Rig();
  assert.ok(!nobody.stirs(() => nobody.paths.check(0)));
});
