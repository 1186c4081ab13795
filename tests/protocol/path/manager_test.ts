import assert from "node:assert/strict";
import fc from "fast-check";
import {
  FORGIVE_MS,
  MAX_PATHS,
  PathManager,
  pathProbeId,
  RELAY_ROUTE,
  sameRoute,
} from "../../../protocol/path/mod.ts";
import { MtuDiscovery } from "../../../protocol/path/mtu_discovery.ts";
import { direct, Model, randomFrom, settled } from "./model.ts";

const A = direct("192.0.2.7");
const B = direct("192.0.2.8");

Deno.test("PathManager takes the path of the first frame, and nothing before it", () => {
  for (const route of [A, RELAY_ROUTE]) {
    const model = new Model();
    model.paths.add("public", { host: "192.0.2.7", port: 4000 });
    assert.equal(model.paths.current, undefined);
    assert.ok(model.hear(route));
    assert.ok(sameRoute(model.paths.current!.route, route));
  }
});

Deno.test("PathManager gives the paths to one host one discovery of the MTU, and others none", () => {
  const { paths } = new Model();
  for (const port of [4000, 4001]) paths.add("public", { host: "192.0.2.7", port });
  paths.add("public", { host: "192.0.2.8", port: 4000 });
  const mtu = new MtuDiscovery({ ipVersion: 4, maxBytes: 1_472, overheadBytes: 40 });
  paths.discoverMtu("192.0.2.7", mtu);
  const found = paths.all.filter((path) => !path.isRelay).map((path) => [path.host, path.mtu]);
  assert.deepEqual(found, [["192.0.2.7", mtu], ["192.0.2.7", mtu], ["192.0.2.8", undefined]]);
  assert.ok(paths.all.every((path) => !path.isRelay || path.mtu === undefined));
});

Deno.test("PathManager goes from the relay to a direct path after one answered probe", () => {
  const model = new Model();
  model.way(RELAY_ROUTE, 60);
  model.way(A, 20);
  model.hear(RELAY_ROUTE);
  model.paths.add("public", { host: "192.0.2.7", port: 4000 });
  model.run(19);
  assert.ok(model.paths.isRelayed);
  model.run(2);
  assert.deepEqual(model.paths.current!.route, A);
  assert.equal(model.count(A), 1);
  assert.equal(model.paths.nextSearchMs, Infinity);
});

Deno.test("PathManager takes the relay within a second when the direct path dies", () => {
  for (const end of ["there", "back"] as const) {
    const { model, way } = settled();
    way[end] = false;
    const start = model.now;
    for (; !model.paths.isRelayed && model.now < start + 5_000;) model.converse(50, 50);
    assert.ok(model.now - start <= 1_000, `${end}: ${model.now - start}`);
    assert.ok(model.paths.isRepaired);
    assert.ok(model.announcements.length > 0);
  }
});

Deno.test("PathManager stays where it is when neither path answers, and when answers come late", () => {
  const { model, way, relay } = settled();
  way.there = relay.there = false;
  model.converse(20_000);
  assert.deepEqual(model.paths.current!.route, A);
  assert.ok(model.paths.isDoubtful(model.now));
  way.there = relay.there = true;
  way.rttMs = relay.rttMs = () => 700;
  model.converse(5_000);
  assert.ok(!model.paths.isDoubtful(model.now));
  assert.deepEqual(model.paths.current!.route, A);
});

Deno.test("PathManager follows a rebound peer within a second, after validation only", () => {
  const { model, way } = settled();
  way.there = way.back = false;
  model.way(B, 20);
  const start = model.now;
  model.hear(B);
  assert.deepEqual(model.paths.current!.route, A, "a frame alone moves nothing");
  for (; sameRoute(model.paths.current!.route, A) && model.now < start + 5_000;) {
    model.talk();
    model.hear(B);
    model.run(50);
  }
  assert.deepEqual(model.paths.current!.route, B);
  assert.ok(model.now - start <= 1_000, `${model.now - start}`);
});

Deno.test("PathManager sends a spoofed address few probes and does not go there", () => {
  const { model } = settled();
  const start = model.now;
  for (let i = 0; i < 6_000; i++) {
    model.hear(B);
    if (i % 20 === 0) model.talk();
    model.run(10);
  }
  assert.deepEqual(model.paths.current!.route, A);
  assert.ok(model.count(B, start) <= 12, `${model.count(B, start)} in a minute`);
  assert.ok(model.count(A, start) <= 60 * 6, `${model.count(A, start)} in a minute`);
});

Deno.test("PathManager sends one probe for one frame from an unknown address", () => {
  const { model } = settled();
  model.hear(B);
  model.converse(60_000, 500);
  assert.equal(model.count(B), 1);
});

