/**
 * One client of the local socket: reads its frames, carries them out, and owns its connections and ports
 * (daemon.md §7.1).
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeCancelTag,
  decodeConn,
  decodeHello,
  decodeRecvCredit,
  decodeSend,
  decodeTagged,
  encodeAccept,
  encodeConn,
  encodeHelloOk,
  encodeIpcError,
  encodeIpcFrame,
  encodeTag,
  encodeTaggedError,
  IpcFrameReader,
} from "../../protocol/ipc.ts";
import type { Conn } from "../stream/conn.ts";
import type { Backend } from "./backend.ts";
import { ClientConn, type ClientConnOwner } from "./client_conn.ts";
import { type Command, type CommandContext, COMMANDS } from "./commands.ts";
import { sendDatagram } from "./datagram_commands.ts";
import {
  MAX_BINDS_PER_CLIENT,
  MAX_CONNS_PER_CLIENT,
  MAX_IN_FLIGHT,
  MAX_SEND_QUEUED_PER_CLIENT_BYTES,
  PAUSE_PROBE_MS,
  READ_BUFFER_MAX_BYTES,
  READ_BUFFER_MIN_BYTES,
  UNTAGGED_DIAL_TIMEOUT_MS,
} from "./limits.ts";
import { Outgoing } from "./outgoing.ts";
import { CommandError } from "./replies.ts";

/** A command number nobody uses, so that clients drop it (daemon.md §7.1); written only to see whether one is there. */
const PROBE_FRAME = encodeIpcFrame(0x4f);
/** What HelloOk says we can do. */
const FEATURES: readonly string[] = [
  "tags",
  "recv_credit",
  "close_reason",
  "ping",
  "lookup",
  "handshake_target",
];

/** The byte stream to a client. */
export interface ClientSocket {
  /** Fills some of the buffer; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of the bytes. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends both directions; pending calls fail. */
  close(): void;
}

/** What a session shares with the server. */
export interface SessionHost {
  /** The daemon. */
  readonly backend: Backend;
  /** See `WRITE_STALL_MS`. */
  readonly writeStallMs?: number;
  /** See `PAUSE_PROBE_MS`. */
  readonly pauseProbeMs?: number;
  /** A client has bound a port: datagrams for it go to it alone. */
  portBound(port: number, session: ClientSession): void;
  /** A client no longer binds a port. */
  portUnbound(port: number): void;
  /** For the log: why a client was cut off. */
  dropped(reason: string): void;
}

/** A request being worked on. */
class RequestState {
  readonly tag: number | undefined;
  readonly isDial: boolean;
  answered = false;
  #abort: AbortController | undefined;
  #aborted = false;

  constructor(tag: number | undefined, isDial: boolean) {
    this.tag = tag;
    this.isDial = isDial;
  }

  /** Made when somebody asks, since most requests never do. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  abort(): void {
    this.#aborted = true;
    this.#abort?.abort();
  }
}

/** One client. */
export class ClientSession implements ClientConnOwner {
  readonly out: Outgoing;
  readonly #socket: ClientSocket;
  readonly #host: SessionHost;
  readonly #conns = new Map<number, ClientConn>();
  readonly #ports = new Set<number>();
  readonly #tags = new Map<number, RequestState>();
  readonly #requests = new Set<RequestState>();
  readonly #overfull = new Set<ClientConn>();
  /** Tagged Close requests wait outside of `#requests`: they may last as long as a peer likes. */
  readonly #closes = new Map<number, ClientConn>();
  #dials = 0;
  #datagramBytes = 0;
  #sendQueued = 0;
  #extended = false;
  #ended = false;
  #resume: (() => void) | undefined;

