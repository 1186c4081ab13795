/**
 * A client of the registry's JSON mode (rendezvous.md §1): one TCP connection, requests pipelined, replies
 * matched by order, reconnected on demand.
 *
 * @module
 */

import { DecodeError, type ErrorCode, PilotError } from "../../protocol/errors.ts";
import { parseEndpoint } from "../../protocol/ip.ts";
import { encodeJsonFrame, JsonFrameReader, type JsonObject } from "../../protocol/registry.ts";
import type { Clock } from "../clock.ts";

/** Longest wait for a TCP connection (rendezvous.md §1.6). */
export const CONNECT_TIMEOUT_MS = 5_000;
/** Longest wait for a reply; after it the order of replies is lost, so the connection goes. */
export const REPLY_TIMEOUT_MS = 10_000;
/** Requests without a reply. */
export const MAX_OUTSTANDING = 1_024;

/** Parts of the registry's error texts and what they mean; anything else is a refusal whose reason is hidden (§3). */
const ERROR_CODES: readonly [string, ErrorCode][] = [
  ["not found", "not_found"],
  ["already", "already_exists"],
  ["rate limited", "limit_exceeded"],
  ["too many", "limit_exceeded"],
  ["too long", "invalid_argument"],
  ["invalid", "invalid_argument"],
  ["required", "invalid_argument"],
];

interface Outstanding {
  readonly resolve: (reply: JsonObject) => void;
  readonly reject: (error: PilotError) => void;
  readonly cancelTimeout: () => void;
}

