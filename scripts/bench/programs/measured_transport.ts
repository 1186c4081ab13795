/**
 * What the measuring program needs of a transport; the same for ours and for the peers.
 *
 * @module
 */

/** A reliable stream. */
export interface ByteStream {
  /** Some bytes, valid until the next read; undefined at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Sends bytes, which must not be changed afterwards; waits while the stream is full. */
  write(data: Uint8Array): Promise<void>;
  /** Ends our direction when everything has left. */
  finish(): Promise<void>;
  /** Ends both directions at once. */
  abort(): void;
}

/** A message that arrived. */
export interface Message {
  /** Its content. */
  readonly data: Uint8Array;
  /** Answers its sender. */
  reply(data: Uint8Array): Promise<void>;
}

/** One end. */
export interface Transport {
  /** Serves streams and messages until {@linkcode close}; where it listens. */
  listen(handlers: {
    onStream: (stream: ByteStream) => void;
    onMessage: (message: Message) => void;
  }): Promise<string>;
  /** Gets what can be shared by all streams ready. */
  prepare(): Promise<void>;
  /** Whether {@linkcode dial} returns before the far end knows of the stream. */
  readonly lazyDial?: boolean;
  /** A new stream to the listening end. */
  dial(): Promise<ByteStream>;
  /** A new stream without anything shared. */
  dialFresh(): Promise<ByteStream>;
  /** A stream whose far end sends everything back; undefined when only the measuring program does that. */
  dialEcho?(): Promise<ByteStream>;
  /** One round trip of the transport's own; milliseconds. */
  ping?(): Promise<number>;
  /** Sends one message that may be lost. */
  sendMessage?(data: Uint8Array): Promise<void>;
  /** Messages that come back. */
  messages?(): AsyncIterable<Uint8Array>;
  /** Ends everything. */
  close(): Promise<void>;
}

/** How to open a transport. */
export type TransportConfig =
  | {
    readonly transport: "pilot";
    /** Socket of the daemon. */
    readonly socket: string;
    /** The address to dial: the other's. */
    readonly target: string;
    /** Port. */
    readonly port: number;
  }
  | {
    readonly transport: "tcp" | "quic";
    /** Where to listen or to connect to. */
    readonly host: string;
    /** Port; 0 to listen on any. */
    readonly port: number;
    /** Files with certificate and key (QUIC). */
    readonly certFile?: string;
    readonly keyFile?: string;
  };

/** Size of a read buffer and of a bulk write: large enough that the cost of a call does not count. */
export const CHUNK_BYTES = 262_144;
