/**
 * A stream connection as the application sees it.
 *
 * @module
 */

import { type Address, formatSocketAddress, type SocketAddress } from "../protocol/address.ts";
import { PilotError } from "../protocol/errors.ts";
import { ABORT, Cmd, decodeConn, encodeConn, HALF_CLOSE } from "../protocol/ipc/mod.ts";
import type { AbortOptions } from "./abort.ts";
import { abortError, checkAbort, watchAbort } from "./abort.ts";
import { Receiver } from "./conn_receiver.ts";
import { Sender } from "./conn_sender.ts";
import type { DaemonLink } from "./daemon_link.ts";
import { plainClock } from "../platform/clock.ts";
import { inTime } from "../platform/waiting.ts";

/** An old daemon answers a close at once or never, milliseconds. */
const UNTAGGED_CLOSE_MS = 5_000;
/** Longest wait for an orderly end, milliseconds: above what the daemon spends on a peer that is gone. */
const CLOSE_TIMEOUT_MS = 300_000;

/** What is known about a connection when it is made. */
export interface ConnInfo {
  /** Number within the daemon. */
  readonly id: number;
  /** The authenticated peer and its port. */
  readonly remote: SocketAddress;
  /** Our port, where it is known. */
  readonly localPort: number | undefined;
}

/**
 * A reliable, ordered byte stream to an agent (docs/protocol/streams.md, docs/protocol/local-socket.md). Made by
 * `Driver.dial` and by listeners.
 *
 * Reading: {@linkcode read}, `for await`, or {@linkcode readable}. Leaving a `for await` loop does not close the
 * connection. Writing: {@linkcode write} or {@linkcode writable}. Both directions apply back-pressure: at most
 * 1 MiB is buffered in each, less when more than eight connections of the driver send at once (with daemons that grant
 * no credit, 4 MiB of unread data stop the whole driver's reading).
 * Messages have no borders: what was one `write` may arrive as several chunks.
 *
 * @example A request and everything that is answered
 * ```ts
 * import { connect } from "@pilot-protocol/pilot";
 *
 * await using driver = await connect();
 * await using conn = await driver.dial("alice:4000", { timeoutMs: 10_000 });
 * await conn.write("hello");
 * const answer = await conn.read();
 * console.log(answer === undefined ? "closed" : new TextDecoder().decode(answer));
 * ```
 */
