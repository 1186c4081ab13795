/**
 * The registry's TCP listener: admits connections within limits and watches over them.
 *
 * @module
 */

import { createSecureContext, type SecureContext } from "node:tls";
import { isLoopbackIp } from "../../protocol/ip.ts";
import { boundAddress, listenOn } from "../listen.ts";
import { sourceOf } from "../source.ts";
import type { RegistryCore } from "./core.ts";
import type { TlsMaterial } from "./tls.ts";
import { type SessionConn, TlsServerConn } from "./tls_conn.ts";
import {
  ACCEPT_BACKOFF_MAX_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_SOURCE,
  MAX_PARTIAL_BYTES,
} from "./limits.ts";
import { Session, type SessionHost } from "./session.ts";

const ACCEPT_BACKOFF_STEP_MS = 100;

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
  /** Certificate and key; connections are then TLS, all of them. */
  readonly tls?: TlsMaterial | undefined;
  /** Limits other than the defaults. */
  readonly limits?: ServerLimits | undefined;
}

/** A listening registry. */
export class RegistryServer implements SessionHost {
  readonly core: RegistryCore;
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly #listener: Deno.TcpListener;
  readonly #context: SecureContext | undefined;
  readonly #limits: Required<ServerLimits>;
  readonly #sessions: Map<Session, Promise<void>> = new Map();
  readonly #perSource: Map<string, number> = new Map();
  readonly #accepting: Promise<void>;
  #partialBytes = 0;
  #closed = false;
  #endBackoff: (() => void) | undefined;

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
    this.#listener = listenOn(
      "registry",
      options.addr,
      (hostname, port) => Deno.listen({ transport: "tcp", hostname, port }),
    );
    if (options.tls !== undefined) {
      const { cert, key } = options.tls;
      this.#context = createSecureContext({ cert, key });
    }
    this.addr = boundAddress(this.#listener.addr);
    this.#accepting = this.#acceptAll();
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
    const now = this.core.clock.monotonicMs();
    for (const session of this.#sessions.keys()) session.sweep(now);
  }

  async #acceptAll(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      try {
        this.#admit(await this.#listener.accept());
        failures = 0;
      } catch (error) {
        if (this.#closed) return;
        failures++;
        this.core.log.warn("registry cannot accept connections", { error: String(error) });
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
    const peer = { ip: source.ip, port, loopback: isLoopbackIp(source.bytes), key: source.key };
    const session = new Session(this, this.#dress(conn), peer);
    this.#perSource.set(source.key, count + 1);
    this.#sessions.set(session, session.run().then(() => this.#leave(session, source.key)));
  }

  #dress(conn: Deno.TcpConn): SessionConn {
    return this.#context === undefined ? conn : new TlsServerConn(conn, this.#context);
  }

  #leave(session: Session, key: string): void {
    this.#sessions.delete(session);
    const count = (this.#perSource.get(key) ?? 1) - 1;
    if (count === 0) this.#perSource.delete(key);
    else this.#perSource.set(key, count);
  }

  /** Stops listening, ends every connection and waits until requests in progress are over. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#endBackoff?.();
    this.#listener.close();
    await this.#accepting;
    for (const session of this.#sessions.keys()) session.close();
    await Promise.all(this.#sessions.values());
  }
}
