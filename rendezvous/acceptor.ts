/**
 * Accepting TCP connections: goes on after every failure, and pauses when there are no file descriptors left.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import type { Logger } from "../platform/log.ts";
import { boundAddress, listenOn } from "./listen.ts";

/** Longest pause after failed accepts (no file descriptors left), milliseconds. */
export const ACCEPT_BACKOFF_MAX_MS = 2_000;
const ACCEPT_BACKOFF_STEP_MS = 100;
/**
 * Connections accepted before all that stand get their turn: those that queue come without a turn of the event loop,
 * so a flood of them would hold up everything else. Still 20,000 a second.
 */
export const ACCEPTS_PER_TURN = 4;

/** What an {@linkcode Acceptor} is made of. */
export interface AcceptorOptions {
  /** What listens, for messages, see `listenOn`. */
  readonly role: string;
  /** Listen address, see `listenOn`. */
  readonly addr: string;
  readonly log: Logger;
  /** Takes a connection over, or closes it. */
  readonly admit: (conn: Deno.TcpConn) => void;
}

/** A TCP listener. */
export class Acceptor {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly #options: AcceptorOptions;
  readonly #listener: Deno.TcpListener;
  readonly #accepting: Promise<void>;
  #closed = false;
  #endBackoff: (() => void) | undefined;

  /**
   * Starts listening.
   *
   * @param options Where, and who takes the connections.
   * @throws {PilotError} As `listenOn`.
   */
  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#listener = listenOn(
      options.role,
      options.addr,
      (hostname, port) => Deno.listen({ transport: "tcp", hostname, port }),
    );
    this.addr = boundAddress(this.#listener.addr);
    this.#accepting = this.#acceptAll();
  }

  async #acceptAll(): Promise<void> {
    const { role, log, admit } = this.#options;
    let failures = 0;
    for (let accepted = 1; !this.#closed; accepted++) {
      try {
        admit(await this.#listener.accept());
        failures = 0;
        if (accepted % ACCEPTS_PER_TURN === 0) await setImmediate();
      } catch (error) {
        if (this.#closed) return;
        failures++;
        log.warn(`${role} cannot accept connections`, { error: String(error) });
        await this.#backOff(Math.min(failures * ACCEPT_BACKOFF_STEP_MS, ACCEPT_BACKOFF_MAX_MS));
      }
    }
  }

  #backOff(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endBackoff = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#endBackoff = end;
    });
  }

  /** Stops listening; once it resolves nothing more is admitted. */
  async close(): Promise<void> {
    if (this.#closed) return await this.#accepting;
    this.#closed = true;
    this.#endBackoff?.();
    this.#listener.close();
    await this.#accepting;
  }
}