  /**
   * @param socket The byte stream to the client.
   * @param host What it shares with the server.
   */
  constructor(socket: ClientSocket, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.out = new Outgoing({
      write: (bytes) => socket.write(bytes),
      onDead: (reason, alive) => {
        host.dropped(reason);
        // What a client sent before it went is still read, unless its peers do not take it.
        if (alive || this.#paused) this.end();
      },
      onRoom: () => this.#wake(),
      ...(host.writeStallMs === undefined ? {} : { stallMs: host.writeStallMs }),
    });
  }

  get extended(): boolean {
    return this.#extended;
  }

  /** Connections that are not over, also of a client that has gone. */
  get connCount(): number {
    return this.#conns.size;
  }

  /** Reads and obeys until the client goes, then lets go of what it had. Never rejects. */
  async run(): Promise<void> {
    const reader = new IpcFrameReader();
    let buffer = new Uint8Array(READ_BUFFER_MIN_BYTES);
    try {
      while (!this.#ended) {
        const count = await this.#socket.read(buffer);
        if (count === null) break;
        reader.push(buffer.subarray(0, count));
        for (;;) {
          const frame = reader.next();
          if (frame === undefined) break;
          if (frame instanceof DecodeError) {
            this.#host.dropped(frame.message);
            return;
          }
          this.#take(frame.cmd, frame.payload);
          if (this.#paused) await this.#room();
          if (this.#ended) return;
        }
        if (count === buffer.length && count < READ_BUFFER_MAX_BYTES) {
          buffer = new Uint8Array(
            count * 4 > READ_BUFFER_MAX_BYTES ? READ_BUFFER_MAX_BYTES : count * 4,
          );
        }
      }
    } catch {
      // The socket broke, which is one way for a client to go.
    } finally {
      this.end();
    }
  }

  /** Lets go of everything: the socket, ports, requests; connections are closed with FIN once they are delivered. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.out.stop();
    try {
      this.#socket.close();
    } catch {
      // The resource may be gone already when the runtime noticed the end first.
    }
    for (const port of this.#ports) this.#dropPort(port);
    for (const request of this.#requests) request.abort();
    this.#tags.clear();
    this.#closes.clear();
    for (const conn of [...this.#conns.values()]) conn.orphan();
    this.#wake();
  }

  /** The daemon ends: nothing of this session may outlive it. */
  release(): void {
    this.end();
    for (const conn of this.#conns.values()) conn.release();
    this.#conns.clear();
  }

  // --- called by connections -------------------------------------------------------------------------------

  sent(tag: number): void {
    this.out.push(encodeIpcFrame(Cmd.TaggedReply, encodeTag(tag, Cmd.Send)));
  }

  failed(tag: number, error: PilotError): void {
    this.#closes.delete(tag);
    this.out.push(
      encodeIpcFrame(
        Cmd.TaggedReply,
        encodeTag(tag, Cmd.Error),
        encodeTaggedError(error),
      ),
    );
  }

  closed(tag: number, conn: ClientConn): void {
    this.#closes.delete(tag);
    this.out.push(
      encodeIpcFrame(
        Cmd.TaggedReply,
        encodeTag(tag, Cmd.CloseOk),
        encodeConn(conn.id),
      ),
    );
  }

  sendQueueChanged(conn: ClientConn, change: number): void {
    this.#sendQueued += change;
    if (conn.overfull) this.#overfull.add(conn);
    else this.#overfull.delete(conn);
    this.#wake();
  }

  gone(conn: ClientConn): void {
    this.#conns.delete(conn.id);
    this.#overfull.delete(conn);
    this.#wake();
  }

  // --- flow control ------------------------------------------------------------------------------------------

  get #paused(): boolean {
    return this.out.congested || this.#overfull.size > 0 ||
      this.#sendQueued > MAX_SEND_QUEUED_PER_CLIENT_BYTES;
  }

  #wake(): void {
    if (this.#paused && !this.#ended) return;
    this.#resume?.();
    this.#resume = undefined;
  }

  /** Waits until requests may be read again; asks now and then whether the client still lives. */
  async #room(): Promise<void> {
    const probe = setInterval(() => {
      if (!this.out.congested) this.out.push(PROBE_FRAME);
    }, this.#host.pauseProbeMs ?? PAUSE_PROBE_MS);
    try {
      while (this.#paused && !this.#ended) {
        await new Promise<void>((resolve) => this.#resume = resolve);
      }
    } finally {
      clearInterval(probe);
    }
  }

  // --- frames ------------------------------------------------------------------------------------------------

  #take(cmd: number, payload: Uint8Array): void {
    switch (cmd) {
      case Cmd.Send:
        return this.#send(payload, undefined);
      case Cmd.Close:
        return this.#close(payload, undefined);
      case Cmd.Tagged:
        return this.#takeTagged(payload);
      case Cmd.RecvCredit:
        return this.#grant(payload);
      case Cmd.CancelTag:
        return this.#cancelTag(payload);
      case Cmd.Cancel:
        return this.#cancelDials();
      case Cmd.Hello:
        return this.#hello(payload);
      default:
        return this.#request(cmd, payload, undefined);
    }
  }

  #takeTagged(payload: Uint8Array): void {
    const tagged = decodeTagged(payload);
    if (tagged instanceof DecodeError) return this.#error(tagged.message);
    const { id, cmd, payload: inner } = tagged;
    if (cmd === Cmd.Send) return this.#send(inner, id);
    if (this.#tags.has(id) || this.#closes.has(id)) {
      return this.failed(
        id,
        new PilotError("invalid_argument", `Request id ${id} is in use`),
      );
    }
    if (cmd === Cmd.Close) return this.#close(inner, id);
    this.#request(cmd, inner, id);
  }

  #send(payload: Uint8Array, tag: number | undefined): void {
    const send = decodeSend(payload);
    if (send instanceof DecodeError) return this.#malformed(send, tag);
    const conn = this.#conns.get(send.conn);
    if (conn === undefined) return this.#unknownConn(send.conn, tag);
    conn.send(send.data, tag);
  }

  #close(payload: Uint8Array, tag: number | undefined): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed(id, tag);
    const conn = this.#conns.get(id);
    if (conn === undefined) return this.#unknownConn(id, tag);
    if (tag !== undefined) this.#closes.set(tag, conn);
    conn.close(tag);
  }

