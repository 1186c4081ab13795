/**
 * A seeded network between two ends, on a clock that is cranked by hand: it drops, delays, reorders, duplicates and
 * corrupts, and has a rate and a queue.
 *
 * @module
 */

import { Random } from "./random.ts";

/** How a direction treats datagrams. Probabilities 0..1, times in milliseconds. */
export interface LinkOptions {
  /** Chance that a datagram is dropped. Default 0. */
  loss?: number;
  /** Chance that it arrives twice. Default 0. */
  duplicate?: number;
  /** Chance that some of its bytes are flipped. Default 0. */
  corrupt?: number;
  /** Chance that it is held back by `reorderMs`, so that later ones overtake it. Default 0. */
  reorder?: number;
  /** How long a reordered one is held back at most. Default 10. */
  reorderMs?: number;
  /** One-way delay. Default 5. */
  delayMs?: number;
  /** Extra delay at most, without overtaking. Default 0. */
  jitterMs?: number;
  /** Bytes per millisecond. Default unlimited. */
  rate?: number;
  /** Bytes waiting at most when there is a rate; more are dropped. Default 256 KiB. */
  queueBytes?: number;
}

/** What happened to the datagrams of a direction. */
export interface LinkCounters {
  sent: number;
  dropped: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
  overflowed: number;
}

/** One direction. */
export class Link {
  /** Options, may be changed while running. */
  options: LinkOptions;
  /** Says whether to drop a datagram, before chance decides. */
  filter: ((bytes: Uint8Array, now: number) => boolean) | undefined;
  readonly counters: LinkCounters = {
    sent: 0,
    dropped: 0,
    duplicated: 0,
    corrupted: 0,
    reordered: 0,
    overflowed: 0,
  };
  readonly #random: Random;
  readonly #deliver: (at: number, bytes: Uint8Array) => void;
  #idleAt = 0;
  #latest = 0;

  constructor(
    options: LinkOptions,
    random: Random,
    deliver: (at: number, bytes: Uint8Array) => void,
  ) {
    this.options = options;
    this.#random = random;
    this.#deliver = deliver;
  }

  /**
   * Sends a datagram, which must not be changed afterwards.
   *
   * @param overhead Bytes of headers around it that take their share of the rate. Default 0.
   */
  send(bytes: Uint8Array, now: number, overhead = 0): void {
    const o = this.options;
    const random = this.#random;
    this.counters.sent++;
    if (this.filter?.(bytes, now) || random.chance(o.loss ?? 0)) {
      this.counters.dropped++;
      return;
    }
    let at = now;
    if (o.rate !== undefined) {
      const backlog = Math.max(0, this.#idleAt - now) * o.rate;
      const length = bytes.length + overhead;
      if (backlog + length > (o.queueBytes ?? 256 << 10)) {
        this.counters.overflowed++;
        return;
      }
      this.#idleAt = Math.max(this.#idleAt, now) + length / o.rate;
      at = this.#idleAt;
    }
    at += (o.delayMs ?? 5) + random.next() * (o.jitterMs ?? 0);
    if (random.chance(o.reorder ?? 0)) {
      this.counters.reordered++;
      at += random.next() * (o.reorderMs ?? 10);
    } else {
      at = this.#latest = Math.max(at, this.#latest);
    }
    if (random.chance(o.corrupt ?? 0)) {
      this.counters.corrupted++;
      bytes = bytes.slice();
      const flips = random.int(1, 4);
      for (let i = 0; i < flips; i++) {
        const index = random.int(0, bytes.length);
        bytes[index] = (bytes[index] ?? 0) ^ random.int(1, 256);
      }
    }
    this.#deliver(at, bytes);
    if (random.chance(o.duplicate ?? 0)) {
      this.counters.duplicated++;
      this.#deliver(at + random.next() * (o.reorderMs ?? 10), bytes);
    }
  }
}

interface Arrival {
  at: number;
  order: number;
  to: number;
  bytes: Uint8Array;
}

/** Two directions and the queue of what is under way. Ends are numbered 0 and 1. */
export class Network {
  /** From end 0 to end 1, and back. */
  readonly links: readonly [Link, Link];
  #heap: Arrival[] = [];
  #order = 0;

  constructor(
    seed: number,
    options: LinkOptions = {},
    back: LinkOptions = options,
  ) {
    const make = (o: LinkOptions, to: number, salt: number) =>
      new Link(
        { ...o },
        new Random(seed * 2 + salt),
        (at, bytes) => this.#push({ at, order: this.#order++, to, bytes }),
      );
    this.links = [make(options, 1, 0x51ed), make(back, 0, 0xa7c3)];
  }

  /** Time of the next arrival; Infinity when nothing is under way. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Datagrams under way. */
  get size(): number {
    return this.#heap.length;
  }

  /** The next arrival due by `now`. */
  take(now: number): { to: number; bytes: Uint8Array } | undefined {
    const top = this.#heap[0];
    if (top === undefined || top.at > now) return undefined;
    this.#pop();
    return top;
  }

  #push(arrival: Arrival): void {
    const heap = this.#heap;
    let i = heap.push(arrival) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const p = heap[parent];
      if (p === undefined || !before(arrival, p)) break;
      heap[i] = p;
      i = parent;
    }
    heap[i] = arrival;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      let c = heap[child];
      if (c === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, c)) {
        c = right;
        child++;
      }
      if (!before(c, last)) break;
      heap[i] = c;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Arrival, b: Arrival): boolean {
  return a.at < b.at || a.at === b.at && a.order < b.order;
}
