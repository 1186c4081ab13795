import assert from "node:assert/strict";
import fc from "fast-check";
import {
  isEndpointOfOne,
  MAX_PATHS,
  Path,
  PathManager,
  pathProbeId,
  PROBE_ANSWER_MS,
  PROBE_FIRST_WAIT_MS,
  PROBE_MAX_WAIT_MS,
  PROBE_MIN_WAIT_MS,
  RELAY_ROUTE,
  type Route,
  samePath,
  sameRoute,
} from "../../../protocol/path/mod.ts";
import { direct, Model } from "./model.ts";

/** Where not one host is. */
const NOBODY: readonly { host: string; port: number }[] = [
  ...["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"],
  ...["::", "ff02::1", "ff02::1%eth0", "ff0e::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1"],
  "::ffff:255.255.255.255",
].map((host) => ({ host, port: 4000 })).concat([
  { host: "192.0.2.7", port: 0 },
  { host: "2001:db8::7", port: 0 },
  { host: "peer.example", port: 0 },
]);
/** Where one may be: on this machine, beside it, or elsewhere. */
const SOMEBODY: readonly string[] = [
  ...["127.0.0.1", "::1", "10.0.0.1", "169.254.1.1", "192.168.1.255", "192.0.2.7"],
  ...["fe80::1", "fe80::1%eth0", "fd00::1", "2001:db8::7", "::ffff:192.0.2.7", "peer.example"],
];

function manager(): PathManager {
  let next = 1;
  return new PathManager({ mode: "auto", random: (out) => void out.fill(next++) });
}

function hosts(paths: PathManager): string[] {
  return paths.all.flatMap(({ route }) =>
    route.via === "direct" ? [`${route.endpoint.host}:${route.endpoint.port}`] : []
  );
}

/** A path whose probes were answered: sent at, answered after. */
function answered(...probes: readonly (readonly [sentMs: number, rttMs: number])[]): Path {
  const candidate = new Path("public", direct("192.0.2.7"));
  for (const [id, [sentMs, rttMs]] of probes.entries()) {
    candidate.probe([0], sentMs);
    candidate.probed(id, sentMs);
    assert.ok(candidate.take(id, sentMs + rttMs));
  }
  return candidate;
}

Deno.test("isEndpointOfOne distinguishes one host's address from groups, broadcasts and nowhere", () => {
  for (const endpoint of NOBODY) assert.ok(!isEndpointOfOne(endpoint), JSON.stringify(endpoint));
  for (const host of SOMEBODY) assert.ok(isEndpointOfOne({ host, port: 1 }), host);
});

Deno.test("isEndpointOfOne never throws, whatever the host is", () => {
  const host = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.ipV6().map((ip) => `${ip}%0`));
  fc.assert(fc.property(host, fc.nat(65_535), (host, port) => {
    assert.equal(typeof isEndpointOfOne({ host, port }), "boolean");
  }));
});

Deno.test("PathManager makes no candidate of an address that is no single host's, whatever names it", () => {
  for (const endpoint of NOBODY) {
    const paths = manager();
    for (const kind of ["lan", "public", "observed"] as const) {
      assert.equal(paths.add(kind, endpoint), undefined, JSON.stringify(endpoint));
    }
    paths.punched(endpoint, 0);
    assert.equal(paths.heard({ via: "direct", endpoint }, 0, true), false);
    assert.equal(paths.restarted({ via: "direct", endpoint }, 0), false);
    assert.deepEqual(hosts(paths), []);
    assert.equal(paths.current, undefined);
    assert.equal(paths.direct, undefined);
  }
});

Deno.test("a hostile address neither moves a path in use nor draws a probe", () => {
  const model = new Model();
  model.way(RELAY_ROUTE, 60);
  model.hear(RELAY_ROUTE);
  for (const endpoint of NOBODY) {
    model.hear({ via: "direct", endpoint });
    model.paths.punched(endpoint, model.now);
    model.run(2_000);
  }
  assert.ok(model.paths.isRelayed);
  assert.deepEqual(model.probes.filter(({ route }) => route.via === "direct"), []);
});