export class Conn implements AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Number of the connection within the daemon, as in `info().conn_list`. */
  readonly id: number;
  /** The authenticated peer and its port. */
  readonly remote: SocketAddress;
  /** Our port: the listener's for accepted connections; the daemon does not report it for dialled ones. */
  readonly localPort: number | undefined;
  /** Resolves when nothing can be written any more, as the peer or the daemon has ended the connection. */
  readonly closed: Promise<void>;
  readonly #session: DaemonLink;
  readonly #receiver: Receiver;
  readonly #sender: Sender;
  readonly #what: string;
  /** Gives up the Close request, which makes the daemon reset the connection. */
  readonly #reset = new AbortController();
  #aborted = false;
  #telling = false;
  readonly #remoteEnd = Promise.withResolvers<void>();
  #failed = false;
  /** The reset that took away what was written, until a call has thrown it. */
  #cut: PilotError | undefined;
  /** A reset from now on takes away what was written; not after its delivery, and nobody asks when a scope is left. */
  #mayBeCut = true;
  #release: Promise<void> | undefined;
  /** The close for writing; undefined again when it was refused. */
  #writeClose: Promise<void> | undefined;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;

  /**
   * Connections are made by the driver.
   *
   * @ignore
   */
  constructor(session: DaemonLink, { id, remote, localPort }: ConnInfo) {
    this.id = id;
    this.remote = remote;
    this.localPort = localPort;
    this.closed = this.#remoteEnd.promise;
    this.#session = session;
    this.#what = formatSocketAddress(remote);
    this.#sender = new Sender(session, id, this.#what);
    this.#receiver = new Receiver(
      session,
      id,
      this.#what,
      (error) => this.#onRemoteEnd(error),
    );
    session.register(id, this.#receiver);
  }

  /** Address of the peer. */
  get remoteAddress(): Address {
    return { network: this.remote.network, node: this.remote.node };
  }

  /**
   * Takes the bytes that have arrived, waiting for some. Concurrent reads are served in order.
   *
   * @param options Signal to stop waiting; nothing is lost by it.
   * @returns 1 byte to a few hundred KiB that belong to the caller, or undefined at the end of the stream.
   * @throws {PilotError} Why the connection failed (`connection_failed`, `connection_closed`, `untrusted`, ...), or
   * `aborted`.
   */
  read(
    options: AbortOptions = {},
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return this.#receiver.read(options.signal);
  }

  /**
   * Sends bytes. Several writes may be under way; their order is kept.
   *
   * @param data Bytes, not to be changed before the promise settles, or text, which is sent as UTF-8.
   * @param options Signal to give up: bytes that have not left are withdrawn; where a part of this write has left,
   * later writes fail.
   * @returns When the daemon has taken the bytes, which is when its send buffer had room.
   * @throws {PilotError} Why the connection failed, `connection_closed` after the peer or we have closed, `aborted`.
   */
  write(data: Uint8Array | string, options: AbortOptions = {}): Promise<void> {
    return this.#sender.write(
      typeof data === "string" ? new TextEncoder().encode(data) : data,
      options,
    );
  }

  /** The incoming bytes as a Web byte stream. Cancelling it drops what still arrives. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream({
      type: "bytes",
      pull: async (controller) => {
        const chunk = await this.read();
        if (chunk !== undefined) return controller.enqueue(chunk);
        controller.close();
        // A waiting BYOB read is only released by an answer.
        controller.byobRequest?.respond(0);
      },
      cancel: () => this.#receiver.discard(),
    });
  }

  /**
   * The outgoing bytes as a Web stream. A write settles as soon as the window (at most 1 MiB) has room, so that a pipe
   * keeps it full; closing waits for delivery and is {@linkcode closeWrite}, or {@linkcode close} where there is no half
   * close; aborting is {@linkcode abort}.
   */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream({
      write: (chunk, controller) =>
        this.#sender.write(chunk, { signal: controller.signal, early: true }),
      close: () => this.#closeWritable(),
      abort: () => this.abort(),
    });
  }

  /** Iterates over incoming chunks until the stream ends. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<
    Uint8Array<ArrayBuffer>
  > {
    for (;;) {
      const chunk = await this.read();
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /**
   * Closes for writing: everything written is delivered, the peer sees the end, and what it still sends can be read.
   * To be followed by {@linkcode close} unless everything is read to the end.
   *
   * @param options Signal to stop waiting; the connection is aborted then.
   * @returns When the peer has everything.
   * @throws {PilotError} `unavailable` when the peer or the daemon is an existing one without half close: nothing has
   * changed, and more can be written. Otherwise why something written was not delivered; `connection_closed`, `aborted`.
   */
  async closeWrite(options: AbortOptions = {}): Promise<void> {
    const what = `Closing ${this.#what} for writing`;
    checkAbort(options.signal, what);
    this.#writeClose ??= this.#closeWrite(what);
    await this.#unlessAborted(this.#writeClose, options.signal, what);
  }

  async #closeWrite(what: string): Promise<void> {
    // The peer has closed both directions, or we have: nothing is left to announce, and what came can be read.
    if (this.#release !== undefined) return await this.#released(this.#release);
    try {
      if (!this.#session.features.includes(HALF_CLOSE)) {
        throw new PilotError("unavailable", `${what}: the daemon knows no half close`);
      }
      await this.#sender.finish();
      if (this.#release !== undefined) return await this.#released(this.#release);
      await this.#session.request({
        cmd: Cmd.CloseWrite,
        expect: Cmd.CloseWriteOk,
        payload: encodeConn(this.id),
        what,
        timeoutMs: CLOSE_TIMEOUT_MS,
        immediate: true,
        decode: decodeConn,
      });
      this.#mayBeCut = false;
    } catch (error) {
      const { code } = PilotError.from(error, "internal");
      if (code === "not_found") return this.#checkDelivery(); // the daemon has forgotten it: it is closed
      if (code === "unavailable") {
        this.#sender.reopen();
        this.#writeClose = undefined;
      } else this.abort();
      throw error;
    }
  }

  async #released(release: Promise<void>): Promise<void> {
    await release;
    this.#checkDelivery();
  }

  async #closeWritable(): Promise<void> {
    try {
      await this.closeWrite();
    } catch (error) {
      if (!(error instanceof PilotError && error.code === "unavailable")) throw error;
      await this.close();
    }
  }

  /**
   * Orderly close of both directions: everything written is delivered first, unread data is dropped.
   *
   * @param options Signal to stop waiting; the connection is aborted then.
   * @returns When the peer has everything (with an old daemon: when the daemon has everything).
   * @throws {PilotError} Why something written was not delivered, or may not have been, when no write and no read has
   * reported it.
   */
  async close(options: AbortOptions = {}): Promise<void> {
    const { signal } = options;
    const what = `Closing ${this.#what}`;
    checkAbort(signal, what);
    this.#receiver.discard();
    const release = this.#startRelease();
    if (this.#aborted) return;
    await this.#unlessAborted(release, signal, what);
    this.#checkDelivery();
  }

  /** A reset has taken away what was written, or may have: that is no delivery, and is reported once. */
  #checkDelivery(): void {
    const cut = this.#cut;
    this.#cut = undefined;
    if (cut !== undefined && !this.#receiver.isEndReported) throw cut;
  }

  /** Waits; giving that up resets the connection. */
  async #unlessAborted(
    done: Promise<void>,
    signal: AbortSignal | undefined,
    what: string,
  ): Promise<void> {
    if (signal === undefined) return await done;
    await new Promise<void>((resolve, reject) => {
      const unwatch = watchAbort(signal, () => {
        reject(abortError(signal, what));
        this.abort();
      });
      done.then(resolve, reject).finally(unwatch);
    });
  }

  /** Ends the connection at once: nothing more is sent, pending and later calls fail with `aborted`. */
  abort(): void {
    const error = new PilotError("aborted", `${this.#what}: aborted`);
    this.#sender.fail(error);
    this.#receiver.discard(error);
    this.#aborted = true;
    this.#startRelease();
    if (this.#telling) this.#reset.abort(error);
  }

  /**
   * Closes like {@linkcode close}, but says nothing of a reset that took away what was written: it would hide the error
   * that the scope is left with.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut = undefined;
    this.#mayBeCut = false;
    await this.close();
  }

  /** Lets everything written leave, then sends the daemon the end; once. */
  #startRelease(): Promise<void> {
    if (this.#release === undefined) {
      this.#release = this.#sender.finish()
        .finally(() => this.#tellClosed())
        .finally(() => this.#session.unregister(this.id));
      // Not everybody who starts a close waits for it.
      this.#release.catch(() => {});
    }
    return this.#release;
  }

  async #tellClosed(): Promise<void> {
    const session = this.#session;
    if (session.lost !== undefined || this.#failed) return;
    // A Close would let an orderly end leave before it is taken back.
    if (this.#aborted && session.features.includes(ABORT)) {
      return session.send(Cmd.Abort, encodeConn(this.id));
    }
    if (!session.tagged) {
      session.send(Cmd.Close, encodeConn(this.id));
      return await this.#awaitEnd();
    }
    const closing = session.request({
      cmd: Cmd.Close,
      expect: Cmd.CloseOk,
      payload: encodeConn(this.id),
      what: `Closing ${this.#what}`,
      signal: this.#reset.signal,
      timeoutMs: CLOSE_TIMEOUT_MS,
      immediate: true,
      decode: decodeConn,
    });
    this.#telling = true;
    if (this.#aborted) this.#reset.abort();
    try {
      await closing;
    } catch (error) {
      // The daemon has forgotten the connection already: it is closed.
      if (!(error instanceof PilotError && error.code === "not_found")) {
        throw error;
      }
    }
  }

  /** An old daemon confirms a close by the same push that announces the end. */
  async #awaitEnd(): Promise<void> {
    await inTime(plainClock, this.#remoteEnd.promise, UNTAGGED_CLOSE_MS);
  }

  #onRemoteEnd(error: PilotError | undefined): void {
    this.#remoteEnd.resolve();
    this.#failed = error !== undefined;
    if (error !== undefined && this.#sender.hasWritten && this.#mayBeCut) this.#cut = error;
    if (error !== undefined) this.#sender.fail(error);
    else this.#sender.remoteEnded();
    // Nothing can be sent any more: let the daemon finish, also when the application only reads to the end.
    this.#startRelease();
  }
}
