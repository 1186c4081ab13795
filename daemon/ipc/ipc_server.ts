/**
 * The daemon's local socket (docs/protocol/local-socket.md): accepts clients and hands out datagrams.
 *
 * @module
 */

import { getLogger, LOG_CATEGORY } from "../../platform/log.ts";
import { PilotError } from "../../protocol/errors.ts";
import type { Clock } from "../../platform/clock.ts";
import { descriptorLimit } from "../../platform/descriptors.ts";
import { TaskSet } from "../../platform/task_set.ts";
import { Acceptor } from "../../platform/net/acceptor.ts";
import { Cmd, encodeIpcFrame, encodeRecvFromHeader } from "../../protocol/ipc/mod.ts";
import type { Datagram } from "../stream/stream_conn.ts";
import type { Backend } from "./backend.ts";
import { ClientSession, type SessionHost } from "./client_session.ts";
import {
  MAX_PARTIAL_BYTES,
  MAX_REPLY_BYTES,
  maxClients,
  maxRefusals,
  REFUSAL_LOG_INTERVAL_MS,
  SILENT_CLIENT_MS,
} from "./ipc_limits.ts";
import { type ListeningSocket, listenSocket } from "./listen_socket.ts";
import { refuse } from "./client_refusal.ts";
import { SendQueues } from "./send_queues.ts";

/** How to listen. */
export interface IpcServerOptions {
  /** Path of the socket; its directory must exist. */
  path: string;
  /** Another place to listen at, unless another daemon does; a failure is logged. */
  common?: string | undefined;
  /** The daemon. */
  backend: Backend;
  clock: Clock;
  /** Clients at once; default 1024, or what the descriptors of this process allow. */
  maxClients?: number;
  /** Bytes of begun frames of all clients; default 32 MiB. */
  maxPartialBytes?: number;
  /** Bytes of replies of all clients that wait to be read; default 128 MiB. */
  maxReplyBytes?: number;
}

/** Counts for `info` and tests. */
export interface IpcServerStats {
  /** Clients connected. */
  readonly clients: number;
  /** Connections owned by clients, or still delivering what a gone client sent. */
  readonly connections: number;
  /** Bytes of begun frames of all clients. */
  readonly partialBytes: number;
  /** Datagrams that a slow client did not get. */
  readonly droppedDatagrams: number;
}

const log = getLogger([LOG_CATEGORY, "ipc"]);

/** The listening socket with its clients. */
export class IpcServer {
  /** Where clients connect. */
  readonly path: string;
  readonly #options: IpcServerOptions;
  readonly #sockets: readonly ListeningSocket[];
  readonly #sessions = new Map<ClientSession, Promise<void>>();
  /** Sessions whose client has gone while data was still to be delivered. */
  readonly #lingering = new Set<ClientSession>();
  readonly #ports = new Map<number, ClientSession>();
  readonly #host: SessionHost;
  readonly #acceptors: readonly Acceptor<Deno.UnixConn>[];
  readonly #refusals = new TaskSet();
  readonly #maxClients: number;
  readonly #maxRefusals: number;
  #partialBytes = 0;
  #replyBytes = 0;
  #refusalToldMs = -Infinity;
  #droppedBefore = 0;
  #closed: Promise<void> | undefined;

