/**
 * A path manager that is asked and answered by hand.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Path } from "../../../protocol/path/path.ts";
import { PathManager } from "../../../protocol/path/manager.ts";
import { pathProbeId } from "../../../protocol/path/probe.ts";
import type { PathMode, Route } from "../../../protocol/path/route.ts";
import { direct } from "./model.ts";

/** A way. */
export const A: Route = direct("192.0.2.7");
/** Another one. */
export const B: Route = direct("192.0.2.8");
/** Its round trip, milliseconds. */
export const RTT = 20;
/** An answer is awaited so long by a way of this round trip. */
export const WAIT = 250;

function name(route: Route): string {
  return route.via === "relay" ? "relay" : route.endpoint.host === "192.0.2.7" ? "A" : "B";
}

/** A manager, asked and answered by hand. */
export class Rig {
  readonly paths: PathManager;
  demand = { isWanted: true, hasConns: true };
  readonly #ids = new Map<string, number>();
  #next = 1;

  constructor(mode: PathMode = "auto") {
    const random = (out: Uint8Array) => new DataView(out.buffer).setUint32(0, this.#next++);
    this.paths = new PathManager({ mode, random });
  }

  /** What there is to do: names of the ways that are probed, and what else. */
  poll(now: number): string[] {
    const { probes, search, announce, changed } = this.paths.poll(now, this.demand);
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

  add(route: Route, kind: "public" | "lan" | "observed" = "public"): Path {
    assert.ok(route.via === "direct");
    return this.paths.add(kind, route.endpoint)!;
  }

  candidate(route: Route): Path {
    return this.paths.all.find((one) => name(one.route) === name(route))!;
  }

  get current(): string | undefined {
    const { current } = this.paths;
    return current === undefined ? undefined : name(current.route);
  }

  /** Does this stir the manager? */
  stirs(act: () => unknown): boolean {
    this.paths.needsReschedule = false;
    act();
    return this.paths.needsReschedule;
  }
}

/** A way in use that has answered a probe, 20 ms after time 0. */
export function settled(route: Route = A): Rig {
  const rig = new Rig();
  if (route.via === "direct") rig.add(route);
  rig.paths.heard(route, 0, true);
  rig.poll(0);
  rig.paths.check(0);
  rig.poll(0);
  rig.answer(route, RTT);
  return rig;
}
