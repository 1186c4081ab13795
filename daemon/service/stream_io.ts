/**
 * A stream connection as awaitable reads and writes, for the services that are written as plain async code.
 * (Echo and the event broker work on the connection's callbacks directly.)
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { Conn, ConnListener } from "../stream/stream_conn.ts";

/** Largest chunk {@linkcode StreamIo.readChunk} returns by default, bytes. */
const DEFAULT_CHUNK_BYTES = 64 * 1024;

/**
 * Bytes dropped from a peer that keeps sending after we have closed; then the connection is reset. More than a
 * receive window, so a peer that merely had data under way never meets it.
 */
const DISCARD_MAX_BYTES = 4 * 1024 * 1024;

/** How long to wait. */
export interface WaitOptions {
  /** Longest wait, milliseconds; default for ever. */
  timeoutMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** How much to read, and how long to wait for it. */
export interface ReadOptions extends WaitOptions {
  /** Most bytes to take; default 64 KiB. */
  maxBytes?: number;
}

/** Awaitable access to a connection. One read and one write may be under way at a time. */
export class StreamIo implements ConnListener {
  /** The connection. */
  readonly conn: Conn;
  readonly #reader: Waiter;
  readonly #writer: Waiter;
  readonly #closer: Waiter;
  #closing = false;
  #dropped = 0;
  #over = false;
  #error: PilotError | undefined;

  /**
   * Takes the connection over; sets its listener at once.
   *
   * @param conn The connection.
   * @param clock Whose time limits the waits.
   */
  constructor(conn: Conn, clock: Clock) {
    this.conn = conn;
    this.#reader = new Waiter(clock);
    this.#writer = new Waiter(clock);
    this.#closer = new Waiter(clock);
    conn.setListener(this);
  }

  onReadable(): void {
    if (this.#closing) this.#drop();
    this.#reader.wake();
  }

  onWritable(): void {
    this.#writer.wake();
  }

  onClosed(error: PilotError | undefined): void {
    this.#over = true;
    this.#error = error;
    this.#reader.wake();
    this.#writer.wake();
    this.#closer.wake();
  }

  /** The connection has ended. */
  get over(): boolean {
    return this.#over || this.conn.closed;
  }

  /**
   * Takes what has arrived, waiting for something.
   *
   * @param options Size and patience.
   * @returns At least one byte, the caller's to keep; undefined when the peer has closed.
   * @throws {PilotError} Why the connection failed, `connection_closed`, `timeout` or `aborted`.
   */
  async readChunk(options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    const maxBytes = options.maxBytes ?? DEFAULT_CHUNK_BYTES;
    for (;;) {
      const chunk = this.conn.read(maxBytes);
      if (chunk !== undefined) return chunk;
      if (this.conn.ended) return undefined;
      if (this.over) {
        if (this.#failure !== undefined) throw this.#failure;
        return undefined; // closed in order, by us or by both
      }
      await this.#reader.wait("Reading", options);
    }
  }

  /**
   * Writes all of the bytes, waiting for room in the stream's send buffer.
   *
   * @param data Not to be changed before the promise settles.
   * @param options Patience for each piece of progress.
   * @returns When the stream has taken everything.
   * @throws {PilotError} Why the connection failed, `connection_closed`, `timeout` or `aborted`.
   */
  async write(data: Uint8Array, options: WaitOptions = {}): Promise<void> {
    let rest = data;
    for (;;) {
      if (this.over) {
        throw this.#failure ??
          new PilotError("connection_closed", "The connection is closed");
      }
      rest = rest.subarray(this.conn.write(rest));
      if (rest.length === 0) return;
      if (this.conn.writableBytes > 0) continue; // room was made, and reported, from within the write
      await this.#writer.wait("Writing", options);
    }
  }

  /**
   * Closes in order: everything written is delivered first. What the peer still sends is dropped.
   *
   * @param options How long to wait for the end; by default nobody waits.
   * @returns When the connection has ended, or at once without options.
   * @throws {PilotError} Why the connection failed, `timeout` or `aborted`; only with options.
   */
  async close(options?: WaitOptions): Promise<void> {
    this.#closing = true;
    this.conn.close();
    this.#drop();
    if (options === undefined) return;
    while (!this.over) await this.#closer.wait("Closing", options);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resets the connection. */
  abort(): void {
    this.conn.abort();
  }

  /** Reads and forgets, so that the peer's end can be reached; resets a peer that never stops. */
  #drop(): void {
    for (let data = this.conn.read(); data !== undefined; data = this.conn.read()) {
      this.#dropped += data.length;
    }
    if (this.#dropped > DISCARD_MAX_BYTES) this.conn.abort();
  }

  get #failure(): PilotError | undefined {
    return this.#error ?? this.conn.error;
  }
}

/** One party that waits to be woken. */
class Waiter {
  readonly #clock: Clock;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#wake?.();
  }

  /** Resolves at the next {@linkcode wake}; rejects on timeout or abort. */
  wait(what: string, { timeoutMs, signal }: WaitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const settle = (error?: PilotError) => {
        this.#wake = undefined;
        cancel();
        signal?.removeEventListener("abort", onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onAbort = () => settle(new PilotError("aborted", `${what} was aborted`));
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort);
      if (timeoutMs !== undefined) {
        cancel = this.#clock.after(timeoutMs, () =>
          settle(
            new PilotError(
              "timeout",
              `${what}: nothing moved for ${timeoutMs} ms`,
            ),
          ));
      }
      this.#wake = () => settle();
    });
  }
}