Deno.test("PathManager has a path once, by the best evidence", () => {
  const paths = manager();
  const endpoint = { host: "192.0.2.7", port: 4000 };
  const seen = paths.add("observed", endpoint);
  assert.equal(paths.add("public", { ...endpoint }), seen);
  assert.equal(seen!.kind, "public");
  assert.equal(paths.add("observed", endpoint), seen);
  assert.equal(seen!.kind, "public", "a frame takes nothing from what the registry said");
  assert.equal(paths.add("lan", endpoint)!.kind, "lan");
  // Another port is another path.
  paths.add("observed", { host: "192.0.2.7", port: 4001 });
  assert.deepEqual(hosts(paths), ["192.0.2.7:4000", "192.0.2.7:4001"]);
});

Deno.test("PathManager keeps what was named within its bound, the path in use and those that answered always", () => {
  const endpoint = fc.record({
    host: fc.oneof(fc.nat(60).map((i) => `198.51.100.${i + 1}`), fc.constantFrom(...SOMEBODY)),
    port: fc.integer({ min: 0, max: 3 }),
  });
  const named = fc.record({
    kind: fc.constantFrom("lan" as const, "public" as const, "observed" as const),
    endpoint,
    isAnswered: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(named, { minLength: 40, maxLength: 80 }), (all) => {
    const paths = manager();
    const current = direct("192.0.2.99");
    paths.heard(current, 0, true);
    const good = new Set<string>();
    for (const [i, { kind, endpoint, isAnswered }] of all.entries()) {
      const candidate = paths.add(kind, endpoint);
      assert.equal(candidate === undefined, endpoint.port === 0);
      if (candidate === undefined) continue;
      if (isAnswered && good.size < MAX_PATHS - 2) {
        candidate.probed(1_000 + i, i);
        assert.ok(candidate.take(1_000 + i, i + 1));
        good.add(`${endpoint.host}:${endpoint.port}`);
      }
      const kept = hosts(paths);
      assert.ok(kept.length <= MAX_PATHS);
      assert.equal(new Set(kept).size, kept.length, "no way twice");
      assert.ok(kept.includes(`${endpoint.host}:${endpoint.port}`), "the newest is there");
      assert.ok([...good].every((host) => kept.includes(host)));
      assert.ok(kept.includes("192.0.2.99:4000"), "the way in use is there");
    }
  }));
});

Deno.test("PathManager.direct prefers the path that answered last, then the registry's", () => {
  const paths = manager();
  const at = (host: string) => ({ host, port: 4000 });
  paths.add("observed", at("198.51.100.1"));
  assert.equal(paths.direct?.host, "198.51.100.1");
  paths.add("lan", at("192.168.1.9"));
  paths.add("public", at("192.0.2.7"));
  assert.equal(paths.direct?.host, "192.0.2.7");
  for (const [i, host] of ["198.51.100.1", "192.168.1.9"].entries()) {
    const candidate = paths.add("observed", at(host))!;
    candidate.probed(i, 10 * i);
    candidate.take(i, 10 * i + 5);
    assert.equal(paths.direct?.host, host);
  }
});

Deno.test("Path takes the least of the last four round trips", () => {
  assert.equal(new Path("relay", RELAY_ROUTE).rttMs, undefined);
  assert.equal(answered([0, 30], [100, 10], [200, 20]).rttMs, 10);
  assert.equal(answered([0, 10], [100, 40], [200, 30], [300, 50], [400, 60]).rttMs, 30);
});

Deno.test("Path waits three round trips, within bounds", () => {
  assert.equal(new Path("public", direct("192.0.2.7")).waitMs, PROBE_FIRST_WAIT_MS);
  assert.equal(answered([0, 1]).waitMs, PROBE_MIN_WAIT_MS);
  assert.equal(answered([0, 100]).waitMs, 300);
  assert.equal(answered([0, 4_000]).waitMs, PROBE_MAX_WAIT_MS);
});

