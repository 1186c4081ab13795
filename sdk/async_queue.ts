/**
 * A bounded queue between the socket's read loop and an application that awaits items.
 *
 * @module
 */

import type { PilotError } from "../protocol/errors.ts";
import { abortError, watchAbort } from "./abort.ts";

interface Waiter<T> {
  resolve(item: T | undefined): void;
  reject(error: PilotError): void;
}

/** Sizes of items. */
export interface Weight<T> {
  /** Bytes an item takes. */
  bytesOf(item: T): number;
  /** Most bytes kept for a slow taker. */
  readonly limitBytes: number;
}

/** First in, first out; waiting takers are served in order. */
export class AsyncQueue<T> {
  readonly #limit: number;
  readonly #what: string;
  readonly #weight: Weight<T> | undefined;
  readonly #items: T[] = [];
  #bytes = 0;
  readonly #waiters = new Set<Waiter<T>>();
  #ended = false;
  #error: PilotError | undefined;

  /**
   * @param limit Most items kept for a slow taker.
   * @param what Names the wait in abort errors.
   * @param weight Where items may be large: their sizes, and the most bytes kept.
   */
  constructor(limit: number, what: string, weight?: Weight<T>) {
    this.#limit = limit;
    this.#what = what;
    this.#weight = weight;
  }

  /** Items that wait to be taken. */
  get size(): number {
    return this.#items.length;
  }

  /**
   * Adds an item.
   *
   * @param item What to add.
   * @returns False when the queue is full or has ended: the item was not taken.
   */
  push(item: T): boolean {
    if (this.#ended) return false;
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      waiter.resolve(item);
      return true;
    }
    if (this.#items.length >= this.#limit) return false;
    if (this.#weight !== undefined) {
      const bytes = this.#bytes + this.#weight.bytesOf(item);
      if (bytes > this.#weight.limitBytes) return false;
      this.#bytes = bytes;
    }
    this.#items.push(item);
    return true;
  }

  /**
   * Ends the queue: items that are there can still be taken.
   *
   * @param error What takers get afterwards; undefined is an orderly end.
   */
  end(error?: PilotError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiters) {
      if (error === undefined) waiter.resolve(undefined);
      else waiter.reject(error);
    }
    this.#waiters.clear();
  }

  /**
   * Removes all items.
   *
   * @returns What was there.
   */
  drain(): T[] {
    this.#bytes = 0;
    return this.#items.splice(0);
  }

  /**
   * Takes the next item, waiting for it.
   *
   * @param signal Ends the wait.
   * @returns The item, or undefined after an orderly end.
   * @throws {PilotError} The error the queue ended with, or `aborted`.
   */
  next(signal?: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal, this.#what));
      if (this.#items.length > 0) return resolve(this.#take());
      if (this.#ended) {
        return this.#error === undefined ? resolve(undefined) : reject(this.#error);
      }
      const waiter: Waiter<T> = {
        resolve: (item) => {
          unwatch();
          resolve(item);
        },
        reject: (error) => {
          unwatch();
          reject(error);
        },
      };
      const unwatch = watchAbort(signal, () => {
        this.#waiters.delete(waiter);
        reject(abortError(signal!, this.#what));
      });
      this.#waiters.add(waiter);
    });
  }

  #take(): T | undefined {
    const item = this.#items.shift();
    if (item !== undefined && this.#weight !== undefined) this.#bytes -= this.#weight.bytesOf(item);
    return item;
  }
}
