/**
 * Who may send frames to which node through the beacon: what a stranger sends to a private node does not even reach
 * it, so that it cannot be made to show that it is there.
 *
 * @module
 */

import { INTRODUCTION_TTL_MS, MAX_INTRODUCTIONS } from "./beacon_limits.ts";

/** Node numbers have 32 bits; two fit a number of JavaScript. */
const SENDER_FACTOR = 2 ** 21;

/** Verdicts about pairs of nodes, and who has lately been heard. */
export class Introductions {
  readonly #maySend: (sender: number, target: number) => boolean;
  /** By sender and target, until when they count, monotonic milliseconds; the oldest first. */
  readonly #open: Map<number | string, number> = new Map();

  /** @param maySend Whether the registry lets one node reach another. */
  constructor(maySend: (sender: number, target: number) => boolean) {
    this.#maySend = maySend;
  }

  /** Pairs remembered. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * May a frame be forwarded? It may when the target lets the sender see it, or has lately sent to the sender itself.
   *
   * @param now Monotonic milliseconds.
   */
  admits(sender: number, target: number, now: number): boolean {
    const pair = keyOf(sender, target);
    const isAnswer = (this.#open.get(keyOf(target, sender)) ?? -Infinity) > now;
    const isOpen = (this.#open.get(pair) ?? -Infinity) > now;
    // An answer keeps its own direction open no longer than the one that it answers.
    if (isOpen || isAnswer) return true;
    if (!this.#maySend(sender, target)) return false;
    this.#open.delete(pair);
    this.#open.set(pair, now + INTRODUCTION_TTL_MS);
    if (this.#open.size > MAX_INTRODUCTIONS) {
      const [oldest] = this.#open.keys();
      this.#open.delete(oldest!);
    }
    return true;
  }
}

function keyOf(sender: number, target: number): number | string {
  return sender < SENDER_FACTOR ? sender * 2 ** 32 + target : `${sender}:${target}`;
}
