/**
 * Large requests of all connections take turns: parsing one takes milliseconds, and many at once would hold everybody
 * else up.
 *
 * @module
 */

import { setGuardedTimeout, type TimerHandle } from "../../platform/timers.ts";
import { LARGE_REQUEST_BYTES, PARSE_BYTES_PER_TURN } from "./registry_limits.ts";

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

/** See the module. Small requests, which nearly all are, do not wait. */
export class ParseTurns {
  readonly #perTurn: number;
  readonly #queue: Waiting[] = [];
  #used = 0;
  #timer: TimerHandle | undefined;

  /** @param perTurn Bytes of large requests that are parsed before others get their turn. */
  constructor(perTurn: number = PARSE_BYTES_PER_TURN) {
    this.#perTurn = perTurn;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Asks for a turn.
   *
   * @param bytes Size of the request that has arrived.
   * @returns Resolves when it may be parsed; undefined when it may at once.
   */
  take(bytes: number): Promise<void> | undefined {
    if (bytes <= LARGE_REQUEST_BYTES) return undefined;
    // By a timer: the runtime looks for news of sockets before it fires.
    this.#timer ??= setGuardedTimeout(() => this.#turn(), 1);
    if (this.#queue.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return undefined;
    }
    return new Promise((go) => this.#queue.push({ bytes, go }));
  }

  /** One of any size fits a turn of its own. */
  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#perTurn;
  }

  #turn(): void {
    this.#used = 0;
    let next = this.#queue[0];
    for (; next !== undefined && this.#fits(next.bytes); next = this.#queue[0]) {
      this.#used += next.bytes;
      this.#queue.shift();
      next.go();
    }
    this.#timer = this.#used === 0 ? undefined : setGuardedTimeout(() => this.#turn(), 1);
  }

  /** Lets everybody go who waits; their connections are closed. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { go } of this.#queue.splice(0)) go();
  }
}
