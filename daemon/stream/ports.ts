/**
 * The port table: who listens where, and which ephemeral ports are in use or still warm.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../protocol/ports.ts";
import type { Conn } from "./conn.ts";

/** Gets each connection established to a port. */
export type AcceptHandler = (conn: Conn) => void;

/** A port is not given out again before this time has passed (daemon.md §3.5 RULE): late segments must have died. */
export const PORT_REUSE_MS = 30_000;

const EPHEMERAL_COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

/** Listeners and ephemeral ports of one daemon. */
export class PortTable {
  readonly #listeners = new Map<number, AcceptHandler>();
  /** When each ephemeral port was last released; Infinity while in use. */
  readonly #ephemeral = new Float64Array(EPHEMERAL_COUNT).fill(-Infinity);
  #next: number;
  #inUse = 0;

  /** @param start Random number; where ephemeral ports start (daemon.md §3.5 RULE). */
  constructor(start: number) {
    this.#next = start % EPHEMERAL_COUNT;
  }

  /** Ephemeral ports given out and not yet back. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Number of bound ports. */
  get boundCount(): number {
    return this.#listeners.size;
  }

  /**
   * Listens on a port.
   *
   * @throws {PilotError} `already_exists`.
   */
  bind(port: number, handler: AcceptHandler): void {
    if (this.#listeners.has(port)) {
      throw new PilotError("already_exists", `Port ${port} is already bound`, {
        hint: "Another client or a built-in service listens there; choose another port.",
      });
    }
    this.#listeners.set(port, handler);
  }

  /** Stops listening. */
  unbind(port: number): void {
    this.#listeners.delete(port);
  }

  /** Who listens on a port. */
  listener(port: number): AcceptHandler | undefined {
    return this.#listeners.get(port);
  }

  /**
   * Takes an ephemeral port.
   *
   * @throws {PilotError} `limit_exceeded` when all are in use or were until a moment ago.
   */
  allocate(now: number): number {
    for (let tried = 0; tried < EPHEMERAL_COUNT; tried++) {
      const index = this.#next;
      this.#next = (index + 1) % EPHEMERAL_COUNT;
      const port = EPHEMERAL_FIRST + index;
      if (now - this.#ephemeral[index]! < PORT_REUSE_MS || this.#listeners.has(port)) continue;
      this.#ephemeral[index] = Infinity;
      this.#inUse++;
      return port;
    }
    throw new PilotError("limit_exceeded", "All ephemeral ports are in use", {
      hint: "Close connections, or wait 30 seconds.",
    });
  }

  /** Gives an ephemeral port back. */
  release(port: number, now: number): void {
    const index = port - EPHEMERAL_FIRST;
    if (this.#ephemeral[index] !== Infinity) return;
    this.#ephemeral[index] = now;
    this.#inUse--;
  }
}
