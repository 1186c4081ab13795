/**
 * Send side of a connection: cuts and joins writes into frames and keeps a window of them under way.
 *
 * @module
 */

import { PilotError } from "../protocol/errors.ts";
import { Cmd, encodeConn, IPC_SEND_WINDOW_BYTES } from "../protocol/ipc/mod.ts";
import { abortError, watchAbort } from "./abort.ts";
import type { ReplySink } from "./call.ts";
import { errorFromJson } from "./remote_error.ts";
import { LEAST_SEND_WINDOW_BYTES } from "./send_budget.ts";
import type { DaemonLink } from "./daemon_link.ts";

/** Largest piece of a stream in one frame: eight of them fill the window, so the daemon always has one at hand. */
export const SEND_CHUNK_BYTES = IPC_SEND_WINDOW_BYTES / 8;
/** Most frames unanswered: small writes beyond it wait and leave joined. */
const MAX_UNANSWERED = 16;
/** Most writes joined into one frame: they become arguments of a call. */
const MAX_PARTS = 1024;

/** One `write` of the application. Offsets count the bytes of the connection. */
interface Write {
  readonly data: Uint8Array;
  start: number;
  end: number;
  /** Resolves when the last byte has been handed on (not yet taken by the daemon). */
  readonly early: boolean;
  resolve(): void;
  reject(error: PilotError): void;
}

/** What a sender uses of the conversation with the daemon. */
export type SendSession = Pick<
  DaemonLink,
  "tagged" | "budget" | "sendTagged" | "send" | "flushed"
>;

/** Sends what the application writes, in order. */
export class Sender implements ReplySink {
  readonly #session: SendSession;
  readonly #idBytes: Uint8Array;
  readonly #what: string;
  /** Writes not settled yet, oldest first. */
  #writes: Write[] = [];
  /** Sizes of the frames the daemon has not answered. */
  readonly #unanswered: number[] = [];
  readonly #idle: (() => void)[] = [];
  /** Bytes of the frames the daemon has not answered. */
  #held = 0;
  #written = 0;
  #sent = 0;
  #taken = 0;
  #closed = false;
  #failure: Reason | undefined;
  #remoteEnd: Reason | undefined;
  /** Set while the failure has not been given to the application. */
  #unreported = false;

  /**
   * @param session The conversation with the daemon.
   * @param id Connection number.
   * @param what Names the connection in errors.
   */
  constructor(session: SendSession, id: number, what: string) {
    this.#session = session;
    this.#idBytes = encodeConn(id);
    this.#what = what;
  }

