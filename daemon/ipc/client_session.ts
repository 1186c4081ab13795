/**
 * One client of the local socket: reads its frames, carries them out, and releases everything when it leaves
 * (docs/protocol/local-socket.md §1).
 *
 * @module
 */

import { DecodeError, PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeCancelTag,
  decodeHello,
  decodeTagged,
  encodeConn,
  encodeHelloOk,
  encodeIpcFrame,
  IPC_FEATURES,
  IpcFrameReader,
} from "../../protocol/ipc/mod.ts";
import type { Backend } from "./backend.ts";
import { ClientConns } from "./client_conns.ts";
import { ClientEvents } from "./client_events.ts";
import type { CommandContext, Reply } from "./command.ts";
import { COMMANDS, notServed } from "./commands.ts";
import { sendDatagram } from "./datagram_commands.ts";
import {
  MAX_BINDS_PER_CLIENT,
  PAUSE_PROBE_MS,
  READ_BUFFER_MAX_BYTES,
  READ_BUFFER_MIN_BYTES,
  UNTAGGED_DIAL_TIMEOUT_MS,
} from "./ipc_limits.ts";
import { Outgoing } from "./outgoing.ts";
import { encodeFailure } from "./replies.ts";
import { Requests, type RequestState } from "./requests.ts";
import type { SendQueues } from "./send_queues.ts";
import { type Clock, every } from "../../platform/clock.ts";

/** Dropped by clients (docs/protocol/local-socket.md §1); written only to see whether one is there. */
const PROBE_FRAME = encodeIpcFrame(Cmd.Probe);

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
  readonly clock: Clock;
  /** What all clients have queued for streams. */
  readonly sendQueues: SendQueues;
  /** A client has bound a port: datagrams for it go to it alone. */
  portBound(port: number, session: ClientSession): void;
  /** A client no longer binds a port. */
  portUnbound(port: number): void;
  /** A client holds so many more bytes of a begun frame, or fewer. May end sessions, this one as well. */
  partialChanged(delta: number): void;
  /** So many more bytes of replies wait for a client, or fewer. May end sessions, this one as well. */
  repliesChanged(delta: number): void;
  /** For the log: why a client was cut off. */
  dropped(reason: string): void;
}

/** One client. */
export class ClientSession {
  /** Frames to the client. */
  readonly out: Outgoing;
  readonly #socket: ClientSocket;
  readonly #host: SessionHost;
  readonly #conns: ClientConns;
  readonly #requests: Requests;
  readonly #events: ClientEvents;
  readonly #ports = new Set<number>();
  readonly #openedMs: number;
  readonly #reader = new IpcFrameReader({ isReusing: true });
  #buffer = new Uint8Array(READ_BUFFER_MIN_BYTES);
  #hasSpoken = false;
  #partial = { bytes: 0, sinceMs: 0 };
  #datagramBytes = 0;
  #ended = false;
  #resume: (() => void) | undefined;

