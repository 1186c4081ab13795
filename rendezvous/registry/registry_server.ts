/**
 * The registry's TCP listener: admits connections within limits and watches over them.
 *
 * @module
 */

import { createSecureContext, type SecureContext } from "node:tls";
import { isLoopbackIp } from "../../protocol/ip.ts";
import { Acceptor } from "../../platform/net/acceptor.ts";
import { boundAddress, listenTcp } from "../../platform/net/listen.ts";
import { sourceOf } from "../../platform/net/source.ts";
import { ConnectionAuth } from "./connection_auth.ts";
import type { RegistryCore } from "./core.ts";
import type { Peer } from "./context.ts";
import type { TlsMaterial } from "./tls.ts";
import { TlsServerConn } from "./tls_conn.ts";
import {
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_SOURCE,
  MAX_PARTIAL_BYTES,
} from "./registry_limits.ts";
import { HandshakeTurns } from "./handshake_turns.ts";
import { ParseTurns } from "./parse_turns.ts";
import { Session, type SessionHost } from "./registry_session.ts";

/** Limits that tests make smaller. */
export interface ServerLimits {
  /** Default {@linkcode MAX_CONNECTIONS}. */
  readonly connections?: number;
  /** Default {@linkcode MAX_CONNECTIONS_PER_SOURCE}. */
  readonly connectionsPerSource?: number;
  /** Default {@linkcode MAX_PARTIAL_BYTES}. */
  readonly partialBytes?: number;
}

/** What a server is made of. */
export interface RegistryServerOptions {
  /** The registry behind it. */
  readonly core: RegistryCore;
  /** Listen address, see `listenOn`. */
  readonly addr: string;
  /** Certificate and key: clients may speak TLS, which their first bytes show. */
  readonly tls?: TlsMaterial | undefined;
  /** With `tls`: they must. */
  readonly tlsOnly?: boolean | undefined;
  /** Limits other than the defaults. */
  readonly limits?: ServerLimits | undefined;
}

/** A listening registry. */
export class RegistryServer implements SessionHost {
  readonly core: RegistryCore;
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly parseTurns: ParseTurns = new ParseTurns();
  readonly handshakeTurns: HandshakeTurns = new HandshakeTurns();
  readonly #acceptor: Acceptor<Deno.TcpConn>;
  readonly #context: SecureContext | undefined;
  readonly #isTlsOnly: boolean;
  readonly #limits: Required<ServerLimits>;
  readonly #sessions: Map<Session, Promise<void>> = new Map();
  readonly #perSource: Map<string, number> = new Map();
  #partialBytes = 0;

  /**
   * Starts listening.
   *
   * @param options Parts.
   * @throws {PilotError} As `listenOn`.
   */
  constructor(options: RegistryServerOptions) {
    this.core = options.core;
    this.#limits = {
      connections: options.limits?.connections ?? MAX_CONNECTIONS,
      connectionsPerSource: options.limits?.connectionsPerSource ?? MAX_CONNECTIONS_PER_SOURCE,
      partialBytes: options.limits?.partialBytes ?? MAX_PARTIAL_BYTES,
    };
    if (options.tls !== undefined) {
      const { cert, key } = options.tls;
      this.#context = createSecureContext({ cert, key });
    }
    this.#isTlsOnly = options.tlsOnly === true && this.#context !== undefined;
    const listener = listenTcp("registry", options.addr);
    this.addr = boundAddress(listener.addr);
    this.#acceptor = new Acceptor({
      ...{ role: "registry", listener, log: this.core.log },
      admit: (conn) => this.#admit(conn),
    });
  }

  /** Open connections. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** See {@linkcode SessionHost.holdPartial}. */
  holdPartial(delta: number): boolean {
    this.#partialBytes += delta;
    return this.#partialBytes <= this.#limits.partialBytes;
  }

  /** Ends connections that exceeded a deadline. */
  sweep(): void {
    const now = this.core.clock.now();
    for (const session of this.#sessions.keys()) session.sweep(now);
  }

  #admit(conn: Deno.TcpConn): void {
    const { hostname, port } = conn.remoteAddr;
    const source = sourceOf(hostname);
    const count = this.#perSource.get(source.key) ?? 0;
    if (
      this.#sessions.size >= this.#limits.connections ||
      count >= this.#limits.connectionsPerSource
    ) {
      conn.close();
      return;
    }
    conn.setNoDelay(true);
    const peer: Peer = {
      ...{ ip: source.ip, port, loopback: isLoopbackIp(source.bytes), key: source.key },
      auth: new ConnectionAuth(),
    };
    const session = this.#session(conn, peer);
    this.#perSource.set(source.key, count + 1);
    this.#sessions.set(session, session.run().then(() => this.#leave(session, source.key)));
  }

  #session(conn: Deno.TcpConn, peer: Peer): Session {
    const context = this.#context;
    if (context === undefined) return new Session(this, conn, peer);
    const secure = (head: Uint8Array) => new TlsServerConn(conn, context, head);
    return new Session(this, conn, peer, { isRequired: this.#isTlsOnly, secure });
  }

  #leave(session: Session, key: string): void {
    this.#sessions.delete(session);
    const count = (this.#perSource.get(key) ?? 1) - 1;
    if (count === 0) this.#perSource.delete(key);
    else this.#perSource.set(key, count);
  }

  /** Stops listening, ends every connection and waits until requests in progress are over. */
  async close(): Promise<void> {
    await this.#acceptor.close();
    for (const session of this.#sessions.keys()) session.close();
    this.parseTurns.close();
    this.handshakeTurns.close();
    await Promise.all(this.#sessions.values());
  }
}
