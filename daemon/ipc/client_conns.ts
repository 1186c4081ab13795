/**
 * The connections of one client: the only ones it can use (docs/protocol/local-socket.md §1: ownership is enforced). It
 * may end others, which run as the same user, by a Close: that is how `pilotctl disconnect` works.
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import { DecodeError, PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  decodeConn,
  decodeRecvCredit,
  decodeSend,
  encodeAccept,
  encodeConn,
  encodeIpcFrame,
  HALF_CLOSE,
} from "../../protocol/ipc/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Conn, DialOptions } from "../stream/stream_conn.ts";
import type { NetworkBackend } from "./backend.ts";
import { ClientConn, type ClientConnOwner } from "./client_conn.ts";
import { MAX_CONNS_PER_CLIENT } from "./ipc_limits.ts";
import type { Outgoing } from "./outgoing.ts";
import { encodeAnswer, encodeFailure } from "./replies.ts";
import type { SendQueues } from "./send_queues.ts";

const NOTHING = new Uint8Array(0);

/** The connections of one client. */
export class ClientConns implements ClientConnOwner {
  readonly clock: Clock;
  readonly out: Outgoing;
  readonly #queues: SendQueues;
  readonly #onChange: () => void;
  readonly #conns = new Map<number, ClientConn>();
  readonly #overfull = new Set<ClientConn>();
  /** Tagged Close requests by id. They are not counted as requests: a peer may make them last any time. */
  readonly #closes = new Map<number, ClientConn>();
  #dials = 0;
  #sendQueued = 0;
  #extended = false;
  #halfCloses = false;
  #ended = false;

  /**
   * @param out Where frames go.
   * @param host The clock, and the total of all clients.
   * @param onChange Called when {@linkcode overfull} may have changed.
   */
  constructor(
    out: Outgoing,
    host: { readonly clock: Clock; readonly sendQueues: SendQueues },
    onChange: () => void,
  ) {
    this.clock = host.clock;
    this.out = out;
    this.#queues = host.sendQueues;
    this.#onChange = onChange;
  }

  get extended(): boolean {
    return this.#extended;
  }

  get halfCloses(): boolean {
    return this.#halfCloses;
  }

  /** Connections that are not over. */
  get size(): number {
    return this.#conns.size;
  }

  /** So much waits to be sent that the client must not be read from. */
  get overfull(): boolean {
    return this.#overfull.size > 0 || this.#queues.isOver(this.#sendQueued);
  }

  /**
   * The client has said Hello: it grants credit and understands why connections end.
   *
   * @param features What else it understands.
   */
  extend(features: readonly string[]): void {
    this.#halfCloses ||= features.includes(HALF_CLOSE);
    if (this.#extended) return;
    this.#extended = true;
    for (const conn of this.#conns.values()) conn.startCredit();
  }

  /**
   * Send.
   *
   * @param payload Connection and data; copied.
   * @param tag The request's id, when it has one.
   */
  send(payload: Uint8Array, tag: number | undefined): void {
    const send = decodeSend(payload);
    if (send instanceof DecodeError) return this.#malformed(send, tag);
    const conn = this.#conns.get(send.conn);
    if (conn === undefined) {
      // The peer may have ended it while this was on its way.
      const error = new PilotError("connection_closed", `Connection ${send.conn} is closed`);
      return this.#unknown(send.conn, tag, error);
    }
    conn.send(send.data, tag);
  }

  /**
   * Close. On a connection of another program it is `pilotctl disconnect`, and resets it.
   *
   * @param network Where it is.
   * @param payload The connection.
   * @param tag The request's id, when it has one.
   */
  close(network: NetworkBackend, payload: Uint8Array, tag: number | undefined): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed(id, tag);
    const conn = this.#conns.get(id);
    if (conn === undefined) {
      const isEnded = network.disconnect(id);
      if (tag === undefined || !isEnded) return this.#unknown(id, tag);
      return this.out.push(encodeAnswer(tag, Cmd.CloseOk, encodeConn(id)));
    }
    if (tag !== undefined) this.#closes.set(tag, conn);
    conn.close(tag);
  }

  /**
   * Abort; not answered, and one that has ended already is no mistake.
   *
   * @param payload The connection.
   */
  abort(payload: Uint8Array): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed(id, undefined);
    this.#conns.get(id)?.abort();
  }

  /**
   * CloseWrite; answered when the peer has everything. Like a Close it may last any time, and giving it up
   * resets the connection.
   *
   * @param payload The connection.
   * @param tag The request's id.
   */
  closeWrite(payload: Uint8Array, tag: number): void {
    const id = decodeConn(payload);
    if (id instanceof DecodeError) return this.#malformed(id, tag);
    const conn = this.#conns.get(id);
    if (conn === undefined) return this.#unknown(id, tag);
    this.#closes.set(tag, conn);
    conn.closeWrite(tag);
  }

