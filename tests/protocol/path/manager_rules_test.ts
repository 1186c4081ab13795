/** The rules of the path manager at their bounds: when it doubts, asks, pauses, leaves and forgives. */

import assert from "node:assert/strict";
import { type Candidate, PROBE_ANSWER_MS } from "../../../protocol/path/candidate.ts";
import {
  AFTER_FAILURE_MS,
  CHECK_PROBES_MS,
  CURRENT_PAUSE_MS,
  FASTER_PAUSE_MS,
  FORGIVE_MS,
  MAX_OBSERVED_PAUSE_MS,
  OBSERVED_PAUSE_MS,
  PATH_DOUBT_MS,
  PATH_QUIET_MS,
  PATH_SUSPECT_MS,
  PathManager,
  SEARCH_PROBES_MS,
} from "../../../protocol/path/manager.ts";
import { pathProbeId } from "../../../protocol/path/probe.ts";
import { type PathMode, RELAY_ROUTE, type Route } from "../../../protocol/path/route.ts";
import { direct } from "./model.ts";

const A = direct("192.0.2.7");
const B = direct("192.0.2.8");
const RTT = 20;
/** An answer is awaited so long by a way of this round trip. */
const WAIT = 250;

function name(route: Route): string {
  return route.via === "relay" ? "relay" : route.endpoint.host === "192.0.2.7" ? "A" : "B";
}

/** A manager, asked and answered by hand. */
class Rig {
  readonly paths: PathManager;
  needs = { isWanted: true, hasConns: true };
  readonly #ids = new Map<string, number>();
  #next = 1;

  constructor(mode: PathMode = "auto") {
    const random = (out: Uint8Array) => new DataView(out.buffer).setUint32(0, this.#next++);
    this.paths = new PathManager({ mode, random });
  }

  /** What there is to do: names of the ways that are probed, and what else. */
  poll(now: number): string[] {
    const { probes, search, announce, changed } = this.paths.poll(now, this.needs);
    for (const { route, payload } of probes) this.#ids.set(name(route), pathProbeId(payload));
    return [
      ...probes.map(({ route }) => name(route)),
      ...(search ? ["search"] : []),
      ...(announce ? ["announce"] : []),
      ...(changed ? ["changed"] : []),
    ];
  }

  /** The peer answers the last probe by a way. */
  answer(route: Route, now: number): boolean | undefined {
    return this.paths.answered(this.#ids.get(name(route))!, route, now);
  }

  /** A probe by a way, and its answer one round trip later. */
  probe(route: Route, now: number, rttMs = RTT): void {
    this.candidate(route).probe([0], now);
    this.poll(now);
    this.answer(route, now + rttMs);
  }

  add(route: Route, kind: "public" | "lan" | "observed" = "public"): Candidate {
    assert.ok(route.via === "direct");
    return this.paths.add(kind, route.endpoint)!;
  }

  candidate(route: Route): Candidate {
    return this.paths.candidates.find((one) => name(one.route) === name(route))!;
  }

  get current(): string | undefined {
    const { current } = this.paths;
    return current === undefined ? undefined : name(current.route);
  }

  /** Does this stir the manager? */
  stirs(act: () => unknown): boolean {
    this.paths.isStirred = false;
    act();
    return this.paths.isStirred;
  }
}

/** A way in use that has answered a probe, 20 ms after time 0. */
function settled(route: Route = A): Rig {
  const rig = new Rig();
  if (route.via === "direct") rig.add(route);
  rig.paths.heard(route, 0, true);
  rig.poll(0);
  rig.paths.check(0);
  rig.poll(0);
  rig.answer(route, RTT);
  return rig;
}

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
  // A burst that is under way goes on as it was.
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

Deno.test("a path that has just answered is not asked for a second because the peer comes another way", () => {
  const rig = settled(); // answered at 20
  rig.paths.heard(RELAY_ROUTE, RTT + CURRENT_PAUSE_MS - 1, false);
  assert.deepEqual(rig.poll(RTT + CURRENT_PAUSE_MS - 1), []);
  assert.ok(!rig.paths.isDoubtful(RTT + CURRENT_PAUSE_MS - 1));
  rig.paths.heard(RELAY_ROUTE, RTT + CURRENT_PAUSE_MS, false);
  assert.deepEqual(rig.poll(RTT + CURRENT_PAUSE_MS), ["A"]);
});

Deno.test("a way that is known to work is not asked because a frame came by it, unless it is in use", () => {
  const rig = settled();
  rig.add(B);
  rig.probe(B, 100);
  rig.paths.heard(B, 3_000, false);
  assert.deepEqual(rig.poll(3_000), ["A"]);
  rig.answer(A, 3_020);
  // What it has shown is over after a while.
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
  // The relay is asked again when its burst is over; a search that is planned is not begun anew.
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
  rig.needs = { isWanted: true, hasConns: false };
  assert.deepEqual(rig.poll(11_000), []);
  rig.needs = { isWanted: true, hasConns: true };
  assert.deepEqual(rig.poll(12_000), [], "that silence has been asked about");
});

Deno.test("how long the peer takes to answer anything counts until a probe tells", () => {
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

Deno.test("a burst that was slept through leaves at once; a check that is under way is not begun anew", () => {
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

Deno.test("a way is left for a clearly faster one, and not again for half a minute", () => {
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

Deno.test("when the first direct way is found every direct way is measured, once", () => {
  const rig = new Rig();
  rig.add(A);
  rig.add(B);
  rig.paths.heard(A, 0, false);
  assert.deepEqual(rig.poll(0), ["A", "B"]);
  assert.equal(rig.paths.restarted(B, 10), true);
  assert.equal(rig.candidate(A).probeMs, SEARCH_PROBES_MS[1], "those bursts go on");
  const alone = new Rig();
  alone.add(A);
  alone.paths.heard(A, 0, false);
  assert.deepEqual(alone.poll(0), []);
});

Deno.test("the direct endpoint is the one in use, or the likeliest: by its last answer, then by the registry's word", () => {
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
  rig.needs = { isWanted: false, hasConns: false };
  rig.poll(0);
  assert.ok(rig.paths.nextSearchMs > 100_000);
  assert.ok(!rig.stirs(() => rig.paths.sent(50_000, false, false)), "no data");
  assert.ok(rig.stirs(() => rig.paths.sent(50_001, false, true)));
  assert.equal(rig.paths.nextSearchMs, 50_001);
});
