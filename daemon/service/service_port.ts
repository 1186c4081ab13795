/**
 * What all built-in services share: binding, counting and ending their connections.
 *
 * @module
 */

import type { OwnInfo } from "../../protocol/ipc/ipc_replies.ts";
import type { Backend } from "../ipc/backend.ts";
import type { Conn } from "../stream/stream_conn.ts";

/** A running service. */
export interface Service {
  /** Stops listening and ends the service's connections. May be called again. */
  close(): void | Promise<void>;
  /** What it adds to `info`. */
  info?(): Partial<OwnInfo>;
}

/** One connection of a service. */
export interface ServiceConn {
  /** Ends it; called when the service stops. */
  stop(): void;
}

/** How a {@linkcode ServicePort} listens. */
export interface ServicePortOptions<T extends ServiceConn> {
  /** The port. */
  port: number;
  /** Connections at once; more are refused with a reset. */
  maxConns: number;
  /** Connections of one peer at once, so that one cannot keep the others out. */
  maxConnsPerPeer: number;
  /** Makes the handler of a connection and sets the connection's listener; calls `done` once when it has ended. */
  serve(conn: Conn, done: () => void): T;
}

/**
 * Who a connection's peer is, for shares and bounds. The network in its address is what the peer says; its node is what
 * the tunnel has proven.
 *
 * @param conn The connection.
 * @returns The number of its node.
 */
export function peerKey({ remoteAddress }: Conn): number {
  return remoteAddress.node;
}

/** Listens on a port and keeps the bounded set of a service's connections. */
export class ServicePort<T extends ServiceConn> implements Service {
  readonly #backend: Backend;
  readonly #options: ServicePortOptions<T>;
  readonly #conns = new Map<Conn, T>();
  readonly #perPeer = new Map<number, number>();
  #closed = false;

  /**
   * Binds the port.
   *
   * @param backend The daemon.
   * @param options Port, bounds, handler.
   * @throws {PilotError} `already_exists`.
   */
  constructor(backend: Backend, options: ServicePortOptions<T>) {
    this.#backend = backend;
    this.#options = options;
    backend.network.bind(options.port, (conn) => this.#accept(conn));
  }

  /** Connections now. */
  get size(): number {
    return this.#conns.size;
  }

  /** Unbinds and stops every connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#backend.network.unbind(this.#options.port);
    for (const conn of [...this.#conns.values()]) conn.stop();
  }

  #accept(conn: Conn): void {
    const { maxConns, maxConnsPerPeer, serve } = this.#options;
    const peer = peerKey(conn);
    const ofPeer = this.#perPeer.get(peer) ?? 0;
    if (
      this.#closed || this.#conns.size >= maxConns || ofPeer >= maxConnsPerPeer
    ) return conn.abort();
    this.#perPeer.set(peer, ofPeer + 1);
    this.#conns.set(conn, serve(conn, () => this.#done(conn, peer)));
  }

  #done(conn: Conn, peer: number): void {
    if (!this.#conns.delete(conn)) return;
    const left = (this.#perPeer.get(peer) ?? 1) - 1;
    if (left === 0) this.#perPeer.delete(peer);
    else this.#perPeer.set(peer, left);
  }
}
