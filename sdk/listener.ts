/**
 * A port that accepts connections.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import type { AbortOptions } from "./abort.ts";
import { AsyncQueue } from "./async_queue.ts";
import type { Conn } from "./conn.ts";

/** Connections that wait to be accepted; each may hold 1 MiB of early data. */
export const DEFAULT_BACKLOG = 64;

/**
 * Connections to a local port, in the order they were established. Made by `Driver.listen`.
 *
 * @example An echo for every connection
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await using listener = await driver.listen(4001);
 * const serving = (async () => {
 *   for await (const conn of listener) {
 *     conn.readable.pipeTo(conn.writable).catch((error) => console.error(error));
 *   }
 * })();
 * // The loop ends with the listener.
 * await listener.close();
 * await serving;
 * ```
 */
export class Listener implements AsyncIterable<Conn>, AsyncDisposable {
  /** The port. */
  readonly port: number;
  readonly #queue: AsyncQueue<Conn>;
  readonly #unbind: () => Promise<void>;
  #closing: Promise<void> | undefined;
  #refused = 0;

  /**
   * Listeners are made by the driver.
   *
   * @ignore
   */
  constructor(port: number, backlog: number, unbind: () => Promise<void>) {
    this.port = port;
    this.#queue = new AsyncQueue(backlog, `Accepting on port ${port}`);
    this.#unbind = unbind;
  }

  /** Connections that were ended because more than the backlog waited. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Waits for the next connection.
   *
   * @param options Signal to stop waiting.
   * @returns The connection, now the caller's to close.
   * @throws {PilotError} `connection_closed` after {@linkcode close} or the loss of the daemon, `aborted`.
   */
  async accept(options: AbortOptions = {}): Promise<Conn> {
    const conn = await this.#queue.next(options.signal);
    if (conn !== undefined) return conn;
    throw new PilotError(
      "connection_closed",
      `The listener on port ${this.port} was closed`,
    );
  }

  /** Iterates over connections until the listener is closed. Leaving the loop does not close it. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Conn> {
    for (;;) {
      const conn = await this.#queue.next();
      if (conn === undefined) return;
      yield conn;
    }
  }

  /**
   * Stops listening. Connections that were accepted live on; those still waiting are aborted.
   *
   * @returns When the daemon has freed the port.
   * @throws {PilotError} When the daemon refused.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.end();
      this.#closing = this.#unbind();
    }
    return this.#closing;
  }

  /** Closes like {@linkcode close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Takes a new connection from the driver.
   *
   * @ignore
   */
  offer(conn: Conn): void {
    if (this.#queue.push(conn)) return;
    this.#refused++;
    conn.abort();
  }

  /**
   * Ends the listener without asking the daemon.
   *
   * @ignore
   */
  end(error?: PilotError): void {
    for (const conn of this.#queue.drain()) conn.abort();
    this.#queue.end(error);
  }
}