Deno.test("Path takes an answer once, not too late, and only to one of its last eight probes", () => {
  const candidate = new Path("public", direct("192.0.2.7"));
  for (let id = 0; id < 9; id++) candidate.probed(id, 0);
  assert.ok(!candidate.take(0, 10), "forgotten");
  assert.ok(!candidate.take(99, 10), "nobody's");
  assert.ok(candidate.take(8, 10));
  assert.ok(!candidate.take(8, 11), "again");
  assert.ok(!candidate.take(7, PROBE_ANSWER_MS + 1), "late");
  assert.deepEqual([candidate.sent, candidate.answered, candidate.rttMs], [9, 1, 10]);
});

Deno.test("Path probes at the scheduled times, and not after its probes are cancelled", () => {
  const candidate = new Path("public", direct("192.0.2.7"));
  assert.equal(candidate.probeMs, Infinity);
  candidate.probe([0, 100, 250], 1_000);
  const times: number[] = [];
  for (let id = 0; candidate.probeMs !== Infinity; id++) {
    times.push(candidate.probeMs);
    candidate.probed(id, candidate.probeMs);
  }
  assert.deepEqual(times, [1_000, 1_100, 1_250]);
  candidate.probe([0, 100], 2_000);
  candidate.stopProbes();
  assert.equal(candidate.probeMs, Infinity);
  assert.equal(candidate.vainBursts, 1, "one burst was all in vain");
});

Deno.test("Path fails when no answer came in time, unless the peer is heard by it", () => {
  const candidate = answered([0, 100]);
  candidate.probed(7, 1_000);
  assert.equal(candidate.failsMs, 1_300);
  assert.ok(!candidate.isFailing(1_299, true));
  assert.ok(candidate.isFailing(1_300, true));
  candidate.heardMs = 1_200;
  assert.ok(!candidate.isFailing(1_300, true), "it may be the answer alone that is late");
  candidate.probed(8, 1_500);
  candidate.probed(9, 2_000);
  assert.ok(candidate.isFailing(2_000, true), "deaf in our direction");
  assert.ok(!candidate.isFailing(2_000, false), "a peer that answers no probes at all");
});

Deno.test("Path is confirmed by one answer, by more after each time it broke, and not for long", () => {
  const candidate = answered([0, 10]);
  assert.ok(candidate.isConfirmed(10));
  assert.ok(!candidate.isConfirmed(10 + PROBE_ANSWER_MS + 1));
  const needed: number[] = [];
  for (let id = 100, breaks = 0, now = 10_000; breaks < 6; breaks++) {
    candidate.noteFailure();
    let answers = 0;
    for (; !candidate.isConfirmed(now); answers++, id++) {
      candidate.probed(id, now);
      assert.ok(candidate.take(id, ++now));
    }
    needed.push(answers);
  }
  assert.deepEqual(needed, [2, 3, 4, 4, 4, 4]);
});

Deno.test("Path.reset forgets what probes have shown, but not where it leads", () => {
  const candidate = answered([0, 10]);
  candidate.noteFailure();
  candidate.probe([0, 100], 50);
  candidate.reset();
  assert.deepEqual(
    [candidate.rttMs, candidate.failures, candidate.probeMs, candidate.failsMs],
    [undefined, 0, Infinity, Infinity],
  );
  assert.ok(!candidate.isConfirmed(11));
  assert.deepEqual(candidate.route, direct("192.0.2.7"));
});

/** A direct path from an address of ours. */
function from(local: string): Route {
  return { via: "direct", endpoint: { host: "192.0.2.7", port: 4000, local } };
}

function localOf({ route }: Path): string | undefined {
  return route.via === "direct" ? route.endpoint.local : undefined;
}

