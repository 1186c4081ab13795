/**
 * Who is to be woken: nodes for which something waits in the registry and that have not fetched it yet.
 *
 * @module
 */

import { MAX_WAKES, WAKE_REPEAT_MS } from "./beacon_limits.ts";

/** A wake to send. */
export interface Wake {
  readonly node: number;
  /** The same in repetitions. */
  readonly sequence: number;
  /** Milliseconds after the first one. */
  readonly afterMs: number;
}

interface Pending {
  readonly node: number;
  readonly sequence: number;
  readonly startedMs: number;
}

/** Wakes under way. */
export class Wakes {
  readonly #byNode: Map<number, Pending> = new Map();
  /** One queue for each repetition, each in order of time, so that nothing is searched. */
  readonly #queues: Pending[][] = WAKE_REPEAT_MS.map(() => []);
  #sequence = 0;

  /** Nodes that have not polled yet and will be woken again. */
  get size(): number {
    return this.#byNode.size;
  }

  /** When the next repetition is due, monotonic milliseconds. */
  get nextAt(): number | undefined {
    let next: number | undefined;
    this.#queues.forEach((queue, i) => {
      this.#trim(queue);
      const first = queue[0];
      if (first === undefined) return;
      const at = first.startedMs + WAKE_REPEAT_MS[i]!;
      if (next === undefined || at < next) next = at;
    });
    return next;
  }

  /**
   * Something waits for a node.
   *
   * @param now Monotonic milliseconds.
   * @returns What to send now; undefined when a wake is under way already, or there is no room.
   */
  start(node: number, now: number): Wake | undefined {
    if (this.#byNode.has(node) || this.#byNode.size >= MAX_WAKES) return undefined;
    this.#sequence = (this.#sequence + 1) >>> 0;
    const pending: Pending = { node, sequence: this.#sequence, startedMs: now };
    this.#byNode.set(node, pending);
    this.#queues[0]!.push(pending);
    return { node, sequence: pending.sequence, afterMs: 0 };
  }

  /** The node has polled. */
  stop(node: number): void {
    this.#byNode.delete(node);
  }

  /**
   * Takes the repetitions that are due.
   *
   * @param now Monotonic milliseconds.
   * @returns What to send now.
   */
  due(now: number): Wake[] {
    const wakes: Wake[] = [];
    this.#queues.forEach((queue, i) => {
      const next = this.#queues[i + 1];
      let taken = 0;
      for (const pending of queue) {
        if (pending.startedMs + WAKE_REPEAT_MS[i]! > now) break;
        taken++;
        if (this.#byNode.get(pending.node) !== pending) continue;
        const { node, sequence } = pending;
        wakes.push({ node, sequence, afterMs: WAKE_REPEAT_MS[i]! });
        if (next !== undefined) next.push(pending);
        else this.#byNode.delete(pending.node); // that was the last one; the node polls anyway
      }
      queue.splice(0, taken);
    });
    return wakes;
  }

  /** Drops what was stopped, so that nobody wakes up for it and memory follows the nodes. */
  #trim(queue: Pending[]): void {
    const isLive = (pending: Pending) => this.#byNode.get(pending.node) === pending;
    if (queue.length > 2 * MAX_WAKES) queue.splice(0, queue.length, ...queue.filter(isLive));
    const first = queue.findIndex(isLive);
    queue.splice(0, first < 0 ? queue.length : first);
  }
}
