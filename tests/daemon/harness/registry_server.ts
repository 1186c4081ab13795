/**
 * A registry that is played by the test: real TCP on loopback, answers by hand.
 *
 * @module
 */

import { DecodeError } from "../../../protocol/errors.ts";
import {
  encodeJsonFrame,
  JsonFrameReader,
  type JsonObject,
} from "../../../protocol/registry/registry_message.ts";

/** A request that has arrived. */
export interface Arrived {
  readonly request: JsonObject;
  readonly connection: ServerConnection;
}

/** One TCP connection of a client. */
export class ServerConnection {
  readonly #conn: Deno.TcpConn;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Sends a reply. */
  async reply(reply: JsonObject): Promise<void> {
    await this.send(encodeJsonFrame(reply));
  }

  /** Sends any bytes. */
  async send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }

  /** Ends the connection. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // The client was quicker.
    }
  }

  /** Requests of this connection until it ends. */
  async *requests(): AsyncIterableIterator<JsonObject> {
    const reader = new JsonFrameReader();
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const bytes = await this.#conn.read(buffer).catch(() => null);
      if (bytes === null) return;
      reader.push(buffer.subarray(0, bytes));
      for (let next = reader.next(); next !== undefined; next = reader.next()) {
        if (next instanceof DecodeError) throw next;
        yield next;
      }
    }
  }
}

/** Listens and hands out requests in the order of their arrival. */
export class RegistryServer implements AsyncDisposable {
  readonly address: string;
  readonly connections: ServerConnection[] = [];
  /** Answers at once what it returns something for. */
  auto: (request: JsonObject) => JsonObject | undefined = () => undefined;
  readonly #listener: Deno.TcpListener;
  readonly #queue: Arrived[] = [];
  readonly #serving: Promise<void>[] = [];
  #wake: (() => void) | undefined;

  constructor(port: number = 0) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port });
    const { port: bound } = this.#listener.addr as Deno.NetAddr;
    this.address = `127.0.0.1:${bound}`;
    this.#serving.push(this.#accept());
  }

  /** The next request; waits for it. */
  async next(): Promise<Arrived> {
    for (;;) {
      const arrived = this.#queue.shift();
      if (arrived !== undefined) return arrived;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Requests that wait to be looked at. */
  get waiting(): number {
    return this.#queue.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.connections) connection.close();
    await Promise.all(this.#serving);
  }

  async #accept(): Promise<void> {
    for (;;) {
      const conn = await this.#listener.accept().catch(() => undefined);
      if (conn === undefined) return;
      const connection = new ServerConnection(conn);
      this.connections.push(connection);
      this.#serving.push(this.#serve(connection));
    }
  }

  async #serve(connection: ServerConnection): Promise<void> {
    for await (const request of connection.requests()) {
      const reply = this.auto(request);
      if (reply !== undefined) {
        await connection.reply(reply);
        continue;
      }
      this.#queue.push({ request, connection });
      this.#wake?.();
    }
    connection.close();
  }
}
