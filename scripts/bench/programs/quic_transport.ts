/**
 * The peer `quic`: Deno's own QUIC (Rust, quinn).
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { ByteStream, Transport, TransportConfig } from "./measured_transport.ts";

/** The name the certificate is for. */
export const SERVER_NAME = "localhost";
const ALPN = ["pilot-bench"];
/** Streams the peer may have open: more than any scenario opens at once. */
const MAX_STREAMS = 1_024;
/** Keeps idle connections open, milliseconds. */
const KEEP_ALIVE_MS = 10_000;
const OPTIONS: Deno.QuicTransportOptions = {
  maxConcurrentBidirectionalStreams: MAX_STREAMS,
  keepAliveInterval: KEEP_ALIVE_MS,
};

/** Opens it. */
export async function openQuic(
  config: Extract<TransportConfig, { transport: "tcp" | "quic" }>,
): Promise<Transport> {
  const { host, port, certFile, keyFile } = config;
  const cert = await readFile(certFile!, "utf8");
  const conns: Deno.QuicConn[] = [];
  let shared: Deno.QuicConn | undefined;
  let endpoint: Deno.QuicEndpoint | undefined;
  const open = async () => {
    const conn = await Deno.connectQuic({
      ...OPTIONS,
      hostname: host,
      port,
      serverName: SERVER_NAME,
      alpnProtocols: ALPN,
      caCerts: [cert],
    });
    conns.push(conn);
    return conn;
  };
  const streamOn = async (conn: Deno.QuicConn) =>
    new QuicStream(await conn.createBidirectionalStream({ waitUntilAvailable: true }));
  return {
    async listen({ onStream, onMessage }) {
      const key = await readFile(keyFile!, "utf8");
      endpoint = new Deno.QuicEndpoint({ hostname: host, port });
      const listener = endpoint.listen({ ...OPTIONS, cert, key, alpnProtocols: ALPN });
      (async () => {
        for await (const incoming of listener) {
          const conn = await incoming.accept();
          serve(conn, onStream);
          serveMessages(conn, (data) => {
            onMessage({ data, reply: (data) => conn.sendDatagram(data) });
          });
        }
      })();
      return `${endpoint.addr.hostname}:${endpoint.addr.port}`;
    },
    prepare: async () => void (shared ??= await open()),
    lazyDial: true,
    dial: () => streamOn(shared!),
    dialFresh: async () => await streamOn(await open()),
    sendMessage: (data) => shared!.sendDatagram(data),
    async *messages() {
      for (;;) yield await shared!.readDatagram();
    },
    close() {
      for (const conn of conns) conn.close({ closeCode: 0, reason: "" });
      endpoint?.close();
      return Promise.resolve();
    },
  };
}

async function serve(conn: Deno.QuicConn, onStream: (stream: ByteStream) => void): Promise<void> {
  try {
    for await (const stream of conn.incomingBidirectionalStreams) onStream(new QuicStream(stream));
  } catch {
    // The client has closed the connection.
  }
}

async function serveMessages(conn: Deno.QuicConn, take: (data: Uint8Array) => void): Promise<void> {
  try {
    for (;;) take(await conn.readDatagram());
  } catch {
    // The client has closed the connection.
  }
}

class QuicStream implements ByteStream {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor({ readable, writable }: Deno.QuicBidirectionalStream) {
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    // Failures are reported by the read or write that meets them.
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
  }

  async read(): Promise<Uint8Array | undefined> {
    return (await this.#reader.read()).value;
  }

  write(data: Uint8Array): Promise<void> {
    return this.#writer.write(data);
  }

  finish(): Promise<void> {
    return this.#writer.close();
  }

  abort(): void {
    // What is pending fails, and its waiters learn that; the stream is gone either way.
    this.#writer.abort().catch(() => {});
    this.#reader.cancel().catch(() => {});
  }
}
