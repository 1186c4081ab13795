/**
 * A small HTTP server, for health and metrics: one question a connection, bounded in number, size and time.
 *
 * Node's HTTP on connections that are ours: Deno's own bounds no connections, and once the file descriptors have run
 * out both end for good.
 *
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "../log.ts";
import { Acceptor } from "../net/acceptor.ts";
import { boundAddress, listenTcp } from "../net/listen.ts";
import { TcpDuplex } from "../net/tcp_duplex.ts";
import { setGuardedTimeout } from "../timers.ts";
import { isFromHere, isHostAllowed } from "./origin.ts";

/**
 * Simultaneous connections, about 50 KB each. A new one takes the place of the oldest: who asks now is answered,
 * however many connections others hold.
 */
export const MAX_HTTP_CONNECTIONS = 512;
/** Longest life of a connection, milliseconds: one question and its answer on a bad network. Stops slow senders and readers. */
export const MAX_HTTP_CONNECTION_MS = 10_000;
/** Bytes of a request's line and headers; behind proxies they have about 1,000. */
export const MAX_HTTP_HEAD_BYTES = 8_192;
/** Longest wait for answers that have begun when the server ends, milliseconds. */
const CLOSE_GRACE_MS = 1_000;

/** What the server answers to which clients. */
export interface HttpAccess {
  /** Names, without port, by which clients may ask besides IP addresses and `localhost`; default none. */
  readonly names?: readonly string[] | undefined;
  /** A proxy on this machine names its clients in headers, which are trusted; default false. */
  readonly behindProxy?: boolean | undefined;
}

/** What a server is made of. */
export interface HttpServerOptions {
  /** Who may ask. */
  readonly access?: HttpAccess | undefined;
  /** Listen address, see `listenOn`. */
  readonly addr: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** What is answered. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** Media type. */
  readonly type: string;
}

/** What is served at one path, for GET and HEAD. */
export interface HttpRoute {
  /** Others than this machine are refused. */
  readonly isForThisMachine?: boolean;
  /** Answers; `isLocal`: the question comes from this machine. */
  answer(isLocal: boolean): HttpAnswer | Promise<HttpAnswer>;
}

/** What is served, by path. */
export type HttpRoutes = Readonly<Record<string, HttpRoute>>;

/** Who has connected. */
interface Client {
  /** Source address. */
  readonly hostname: string;
  /** Since when, monotonic milliseconds. */
  readonly since: number;
  /** How far its one question is. */
  state: "silent" | "asking" | "answered";
}

const TEXT = "text/plain; charset=utf-8";
/** For URLs of requests, which name no host. */
const BASE = "http://localhost";

/** A listening HTTP server. It listens before there is something to look at, so that a taken port is found early. */
export class HttpServer {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly #now: () => number;
  readonly #log: Logger;
  readonly #access: HttpAccess;
  readonly #server: Server;
  readonly #acceptor: Acceptor<Deno.TcpConn>;
  /** Connections, the oldest first. */
  readonly #clients: Map<Duplex, Client> = new Map();
  #routes: HttpRoutes | undefined;
  /** Called at each end of a connection once the server ends. */
  #onLeave: (() => void) | undefined;

  /**
   * Starts listening; until {@linkcode HttpServer.show} all is answered with 503.
   *
   * @param options Where.
   * @throws {PilotError} As `listenOn`.
   */
  constructor({ addr, now, log, access = {} }: HttpServerOptions) {
    this.#access = access;
    this.#now = now;
    this.#log = log;
    this.#server = createServer(
      { maxHeaderSize: MAX_HTTP_HEAD_BYTES },
      (request, response) => void this.#respond(request, response),
    );
    const listener = listenTcp("HTTP server", addr);
    this.addr = boundAddress(listener.addr);
    this.#acceptor = new Acceptor({
      ...{ role: "HTTP server", listener, log },
      admit: (conn) => this.#admit(conn),
    });
  }

  /** What is served from now on. */
  show(routes: HttpRoutes): void {
    this.#routes = routes;
  }

  /** Open connections. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Ends connections that have lasted too long. To be called about every second. */
  sweep(): void {
    const latest = this.#now() - MAX_HTTP_CONNECTION_MS;
    for (const [stream, { since }] of this.#clients) {
      if (since > latest) return; // all others came later
      this.#drop(stream);
    }
  }

  #admit(conn: Deno.TcpConn): void {
    conn.setNoDelay(true);
    const stream = new TcpDuplex(conn);
    const [oldest] = this.#clients.keys();
    if (oldest !== undefined && this.#clients.size >= MAX_HTTP_CONNECTIONS) this.#drop(oldest);
    const { hostname } = conn.remoteAddr;
    this.#clients.set(stream, { hostname, since: this.#now(), state: "silent" });
    stream.on("close", () => this.#drop(stream));
    this.#server.emit("connection", stream);
  }

  #drop(stream: Duplex): void {
    this.#clients.delete(stream);
    stream.destroy();
    this.#onLeave?.();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = this.#clients.get(request.socket);
    // Dropped meanwhile, or a second question: a connection ends with the answer to the first.
    if (client === undefined || client.state !== "silent") return;
    client.state = "asking";
    response.on("close", () => {
      client.state = "answered";
      this.#onLeave?.();
    });
    const { status, body, type } = await this.#answer(request, client.hostname)
      .catch((error) => this.#failed(error));
    response.writeHead(status, {
      ...{ "content-type": type, "content-length": new TextEncoder().encode(body).length },
      ...{ "cache-control": "no-store", connection: "close" },
    });
    response.end(body);
  }

  async #answer(request: IncomingMessage, hostname: string): Promise<HttpAnswer> {
    const { method, url, headers, rawHeaders } = request;
    const { names = [], behindProxy = false } = this.#access;
    if (!isHostAllowed(rawHeaders, names)) {
      return text("not a name of this server; its operator knows which names it accepts", 403);
    }
    const routes = this.#routes;
    if (routes === undefined) return text("starting", 503);
    const path = URL.parse(url ?? "", BASE)?.pathname ?? "";
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return text("not found", 404);
    if (method !== "GET" && method !== "HEAD") return text("method not allowed", 405);
    const isLocal = isFromHere(hostname, headers, behindProxy);
    if (route.isForThisMachine === true && !isLocal) return text("only for this machine", 403);
    return await route.answer(isLocal);
  }

  #failed(error: unknown): HttpAnswer {
    this.#log.error("internal error while handling an HTTP request", { error: String(error) });
    return text("internal error", 500);
  }

  /** Stops listening and lets answers that have begun end, for a second at most. */
  async close(): Promise<void> {
    await this.#acceptor.close();
    await new Promise<void>((resolve) => {
      const grace = setGuardedTimeout(() => end(() => true), CLOSE_GRACE_MS);
      const end = (isOver: (client: Client) => boolean) => {
        this.#onLeave = undefined; // dropping is no news now
        for (const [stream, client] of this.#clients) if (isOver(client)) this.#drop(stream);
        if (this.#clients.size === 0) {
          clearTimeout(grace);
          resolve();
        } else this.#onLeave = () => end(({ state }) => state !== "asking");
      };
      end(({ state }) => state !== "asking");
    });
  }
}

function text(body: string, status: number): HttpAnswer {
  return { status, body, type: TEXT };
}
