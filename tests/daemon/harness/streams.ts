/**
 * Ends of stream connections for tests.
 *
 * @module
 */

import type { PilotError } from "../../../protocol/errors.ts";
import { type Packet, PROTO_STREAM } from "../../../protocol/packet.ts";
import type { Conn } from "../../../daemon/stream/stream_conn.ts";
import type { TestNode } from "./node.ts";

/** Reads everything, notes how it ended. */
export class Sink {
  readonly conn: Conn;
  readonly chunks: Uint8Array[] = [];
  hasEnded = false;
  isClosed = false;
  error: PilotError | undefined;
  #rest: Uint8Array = new Uint8Array(0);
  #isClosing = false;

  constructor(conn: Conn) {
    this.conn = conn;
    conn.setListener({
      onReadable: () => {
        for (let data = conn.read(); data !== undefined; data = conn.read()) this.chunks.push(data);
        this.hasEnded = conn.ended;
      },
      onWritable: () => this.#pump(),
      onClosed: (error) => {
        this.isClosed = true;
        this.error = error;
      },
    });
  }

  /** Writes everything, as room comes, and closes then. */
  sendAll(data: Uint8Array): void {
    this.#rest = data;
    this.#isClosing = true;
    this.#pump();
  }

  #pump(): void {
    while (this.#rest.length > 0) {
      const taken = this.conn.write(this.#rest);
      if (taken === 0) return;
      this.#rest = this.#rest.subarray(taken);
    }
    if (this.#isClosing) this.conn.close();
  }

  /** What was read, as text. */
  get text(): string {
    return this.chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  }
}

/** Listens on a port and keeps what connects. */
export function listen(node: TestNode, port: number): Sink[] {
  const sinks: Sink[] = [];
  node.streams.bind(port, (conn) => void sinks.push(new Sink(conn)));
  return sinks;
}

/** A stream packet made by hand. */
export function segment(
  from: { readonly node: number },
  to: { readonly node: number },
  flags: number,
  changes: Partial<Packet> = {},
): Packet {
  return {
    flags,
    protocol: PROTO_STREAM,
    srcNetwork: 0,
    srcNode: from.node,
    dstNetwork: 0,
    dstNode: to.node,
    srcPort: 50_000,
    dstPort: 80,
    seq: 1000,
    ack: 0,
    window: 64,
    payload: new Uint8Array(0),
    ...changes,
  };
}

/** Stream packets with these flags that a node got. */
export function segments(node: TestNode, flags: number): Packet[] {
  return node.received.filter((packet) =>
    packet.protocol === PROTO_STREAM && packet.flags === flags
  );
}
