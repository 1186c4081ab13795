/**
 * A TLS socket of Node as a plain stream of bytes, for both ends.
 *
 * @module
 */

import type { TLSSocket } from "node:tls";

/** Reads and writes a TLS socket. Owns it, errors included. */
export class TlsStream {
  /** Resolves when nothing of the socket is left. */
  readonly closed: Promise<void>;
  readonly #socket: TLSSocket;
  /** Wakes a read that waits. */
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #isEnded = false;
  /** What a chunk held beyond the reader's buffer. */
  #rest: Uint8Array | undefined;

  /** @param socket A socket of which nothing was read yet. */
  constructor(socket: TLSSocket) {
    this.#socket = socket;
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    socket.on("readable", () => this.#wake?.());
    socket.on("end", () => this.#end());
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => {
      this.#end();
      closed.resolve();
    });
  }

  /**
   * Waits for the end of the handshake.
   *
   * @param event The socket's event that shows it: `secureConnect` for a client, `secure` for a server.
   * @returns Rejects when the handshake fails or the connection ends.
   */
  async handshake(event: "secureConnect" | "secure"): Promise<void> {
    let isSecure = false;
    this.#socket.once(event, () => {
      isSecure = true;
      this.#wake?.();
    });
    while (!isSecure) {
      if (this.#isEnded) throw this.#failure ?? new Error("the connection ended");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /**
   * Reads some bytes.
   *
   * @param buffer Where to.
   * @returns How many; null at the end. Rejects when the connection broke.
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk: Uint8Array | null = this.#rest ?? this.#socket.read();
      if (chunk !== null) {
        const count = Math.min(chunk.length, buffer.length);
        buffer.set(chunk.subarray(0, count));
        this.#rest = count < chunk.length ? chunk.subarray(count) : undefined;
        return count;
      }
      if (this.#isEnded) {
        if (this.#failure !== undefined) throw this.#failure;
        return null;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /**
   * Writes all bytes.
   *
   * @param data What to write; not to be changed before the end.
   * @returns Resolves when the network has taken them; rejects when the connection broke.
   */
  write(data: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(data, (error) => error ? reject(error) : resolve());
    });
  }

  /** Ends it at once, without notice to the other side. Reads and writes that wait end. */
  close(): void {
    this.#socket.destroy();
  }

  #end(failure?: Error): void {
    this.#isEnded = true;
    this.#failure ??= failure;
    this.#wake?.();
  }
}