  /**
   * Whether an id belongs to a tagged Close.
   *
   * @param tag The id.
   * @returns True while it is not answered.
   */
  isClosing(tag: number): boolean {
    return this.#closes.has(tag);
  }

  /**
   * The client no longer waits for a tagged Close: the connection is reset.
   *
   * @param tag Its id.
   */
  cancelClose(tag: number): void {
    if (!this.#closes.get(tag)?.cancelClose(tag)) return;
    this.failed(tag, new PilotError("aborted", "Cancelled by the client"));
  }

  /**
   * RecvCredit. There is no reply that could carry an error, and credit for a connection that has ended is normal.
   *
   * @param payload Connection and bytes.
   */
  grant(payload: Uint8Array): void {
    const credit = decodeRecvCredit(payload);
    if (credit instanceof DecodeError || !this.#extended) return;
    this.#conns.get(credit.conn)?.grant(credit.bytes);
  }

  /**
   * Takes an accepted connection, or resets it when the client has too many.
   *
   * @param conn The connection.
   */
  accept(conn: Conn): void {
    if (this.#ended || !this.#hasRoom) return conn.abort();
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

  /**
   * Opens a connection.
   *
   * @param network Where.
   * @param address The node to dial.
   * @param port Its port.
   * @param options Signal and timeout.
   * @param announce Reports the connection's number to the client, before its first data can be pulled.
   * @throws {PilotError} `limit_exceeded`, `aborted`, or why the dial failed.
   */
  async dial(
    network: NetworkBackend,
    address: Address,
    port: number,
    options: DialOptions & { signal: AbortSignal },
    announce: (id: number) => void,
  ): Promise<void> {
    if (!this.#hasRoom) {
      throw new PilotError(
        "limit_exceeded",
        `A client may have ${MAX_CONNS_PER_CLIENT} connections at most`,
      );
    }
    this.#dials++;
    let conn;
    try {
      conn = await network.dial(address, port, { ...options, program: this });
    } finally {
      this.#dials--;
    }
    if (this.#ended || options.signal.aborted) {
      conn.abort(); // nobody would ever use it
      throw new PilotError("aborted", "dial cancelled");
    }
    announce(conn.id);
    this.#conns.set(conn.id, new ClientConn(conn, this));
  }

  /** The client has gone: everything is delivered, then closed with FIN. */
  end(): void {
    this.#ended = true;
    this.#closes.clear();
    for (const conn of [...this.#conns.values()]) conn.orphan();
  }

  /** The daemon ends: nothing may outlive it. */
  release(): void {
    for (const conn of this.#conns.values()) conn.release();
    this.#conns.clear();
  }

  sent(tag: number, isMoreQueued: boolean): void {
    const frame = encodeAnswer(tag, Cmd.Send, NOTHING);
    if (isMoreQueued) this.out.pushLazily(frame);
    else this.out.push(frame);
  }

  failed(tag: number, error: PilotError): void {
    this.#closes.delete(tag);
    this.out.push(encodeFailure(tag, error));
  }

  closed(tag: number, conn: ClientConn): void {
    this.#closes.delete(tag);
    this.out.push(encodeAnswer(tag, Cmd.CloseOk, encodeConn(conn.id)));
  }

  writeClosed(tag: number, conn: ClientConn): void {
    this.#closes.delete(tag);
    this.out.push(encodeAnswer(tag, Cmd.CloseWriteOk, encodeConn(conn.id)));
  }

  sendQueueChanged(conn: ClientConn, change: number): void {
    this.#sendQueued += change;
    this.#queues.changed(change);
    if (conn.overfull) this.#overfull.add(conn);
    else this.#overfull.delete(conn);
    this.#onChange();
  }

  gone(conn: ClientConn): void {
    this.#conns.delete(conn.id);
    this.#overfull.delete(conn);
    this.#onChange();
  }

  get #hasRoom(): boolean {
    return this.#conns.size + this.#dials < MAX_CONNS_PER_CLIENT;
  }

  /** Untagged clients do not wait for an answer to Send or Close: an error would be taken for another request's. */
  #unknown(
    id: number,
    tag: number | undefined,
    error: PilotError = new PilotError("not_found", `Connection ${id} not found`),
  ): void {
    if (tag === undefined) {
      this.out.push(encodeIpcFrame(Cmd.CloseOk, encodeConn(id)));
    } else {
      this.failed(tag, error);
    }
  }

  #malformed({ message }: DecodeError, tag: number | undefined): void {
    const error = new PilotError("invalid_argument", message);
    this.out.push(encodeFailure(tag, error));
  }
}
