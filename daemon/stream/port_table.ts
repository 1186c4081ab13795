/**
 * The port table: who listens where, and which ephemeral ports are in use towards which peers or still warm.
 *
 * @module
 */

import { type Address, formatAddress } from "../../protocol/address.ts";
import { PilotError } from "../../protocol/errors.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../protocol/well_known_ports.ts";
import type { Conn } from "./stream_conn.ts";

/** Gets each connection established to a port. */
export type AcceptHandler = (conn: Conn) => void;

/**
 * A port is not used again towards the same node and port before this time has passed (docs/protocol/streams.md §4.6):
 * late segments must have died. So 16,384 connections to one port of one node fit into it, 546 a second.
 */
export const PORT_REUSE_MS = 30_000;
/**
 * Of the 16,384 ports towards one port of one node, those that one local program may have in use or warm: the rest is
 * left to other programs and to the daemon itself. 409 connections a second.
 */
export const MAX_PORTS_PER_PROGRAM = 12_288;
/**
 * Warm ports remembered, towards all nodes together: 8,700 connections a second. Above it the oldest may be used again
 * before its time, though only after all other ports: they are given out in turn.
 */
export const MAX_WARM_PORTS = 262_144;

const EPHEMERAL_COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

/** A port that is in use or warm. */
interface Held {
  /** The program it counts for. */
  readonly program: object | undefined;
  /** End of the warm time, milliseconds; Infinity while in use. */
  untilMs: number;
}

/** The ports towards one port of one node. */
interface Destination {
  readonly key: number;
  readonly held: Map<number, Held>;
  /** Ports in use or warm of each program. */
  readonly ofProgram: Map<object, number>;
}

/** A port taken towards a destination; to be released once. */
export interface TakenPort {
  /** The local port. */
  readonly port: number;
  /** Gives it back at `now`; it stays warm. */
  release(now: number): void;
}

/** A released port that stays warm. */
interface Warm {
  readonly to: Destination;
  readonly port: number;
  readonly held: Held;
}

/** Listeners and ephemeral ports of one daemon. */
export class PortTable {
  readonly #listeners = new Map<number, AcceptHandler>();
  readonly #destinations = new Map<number, Destination>();
  /** Oldest first. */
  readonly #warm = new Set<Warm>();
  #next: number;
  #inUse = 0;

  /** @param start Random number; where ephemeral ports start (docs/protocol/streams.md §4.6). */
  constructor(start: number) {
    this.#next = start % EPHEMERAL_COUNT;
  }

  /** Ephemeral ports given out and not yet back. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Destinations that are remembered, and warm ports towards them. */
  get remembered(): { destinations: number; warm: number } {
    return { destinations: this.#destinations.size, warm: this.#warm.size };
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
   * Takes an ephemeral port towards a port of a node. The same port may be in use towards others at the same time: a
   * connection is known by both ends.
   *
   * @param address The node.
   * @param port Its port.
   * @param now The clock, milliseconds.
   * @param program The program it counts for; undefined for the daemon itself.
   * @throws {PilotError} `limit_exceeded` when all towards this destination, or the program's share of them, are in use
   * or were until a moment ago.
   */
  allocate(address: Address, port: number, now: number, program?: object): TakenPort {
    this.#coolDown(now);
    const key = address.node * 0x10000 + port;
    const to = this.#destinations.get(key) ?? { key, held: new Map(), ofProgram: new Map() };
    const ofProgram = program === undefined ? 0 : to.ofProgram.get(program) ?? 0;
    if (ofProgram >= MAX_PORTS_PER_PROGRAM) {
      throw this.#exhausted(address, port, to, now, program);
    }
    const local = to.held.size < EPHEMERAL_COUNT ? this.#free(to) : undefined;
    if (local === undefined) throw this.#exhausted(address, port, to, now);
    this.#destinations.set(key, to);
    const held: Held = { program, untilMs: Infinity };
    to.held.set(local, held);
    if (program !== undefined) to.ofProgram.set(program, ofProgram + 1);
    this.#inUse++;
    let isTaken = true;
    return {
      port: local,
      release: (now) => {
        if (!isTaken) return;
        isTaken = false;
        this.#inUse--;
        held.untilMs = now + PORT_REUSE_MS;
        this.#warm.add({ to, port: local, held });
        this.#coolDown(now);
      },
    };
  }

  /** The next port that nobody holds towards the destination, nor listens on. */
  #free(to: Destination): number | undefined {
    for (let tried = 0; tried < EPHEMERAL_COUNT; tried++) {
      const port = EPHEMERAL_FIRST + this.#next;
      this.#next = (this.#next + 1) % EPHEMERAL_COUNT;
      if (!to.held.has(port) && !this.#listeners.has(port)) return port;
    }
    return undefined;
  }

  /** Forgets warm ports whose time has passed, or that are too many. */
  #coolDown(now: number): void {
    for (const warm of this.#warm) {
      if (warm.held.untilMs > now && this.#warm.size <= MAX_WARM_PORTS) return;
      this.#warm.delete(warm);
      const { to, port, held: { program } } = warm;
      to.held.delete(port);
      if (to.held.size === 0) this.#destinations.delete(to.key);
      if (program === undefined) continue;
      const left = to.ofProgram.get(program)! - 1;
      if (left === 0) to.ofProgram.delete(program);
      else to.ofProgram.set(program, left);
    }
  }

  /** Which ports are used up, by what, and when there will be one again. */
  #exhausted(
    address: Address,
    port: number,
    to: Destination,
    now: number,
    program?: object,
  ): PilotError {
    const held = [...to.held.values()]
      .filter((one) => program === undefined || one.program === program);
    const warm = held.filter(({ untilMs }) => untilMs !== Infinity);
    const firstMs = warm.reduce((first, { untilMs }) => Math.min(first, untilMs), Infinity);
    const whose = program === undefined
      ? `All ${EPHEMERAL_COUNT} local ports`
      : `This program's share of ${MAX_PORTS_PER_PROGRAM} local ports`;
    return new PilotError(
      "limit_exceeded",
      `${whose} for connections to ${formatAddress(address)} port ${port} ` +
        (program === undefined ? "are" : "is") +
        ` used up: ${held.length - warm.length} connections, ` +
        `and ${warm.length} that ended less than ${PORT_REUSE_MS / 1000} s ago`,
      {
        hint:
          (firstMs === Infinity
            ? "There is room again when some of the connections are closed. "
            : `There is room again in ${Math.max(1, Math.ceil((firstMs - now) / 1000))} s. `) +
          "Send more over one connection; other destinations are not affected.",
      },
    );
  }
}