  /**
   * Sends bytes.
   *
   * @param data Not to be changed before the promise settles.
   * @param options `early`: resolve as soon as the window had room; a failure then shows in a later call.
   * @returns When the daemon has the bytes.
   * @throws {PilotError} Why the connection failed, `connection_closed` or `aborted`.
   */
  write(
    data: Uint8Array,
    { signal, early = false }: {
      signal?: AbortSignal | undefined;
      early?: boolean;
    } = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const failure = this.#refusal(signal);
      if (failure !== undefined) return reject(failure);
      if (data.length === 0) return resolve();
      const start = this.#written;
      const write: Write = {
        data,
        start,
        end: start + data.length,
        early,
        resolve: () => {
          unwatch();
          resolve();
        },
        reject: (error) => {
          unwatch();
          reject(error);
        },
      };
      const unwatch = watchAbort(
        signal,
        () => this.#abortWrite(write, abortError(signal!, this.#doing)),
      );
      this.#written = write.end;
      this.#writes.push(write);
      this.#pump();
    });
  }

  /** Something was written. */
  get hasWritten(): boolean {
    return this.#written > 0;
  }

  /**
   * Takes no more writes and waits for those there are.
   *
   * @returns When the daemon has everything.
   * @throws {PilotError} A failure no call has reported yet.
   */
  async finish(): Promise<void> {
    this.#closed = true;
    while (this.#isBusy) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    if (this.#unreported) {
      this.#unreported = false;
      throw this.#failure!();
    }
  }

  /** The close after {@linkcode finish} was refused: writes continue. */
  reopen(): void {
    this.#closed = false;
  }

  /**
   * Ends sending: what the daemon has not got is dropped.
   *
   * @param error What pending and later writes get.
   */
  fail(error: PilotError): void {
    this.#end(() => error);
  }

  #end(reason: Reason): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#unreported = this.#taken < this.#written && this.#writes.length === 0;
    for (const write of this.#writes.splice(0)) write.reject(reason());
    this.#wakeIdle();
  }

  /** The remote side has ended: nothing new can be sent, but the daemon still answers for what is under way. */
  remoteEnded(): void {
    const reason = this.#remoteEnd ??= closedBy(this.#what);
    if (!this.#session.tagged || this.#unanswered.length === 0) return this.#end(reason);
    const unsent = this.#writes.filter((write) => write.end > this.#sent);
    this.#writes = this.#writes.filter((write) => write.end <= this.#sent);
    for (const write of unsent) write.reject(reason());
    this.#written = this.#sent; // what will not leave has been reported
  }

  onReply(cmd: number, payload: Uint8Array): void {
    const bytes = this.#unanswered.shift() ?? 0;
    this.#held -= bytes;
    this.#session.budget.answered(bytes, this.#held);
    if (cmd === Cmd.Error) return this.fail(errorFromJson(payload, this.#what));
    this.#taken += bytes;
    this.#settle();
    this.#pump();
    if (this.#unanswered.length === 0 && this.#remoteEnd !== undefined) {
      this.#end(this.#remoteEnd);
    }
    this.#wakeIdle();
  }

  onLost(error: PilotError): void {
    this.fail(error);
  }

  get #doing(): string {
    return `Writing to ${this.#what}`;
  }

  #refusal(signal: AbortSignal | undefined): PilotError | undefined {
    const reason = this.#failure ?? this.#remoteEnd;
    if (reason !== undefined) {
      this.#unreported = false;
      return reason();
    }
    if (this.#closed) {
      return new PilotError(
        "connection_closed",
        `${this.#doing}: closed on this side`,
      );
    }
    return signal?.aborted ? abortError(signal, this.#doing) : undefined;
  }

  /** Sends as many frames as the window allows. A window that others have made smaller opens with the next answer. */
  #pump(): void {
    while (
      this.#failure === undefined && this.#remoteEnd === undefined &&
      this.#sent < this.#written && this.#unanswered.length < MAX_UNANSWERED
    ) {
      const window = this.#session.budget.window(this.#held);
      // In a small window two frames: one on its way while the daemon has the other.
      const chunk = Math.min(SEND_CHUNK_BYTES, Math.max(LEAST_SEND_WINDOW_BYTES, window >> 1));
      // A sliver of window gets no frame, unless it is the end.
      const wanted = Math.min(chunk, this.#written - this.#sent);
      if (window - this.#held < wanted) return;
      this.#sendFrame(wanted);
    }
  }

  #sendFrame(limit: number): void {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (const write of this.#writes) {
      if (write.end <= this.#sent) continue;
      if (bytes === limit || parts.length === MAX_PARTS) break;
      const from = Math.max(0, this.#sent - write.start);
      const part = write.data.subarray(from, from + limit - bytes);
      parts.push(part);
      bytes += part.length;
    }
    this.#sent += bytes;
    this.#unanswered.push(bytes);
    this.#session.budget.sent(bytes, this.#held);
    this.#held += bytes;
    if (this.#session.tagged) {
      this.#session.sendTagged(this, Cmd.Send, this.#idBytes, ...parts);
    } else {
      this.#session.send(Cmd.Send, this.#idBytes, ...parts);
      // An old daemon answers nothing; its only brake is a socket it does not read.
      void this.#session.flushed().then(() => this.onReply(Cmd.Send, NOTHING));
    }
    this.#settle();
  }

  /** Resolves the writes that are done: the daemon has their bytes, or, for early ones, the window does. */
  #settle(): void {
    let done = 0;
    for (const write of this.#writes) {
      if (write.end > (write.early ? this.#sent : this.#taken)) break;
      write.resolve();
      done++;
    }
    if (done > 0) this.#writes.splice(0, done);
  }

  #abortWrite(write: Write, error: PilotError): void {
    const index = this.#writes.indexOf(write);
    if (index < 0) return;
    write.reject(error);
    if (write.end <= this.#sent) return;
    // The bytes that did not leave are cut out of the stream; a cut in the middle of a write ends it.
    if (write.start < this.#sent) {
      this.fail(
        new PilotError(
          "connection_closed",
          `${this.#doing}: an aborted write left half of its bytes`,
        ),
      );
      return;
    }
    this.#removeUnsent(index);
  }

  /** Takes a write out of the queue, moving those behind it forward. */
  #removeUnsent(index: number): void {
    const [{ start, end }] = this.#writes.splice(index, 1) as [Write];
    for (const later of this.#writes.slice(index)) {
      later.start -= end - start;
      later.end -= end - start;
    }
    this.#written -= end - start;
  }

  /** Something has not left yet, or not been answered for. */
  get #isBusy(): boolean {
    return this.#failure === undefined && (this.#writes.length > 0 || this.#unanswered.length > 0);
  }

  #wakeIdle(): void {
    if (this.#isBusy) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** Why nothing more is sent: the error, made when it is first needed. One with its stack costs as much as a frame. */
type Reason = () => PilotError;

function closedBy(what: string): Reason {
  let error: PilotError | undefined;
  return () => error ??= new PilotError("connection_closed", `${what}: closed by the peer`);
}

const NOTHING = new Uint8Array(0);