/** One connection and the requests on it. */
class Connection {
  readonly #conn: Deno.TcpConn;
  readonly #outstanding: Outstanding[] = [];
  #writing: Promise<unknown> = Promise.resolve();
  /** Settles when the connection is over and everything on it was rejected. */
  readonly done: Promise<void>;
  isClosed = false;
  #reason = "the registry closed the connection";

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.done = this.#read();
  }

  get outstanding(): number {
    return this.#outstanding.length;
  }

  send(frame: Uint8Array, request: Outstanding): void {
    this.#outstanding.push(request);
    this.#writing = this.#writing.then(() => writeAll(this.#conn, frame))
      .catch((error) => this.close(error instanceof Error ? error.message : String(error)));
  }

  /** Ends the connection; requests on it fail for this reason. */
  close(reason: string): void {
    if (this.isClosed) return;
    this.#reason = reason;
    this.isClosed = true;
    this.#conn.close();
  }

  async #read(): Promise<void> {
    const reader = new JsonFrameReader();
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const bytes = await this.#conn.read(buffer);
        if (bytes === null) break;
        reader.push(buffer.subarray(0, bytes));
        let reply = reader.next();
        for (; reply !== undefined && !(reply instanceof DecodeError); reply = reader.next()) {
          const request = this.#outstanding.shift();
          request?.cancelTimeout();
          request?.resolve(reply);
        }
        if (reply instanceof DecodeError) {
          this.close(`the registry sent rubbish (${reply.message})`);
          break;
        }
      }
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error));
    }
    this.close(this.#reason);
    for (const request of this.#outstanding.splice(0)) {
      request.cancelTimeout();
      request.reject(unavailable(this.#reason));
    }
  }
}

/** Asks one registry. */
export class RegistryClient {
  /** `host:port` of the registry. */
  readonly address: string;
  readonly #clock: Clock;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  /** Gives up the connection attempt that runs. */
  #giveUp: AbortController | undefined;
  #closed = false;
  readonly #ending = new Set<Promise<void>>();

  constructor(options: { address: string; clock: Clock }) {
    this.address = options.address;
    this.#clock = options.clock;
  }

  /** A connection stands. */
  get isConnected(): boolean {
    return this.#connection !== undefined && !this.#connection.isClosed;
  }

  /** Our address as the registry's TCP connection shows it; undefined while there is none. */
  localHost: string | undefined;

  /**
   * Sends a request and waits for its reply. A request lost with its connection is sent once more: every request a
   * daemon makes may be repeated without harm.
   *
   * @param request The request, `type` included.
   * @returns The reply.
   * @throws {PilotError} `unavailable` when the registry cannot be reached or does not answer; otherwise by the
   * registry's error text: `not_found`, `already_exists`, `invalid_argument`, `limit_exceeded`, `denied`.
   */
  async request(request: JsonObject): Promise<JsonObject> {
    const wasConnected = this.isConnected;
    try {
      return await this.#once(request);
    } catch (error) {
      const isLost = error instanceof PilotError && error.code === "unavailable";
      if (!isLost || !wasConnected || this.#closed) throw error;
      return await this.#once(request);
    }
  }

  /** Ends the connection; requests under way fail with `unavailable`. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#giveUp?.abort();
    await this.#connecting?.catch(() => {
      // It fails because we close.
    });
    this.#connection?.close("this client is closed");
    await Promise.all(this.#ending);
  }

  async #once(request: JsonObject): Promise<JsonObject> {
    const connection = await this.#connect();
    if (connection.outstanding >= MAX_OUTSTANDING) {
      throw new PilotError(
        "limit_exceeded",
        `${MAX_OUTSTANDING} registry requests are waiting already`,
      );
    }
    const frame = encodeJsonFrame(request);
    const reply = await new Promise<JsonObject>((resolve, reject) => {
      const cancelTimeout = this.#clock.after(
        REPLY_TIMEOUT_MS,
        () => connection.close(`no answer in ${REPLY_TIMEOUT_MS} ms`),
      );
      connection.send(frame, { resolve, reject, cancelTimeout });
    });
    if (typeof reply.error === "string") throw registryFailure(String(request.type), reply.error);
    return reply;
  }

  async #connect(): Promise<Connection> {
    if (this.#closed) throw unavailable("this client is closed");
    if (this.#connection !== undefined && !this.#connection.isClosed) return this.#connection;
    this.#connecting ??= this.#open().finally(() => this.#connecting = undefined);
    return await this.#connecting;
  }

  async #open(): Promise<Connection> {
    const { host, port } = parseEndpoint(this.address);
    const controller = new AbortController();
    this.#giveUp = controller;
    const cancel = this.#clock.after(CONNECT_TIMEOUT_MS, () => controller.abort());
    try {
      const conn = await Deno.connect({ hostname: host, port, signal: controller.signal });
      conn.setNoDelay(true);
      this.localHost = conn.localAddr.hostname;
      const connection = new Connection(conn);
      const ending = connection.done.finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
      this.#connection = connection;
      if (this.#closed) connection.close("this client is closed");
      return connection;
    } catch (error) {
      const reason = controller.signal.aborted
        ? "no answer"
        : error instanceof Error
        ? error.message
        : String(error);
      throw unavailable(`${this.address}: ${reason}`, error);
    } finally {
      cancel();
      this.#giveUp = undefined;
    }
  }
}

function unavailable(reason: string, cause?: unknown): PilotError {
  return new PilotError("unavailable", `Registry is not reachable: ${reason}`, {
    hint:
      "Check that the rendezvous runs and that --registry, PILOT_REGISTRY or config.json names it.",
    cause,
  });
}

function registryFailure(type: string, text: string): PilotError {
  const code = ERROR_CODES.find(([part]) => text.includes(part))?.[1] ?? "denied";
  if (code === "not_found") {
    return new PilotError(code, `The registry knows no such thing: ${text}`, {
      hint: "It may be private: names and endpoints of private nodes show to trusted peers only.",
    });
  }
  return new PilotError(code, `Registry refused ${type}: ${text}`);
}

async function writeAll(conn: Deno.TcpConn, data: Uint8Array): Promise<void> {
  for (let offset = 0; offset < data.length;) offset += await conn.write(data.subarray(offset));
}
