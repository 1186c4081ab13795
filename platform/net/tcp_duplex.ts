/**
 * A TCP connection as a stream of Node, for its TLS and HTTP on top of listeners that are ours.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";

/** Bytes read of a connection at a time: one TLS record, or the head of an HTTP request. */
const READ_BYTES = 16_640;

/** A TCP connection as a stream of Node. Owns it: destroying the stream closes it at once. */
export class TcpDuplex extends Duplex {
  readonly #conn: Deno.TcpConn;
  /** Bytes that come before what is still to be read. */
  #head: Uint8Array | undefined;

  /**
   * @param conn A connection.
   * @param head What was read of it already, at least one byte; undefined when nothing was.
   */
  constructor(conn: Deno.TcpConn, head?: Uint8Array) {
    super();
    this.#conn = conn;
    this.#head = head;
    // What breaks a connection is a client or its network; the user of the stream sees its end.
    this.on("error", () => {});
  }

  /** Reads again. After the last write what comes is discarded, until the other side has ended, too. */
  override _read(): void {
    if (this.#head !== undefined) {
      const head = this.#head;
      this.#head = undefined;
      // Later, as bytes from the network come: a TLS socket that fails before its first tick ends the process.
      setImmediate(() => this.push(head));
      return;
    }
    const buffer = new Uint8Array(READ_BYTES);
    this.#conn.read(buffer).then(
      (count) => {
        if (count === null) this.push(null);
        else if (this.writableFinished) this._read();
        else this.push(buffer.subarray(0, count));
      },
      (error) => this.destroy(error),
    );
  }

  /** Writes all of it. */
  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    writeAll(this.#conn, chunk).then(() => done(), done);
  }

  /** Announces the end to the other side; it still gets all that was written. */
  override _final(done: (error?: Error) => void): void {
    this.#conn.closeWrite().then(() => done(), done);
  }

  /** Closes the connection. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#conn.close();
    done(error);
  }
}

async function writeAll(conn: Deno.TcpConn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
}
