/**
 * One conversation with a daemon over its socket: requests and their answers, pushes, and the choice between the
 * tagged mode of our daemon and the one-request-at-a-time mode of older ones (docs/protocol/local-socket.md).
 *
 * @module
 */

import { DecodeError, PilotError } from "../protocol/errors.ts";
import {
  Cmd,
  decodeConn,
  decodeSend,
  decodeTagged,
  encodeCancelTag,
  encodeIpcFrame,
  encodeTag,
  IPC_MAX_FRAME_BYTES,
  type IpcFrame,
  IpcFrameReader,
  TAG_HEADER_BYTES,
} from "../protocol/ipc/mod.ts";
import { abortError } from "./abort.ts";
import { Call, type CallHost, errorText, type ReplySink, type Request } from "./call.ts";
import { Deadlines } from "./deadlines.ts";
import { Orphans } from "./orphans.ts";
import { Outbox } from "./frame_outbox.ts";
import { errorFromJson, protocolError } from "./remote_error.ts";
import type { ConnSink, DaemonLink, LinkHandler } from "./daemon_link.ts";
import { SendBudget } from "./send_budget.ts";
import type { Transport } from "./transport.ts";

/** Requests under way at once in tagged mode; the rest waits here. Half of what the daemon allows a client. */
const MAX_IN_FLIGHT = 512;
/** Largest payload of a request: a frame less its command and tag. */
const MAX_REQUEST_BYTES = IPC_MAX_FRAME_BYTES - 1 - TAG_HEADER_BYTES;

/** The conversation. Made by {@linkcode connect}; the driver and its connections share it. */
export class Session implements CallHost, DaemonLink {
  /** Time limits of the calls under way. */
  readonly deadlines: Deadlines = new Deadlines();
  /** What connections have sent and the daemon has not answered. */
  readonly budget: SendBudget = new SendBudget();
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #reader = new IpcFrameReader();
  readonly #conns = new Map<number, ConnSink>();
  readonly #touched = new Set<ConnSink>();
  readonly #replies = new Map<number, ReplySink>();
  readonly #waiting: (() => void)[] = [];
  readonly #orphans = new Orphans();
  readonly #holds = new Set<ConnSink>();
  #resume: (() => void) | undefined;
  #dialing = 0;
  #inFlight = 0;
  #untagged: { expect: number; sink: ReplySink } | undefined;
  #nextId = 1;
  #tagged = false;
  #features: readonly string[] = [];
  #lost: PilotError | undefined;
  #handler: LinkHandler | undefined;

  /**
   * @param transport The connected socket.
   */
  constructor(transport: Transport) {
    this.#transport = transport;
    this.#outbox = new Outbox(transport, (cause) => this.#brokenBy(cause));
  }

  /** Whether requests carry ids and flow control is on. */
  get tagged(): boolean {
    return this.#tagged;
  }

  /** What the daemon announced. */
  get features(): readonly string[] {
    return this.#features;
  }