  /**
   * Servers are made by {@linkcode listen}.
   *
   * @ignore
   */
  constructor(options: IpcServerOptions, sockets: readonly ListeningSocket[]) {
    this.path = options.path;
    this.#options = options;
    this.#sockets = sockets;
    const descriptors = descriptorLimit();
    this.#maxClients = options.maxClients ?? maxClients(descriptors);
    this.#maxRefusals = maxRefusals(descriptors);
    this.#host = {
      backend: options.backend,
      sendQueues: new SendQueues(),
      clock: options.clock,
      portBound: (port, session) => void this.#ports.set(port, session),
      portUnbound: (port) => void this.#ports.delete(port),
      partialChanged: (delta) => this.#boundPartials(delta),
      repliesChanged: (delta) => this.#boundReplies(delta),
      dropped: (reason) => log.warn("IPC client disconnected: {reason}", { reason }),
    };
    options.backend.network.onDatagram((datagram) => this.#deliver(datagram));
    this.#acceptors = sockets.map(({ listener }) =>
      new Acceptor({
        ...{ role: "local socket", listener, log },
        admit: (conn) => this.#admit(conn),
      })
    );
  }

  /**
   * Starts to listen. The socket file has mode 0600 from the moment it exists.
   *
   * @param options Path and backend.
   * @returns The server.
   * @throws {PilotError} `already_exists` when a daemon answers on the path, `invalid_argument` when it is too long,
   * else `io_error`.
   */
  static async listen(options: IpcServerOptions): Promise<IpcServer> {
    const own = await listenSocket(options.path, options.clock);
    const common = await listenCommon(options);
    return new IpcServer(options, common === undefined ? [own] : [own, common]);
  }

  /** The common place, when this server listens there too. */
  get common(): string | undefined {
    return this.#sockets.length > 1 ? this.#options.common : undefined;
  }

  /** Clients connected. */
  get clientCount(): number {
    return this.#sessions.size;
  }

  /** Counts. */
  get stats(): IpcServerStats {
    let connections = 0;
    let droppedDatagrams = this.#droppedBefore;
    for (const session of this.#sessions.keys()) {
      connections += session.connCount;
      droppedDatagrams += session.out.droppedDatagrams;
    }
    this.#sweep();
    for (const session of this.#lingering) connections += session.connCount;
    const partialBytes = this.#partialBytes;
    return { clients: this.#sessions.size, connections, partialBytes, droppedDatagrams };
  }

  /**
   * Stops listening, disconnects every client and removes the socket file. Connections of clients are closed with FIN.
   *
   * @returns When all of that is done.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    for (const socket of this.#sockets) socket.remove();
    const accepting = Promise.all(this.#acceptors.map((acceptor) => acceptor.close()));
    this.#options.backend.network.onDatagram(() => {});
    const running = [...this.#sessions.values()];
    for (const session of this.#sessions.keys()) session.release();
    for (const session of this.#lingering) session.release();
    this.#lingering.clear();
    await accepting;
    await Promise.all([...running, this.#refusals.settled()]);
  }

  #admit(conn: Deno.UnixConn): void {
    if (this.#closed !== undefined) return conn.close();
    if (this.#sessions.size >= this.#maxClients && !this.#makeRoom()) return this.#refuse(conn);
    const session = new ClientSession(conn, this.#host);
    const running = session.run().then(() => {
      this.#sessions.delete(session);
      this.#droppedBefore += session.out.droppedDatagrams;
      this.#sweep();
      if (session.connCount > 0 && this.#closed === undefined) {
        this.#lingering.add(session);
      }
    });
    this.#sessions.set(session, running);
  }

  /** A client that never said anything goes for a new one. */
  #makeRoom(): boolean {
    for (const session of this.#sessions.keys()) { // the oldest first
      if (session.silentMs < SILENT_CLIENT_MS) continue;
      session.cut("it has sent nothing, and another client needs its place");
      return true;
    }
    return false;
  }

  #refuse(conn: Deno.UnixConn): void {
    const limit = this.#maxClients;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#refusalToldMs >= REFUSAL_LOG_INTERVAL_MS) {
      this.#refusalToldMs = nowMs;
      log.warn("IPC client refused: {limit} are connected", { limit });
    }
    if (this.#refusals.size >= this.#maxRefusals) return conn.close();
    const error = new PilotError("limit_exceeded", `too many clients: ${limit} are connected`);
    this.#refusals.add(refuse(conn, error, this.#options.clock));
  }

  /** Clients that do not read may wait as long as they like, but not with more than this in all. */
  #boundReplies(delta: number): void {
    this.#replyBytes += delta;
    const limit = this.#options.maxReplyBytes ?? MAX_REPLY_BYTES;
    while (delta > 0 && this.#replyBytes > limit) {
      const [largest] = [...this.#sessions.keys()]
        .sort((a, b) => b.out.replyBytes - a.out.replyBytes);
      if (largest === undefined || largest.out.replyBytes === 0) return;
      largest.cut("all clients leave too many replies unread, this one most");
    }
  }

  /** Ends those who hold most for longest while all together hold too much. */
  #boundPartials(delta: number): void {
    this.#partialBytes += delta;
    const limit = this.#options.maxPartialBytes ?? MAX_PARTIAL_BYTES;
    // One client holds more than an equal share while all together hold more than the limit.
    const share = limit / this.#maxClients;
    while (delta > 0 && this.#partialBytes > limit) {
      let oldest: ClientSession | undefined;
      for (const session of this.#sessions.keys()) {
        if (session.partial.bytes <= share) continue;
        if (oldest === undefined || session.partial.sinceMs < oldest.partial.sinceMs) {
          oldest = session;
        }
      }
      if (oldest === undefined) return; // their sessions are about to end
      oldest.cut(
        "its frame is incomplete, and incomplete frames of all clients take too much memory",
      );
    }
  }

  #sweep(): void {
    for (const session of this.#lingering) {
      if (session.connCount === 0) this.#lingering.delete(session);
    }
  }

  #deliver(datagram: Datagram): void {
    const frame = encodeIpcFrame(Cmd.RecvFrom, encodeRecvFromHeader(datagram), datagram.data);
    const owner = this.#ports.get(datagram.port);
    if (owner !== undefined) return owner.out.pushDatagram(frame);
    for (const session of this.#sessions.keys()) {
      session.out.pushDatagram(frame);
    }
  }
}

/** Programs that look only there find another agent or none: no reason not to serve our own. */
async function listenCommon(
  { path, common, clock }: IpcServerOptions,
): Promise<ListeningSocket | undefined> {
  if (common === undefined || common === path) return undefined;
  try {
    return await listenSocket(common, clock);
  } catch (thrown) {
    const { message } = PilotError.from(thrown, "io_error");
    log.warn("programs that look only at {common} do not find this daemon: {message}", {
      common,
      message,
    });
    return undefined;
  }
}
