/**
 * One stream connection in the hands of a client: what the client sends and the stream does not yet take, and what
 * the client is owed (docs/protocol/local-socket.md §1, contract of the extensions 40-45).
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import {
  Cmd,
  encodeConn,
  encodeIpcFrame,
  encodeTaggedError,
  IPC_HEADER_BYTES,
  IPC_RECV_WINDOW_BYTES,
  IPC_SEND_WINDOW_BYTES,
} from "../../protocol/ipc/mod.ts";
import type { Conn, ConnListener } from "../stream/stream_conn.ts";
import {
  DISCARD_MAX_BYTES,
  LINGER_STALL_MS,
  MAX_QUEUED_SENDS,
  RECV_FRAME_BYTES,
} from "./ipc_limits.ts";
import type { FrameSource, Outgoing } from "./outgoing.ts";
import type { Clock } from "../../platform/clock.ts";

/** Bytes before the data of a Recv frame: length, command, connection. */
const RECV_HEADER_BYTES = IPC_HEADER_BYTES + 4;

/** What a {@linkcode ClientConn} reports to its session. */
export interface ClientConnOwner {
  readonly clock: Clock;
  /** Frames go here. */
  readonly out: Outgoing;
  /** Whether the client has said Hello: it grants credit and understands why a connection ended. */
  readonly extended: boolean;
  /** Whether the client understands that a peer has closed its writing alone. */
  readonly halfCloses: boolean;
  /** A tagged Send has been taken by the stream; whether others of this connection wait behind it. */
  sent(tag: number, isMoreQueued: boolean): void;
  /** A tagged request about this connection failed. */
  failed(tag: number, error: PilotError): void;
  /** A tagged Close is done. */
  closed(tag: number, conn: ClientConn): void;
  /** A tagged CloseWrite is done. */
  writeClosed(tag: number, conn: ClientConn): void;
  /** The send queue has grown or shrunk by this many bytes. */
  sendQueueChanged(conn: ClientConn, change: number): void;
  /** The connection has ended and nothing is owed any more. */
  gone(conn: ClientConn): void;
}

interface QueuedSend {
  data: Uint8Array;
  readonly tag: number | undefined;
}

/** A connection owned by a client. */
export class ClientConn implements FrameSource, ConnListener {
  /** Number of the connection. */
  readonly id: number;
  queued: boolean = false;
  readonly #conn: Conn;
  readonly #owner: ClientConnOwner;
  #sendQueue: QueuedSend[] = [];
  #sendQueued = 0;
  #credit: number;
  #closeWanted = false;
  #discarding = false;
  #endTold = false;
  #readEndTold = false;
  #over = false;
  #gone = false;
  #error: PilotError | undefined;
  #closeTags: number[] = [];
  #writeCloseTag: number | undefined;
  #writeCloseWanted = false;
  #writeCloseCalled = false;
  #orphaned = false;
  /** Its client has gone without a Close. */
  #abandoned = false;
  #dropped = 0;
  #flushing = false;
  #closeCalled = false;
  #cancelLinger: (() => void) | undefined;

  /**
   * Takes a connection over; sets its listener at once.
   *
   * @param conn The connection.
   * @param owner The session.
   */
  constructor(conn: Conn, owner: ClientConnOwner) {
    this.id = conn.id;
    this.#conn = conn;
    this.#owner = owner;
    this.#credit = owner.extended ? IPC_RECV_WINDOW_BYTES : Infinity;
    conn.setListener(this);
  }

  /** More waits to be sent than a client may have waiting: stop reading from it. */
  get overfull(): boolean {
    return this.#sendQueued > IPC_SEND_WINDOW_BYTES ||
      this.#sendQueue.length > MAX_QUEUED_SENDS;
  }

  /** Bytes from the client that the stream has not taken yet. */
  get sendQueuedBytes(): number {
    return this.#sendQueued;
  }