  /**
   * @param socket The byte stream to the client.
   * @param host What it shares with the server.
   */
  constructor(socket: ClientSocket, host: SessionHost) {
    this.#socket = socket;
    this.#host = host;
    this.#openedMs = host.clock.now();
    this.out = new Outgoing({
      clock: host.clock,
      write: (bytes) => socket.write(bytes),
      onDead: (reason, alive, wasCongested) => {
        if (alive) host.dropped(reason);
        // What a client sent before it went is still read, unless its peers, or it, did not take what came of it.
        if (alive || wasCongested || this.#paused) this.end();
      },
      onReplies: (delta) => host.repliesChanged(delta),
      onRoom: () => this.#wake(),
    });
    this.#conns = new ClientConns(this.out, host, () => this.#wake());
    this.#requests = new Requests(this.out);
    this.#events = new ClientEvents(this.out, (listener) => host.backend.onEvent(listener));
  }

  /** Connections that are not over, also of a client that has gone. */
  get connCount(): number {
    return this.#conns.size;
  }

  /** How long the client has been there without one whole frame, milliseconds; 0 once there was one, or at its end. */
  get silentMs(): number {
    return this.#hasSpoken || this.#ended ? 0 : this.#host.clock.now() - this.#openedMs;
  }

  /** What is held of a frame that is not complete, and since when, monotonic milliseconds. */
  get partial(): { readonly bytes: number; readonly sinceMs: number } {
    return this.#partial;
  }

  /**
   * Disconnects the client.
   *
   * @param reason Why, for the log.
   */
  cut(reason: string): void {
    if (this.#ended) return;
    this.#host.dropped(reason);
    this.end();
  }

  /** Serves requests until the client disconnects, then releases its resources. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      // A broken socket is how some clients leave; anything else should be known.
      if (!isSocketEnd(error)) this.#host.dropped(String(error));
    } finally {
      this.end();
      this.#reader.clear();
      this.#buffer.buffer.transfer(0);
    }
  }

  /** Releases everything: the socket, ports, requests; connections are closed with FIN once they are delivered. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#notePartial(0, false);
    this.#events.end();
    this.out.stop();
    try {
      this.#socket.close();
    } catch {
      // The resource may be gone already when the runtime noticed the end first.
    }
    for (const port of this.#ports) this.#dropPort(port);
    this.#requests.abortAll();
    this.#conns.end();
    this.#wake();
  }

  /** The daemon ends: nothing of this session may outlive it. */
  release(): void {
    this.end();
    this.#conns.release();
  }

  async #read(): Promise<void> {
    const reader = this.#reader;
    while (!this.#ended) {
      const buffer = this.#buffer;
      const count = await this.#socket.read(buffer);
      if (count === null) return;
      reader.push(buffer.subarray(0, count));
      let frames = 0;
      for (;;) {
        const frame = reader.next();
        if (frame === undefined) break;
        if (frame instanceof DecodeError) {
          return this.#host.dropped(frame.message);
        }
        frames++;
        this.#hasSpoken = true;
        this.#take(frame.cmd, frame.payload);
        if (this.#paused) await this.#room();
        if (this.#ended) return;
      }
      this.#notePartial(reader.bufferedBytes, frames > 0);
      if (count === buffer.length && count < READ_BUFFER_MAX_BYTES) {
        this.#buffer = new Uint8Array(Math.min(count * 4, READ_BUFFER_MAX_BYTES));
        buffer.buffer.transfer(0); // as the reader does: garbage may stay for hours in an idle daemon
      }
    }
  }

  #notePartial(bytes: number, isNew: boolean): void {
    const { bytes: before, sinceMs } = this.#partial;
    if (bytes === before) return;
    const isSame = before > 0 && !isNew;
    this.#partial = { bytes, sinceMs: isSame ? sinceMs : this.#host.clock.now() };
    this.#host.partialChanged(bytes - before);
  }

  get #paused(): boolean {
    return this.out.congested || this.#conns.overfull;
  }

  #wake(): void {
    if (this.#paused && !this.#ended) return;
    this.#resume?.();
    this.#resume = undefined;
  }

  /** Waits until requests may be read again; asks now and then whether the client still lives. */
  async #room(): Promise<void> {
    const endProbes = every(this.#host.clock, PAUSE_PROBE_MS, () => {
      if (!this.out.congested) this.out.push(PROBE_FRAME);
    });
    const wake = () => this.#wake();
    this.#host.sendQueues.await(wake);
    try {
      while (this.#paused && !this.#ended) {
        await new Promise<void>((resolve) => this.#resume = resolve);
      }
    } finally {
      this.#host.sendQueues.leave(wake);
      endProbes();
    }
  }