Deno.test("PathManager wants more answers of a path that broke, and forgives after a while", () => {
  const { model, way } = settled();
  way.there = false;
  model.converse(2_000);
  assert.ok(model.paths.isRelayed);
  const broken = model.paths.all[0]!;
  assert.equal(broken.failures, 1);
  way.there = true;
  const answered = broken.answered;
  for (let i = 0; model.paths.isRelayed && i < 1_000; i++) model.converse(50, 50);
  assert.deepEqual(model.paths.current!.route, A);
  assert.ok(broken.answered - answered >= 2, `${broken.answered - answered}`);
  model.converse(FORGIVE_MS + 2_000);
  model.paths.check(model.now);
  model.run(100);
  assert.equal(broken.failures, 0);
});

Deno.test("PathManager prefers the local network at an equal round trip, and what is clearly faster", () => {
  const cases = [["lan", 20, true], ["public", 20, false], ["public", 18, false], [
    "public",
    5,
    true,
  ]] as const;
  for (const [kind, rttMs, isTaken] of cases) {
    const { model } = settled();
    model.way(B, rttMs);
    model.paths.add(kind, { host: "192.0.2.8", port: 4000 });
    model.paths.search(model.now);
    model.paths.check(model.now);
    model.converse(3_000);
    assert.deepEqual(model.paths.current!.route, isTaken ? B : A, `${kind} ${rttMs}`);
  }
});

// With paths that are probed all the time, and as it is in use: only the one in use is, once there is one.
for (
  const [what, isForced, jitterMs] of [["all probed", true, 30], ["as used", false, 30]] as const
) {
  Deno.test(`PathManager does not flap between two paths under jitter, ${what}`, () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = randomFrom(seed);
        const { model, way } = settled();
        const other = model.way(B, 20);
        for (const one of [way, other]) one.rttMs = () => 20 + random() * jitterMs;
        model.paths.add("public", { host: "192.0.2.8", port: 4000 });
        model.paths.search(model.now);
        let changes = 0;
        let before = model.paths.current;
        for (let i = 0; i < 60; i++) {
          if (isForced) model.paths.search(model.now);
          model.paths.check(model.now);
          model.converse(1_000);
          if (model.paths.current !== before) changes++;
          before = model.paths.current;
        }
        assert.ok(changes <= 2, `${changes} changes`);
      }),
      { numRuns: 30 },
    );
  });
}

Deno.test("PathManager does not leave a path by which it hears a peer that never answers probes", () => {
  const paths = new PathManager({ mode: "auto", random: (out) => void out.fill(9) });
  const needs = { isWanted: true, hasConns: true };
  paths.heard(A, 0, true);
  for (let now = 0; now < 60_000; now += 250) {
    // Both say something all the time; now and then the peer is heard through the relay, too.
    paths.sent(now, true, true);
    paths.heard(now % 5_000 === 0 ? RELAY_ROUTE : A, now + 20, true);
    paths.poll(now + 20, needs);
    assert.ok(!paths.isRelayed, `${now}`);
  }
});

Deno.test("PathManager ignores answers that are unknown, replayed, late or by the wrong kind of route", () => {
  const paths = new PathManager({ mode: "auto", random: (out) => void out.fill(9) });
  const needs = { isWanted: true, hasConns: true };
  paths.heard(RELAY_ROUTE, 0, true);
  paths.punched(A.via === "direct" ? A.endpoint : { host: "", port: 0 }, 0);
  const [probe] = paths.poll(0, needs).probes;
  const id = pathProbeId(probe!.payload);
  assert.equal(paths.answered(id + 1, A, 10), undefined);
  assert.equal(paths.answered(id, RELAY_ROUTE, 10), undefined);
  assert.equal(paths.answered(id, A, 6_000), undefined, "too late");
  assert.equal(paths.answered(id, A, 10), undefined, "and is taken once");
  assert.ok(paths.isRelayed);
});

Deno.test("PathManager keeps to its mode", () => {
  const hidden = new Model("relay-only");
  hidden.way(RELAY_ROUTE, 60);
  hidden.way(A, 20);
  assert.equal(hidden.paths.add("public", { host: "192.0.2.7", port: 4000 }), undefined);
  assert.ok(!hidden.hear(A) && hidden.paths.current === undefined);
  hidden.hear(RELAY_ROUTE);
  hidden.hear(A);
  hidden.paths.restarted(A, 0);
  hidden.paths.punched({ host: "192.0.2.7", port: 4000 }, 0);
  hidden.paths.networkChanged(0);
  hidden.converse(60_000);
  assert.deepEqual([hidden.count(A), hidden.searches], [0, []]);
  assert.deepEqual(hidden.paths.all.map(({ isRelay }) => isRelay), [true]);
  const open = settled("no-relay");
  open.way.there = false;
  open.model.hear(RELAY_ROUTE);
  open.model.converse(30_000);
  assert.equal(open.model.count(RELAY_ROUTE), 0);
  assert.deepEqual(open.model.paths.current!.route, A);
});

