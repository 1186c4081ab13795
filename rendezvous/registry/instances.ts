/**
 * Which processes speak for a node: two at a time are copies of one key, on machines made from one image for example.
 *
 * A daemon names each of its runs by a random number. One that restarts, moves or has several connections never comes
 * back under a number it has given up; two that live side by side take turns.
 *
 * @module
 */

import type { Logger } from "../../platform/log.ts";
import { INSTANCE_TTL_MS, MAX_INSTANCE_NODES, MAX_INSTANCES_PER_NODE } from "./registry_limits.ts";

/** Turns after which it is believed; two come of one request of an ended process that was long on its way. */
const TURNS_BELIEVED = 3;
/** Clashes are logged at most once in this time, milliseconds: nodes can make them as often as they like. */
const LOG_INTERVAL_MS = 10_000;

/** Another process with the same key. */
export interface Clash {
  /** Its address, as the registry sees it. */
  readonly addr: string;
  /** Unix seconds of the first turn. */
  readonly since: number;
}

/** When something happens. */
export interface Moment {
  /** Clock `now`. */
  readonly monotonicMs: number;
  /** Unix seconds. */
  readonly seconds: number;
}

interface Run {
  readonly instance: string;
  addr: string;
  seenMs: number;
}

interface Runs {
  /** The latest first. */
  runs: Run[];
  turns: number;
  lastTurnMs: number;
  since: number;
}

/** Remembers the runs of nodes. */
export class Instances {
  /** Clashes found since the start. */
  clashes = 0;
  readonly #log: Logger;
  /** Those not heard of for longest first. */
  readonly #nodes = new Map<number, Runs>();
  readonly #random: () => number;
  #loggedMs = -Infinity;

  /**
   * @param log Where clashes are reported.
   * @param random 0 <= x < 1; chooses which run of many is forgotten.
   */
  constructor(log: Logger, random: () => number = Math.random) {
    this.#log = log;
    this.#random = random;
  }

  /**
   * Notes that a process has signed something for a node.
   *
   * @param node The node.
   * @param instance What the process calls its run; "" for software that does not name it.
   * @param addr Where it is.
   * @param now When.
   * @returns The other process, when there is one.
   */
  note(node: number, instance: string, addr: string, now: Moment): Clash | undefined {
    // A node whose software never names its runs takes no room: nothing could be reported of it.
    if (instance === "" && !this.#nodes.has(node)) return undefined;
    const known = this.#take(node);
    const { runs } = known;
    const at = runs.findIndex((run) => run.instance === instance);
    const before = runs[at];
    const isTurn = at > 0 && now.monotonicMs - before!.seenMs < INSTANCE_TTL_MS;
    if (at >= 0) runs.splice(at, 1);
    runs.unshift({ instance, addr, seenMs: now.monotonicMs });
    // By chance, not the oldest: copies that take turns in order would each be forgotten just before they return.
    if (runs.length > MAX_INSTANCES_PER_NODE) {
      runs.splice(1 + Math.floor(this.#random() * MAX_INSTANCES_PER_NODE), 1);
    }
    if (now.monotonicMs - known.lastTurnMs >= INSTANCE_TTL_MS) known.turns = 0;
    if (isTurn) this.#turn(node, known, now);
    const [, other] = runs;
    if (known.turns < TURNS_BELIEVED || other === undefined) return undefined;
    return { addr: other.addr, since: known.since };
  }

  #turn(node: number, known: Runs, now: Moment): void {
    if (known.turns === 0) known.since = now.seconds;
    known.turns++;
    known.lastTurnMs = now.monotonicMs;
    if (known.turns !== TURNS_BELIEVED) return;
    this.clashes++;
    if (now.monotonicMs - this.#loggedMs < LOG_INTERVAL_MS) return;
    this.#loggedMs = now.monotonicMs;
    const addrs = known.runs.map(({ addr }) => addr).join(", ");
    this.#log.warn("two processes use the key of one node", { node, addrs });
  }

  #take(node: number): Runs {
    const known = this.#nodes.get(node) ?? { runs: [], turns: 0, lastTurnMs: -Infinity, since: 0 };
    this.#nodes.delete(node);
    this.#nodes.set(node, known);
    if (this.#nodes.size > MAX_INSTANCE_NODES) {
      for (const oldest of this.#nodes.keys()) {
        this.#nodes.delete(oldest);
        break;
      }
    }
    return known;
  }
}
