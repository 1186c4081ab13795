/**
 * TLS handshakes of all connections take turns: one costs as much as several requests, its client need not even
 * go on, and many at once would hold everybody else up.
 *
 * @module
 */

import { setGuardedTimeout, type TimerHandle } from "../../platform/timers.ts";
import { HANDSHAKES_PER_TURN } from "./registry_limits.ts";

/** See the module. As long as few come at once nobody waits. Bounded by the connections: each waits once. */
export class HandshakeTurns {
  readonly #perTurn: number;
  /** Who waits, by source; the source whose turn is next first. */
  readonly #waiting: Map<string, (() => void)[]> = new Map();
  #used = 0;
  #timer: TimerHandle | undefined;

  /** @param perTurn Handshakes that begin before others get their turn. */
  constructor(perTurn: number = HANDSHAKES_PER_TURN) {
    this.#perTurn = perTurn;
  }

  /**
   * Asks for a turn. Sources take turns, too: one that begins thousands of handshakes holds up itself.
   *
   * @param source Whose handshake, as connections are counted.
   * @returns Resolves when it may begin; undefined when it may at once.
   */
  take(source: string): Promise<void> | undefined {
    // By a timer: the runtime looks for news of sockets before it fires.
    this.#timer ??= setGuardedTimeout(() => this.#turn(), 1);
    if (this.#waiting.size === 0 && this.#used < this.#perTurn) {
      this.#used++;
      return undefined;
    }
    return new Promise((go) => {
      const queue = this.#waiting.get(source);
      if (queue === undefined) this.#waiting.set(source, [go]);
      else queue.push(go);
    });
  }

  #turn(): void {
    this.#used = 0;
    while (this.#used < this.#perTurn && this.#waiting.size > 0) {
      this.#used++;
      this.#next();
    }
    this.#timer = this.#used === 0 ? undefined : setGuardedTimeout(() => this.#turn(), 1);
  }

  /** Lets the first of the next source go, and puts the source behind the others. */
  #next(): void {
    for (const [source, queue] of this.#waiting) {
      this.#waiting.delete(source);
      const go = queue.shift();
      if (queue.length > 0) this.#waiting.set(source, queue);
      go?.();
      return;
    }
  }

  /** Lets everybody go who waits; their connections are closed. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const queue of this.#waiting.values()) {
      for (const go of queue) go();
    }
    this.#waiting.clear();
  }
}
