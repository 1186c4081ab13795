/**
 * Receive side of a connection: bounded buffering, credit, waiting readers.
 *
 * @module
 */

import type { PilotError } from "../protocol/errors.ts";
import { Cmd, encodeRecvCredit, IPC_RECV_WINDOW_BYTES } from "../protocol/ipc/mod.ts";
import { abortError, watchAbort } from "./abort.ts";
import type { ConnSink, DaemonLink } from "./daemon_link.ts";

/** Credit is returned when this much was consumed: often enough that the daemon never runs dry. */
const CREDIT_STEP_BYTES = IPC_RECV_WINDOW_BYTES / 4;
/** With this much unread, nothing more is read from the daemon: the brake for daemons without credit. */
const HOLD_BYTES = 4 * 1024 * 1024;
/** Chunks smaller than this are joined when several wait. */
const JOIN_BELOW_BYTES = 16 * 1024;
/** Most bytes of a joined chunk. */
const JOIN_LIMIT_BYTES = 256 * 1024;

interface Reader {
  resolve(chunk: Uint8Array<ArrayBuffer> | undefined): void;
  reject(error: PilotError): void;
}

/** Collects what the daemon pushes until the application takes it. */
export class Receiver implements ConnSink {
  readonly #session: DaemonLink;
  readonly #id: number;
  readonly #what: string;
  readonly #onFinished: (error: PilotError | undefined) => void;
  readonly #readers = new Set<Reader>();
  #batch: Uint8Array[] = [];
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #queued = 0;
  #uncredited = 0;
  #discarding = false;
  #finished = false;
  #end: { readonly error: PilotError | undefined } | undefined;
  /** A read has thrown what ended the connection. */
  isEndReported = false;

  /**
   * @param session The conversation with the daemon.
   * @param id Connection number.
   * @param what Names the connection in errors.
   * @param onFinished Called once when the remote side, or the daemon, has ended the connection.
   */
  constructor(
    session: DaemonLink,
    id: number,
    what: string,
    onFinished: (error: PilotError | undefined) => void,
  ) {
    this.#session = session;
    this.#id = id;
    this.#what = what;
    this.#onFinished = onFinished;
  }

  onData(view: Uint8Array): void {
    this.#batch.push(view);
  }

  /** The views of one read become one chunk: one copy, one wake-up. */
  onBatchEnd(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const chunk = join(batch);
    if (chunk.length === 0) return;
    if (this.#discarding) return this.#credit(chunk.length);
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued > HOLD_BYTES) this.#session.pauseFor(this);
    this.#serve();
  }

  onReadEnd(): void {
    this.#end ??= { error: undefined };
    this.#serve();
  }

  onEnd(error: PilotError | undefined): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#end ??= { error };
    this.#serve();
    this.#onFinished(error);
  }

  onLost(error: PilotError): void {
    this.#batch = [];
    this.onEnd(error);
  }

  /**
   * Takes what is there, waiting for something.
   *
   * @param signal Ends the wait; nothing is lost by it.
   * @returns Bytes that belong to the caller, or undefined at the end.
   * @throws {PilotError} Why the connection failed, or `aborted`.
   */
  read(
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (signal?.aborted) return Promise.reject(abortError(signal, this.#what));
    if (this.#readers.size === 0) {
      const chunk = this.#take();
      if (chunk !== undefined) return Promise.resolve(chunk);
      if (this.#end !== undefined) {
        const { error } = this.#end;
        if (error === undefined) return Promise.resolve(undefined);
        this.isEndReported = true;
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      const reader: Reader = {
        resolve: (chunk) => {
          unwatch();
          resolve(chunk);
        },
        reject: (error) => {
          unwatch();
          reject(error);
        },
      };
      const unwatch = watchAbort(signal, () => {
        this.#readers.delete(reader);
        reject(abortError(signal!, `Reading from ${this.#what}`));
      });
      this.#readers.add(reader);
    });
  }

  /**
   * Ends reading on this side: what is buffered and what still comes is dropped, with its credit returned, so that
   * the remote side can finish.
   *
   * @param error What waiting and later reads get; undefined is the end of the stream.
   */
  discard(error?: PilotError): void {
    if (this.#discarding) return;
    this.#discarding = true;
    this.#credit(this.#queued);
    this.#chunks = [];
    this.#queued = 0;
    this.#session.resumeFor(this);
    this.#end ??= { error };
    this.#serve();
  }

  #serve(): void {
    for (const reader of this.#readers) {
      const chunk = this.#take();
      if (chunk === undefined && this.#end === undefined) return;
      this.#readers.delete(reader);
      if (chunk === undefined && this.#end?.error !== undefined) {
        this.isEndReported = true;
        reader.reject(this.#end.error);
      } else {
        reader.resolve(chunk);
      }
    }
  }

  #take(): Uint8Array<ArrayBuffer> | undefined {
    const first = this.#chunks[0];
    if (first === undefined) return undefined;
    let count = 1;
    let bytes = first.length;
    if (bytes < JOIN_BELOW_BYTES) {
      while (count < this.#chunks.length) {
        const next = this.#chunks[count]!.length;
        if (bytes + next > JOIN_LIMIT_BYTES) break;
        bytes += next;
        count++;
      }
    }
    const taken = this.#chunks.splice(0, count);
    this.#queued -= bytes;
    if (this.#queued < HOLD_BYTES / 2) this.#session.resumeFor(this);
    this.#credit(bytes);
    return count === 1 ? first : join(taken);
  }

  #credit(bytes: number): void {
    this.#uncredited += bytes;
    if (!this.#session.tagged || this.#uncredited < CREDIT_STEP_BYTES) return;
    this.#session.send(
      Cmd.RecvCredit,
      encodeRecvCredit({ conn: this.#id, bytes: this.#uncredited }),
    );
    this.#uncredited = 0;
  }
}

/** Like `concatBytes`, for more parts than a call can have arguments. */
function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  const out = new Uint8Array(bytes);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