Deno.test("PathManager bounds its candidates; observed ones that never answered go first", () => {
  const { model } = settled();
  model.paths.add("lan", { host: "10.0.0.1", port: 4000 });
  for (let i = 0; i < 100; i++) model.hear(direct(`198.51.100.${i}`));
  const hosts = model.paths.all.map(({ route }) =>
    route.via === "direct" ? route.endpoint.host : "relay"
  );
  assert.equal(hosts.length, MAX_PATHS + 1);
  assert.ok(["192.0.2.7", "10.0.0.1", "198.51.100.99"].every((host) => hosts.includes(host)));
});

Deno.test("PathManager searches every 15 s while active, seldom while idle, at once on traffic", () => {
  const model = new Model();
  model.way(RELAY_ROUTE, 60);
  model.hear(RELAY_ROUTE);
  model.converse(120_000, 1_000);
  const pauses = model.searches.slice(1).map((at, i) => at - model.searches[i]!);
  assert.deepEqual(pauses.slice(0, 5), [1_000, 3_000, 5_000, 10_000, 15_000]);
  assert.ok(pauses.slice(5).every((ms) => ms === 15_000));
  const idle = model.now;
  model.run(6 * 3_600_000);
  const rare = model.searches.filter((at) => at > idle + 3_600_000);
  assert.ok(rare.slice(1).every((at, i) => at - rare[i]! === 600_000));
  model.run(30_000);
  model.talk();
  model.run(0);
  assert.equal(model.searches.at(-1), model.now);
  model.demand = { isWanted: false, hasConns: false };
  const count = model.searches.length;
  model.converse(120_000, 1_000);
  assert.equal(model.searches.length, count, "nobody wants it");
});

Deno.test("PathManager asks once per silence, with connections only", () => {
  for (const hasConns of [true, false]) {
    const { model } = settled();
    model.demand = { isWanted: true, hasConns };
    model.run(100);
    const before = model.probes.length;
    model.run(600_000);
    assert.equal(model.probes.length - before, hasConns ? 1 : 0);
  }
});

Deno.test("PathManager probes at once when our network changed", () => {
  const { model } = settled();
  model.paths.networkChanged(model.now);
  const start = model.now;
  model.run(0);
  assert.deepEqual([model.count(A, start), model.count(RELAY_ROUTE, start)], [1, 1]);
});

Deno.test("PathManager holds its invariants under random events", () => {
  const event = fc.tuple(fc.nat(9), fc.nat(25), fc.nat(2_000));
  const mode = fc.constantFrom("auto" as const, "relay-only" as const, "no-relay" as const);
  fc.assert(
    fc.property(mode, fc.array(event, { maxLength: 150, size: "max" }), (mode, events) => {
      const model = new Model(mode);
      for (let i = 0; i < 4; i++) model.way(direct(`192.0.2.${i}`), 10 + 30 * i);
      model.way(RELAY_ROUTE, 60);
      const { paths } = model;
      for (const [kind, n, ms] of events) {
        const route = n === 0 ? RELAY_ROUTE : direct(`192.0.2.${n}`);
        const way = model.ways[n % model.ways.length]!;
        if (kind === 0) way.there = !way.there;
        else if (kind === 1) way.back = !way.back;
        else if (kind === 2 && paths.current !== undefined) model.talk();
        else if (kind === 3) paths.restarted(route, model.now);
        else if (kind === 4) paths.networkChanged(model.now);
        else if (kind === 5 && route.via === "direct") paths.punched(route.endpoint, model.now);
        else if (kind === 6) paths.check(model.now);
        else if (kind === 7 && route.via === "direct") paths.add("lan", route.endpoint);
        else if (kind === 8) paths.search(model.now);
        else model.hear(route);
        const [polls, probes] = [model.polls, model.probes.length];
        model.run(ms);
        // A search, a failure and the comparison after a direct path was taken may follow each other, five probes each.
        const sent = model.probes.length - probes;
        assert.ok(sent <= (MAX_PATHS + 1) * 15, `${sent} probes`);
        assert.ok(model.polls - polls <= 200, `${model.polls - polls} polls in ${ms} ms`);
        assert.ok(paths.all.length <= MAX_PATHS + 1);
        assert.ok(paths.all.every(({ route }) => paths.admits(route)));
        assert.ok(paths.current === undefined || paths.all.includes(paths.current));
      }
    }),
    { numRuns: 100 },
  );
});