  /** Numbers of the connections that have not ended. */
  get openConns(): readonly number[] {
    return [...this.#conns.keys()];
  }

  /** Why the conversation ended, once it has. */
  get lost(): PilotError | undefined {
    return this.#lost;
  }

  /**
   * Reads until the daemon or {@linkcode close} ends the conversation. Never rejects.
   *
   * @param handler Gets pushes.
   */
  async run(handler: LinkHandler): Promise<void> {
    this.#handler = handler;
    try {
      for (;;) {
        const chunk = await this.#transport.read();
        if (chunk === undefined) break;
        this.#takeChunk(chunk);
        if (this.#holds.size > 0) {
          await new Promise<void>((resolve) => this.#resume = resolve);
        }
        if (this.#lost !== undefined) break;
      }
      this.#brokenBy(undefined);
    } catch (cause) {
      this.#brokenBy(cause);
    }
  }

  /** Switches to tagged requests; to be called when the daemon answered Hello. */
  enableTags(features: readonly string[]): void {
    this.#features = features;
    this.#tagged = true;
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @param request The request.
   * @returns What its `decode` made of the answer.
   * @throws {PilotError} The daemon's error, `timeout`, `aborted`, `connection_closed`, `protocol_error`.
   */
  request<T>(request: Request<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const { what, signal } = request;
      if (this.#lost !== undefined) return reject(this.#lost);
      if (signal?.aborted) return reject(abortError(signal, what));
      const bytes = (request.payload?.length ?? 0) + (request.data?.length ?? 0);
      if (bytes > MAX_REQUEST_BYTES) {
        return reject(tooLong(what));
      }
      const call = new Call(this, request, resolve, reject);
      if (request.immediate || this.#inFlight < this.#places) this.#start(call);
      else this.#waiting.push(() => this.#start(call));
    });
  }

  /** Called by a {@linkcode Call} when its place is free again. */
  release(request: { cmd: number; immediate?: boolean }): void {
    if (request.cmd === Cmd.Dial && --this.#dialing === 0) {
      this.#orphans.clear();
    }
    if (request.immediate) return;
    this.#inFlight--;
    while (this.#inFlight < this.#places && this.#waiting.length > 0) {
      this.#waiting.shift()!();
    }
  }

  get #places(): number {
    return this.#tagged ? MAX_IN_FLIGHT : 1;
  }

  #start<T>(call: Call<T>): void {
    if (!call.begin()) return;
    const { cmd, expect, payload = NOTHING, data = NOTHING, immediate } = call.request;
    if (!immediate) this.#inFlight++;
    if (cmd === Cmd.Dial) this.#dialing++;
    if (this.#tagged) {
      call.id = this.sendTagged(call, cmd, payload, data);
    } else {
      this.#untagged = { expect, sink: call };
      this.#outbox.push(encodeIpcFrame(cmd, payload, data));
    }
  }

  /**
   * Sends a command with an id (tagged mode only).
   *
   * @param sink Gets the answer.
   * @param cmd Command number.
   * @param parts The payload in pieces; copied.
   * @returns The id.
   */
  sendTagged(sink: ReplySink, cmd: number, ...parts: Uint8Array[]): number {
    while (this.#replies.has(this.#nextId)) this.#advanceId();
    const id = this.#nextId;
    this.#advanceId();
    this.#replies.set(id, sink);
    this.#outbox.push(encodeIpcFrame(Cmd.Tagged, encodeTag(id, cmd), ...parts));
    return id;
  }

  /** Cancels a request at the daemon; it still answers. */
  cancel(id: number): void {
    this.send(Cmd.CancelTag, encodeCancelTag(id));
  }

  #advanceId(): void {
    this.#nextId = this.#nextId === 0xffffffff ? 1 : this.#nextId + 1;
  }

  /**
   * Sends a command that has no answer, or whose answer does not matter.
   *
   * @param cmd Command number.
   * @param parts The payload in pieces; copied.
   */
  send(cmd: number, ...parts: Uint8Array[]): void {
    if (this.#lost === undefined) {
      this.#outbox.push(encodeIpcFrame(cmd, ...parts));
    }
  }

  /**
   * Resolves when everything sent so far is in the socket.
   *
   * @returns When that is so.
   */
  flushed(): Promise<void> {
    return this.#outbox.flushed();
  }

  /**
   * Routes a connection's data to `sink`, first what came before its number was known.
   *
   * @param id Connection number.
   * @param sink Its receiver.
   */
  register(id: number, sink: ConnSink): void {
    this.#conns.set(id, sink);
    const orphan = this.#orphans.claim(id);
    if (orphan === undefined) return;
    for (const data of orphan.data) sink.onData(data);
    sink.onBatchEnd();
    if (orphan.end !== undefined) sink.onEnd(orphan.end.error);
  }

  /**
   * Forgets a connection.
   *
   * @param id Connection number.
   */
  unregister(id: number): void {
    const sink = this.#conns.get(id);
    this.#conns.delete(id);
    if (sink !== undefined) this.resumeFor(sink);
  }

  /**
   * Stops reading from the daemon until {@linkcode resumeFor}: the only brake an old daemon has.
   *
   * @param sink Who has enough.
   */
  pauseFor(sink: ConnSink): void {
    this.#holds.add(sink);
  }

  /**
   * Takes {@linkcode pauseFor} back.
   *
   * @param sink Who had enough.
   */
  resumeFor(sink: ConnSink): void {
    if (this.#holds.delete(sink) && this.#holds.size === 0) {
      this.#resume?.();
      this.#resume = undefined;
    }
  }

  /**
   * Ends the conversation.
   *
   * @param error What pending calls get.
   */
  close(error: PilotError): void {
    if (this.#lost !== undefined) return;
    this.#lost = error;
    this.#outbox.stop();
    this.#transport.close();
    this.#holds.clear();
    this.#resume?.();
    const sinks = [...this.#replies.values()];
    if (this.#untagged !== undefined) sinks.push(this.#untagged.sink);
    this.#replies.clear();
    this.#untagged = undefined;
    for (const sink of sinks) sink.onLost(error);
    for (const start of this.#waiting.splice(0)) start();
    for (const conn of this.#conns.values()) conn.onLost(error);
    this.#conns.clear();
    this.#handler?.onLost(error);
  }

  #brokenBy(cause: unknown): void {
    this.close(
      new PilotError(
        "connection_closed",
        "The daemon closed its socket",
        { advice: { id: "check_daemon" }, cause },
      ),
    );
  }

  #takeChunk(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    for (;;) {
      const frame = this.#reader.next();
      if (frame === undefined || this.#lost !== undefined) break;
      if (frame instanceof DecodeError) {
        this.close(protocolError(frame.message));
        break;
      }
      this.#takeFrame(frame);
    }
    for (const sink of this.#touched) sink.onBatchEnd();
    this.#touched.clear();
  }

  #takeFrame({ cmd, payload }: IpcFrame): void {
    switch (cmd) {
      case Cmd.Recv:
        return this.#takeData(payload);
      case Cmd.TaggedReply:
        return this.#takeReply(payload);
      case Cmd.Accept:
        return this.#handler!.onAccept(payload);
      case Cmd.RecvFrom:
        return this.#handler!.onDatagram(payload);
      case Cmd.ReadEnd:
        return this.#takeReadEnd(payload);
      case Cmd.EventPush:
        return this.#handler!.onEvent(payload);
      case Cmd.EventsMissed:
        return this.#handler!.onEventsMissed(payload);
      case Cmd.CloseOk:
        return this.#takeEnd(payload);
      default:
        return this.#takeUntagged(cmd, payload);
    }
  }

  #takeData(payload: Uint8Array): void {
    const recv = decodeSend(payload);
    if (recv instanceof DecodeError) return this.#malformed("Recv", recv);
    const sink = this.#conns.get(recv.conn);
    if (sink !== undefined) {
      this.#touched.add(sink);
      sink.onData(recv.data);
    } else if (this.#dialing > 0 && !this.#tagged) {
      this.#orphans.data(recv.conn, recv.data);
    }
    // Otherwise the connection has been closed on this side while the data was under way.
  }

  #takeReply(payload: Uint8Array): void {
    const reply = decodeTagged(payload);
    if (reply instanceof DecodeError) {
      return this.#malformed("TaggedReply", reply);
    }
    const sink = this.#replies.get(reply.id);
    if (sink === undefined) return; // An answer to nothing changes nothing.
    this.#replies.delete(reply.id);
    sink.onReply(reply.cmd, reply.payload);
  }

  #takeReadEnd(payload: Uint8Array): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed("ReadEnd", id);
    const sink = this.#conns.get(id);
    sink?.onBatchEnd();
    sink?.onReadEnd();
  }

  #takeEnd(payload: Uint8Array): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed("CloseOK", id);
    const sink = this.#conns.get(id);
    if (sink !== undefined) {
      sink.onBatchEnd();
      // Our daemon may say after the number why the connection failed.
      const reason = payload.subarray(CONN_BYTES);
      sink.onEnd(
        reason.length > 0 ? errorFromJson(reason, "Connection") : undefined,
      );
    } else if (this.#dialing > 0 && !this.#tagged) {
      this.#orphans.ended(id);
    }
  }

  #malformed(frame: string, error: DecodeError): void {
    this.close(protocolError(`${frame}: ${error.message}`));
  }

  #takeUntagged(cmd: number, payload: Uint8Array): void {
    const pending = this.#untagged;
    if (pending === undefined) return; // Unknown pushes are ignored (docs/protocol/local-socket.md §1).
    if (cmd !== pending.expect && cmd !== Cmd.Error) return;
    if (cmd === Cmd.Error && STRAY_ERROR.test(errorText(payload))) return;
    this.#untagged = undefined;
    pending.sink.onReply(cmd, payload);
  }
}

/** Errors old daemons send for frames that have no answer; they belong to no request. */
const STRAY_ERROR = /^(sendto: |connection \d+ )/;

function tooLong(what: string): PilotError {
  return new PilotError(
    "invalid_argument",
    `${what}: a request holds at most ${MAX_REQUEST_BYTES} bytes`,
  );
}

const NOTHING = new Uint8Array(0);
/** Bytes of a connection number in front of Recv and CloseOK payloads. */
const CONN_BYTES = 4;