  #take(cmd: number, payload: Uint8Array): void {
    switch (cmd) {
      case Cmd.Send:
        return this.#conns.send(payload, undefined);
      case Cmd.Close:
        return this.#conns.close(this.#host.backend.network, payload, undefined);
      case Cmd.Abort:
        return this.#conns.abort(payload);
      case Cmd.Tagged:
        return this.#takeTagged(payload);
      case Cmd.RecvCredit:
        return this.#conns.grant(payload);
      case Cmd.CancelTag:
        return this.#cancelTag(payload);
      case Cmd.Cancel:
        return this.#requests.cancelDials();
      case Cmd.Hello:
        return this.#hello(payload);
      default:
        return this.#run(cmd, payload, undefined);
    }
  }

  #takeTagged(payload: Uint8Array): void {
    const tagged = decodeTagged(payload);
    if (tagged instanceof DecodeError) return this.#malformed(tagged);
    const { id, cmd, payload: inner } = tagged;
    if (cmd === Cmd.Send) return this.#conns.send(inner, id);
    if (this.#requests.has(id) || this.#conns.isClosing(id)) {
      const message = `Request id ${id} is in use`;
      const error = new PilotError("invalid_argument", message);
      return this.out.push(encodeFailure(id, error));
    }
    if (cmd === Cmd.Close) return this.#conns.close(this.#host.backend.network, inner, id);
    if (cmd === Cmd.CloseWrite) return this.#conns.closeWrite(inner, id);
    this.#run(cmd, inner, id);
  }

  #hello(payload: Uint8Array): void {
    const hello = decodeHello(payload);
    if (hello instanceof DecodeError) return this.#malformed(hello);
    this.#conns.extend(hello.features ?? []);
    const { version } = this.#host.backend;
    this.out.push(encodeIpcFrame(
      Cmd.HelloOk,
      encodeHelloOk({ daemonVersion: version, features: IPC_FEATURES }),
    ));
  }

  #cancelTag(payload: Uint8Array): void {
    const id = decodeCancelTag(payload);
    if (id instanceof DecodeError) return; // no reply exists for it
    this.#conns.cancelClose(id);
    this.#requests.cancel(id);
  }

  #malformed({ message }: DecodeError): void {
    const error = new PilotError("invalid_argument", message);
    this.out.push(encodeFailure(undefined, error));
  }

  #run(cmd: number, payload: Uint8Array, tag: number | undefined): void {
    this.#requests.run(
      cmd,
      tag,
      (request) => this.#execute(payload, request),
    );
  }

  #execute(
    payload: Uint8Array,
    request: RequestState,
  ): Reply | undefined | Promise<Reply | undefined> {
    const { cmd } = request;
    if (cmd === Cmd.SendTo || cmd === Cmd.SendToConfirm) {
      return sendDatagram(this.#host.backend, payload, {
        confirm: cmd === Cmd.SendToConfirm,
        tagged: request.tag !== undefined,
        budget: this.#datagramBudget,
      });
    }
    const command = COMMANDS.get(cmd);
    if (command === undefined) throw notServed(cmd);
    return command(this.#context(request), payload);
  }

  #context(request: RequestState): CommandContext {
    const { backend } = this.#host;
    const events = () => this.#eventsFor(request);
    return {
      backend,
      get events() {
        return events();
      },
      get signal() {
        return request.signal;
      },
      bind: (port) => this.#bind(port),
      unbind: (port) => this.#unbind(port),
      dial: (address, port) =>
        this.#conns.dial(
          backend.network,
          address,
          port,
          {
            signal: request.signal,
            ...(request.tag === undefined ? { timeoutMs: UNTAGGED_DIAL_TIMEOUT_MS } : {}),
          },
          (id) =>
            this.#requests.answer(request, {
              cmd: Cmd.DialOk,
              payload: encodeConn(id),
            }),
        ),
    };
  }

  /** Existing clients would take a push for the answer to something. */
  #eventsFor({ tag }: RequestState): ClientEvents {
    if (tag !== undefined && this.#conns.extended) return this.#events;
    throw new PilotError("invalid_state", "Events are for clients that say Hello and use tags");
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

  #bind(port: number): void {
    if (this.#ports.size >= MAX_BINDS_PER_CLIENT) {
      throw new PilotError(
        "limit_exceeded",
        `A client may bind ${MAX_BINDS_PER_CLIENT} ports at most`,
      );
    }
    const { network } = this.#host.backend;
    network.bind(port, (conn) => this.#conns.accept(conn));
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
}

/** What reading throws when either side has ended the socket. */
function isSocketEnd(error: unknown): boolean {
  const { ConnectionReset, BrokenPipe, BadResource, Interrupted } = Deno.errors;
  return error instanceof ConnectionReset || error instanceof BrokenPipe ||
    error instanceof BadResource || error instanceof Interrupted;
}
