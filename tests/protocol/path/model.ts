/** A peer with a set of paths, in virtual time, for tests of the path manager. */

import assert from "node:assert/strict";
import {
  PathManager,
  type PathMode,
  type PathProbe,
  pathProbeId,
  RELAY_ROUTE,
  type Route,
  sameRoute,
} from "../../../protocol/path/mod.ts";

/** A path as the network has it. */
export interface Way {
  readonly route: Route;
  /** Round trip, ms; each answer draws one. */
  rttMs: () => number;
  /** What we send arrives. */
  there: boolean;
  /** What the peer sends arrives. */
  back: boolean;
}

/** A direct path. */
export function direct(host: string): Route {
  return { via: "direct", endpoint: { host, port: 4000 } };
}

/** Random numbers in [0, 1) from a seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Drives a manager by its deadlines only. */
export class Model {
  readonly paths: PathManager;
  readonly ways: Way[] = [];
  readonly probes: (PathProbe & { readonly at: number })[] = [];
  /** When searches were wished for. */
  readonly searches: number[] = [];
  /** When announcements were wished for. */
  readonly announcements: number[] = [];
  demand = { isWanted: true, hasConns: true };
  now = 0;
  polls = 0;
  readonly #arriving: { readonly at: number; readonly run: () => void }[] = [];

  constructor(mode: PathMode = "auto") {
    let next = 1;
    const random = (out: Uint8Array) => new DataView(out.buffer).setUint32(0, next++);
    this.paths = new PathManager({ mode, random });
  }

  /** Adds a path that works. */
  way(route: Route, rttMs: number): Way {
    const way = { route, rttMs: () => rttMs, there: true, back: true };
    this.ways.push(way);
    return way;
  }

  /** The peer says something by a path; it arrives now. */
  hear(route: Route, isTraffic = true): boolean {
    return this.paths.heard(route, this.now, isTraffic);
  }

  /** We send something that a living peer acknowledges. */
  talk(): void {
    const route = this.paths.current!.route;
    this.paths.sent(this.now, true, true);
    this.#roundTrip(route, () => this.hear(route));
  }

  /** Lets time pass, doing what is due when it is due. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      this.#arriving.sort((a, b) => a.at - b.at);
      const next = Math.min(this.#arriving[0]?.at ?? Infinity, this.paths.deadline);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (this.#arriving[0] !== undefined && this.#arriving[0].at <= this.now) {
        this.#arriving.shift()!.run();
      } else this.poll();
    }
    this.now = end;
  }

  /** Talks once in a period for a time. */
  converse(ms: number, periodMs = 200): void {
    for (let at = 0; at < ms; at += periodMs) {
      this.talk();
      this.run(periodMs);
    }
  }

  /** Probes sent by a path since a time. */
  count(route: Route, since = -Infinity): number {
    return this.probes.filter((probe) => probe.at >= since && sameRoute(probe.route, route)).length;
  }

  poll(): void {
    const before = this.paths.deadline;
    const work = this.paths.poll(this.now, this.demand);
    this.paths.needsReschedule = false;
    this.polls++;
    assert.ok(this.paths.deadline > this.now, `due again at once: ${before}, ${this.now}`);
    if (work.announce) this.announcements.push(this.now);
    if (work.search) {
      this.searches.push(this.now);
      this.paths.search(this.now);
    }
    for (const probe of work.probes) {
      assert.ok(this.paths.admits(probe.route));
      this.probes.push({ ...probe, at: this.now });
      const id = pathProbeId(probe.payload);
      this.#roundTrip(probe.route, () => {
        this.paths.heard(probe.route, this.now, false);
        this.paths.answered(id, probe.route, this.now);
      });
    }
  }

  #roundTrip(route: Route, run: () => void): void {
    const way = this.ways.find((one) => sameRoute(one.route, route));
    if (way === undefined || !way.there || !way.back) return;
    this.#arriving.push({ at: this.now + way.rttMs(), run });
  }
}

/** A model whose direct path is in use, the relay working, too. */
export function settled(mode: PathMode = "auto"): { model: Model; way: Way; relay: Way } {
  const model = new Model(mode);
  const way = model.way(direct("192.0.2.7"), 20);
  const relay = model.way(RELAY_ROUTE, 60);
  model.paths.add("public", { host: "192.0.2.7", port: 4000 });
  model.hear(way.route);
  model.converse(3_000);
  return { model, way, relay };
}