  get ready(): boolean {
    if (this.#gone || this.#orphaned || this.#discarding) return false;
    if (this.#conn.readableBytes > 0) return this.#credit > 0;
    if (this.#endTold) return false;
    return this.#over || this.#conn.ended && !(this.#readEndTold && this.#conn.isPeerReading);
  }

  onReadable(): void {
    if (this.#discarding || this.#orphaned) this.#drop();
    else this.#owner.out.offer(this);
    this.#checkClosed();
  }

  onWritable(): void {
    this.#flush();
    this.#answerWriteClose();
  }

  onClosed(error: PilotError | undefined): void {
    this.#over = true;
    this.#error = error;
    if (this.#sendQueued > 0) this.#failSends();
    this.#answerWriteClose();
    if (this.#discarding || this.#orphaned) this.#drop();
    else this.#owner.out.offer(this);
    this.#checkClosed();
  }

  /**
   * Sends what the client gave.
   *
   * @param data Copied.
   * @param tag Id to answer when the stream has taken it.
   */
  send(data: Uint8Array, tag: number | undefined): void {
    if (this.#closeWanted || this.#writeCloseWanted || this.#over) {
      if (tag !== undefined) this.#owner.failed(tag, this.#closedError());
      return; // an untagged client learns it by CloseOk (docs/protocol/local-socket.md §2)
    }
    // The stream calls back from within its methods, also to say that it has ended.
    const taken = this.#sendQueue.length > 0 ? 0 : this.#conn.write(data);
    if (taken === data.length && this.#sendQueue.length === 0) {
      if (tag !== undefined) this.#owner.sent(tag, false);
      return;
    }
    if (this.#over) {
      if (tag !== undefined) this.#owner.failed(tag, this.#closedError());
      return;
    }
    const rest = data.slice(taken);
    this.#sendQueue.push({ data: rest, tag });
    this.#sendQueued += rest.length;
    this.#owner.sendQueueChanged(this, rest.length);
    if (this.#conn.writableBytes > 0) this.#flush();
  }

  /**
   * Closes in order: what is queued is delivered first.
   *
   * @param tag Answered when the connection has ended. Without one the client has forgotten the connection: it is
   * notified at once and what still arrives is dropped.
   */
  close(tag: number | undefined): void {
    if (tag === undefined) {
      this.#tellEnd(undefined);
      this.#discarding = true;
      this.#drop();
    } else if (!this.#gone) {
      this.#closeTags.push(tag);
    }
    this.#closeWanted = true;
    this.#flush();
    this.#checkClosed();
  }

  /**
   * Closes for writing: what is queued is delivered first, and what arrives is still the client's.
   *
   * @param tag Answered when the peer has everything; with `unavailable` where it knows no half close.
   */
  closeWrite(tag: number): void {
    const isClosing = this.#closeWanted || this.#writeCloseWanted;
    if (isClosing || this.#over && this.#error !== undefined) {
      return this.#owner.failed(tag, this.#closedError());
    }
    this.#writeCloseWanted = true;
    this.#writeCloseTag = tag;
    this.#flush();
    this.#answerWriteClose();
  }

  /**
   * The client no longer waits for its tagged Close or CloseWrite: the connection is reset.
   *
   * @param tag The request.
   * @returns False when there is no such request.
   */
  cancelClose(tag: number): boolean {
    if (tag === this.#writeCloseTag) {
      this.#writeCloseTag = undefined;
      this.#conn.abort();
      return true;
    }
    const index = this.#closeTags.indexOf(tag);
    if (index < 0) return false;
    this.#closeTags.splice(index, 1);
    this.#conn.abort();
    return true;
  }

  /** Resets the connection: no end leaves that the peer could take for an orderly one. */
  abort(): void {
    this.#closeWanted = this.#closeCalled = true;
    this.#discarding = true;
    this.#conn.abort();
    this.#drop();
    this.#checkClosed();
  }

  /**
   * The client has consumed data.
   *
   * @param bytes How much; more than the window is taken as the window.
   */
  grant(bytes: number): void {
    this.#credit = Math.min(this.#credit + bytes, IPC_RECV_WINDOW_BYTES);
    this.#owner.out.offer(this);
  }

  /** The client has said Hello: from now on it grants credit. */
  startCredit(): void {
    this.#credit = IPC_RECV_WINDOW_BYTES;
  }

  /**
   * The client has gone: deliver what it sent, then close with FIN. With RST when it speaks our extensions, which end
   * connections by a Close, and has not closed this one: the peer must not take for whole what was cut short. Likewise
   * when something is left that it has not taken (RFC 1122 §4.2.2.13).
   */
  orphan(): void {
    this.#orphaned = true;
    this.#abandoned = this.#owner.extended && !this.#closeWanted;
    this.#closeTags = [];
    this.#writeCloseTag = undefined;
    this.#drop();
    if (this.#gone) return;
    this.#closeWanted = true;
    this.#flush();
    if (this.#sendQueued > 0) this.#linger(this.#sendQueued);
    this.#checkClosed();
  }

  /** The daemon ends: no timer of ours may outlive it. */
  release(): void {
    this.#cancelLinger?.();
    this.#gone = true;
    if (this.#closeCalled) return;
    if (this.#abandoned || (this.#owner.extended && !this.#closeWanted)) this.#conn.abandon();
    else this.#conn.close();
  }

  pull(out: Uint8Array, offset: number): number {
    const start = offset + RECV_HEADER_BYTES;
    const room = Math.min(
      out.length - start,
      RECV_FRAME_BYTES,
      this.#credit,
    );
    const length = room <= 0 ? 0 : this.#conn.readInto(out.subarray(start, start + room));
    const end = start + length;
    if (length === 0) {
      this.#announceEnd();
      return offset;
    }
    this.#credit -= length;
    const view = new DataView(out.buffer, out.byteOffset + offset);
    view.setUint32(0, 1 + 4 + length);
    view.setUint8(4, Cmd.Recv);
    view.setUint32(IPC_HEADER_BYTES, this.id);
    this.#announceEnd();
    return end;
  }

  /** Reports the end behind the last byte. */
  #announceEnd(): void {
    if (this.#conn.readableBytes > 0) return;
    if (this.#over) this.#tellEnd(this.#error);
    // An end may have an error already: a peer that closed before all of its data arrived.
    else if (this.#conn.ended) this.#tellPeerEnd();
    this.#checkClosed();
  }

  /** The peer's data is complete. */
  #tellPeerEnd(): void {
    if (!this.#conn.isPeerReading) return this.#tellEnd(this.#conn.error);
    if (this.#owner.halfCloses) {
      if (this.#readEndTold) return;
      this.#readEndTold = true;
      return this.#owner.out.push(encodeIpcFrame(Cmd.ReadEnd, encodeConn(this.id)));
    }
    // For other clients the end of one direction is the end of both.
    this.#tellEnd(undefined);
    this.#closeWanted = true;
    this.#flush();
  }

  #tellEnd(error: PilotError | undefined): void {
    if (this.#endTold) return;
    this.#endTold = true;
    const { out, extended } = this.#owner;
    out.push(
      error !== undefined && extended
        ? encodeIpcFrame(
          Cmd.CloseOk,
          encodeConn(this.id),
          encodeTaggedError(error),
        )
        : encodeIpcFrame(Cmd.CloseOk, encodeConn(this.id)),
    );
  }

  /** Reads and forgets, so that the peer's end can be reached. */
  #drop(): void {
    this.#endTold = true;
    for (
      let data = this.#conn.read();
      data !== undefined;
      data = this.#conn.read()
    ) this.#dropped += data.length;
    if (this.#sendQueued > 0 || this.#over) return;
    const isLost = this.#orphaned && this.#dropped > 0 && this.#conn.stats().send_buf === 0;
    if (isLost || this.#dropped > DISCARD_MAX_BYTES) this.#conn.abort();
  }

  /** Moves queued bytes into the stream; closes behind the last. */
  #flush(): void {
    if (this.#flushing) return; // the stream may call back while it is written to
    this.#flushing = true;
    for (
      let item = this.#sendQueue[0];
      item !== undefined;
      item = this.#sendQueue[0]
    ) {
      const { data, tag } = item;
      const taken = data.length === 0 ? 0 : this.#conn.write(data);
      if (this.#over) break; // the queue has been given up from within the write
      if (taken === data.length) this.#sendQueue.shift();
      else item.data = data.subarray(taken);
      this.#sendQueued -= taken;
      this.#owner.sendQueueChanged(this, -taken);
      if (taken === data.length) {
        if (tag !== undefined) this.#owner.sent(tag, this.#sendQueue.length > 0);
      } else if (this.#conn.writableBytes === 0) {
        break; // otherwise room was made, and reported, from within the write
      }
    }
    this.#flushing = false;
    if (this.#sendQueue.length > 0) return;
    if (this.#writeCloseWanted && !this.#writeCloseCalled) {
      this.#writeCloseCalled = true;
      if (!this.#conn.closeWrite()) this.#refuseWriteClose();
    }
    if (this.#closeWanted && !this.#closeCalled) {
      this.#closeCalled = true;
      if (this.#abandoned) this.#conn.abandon();
      else this.#conn.close();
    }
  }

  /** Nothing has changed: the client may continue. */
  #refuseWriteClose(): void {
    this.#writeCloseWanted = this.#writeCloseCalled = false;
    const tag = this.#writeCloseTag;
    this.#writeCloseTag = undefined;
    if (tag === undefined) return;
    this.#owner.failed(tag, new PilotError("unavailable", "The peer knows no half close"));
  }

  #answerWriteClose(): void {
    const tag = this.#writeCloseTag;
    if (tag === undefined || !this.#over && !this.#conn.isDelivered) return;
    this.#writeCloseTag = undefined;
    if (this.#conn.isDelivered || this.#error === undefined) this.#owner.writeClosed(tag, this);
    else this.#owner.failed(tag, this.#error);
  }

  #failSends(): void {
    const before = this.#sendQueued;
    const items = this.#sendQueue.splice(0);
    this.#sendQueued = 0;
    for (const { tag } of items) {
      if (tag !== undefined) this.#owner.failed(tag, this.#closedError());
    }
    this.#owner.sendQueueChanged(this, -before);
  }

  #closedError(): PilotError {
    return this.#error ??
      new PilotError("connection_closed", `Connection ${this.id} is closed`);
  }

  /** Answers Close and releases the connection, once the stream has ended and everything has been reported. */
  #checkClosed(): void {
    if (this.#gone || !this.#endTold) return;
    // In TIME_WAIT both directions are done; only stray segments are still answered.
    if (!this.#over && this.#conn.state !== "TIME_WAIT") return;
    for (const tag of this.#closeTags.splice(0)) {
      if (this.#error !== undefined) this.#owner.failed(tag, this.#error);
      else this.#owner.closed(tag, this);
    }
    if (!this.#over) return;
    this.#gone = true;
    this.#cancelLinger?.();
    this.#owner.gone(this);
  }

  #linger(left: number): void {
    this.#cancelLinger = this.#owner.clock.after(LINGER_STALL_MS, () => {
      if (this.#gone || this.#sendQueued === 0) return;
      if (this.#sendQueued === left) this.#conn.abort();
      else this.#linger(this.#sendQueued);
    });
  }
}
