/**
 * The server's end of TLS, over a TCP connection that stays ours. (Deno's own TLS listener keeps the TCP connection of
 * a client that does not finish its handshake open after `close`, so strangers could use up all descriptors.)
 *
 * @module
 */

import { type SecureContext, TLSSocket } from "node:tls";
import { TlsStream } from "../../platform/tls_stream.ts";
import { TcpDuplex } from "../../platform/net/tcp_duplex.ts";

/**
 * Is it the beginning of TLS: a handshake record of any version (RFC 8446 §5.1)? As the length of a frame of ours it
 * is 369 MB and more, far over the bound, so no plain client ever begins so.
 *
 * @param bytes What a client sent first.
 * @returns True for TLS.
 */
export function isTlsHello(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x16 && bytes[1] === 0x03;
}

/** What a session needs of its connection. */
export interface SessionConn {
  /** Reads some bytes; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes; how many. */
  write(data: Uint8Array): Promise<number>;
  /** Ends it at once. */
  close(): void;
}

/** A TLS connection of a client. */
export class TlsServerConn implements SessionConn {
  readonly #tcp: TcpDuplex;
  readonly #stream: TlsStream;

  /**
   * @param conn The TCP connection, owned from here on.
   * @param context Certificate and key.
   * @param head What was read of the connection to detect TLS; undefined when nothing was.
   */
  constructor(conn: Deno.TcpConn, context: SecureContext, head?: Uint8Array) {
    this.#tcp = new TcpDuplex(conn, head);
    const socket = new TLSSocket(this.#tcp, { isServer: true, secureContext: context });
    this.#stream = new TlsStream(socket);
  }

  /** What must happen before the first byte is read or written. Rejects when the client is at fault. */
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
    this.#tcp.destroy();
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
