/**
 * What the daemon's services and IPC sessions see of one stream connection.
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import type { PilotError } from "../../protocol/errors.ts";
import type { StreamState, StreamStats } from "../../protocol/stream/mod.ts";

/**
 * Notified about changes of a {@linkcode Conn}. Calls come from the packet path: they must not throw, must not
 * block, and should only note or move bytes. Each is a hint to look again, not a count.
 */
export interface ConnListener {
  /** {@linkcode Conn.read} has something to give, or {@linkcode Conn.ended} became true. */
  onReadable(): void;
  /** {@linkcode Conn.write} takes bytes again. */
  onWritable(): void;
  /** The connection has ended; no other call follows. `error` is absent after an orderly close. */
  onClosed(error: PilotError | undefined): void;
}

/** One established stream connection, driven by the daemon's clock and socket. */
export interface Conn {
  /** Number of this connection within the daemon, unsigned 32 bit, not reused while it lives. */
  readonly id: number;
  /** Our address on the network the connection runs in. */
  readonly localAddress: Address;
  /** Our port. */
  readonly localPort: number;
  /** The authenticated peer. */
  readonly remoteAddress: Address;
  /** The peer's port. */
  readonly remotePort: number;
  /** State of the stream. */
  readonly state: StreamState;
  /** Why the connection failed, once it has. */
  readonly error: PilotError | undefined;
  /** Bytes ready to be read. */
  readonly readableBytes: number;
  /** Bytes that {@linkcode write} would take now. */
  readonly writableBytes: number;
  /** The peer has closed and everything it sent has been read. */
  readonly ended: boolean;
  /** After {@linkcode ended}: the peer has closed its writing alone, and reads what is still written. */
  readonly isPeerReading: boolean;
  /** After a close: the peer has acknowledged everything; reported by `onWritable`. */
  readonly isDelivered: boolean;
  /** The terminal state is reached; `onClosed` has been or is about to be called. */
  readonly closed: boolean;

  /** Sets the one listener; a listener set late is notified at once (in a microtask) of what it missed. */
  setListener(listener: ConnListener): void;
  /** Takes up to `maxBytes` in-order bytes; the caller owns them. Undefined when there are none. */
  read(maxBytes?: number): Uint8Array | undefined;
  /** Copies in-order bytes to the start of `out` and returns how many; 0 when there are none. */
  readInto(out: Uint8Array): number;
  /** Copies as much of `data` as fits into the send buffer and returns how much that was; 0 when full or closing. */
  write(data: Uint8Array): number;
  /**
   * Closes for writing; reading continues until the peer closes.
   *
   * @returns False when the peer knows no half close: nothing has changed.
   */
  closeWrite(): boolean;
  /** Orderly close: everything written is delivered first. Reading continues until the peer ends. */
  close(): void;
  /** As {@linkcode close}, but the peer learns at the end that the program has gone without closing. */
  abandon(): void;
  /** Reset: the peer is notified, what is buffered is dropped. */
  abort(): void;
  /** Counters and congestion state (docs/protocol/local-socket.md §7 `conn_list`). */
  stats(): StreamStats;
}

/** How to open a connection. */
export interface DialOptions {
  /** Ends the attempt with an `aborted` error. */
  signal?: AbortSignal;
  /** Longest wait for the peer's answer, milliseconds. */
  timeoutMs?: number;
  /** The dialling program, any object: its share of the local ports is bounded. Absent for the daemon itself. */
  program?: object;
}

/** Datagram as delivered to a client. `data` is the receiver's to keep. */
export interface Datagram {
  /** The authenticated sender. */
  readonly source: Address;
  /** Its port. */
  readonly sourcePort: number;
  /** Port it was sent to. */
  readonly port: number;
  /** Payload, 1..65535 bytes. */
  readonly data: Uint8Array;
}