  /** Untagged clients do not wait for an answer to Send or Close: an error would be taken for another request's. */
  #unknownConn(id: number, tag: number | undefined): void {
    if (tag === undefined) {
      this.out.push(encodeIpcFrame(Cmd.CloseOk, encodeConn(id)));
    } else {
      this.failed(
        tag,
        new PilotError("not_found", `Connection ${id} not found`),
      );
    }
  }

  #malformed(error: DecodeError, tag: number | undefined): void {
    if (tag === undefined) return this.#error(error.message);
    this.failed(tag, new PilotError("invalid_argument", error.message));
  }

  #grant(payload: Uint8Array): void {
    const credit = decodeRecvCredit(payload);
    // There is no reply that could carry an error, and a credit for a connection that ended meanwhile is normal.
    if (credit instanceof DecodeError || !this.#extended) return;
    this.#conns.get(credit.conn)?.grant(credit.bytes);
  }

  #hello(payload: Uint8Array): void {
    const hello = decodeHello(payload);
    if (hello instanceof DecodeError) return this.#error(hello.message);
    if (!this.#extended) {
      this.#extended = true;
      for (const conn of this.#conns.values()) conn.startCredit();
    }
    this.out.push(encodeIpcFrame(
      Cmd.HelloOk,
      encodeHelloOk({
        daemonVersion: this.#host.backend.version,
        features: FEATURES,
      }),
    ));
  }

  #cancelTag(payload: Uint8Array): void {
    const id = decodeCancelTag(payload);
    if (id instanceof DecodeError) return; // no reply exists for it
    const aborted = new PilotError("aborted", "Cancelled by the client");
    const closing = this.#closes.get(id);
    if (closing?.cancelClose(id)) return this.failed(id, aborted);
    const request = this.#tags.get(id);
    if (request === undefined) return; // its answer is on its way already
    request.answered = true;
    this.#tags.delete(id);
    this.failed(id, aborted);
    request.abort();
  }

  #cancelDials(): void {
    for (const request of this.#requests) {
      if (request.isDial) request.abort();
    }
  }

  // --- requests ----------------------------------------------------------------------------------------------

  #request(cmd: number, payload: Uint8Array, tag: number | undefined): void {
    const request = new RequestState(tag, cmd === Cmd.Dial);
    if (this.#requests.size >= MAX_IN_FLIGHT) {
      return this.#fail(
        request,
        new PilotError(
          "limit_exceeded",
          `More than ${MAX_IN_FLIGHT} requests at once`,
        ),
      );
    }
    if (tag !== undefined) this.#tags.set(tag, request);
    this.#requests.add(request);
    let result;
    try {
      result = this.#runCommand(cmd, payload, request);
    } catch (thrown) {
      this.#done(request);
      return this.#fail(request, thrown);
    }
    if (!(result instanceof Promise)) {
      this.#done(request);
      return this.#answer(request, result.cmd, result.payload);
    }
    result.then(
      (reply) => this.#answer(request, reply?.cmd, reply?.payload),
      (thrown) => this.#fail(request, thrown),
    ).finally(() => this.#done(request));
  }

  #runCommand(
    cmd: number,
    payload: Uint8Array,
    request: RequestState,
  ): ReturnType<Command> {
    if (cmd === Cmd.SendTo || cmd === Cmd.SendToConfirm) {
      return sendDatagram(this.#host.backend, payload, {
        confirm: cmd === Cmd.SendToConfirm,
        tagged: request.tag !== undefined,
        budget: this.#datagramBudget,
      });
    }
    const command = COMMANDS.get(cmd);
    if (command === undefined) {
      throw new PilotError(
        "unavailable",
        `unknown command: 0x${cmd.toString(16).padStart(2, "0")}`,
      );
    }
    return command(this.#context(request), payload);
  }

  readonly #datagramBudget = {
    take: (bytes: number, limit: number): boolean => {
      if (this.#datagramBytes + bytes > limit) return false;
      this.#datagramBytes += bytes;
      return true;
    },
    give: (bytes: number): void => {
      this.#datagramBytes -= bytes;
    },
  };

  #context(request: RequestState): CommandContext {
    return {
      backend: this.#host.backend,
      get signal() {
        return request.signal;
      },
      bind: (port) => this.#bind(port),
      unbind: (port) => this.#unbind(port),
      dial: (address, port) => this.#dial(address, port, request),
    };
  }

  #done(request: RequestState): void {
    this.#requests.delete(request);
    if (request.tag !== undefined && this.#tags.get(request.tag) === request) {
      this.#tags.delete(request.tag);
    }
  }

  #answer(
    request: RequestState,
    cmd: number | undefined,
    payload: Uint8Array | undefined,
  ): void {
    if (request.answered) return;
    request.answered = true;
    if (cmd === undefined) return; // an untagged SendTo that went well
    this.out.push(
      request.tag === undefined ? encodeIpcFrame(cmd, payload ?? NOTHING) : encodeIpcFrame(
        Cmd.TaggedReply,
        encodeTag(request.tag, cmd),
        payload ?? NOTHING,
      ),
    );
  }

  #fail(request: RequestState, thrown: unknown): void {
    if (request.answered) return;
    request.answered = true;
    const error = thrown instanceof CommandError
      ? thrown.error
      : PilotError.from(thrown, "internal");
    if (request.tag !== undefined) return this.failed(request.tag, error);
    // A driver waits for one answer at a time. The failure of a datagram, which it does not wait for, must not be
    // taken for the answer to a request that is under way (daemon.md §7.1 RULE).
    const text = thrown instanceof CommandError ? thrown.text : error.message;
    if (text.startsWith("sendto: ") && this.#untaggedWaiting(request)) return;
    this.#error(text);
  }

  #untaggedWaiting(except: RequestState): boolean {
    for (const request of this.#requests) {
      if (request !== except && request.tag === undefined) return true;
    }
    return false;
  }

  #error(text: string): void {
    this.out.push(encodeIpcFrame(Cmd.Error, encodeIpcError(text)));
  }

  // --- ports and connections -----------------------------------------------------------------------------------

  #bind(port: number): void {
    if (this.#ports.size >= MAX_BINDS_PER_CLIENT) {
      throw new PilotError(
        "limit_exceeded",
        `A client may bind ${MAX_BINDS_PER_CLIENT} ports at most`,
      );
    }
    this.#host.backend.network.bind(port, (conn) => this.#accept(conn));
    this.#ports.add(port);
    this.#host.portBound(port, this);
  }

  #unbind(port: number): void {
    if (!this.#ports.has(port)) {
      throw new PilotError(
        "not_found",
        `port ${port} not bound by this client`,
      );
    }
    this.#dropPort(port);
  }

  #dropPort(port: number): void {
    this.#ports.delete(port);
    this.#host.backend.network.unbind(port);
    this.#host.portUnbound(port);
  }

  #accept(conn: Conn): void {
    if (this.#ended || !this.#hasRoom()) return conn.abort();
    // Announced before the first data can be pulled, which is at least a microtask away.
    this.out.push(encodeIpcFrame(
      Cmd.Accept,
      encodeAccept({
        port: conn.localPort,
        conn: conn.id,
        remote: conn.remoteAddress,
        remotePort: conn.remotePort,
      }),
    ));
    this.#conns.set(conn.id, new ClientConn(conn, this));
  }

  #hasRoom(): boolean {
    return this.#conns.size + this.#dials < MAX_CONNS_PER_CLIENT;
  }

  async #dial(
    address: Address,
    port: number,
    request: RequestState,
  ): Promise<void> {
    if (!this.#hasRoom()) {
      throw new PilotError(
        "limit_exceeded",
        `A client may have ${MAX_CONNS_PER_CLIENT} connections at most`,
      );
    }
    this.#dials++;
    let conn;
    try {
      conn = await this.#host.backend.network.dial(address, port, {
        signal: request.signal,
        ...(request.tag === undefined ? { timeoutMs: UNTAGGED_DIAL_TIMEOUT_MS } : {}),
      });
    } finally {
      this.#dials--;
    }
    if (this.#ended || request.signal.aborted) {
      conn.abort(); // nobody would ever use it
      throw new PilotError("aborted", "dial cancelled");
    }
    this.#answer(request, Cmd.DialOk, encodeConn(conn.id));
    this.#conns.set(conn.id, new ClientConn(conn, this));
  }
}

const NOTHING = new Uint8Array(0);
