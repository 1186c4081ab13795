/**
 * Health and metrics over HTTP (rendezvous.md §9). Off unless an address is given.
 *
 * @module
 */

import type { Logger } from "../../platform/log.ts";
import { formatEndpoint, isLoopbackIp, parseIp } from "../../protocol/ip.ts";
import { listenOn } from "../listen.ts";
import { sourceOf } from "../source.ts";
import type { View } from "../view.ts";
import { health } from "./health.ts";
import type { Metrics } from "./metrics.ts";

/** What a server is made of. */
export interface HttpServerOptions {
  /** Listen address, see `listenOn`. */
  readonly addr: string;
  readonly log: Logger;
}

const TEXT = "text/plain; charset=utf-8";

/** A listening HTTP server. It listens before there is something to look at, so that a taken port is found early. */
export class HttpServer {
  /** Where it listens, `host:port`. */
  readonly addr: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #log: Logger;
  #view: View | undefined;
  #metrics: Promise<Metrics> | undefined;

  /**
   * Starts listening; until {@linkcode HttpServer.show} all is answered with 503.
   *
   * @param options Where.
   * @throws {PilotError} As `listenOn`.
   */
  constructor(options: HttpServerOptions) {
    this.#log = options.log;
    this.#server = listenOn("HTTP server", options.addr, (hostname, port) =>
      Deno.serve(
        { hostname, port, onListen: () => {}, onError: (error) => this.#failed(error) },
        (request, { remoteAddr }) => this.#answer(request, remoteAddr),
      ));
    const { hostname, port } = this.#server.addr;
    this.addr = formatEndpoint({ host: hostname, port });
  }

  /** What is looked at from now on. */
  show(view: View): void {
    this.#view = view;
  }

  async #answer(request: Request, from: Deno.NetAddr): Promise<Response> {
    const { pathname } = new URL(request.url);
    const view = this.#view;
    if (pathname !== "/healthz" && pathname !== "/metrics") return text("not found", 404);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return text("method not allowed", 405);
    }
    if (view === undefined) return text("starting", 503);
    const isLocal = isFromHere(from.hostname, request.headers.get("x-real-ip"));
    if (pathname === "/healthz") {
      const { status, body } = await health(view, isLocal);
      return Response.json(body, { status, headers: { "cache-control": "no-store" } });
    }
    if (!isLocal) return text("only for this machine", 403);
    // Loaded when first asked for: it takes longer than all the rest of the start.
    this.#metrics ??= import("./metrics.ts").then(({ Metrics }) => new Metrics(view));
    const metrics = await this.#metrics;
    return text(await metrics.text(), 200, metrics.contentType);
  }

  #failed(error: unknown): Response {
    this.#log.error("HTTP request failed by a defect", { error: String(error) });
    return text("internal error", 500);
  }

  /** Stops listening and lets answers that have begun end. */
  async close(): Promise<void> {
    await this.#server.shutdown();
  }
}

/**
 * Does a request come from this machine? Behind a proxy on this machine its `X-Real-IP` is judged instead, so that
 * outsiders do not pass; from elsewhere the header counts for nothing.
 *
 * @param hostname Source address of the connection.
 * @param realIp The header.
 * @returns True for loopback.
 */
export function isFromHere(hostname: string, realIp: string | null): boolean {
  if (!isLoopbackIp(sourceOf(hostname).bytes)) return false;
  if (realIp === null) return true;
  try {
    return isLoopbackIp(parseIp(realIp.trim()));
  } catch {
    return false; // a header that names no address names none of ours
  }
}

function text(body: string, status: number, type: string = TEXT): Response {
  return new Response(body, { status, headers: { "content-type": type } });
}
