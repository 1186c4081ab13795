/**
 * Port 444: one handshake message a connection, in either direction (docs/protocol/trust.md §1.4).
 *
 * @module
 */

import type { Address } from "../../protocol/address.ts";
import { DecodeError } from "../../protocol/errors.ts";
import { PORT_HANDSHAKE } from "../../protocol/well_known_ports.ts";
import { type HandshakeMessage, HandshakeReader } from "../../protocol/trust/mod.ts";
import type { Clock } from "../../platform/clock.ts";
import { StreamIo } from "../service/stream_io.ts";
import type { Conn, DialOptions } from "../stream/stream_conn.ts";
import type { Log } from "../../platform/log.ts";

/** Longest time for a whole message to arrive. */
export const MESSAGE_TIMEOUT_MS = 10_000;
/** Incoming handshake connections at a time. */
export const MAX_HANDSHAKE_CONNS = 256;
/** How long a sent message may take to be acknowledged. */
const DELIVERY_TIMEOUT_MS = 5_000;

/** What the port needs. */
export interface HandshakePortDeps {
  readonly clock: Clock;
  readonly dial: (address: Address, port: number, options: DialOptions) => Promise<Conn>;
  readonly bind: (port: number, onAccept: (conn: Conn) => void) => void;
  readonly unbind: (port: number) => void;
  /** A decoded, unverified message and the node that the tunnel has authenticated. */
  readonly onMessage: (message: HandshakeMessage, remoteNode: number) => void;
  readonly log: Log;
}

/** Sends and receives handshake messages. */
export class HandshakePort {
  readonly #deps: HandshakePortDeps;
  readonly #incoming = new Set<StreamIo>();
  #isOpen = false;

  constructor(deps: HandshakePortDeps) {
    this.#deps = deps;
  }

  /** Starts to listen. */
  open(): void {
    this.#deps.bind(PORT_HANDSHAKE, (conn) => this.#accept(conn));
    this.#isOpen = true;
  }

  /** Stops listening and drops what has not arrived. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#deps.unbind(PORT_HANDSHAKE);
    for (const io of this.#incoming) io.abort();
  }

  /**
   * Sends one message on a connection of its own; resolves when the peer's daemon has it.
   *
   * @param bytes As `encodeHandshake` gave them.
   * @throws {PilotError} Why the peer could not be reached.
   */
  async send(node: number, bytes: Uint8Array, timeoutMs: number): Promise<void> {
    const conn = await this.#deps.dial({ network: 0, node }, PORT_HANDSHAKE, { timeoutMs });
    const io = new StreamIo(conn, this.#deps.clock);
    try {
      await io.write(bytes, { timeoutMs: DELIVERY_TIMEOUT_MS });
      // The FIN goes out when everything is acknowledged, so its end is the proof of delivery.
      await io.close({ timeoutMs: DELIVERY_TIMEOUT_MS });
    } catch (error) {
      io.abort();
      throw error;
    }
  }

  #accept(conn: Conn): void {
    if (this.#incoming.size >= MAX_HANDSHAKE_CONNS) {
      conn.abort();
      return;
    }
    const io = new StreamIo(conn, this.#deps.clock);
    this.#incoming.add(io);
    const node = conn.remoteAddress.node;
    this.#receive(io, node).catch((error) =>
      this.#deps.log("info", "handshake connection failed", {
        peer_node_id: node,
        error: error instanceof Error ? error.message : String(error),
      })
    ).finally(() => {
      this.#incoming.delete(io);
      void io.close();
    });
  }

  async #receive(io: StreamIo, node: number): Promise<void> {
    const reader = new HandshakeReader();
    const endMs = this.#deps.clock.now() + MESSAGE_TIMEOUT_MS;
    for (;;) {
      const timeoutMs = Math.max(1, endMs - this.#deps.clock.now());
      const chunk = await io.readChunk({ timeoutMs });
      if (chunk === undefined) return;
      const message = reader.push(chunk);
      if (message === undefined) continue;
      if (message instanceof DecodeError) {
        this.#deps.log("info", "handshake message refused", {
          peer_node_id: node,
          reason: message.message,
        });
      } else {
        this.#deps.onMessage(message, node);
      }
      return;
    }
  }
}
