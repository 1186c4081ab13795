/**
 * The server's end of TLS, over a TCP connection that stays ours. (Deno's own TLS listener keeps the TCP connection of
 * a client that does not finish its handshake open after `close`, so strangers could use up all descriptors.)
 *
 * @module
 */

import { Duplex } from "node:stream";
import { type SecureContext, TLSSocket } from "node:tls";
import { TlsStream } from "../../platform/tls_stream.ts";

/** Bytes read of the TCP connection at a time: one TLS record. */
const READ_BYTES = 16_640;

/** What a session needs of its connection. */
export interface SessionConn {
  /** What must happen before the first byte; rejects when the client is at fault. */
  handshake?(): Promise<void>;
  /** Reads some bytes; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes; how many. */
  write(data: Uint8Array): Promise<number>;
  /** Ends it at once. */
  close(): void;
}

/** A TLS connection of a client. */
export class TlsServerConn implements SessionConn {
  readonly #conn: Deno.TcpConn;
  readonly #stream: TlsStream;

  /**
   * @param conn The TCP connection, owned from here on.
   * @param context Certificate and key.
   */
  constructor(conn: Deno.TcpConn, context: SecureContext) {
    this.#conn = conn;
    const socket = new TLSSocket(duplexOf(conn), { isServer: true, secureContext: context });
    this.#stream = new TlsStream(socket);
  }

  /** See {@linkcode SessionConn.handshake}. */
  handshake(): Promise<void> {
    return clientsFault(this.#stream.handshake("secure"));
  }

  /** See {@linkcode SessionConn.read}. */
  read(buffer: Uint8Array): Promise<number | null> {
    return clientsFault(this.#stream.read(buffer));
  }

  /** See {@linkcode SessionConn.write}. */
  async write(data: Uint8Array): Promise<number> {
    await clientsFault(this.#stream.write(data));
    return data.length;
  }

  /** See {@linkcode SessionConn.close}. */
  close(): void {
    this.#conn.close();
    this.#stream.close();
  }
}

/** Broken TLS is what a client sent, or its network: for the server an end like a reset. */
async function clientsFault<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Deno.errors.ConnectionAborted(String(cause), { cause });
  }
}

/** A TCP connection as a stream of Node. */
function duplexOf(conn: Deno.TcpConn): Duplex {
  const stream = new Duplex({
    read: () => {
      const buffer = new Uint8Array(READ_BYTES);
      conn.read(buffer).then(
        (count) => stream.push(count === null ? null : buffer.subarray(0, count)),
        (error) => stream.destroy(error),
      );
    },
    write: (chunk: Uint8Array, _encoding, done) => {
      writeAll(conn, chunk).then(() => done(), done);
    },
  });
  stream.on("error", () => {}); // seen at the TLS socket on top of it
  return stream;
}

async function writeAll(conn: Deno.TcpConn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
}
