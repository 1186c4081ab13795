/**
 * Deadlines of many things, sans-I/O. Deadlines usually move later (every ACK does that), so a moved one is only looked
 * at when its old time comes: nothing is sorted again per packet.
 *
 * @module
 */

/** Something with a deadline that may move. */
export interface Timed {
  /** When it wants to be called, ms of the clock; Infinity for never. */
  deadline(): number;
  /** Its time has come. */
  onTimer(now: number): void;
}

/** Entries kept beyond two an item; with more, stale ones are dropped before their time comes. */
const SPARE_ENTRIES = 64;

interface Entry {
  at: number;
  readonly item: Timed;
}

/** Earliest entry first: a binary heap. The owner calls {@linkcode DeadlineQueue.poll} when its deadline has come. */
export class DeadlineQueue {
  readonly #heap: Entry[] = [];
  /** Earliest time at which each item is in the heap; later entries of it are stale. */
  readonly #scheduled = new Map<Timed, number>();

  /** Items with a time in the queue. */
  get size(): number {
    return this.#scheduled.size;
  }

  /** Entries in the heap, stale ones included; for tests. */
  get entries(): number {
    return this.#heap.length;
  }

  /** When to call {@linkcode DeadlineQueue.poll} next, ms; Infinity for never. It may then find that nothing is due. */
  get deadline(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Notes that an item's deadline may have changed. */
  touch(item: Timed): void {
    const at = item.deadline();
    const known = this.#scheduled.get(item);
    if (at === Infinity || (known !== undefined && known <= at)) return;
    this.#scheduled.set(item, at);
    if (this.#heap.length > 2 * this.#scheduled.size + SPARE_ENTRIES) this.#rebuild();
    else this.#push({ at, item });
  }

  /** Forgets an item; its entries go when their time comes. */
  delete(item: Timed): void {
    this.#scheduled.delete(item);
    if (this.#scheduled.size === 0) this.clear();
  }

  /** Forgets everything. */
  clear(): void {
    this.#heap.length = 0;
    this.#scheduled.clear();
  }

  /** Calls what is due. */
  poll(now: number): void {
    const due: Timed[] = [];
    for (let top = this.#heap[0]; top !== undefined && top.at <= now; top = this.#heap[0]) {
      this.#pop();
      if (this.#scheduled.get(top.item) !== top.at) continue;
      this.#scheduled.delete(top.item);
      if (top.item.deadline() <= now) due.push(top.item);
      else this.touch(top.item);
    }
    for (const item of due) {
      // An item before it may have moved this one.
      if (item.deadline() <= now) item.onTimer(now);
      this.touch(item);
    }
  }

  /** An item that often wants to be called soon leaves a far entry each time; these would pile up for minutes. */
  #rebuild(): void {
    this.#heap.length = 0;
    for (const [item, at] of this.#scheduled) this.#push({ at, item });
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent]!.at <= entry.at) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++;
      if (heap[child]!.at >= last.at) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}
