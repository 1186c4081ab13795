/**
 * The peer `tcp`: Deno's sockets, no encryption.
 *
 * @module
 */

import {
  type ByteStream,
  CHUNK_BYTES,
  type Transport,
  type TransportConfig,
} from "./measured_transport.ts";

/** Opens it. */
export function openTcp(
  { host: hostname, port }: Extract<TransportConfig, { transport: "tcp" | "quic" }>,
): Transport {
  let listener: Deno.TcpListener | undefined;
  const dial = async () => new TcpStream(await Deno.connect({ hostname, port }));
  return {
    listen({ onStream }) {
      const listening = listener = Deno.listen({ hostname, port });
      (async () => {
        for await (const conn of listening) onStream(new TcpStream(conn));
      })();
      const { addr } = listening;
      return Promise.resolve(`${addr.hostname}:${addr.port}`);
    },
    prepare: () => Promise.resolve(),
    dial,
    dialFresh: dial,
    close: () => Promise.resolve(listener?.close()),
  };
}

class TcpStream implements ByteStream {
  readonly #conn: Deno.TcpConn;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #closed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    conn.setNoDelay(true);
  }

  async read(): Promise<Uint8Array | undefined> {
    const count = await this.#conn.read(this.#buffer);
    return count === null ? undefined : this.#buffer.subarray(0, count);
  }

  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;) at += await this.#conn.write(data.subarray(at));
  }

  finish(): Promise<void> {
    return this.#conn.closeWrite();
  }

  abort(): void {
    if (!this.#closed) this.#conn.close();
    this.#closed = true;
  }
}