Deno.test("Path answers from the address of ours at which the peer's traffic comes; probes to others move nothing", () => {
  const candidate = new Path("public", {
    via: "direct",
    endpoint: { host: "192.0.2.7", port: 4000 },
  });
  const isKnown: [Route, boolean, string | undefined][] = [
    [{ via: "direct", endpoint: { host: "192.0.2.7", port: 4000 } }, true, undefined],
    [from("10.0.0.1"), false, "10.0.0.1"],
    [from("10.0.0.2"), false, "10.0.0.1"],
    [from("10.0.0.2"), true, "10.0.0.2"],
    [RELAY_ROUTE, true, "10.0.0.2"],
  ];
  for (const [route, isTraffic, local] of isKnown) {
    candidate.arrived(route, isTraffic);
    assert.equal(localOf(candidate), local);
    assert.deepEqual(candidate.routes, [candidate.route], "one for both");
  }
});

Deno.test("Path leaves the choice to the system when it broke, and when the network has changed", () => {
  for (const lose of ["noteFailure", "reset"] as const) {
    const candidate = new Path("observed", from("10.0.0.1"));
    candidate[lose]();
    assert.deepEqual(candidate.route, {
      via: "direct",
      endpoint: { host: "192.0.2.7", port: 4000 },
    });
    candidate.arrived(from("10.0.0.3"), false);
    assert.equal(localOf(candidate), "10.0.0.3");
  }
});

Deno.test("PathManager has one path for a peer at whichever address of ours it comes, and uses the last", () => {
  const paths = manager();
  for (const [now, local] of ["10.0.0.1", "10.0.0.2", "10.0.0.1"].entries()) {
    assert.equal(paths.heard(from(local), now, true), now === 0);
    assert.equal(localOf(paths.current!), local);
    assert.equal(localOf(paths.direct!), local);
  }
  assert.deepEqual(hosts(paths), ["192.0.2.7:4000"]);
  assert.ok(sameRoute(from("10.0.0.1"), from("10.0.0.2")));
  assert.ok(!samePath(from("10.0.0.1"), from("10.0.0.2")));
});

Deno.test("PathManager doubts a path that was heard after frames had gone several, until it answers or for some time", () => {
  const paths = manager();
  paths.heard(direct("192.0.2.7"), 0, true);
  paths.distrust(0);
  assert.ok(paths.isDoubtful(0));
  const [probe] = paths.poll(0, { isWanted: true, hasConns: true }).probes;
  paths.heard(direct("192.0.2.7"), 10, true);
  assert.ok(paths.isDoubtful(10), "that it is heard says nothing of the way there");
  assert.equal(paths.answered(pathProbeId(probe!.payload), direct("192.0.2.7"), 20), false);
  assert.ok(!paths.isDoubtful(20));
  paths.distrust(30);
  assert.ok(paths.isDoubtful(30 + PROBE_ANSWER_MS - 1));
  assert.ok(!paths.isDoubtful(30 + PROBE_ANSWER_MS), "some peers answer no probes");
});

Deno.test("PathManager tries the system's choice and the address of ours in turn while nothing is answered", () => {
  const paths = new PathManager({ mode: "no-relay", random: (out) => void out.fill(7) });
  const needs = { isWanted: true, hasConns: true };
  paths.heard(from("10.0.0.1"), 0, true);
  const tried: (string | undefined)[] = [];
  for (let now = 1; now < 5_000; now += 50) {
    if (now % 500 === 1) paths.sent(now, true, true);
    for (const { route } of paths.poll(now, needs).probes) {
      if (route.via === "direct") tried.push(route.endpoint.local);
    }
  }
  assert.equal(tried[0], "10.0.0.1");
  const free = tried.indexOf(undefined);
  assert.ok(free > 0, JSON.stringify(tried));
  assert.ok(tried.indexOf("10.0.0.1", free) > free, "and back again");
  // What is heard meanwhile does not undo the try, and is remembered for the next one.
  const candidate = new Path("observed", from("10.0.0.1"));
  candidate.switchLocal(0);
  candidate.arrived(from("10.0.0.2"), true);
  assert.equal(localOf(candidate), undefined);
  candidate.switchLocal(500);
  assert.equal(localOf(candidate), undefined, "not at once");
  candidate.switchLocal(1_000);
  assert.equal(localOf(candidate), "10.0.0.2");
});
