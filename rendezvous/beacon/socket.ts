/**
 * The beacon's socket: what it must be able to do, and the form that works on every platform.
 *
 * {@linkcode BeaconSocket} has the shape of the daemon's UDP sockets, so that one which talks to the kernel in
 * batches fits without adapter.
 *
 * @module
 */

import type { Endpoint } from "../../protocol/ip.ts";
import { listenOn } from "../listen.ts";
import { MAX_QUEUED_SENDS, RECEIVE_RETRY_MS } from "./limits.ts";

/** Largest UDP datagram. */
const MAX_DATAGRAM = 65_535;
/** Buffers kept for the next send, of which a full queue needs few at a time. */
const POOL_BUFFERS = 64;
/** Size of those buffers: relayed frames of usual size. Larger ones are made when needed. */
const POOLED_BYTES = 2_048;

const MAPPED_PREFIX = "::ffff:";

/** A bound UDP socket. Sending never blocks and never throws: a datagram may be lost anyway. */
export interface BeaconSocket {
  /** Where it is bound. */
  readonly local: Endpoint;
  /**
   * A buffer to build a datagram in; must be given to {@linkcode BeaconSocket.send}.
   *
   * @param bytes Room needed, at most 65,535.
   */
  acquire(bytes: number): Uint8Array<ArrayBuffer>;
  /** Sends `length` bytes of an acquired buffer and takes it back. Many datagrams of one turn may leave in one batch. */
  send(buffer: Uint8Array<ArrayBuffer>, length: number, to: Endpoint): void;
  /**
   * Starts receiving.
   *
   * @param onDatagram Called for each datagram, those of a batch one after the other; `data` is valid, and may be
   * changed, during the call only. IPv4 senders have IPv4 text on a dual-stack socket, too.
   */
  start(onDatagram: (data: Uint8Array, from: Endpoint) => void): void;
  /** Sends what is queued and ends receiving. */
  close(): Promise<void>;
}

interface QueuedSend {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly length: number;
  readonly to: Endpoint;
}

/** {@linkcode BeaconSocket} over `Deno.listenDatagram`. */
export class PortableBeaconSocket implements BeaconSocket {
  readonly local: Endpoint;
  readonly #conn: Deno.DatagramConn;
  readonly #isV6: boolean;
  readonly #onError: (error: unknown) => void;
  readonly #pool: Uint8Array<ArrayBuffer>[] = [];
  #queue: QueuedSend[] = [];
  #sending: Promise<void> | undefined;
  #receiving: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #endPause: (() => void) | undefined;

  /**
   * Binds a socket.
   *
   * @param addr Listen address, see `listenOn`.
   * @param onError Told when receiving fails; it goes on after a pause.
   * @throws {PilotError} As `listenOn`.
   */
  constructor(addr: string, onError: (error: unknown) => void) {
    this.#onError = onError;
    this.#conn = listenOn(
      "beacon",
      addr,
      (hostname, port) => Deno.listenDatagram({ transport: "udp", hostname, port }),
    );
    const { hostname, port } = this.#conn.addr as Deno.NetAddr;
    this.#isV6 = hostname.includes(":");
    this.local = { host: hostname, port };
  }

  acquire(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes > POOLED_BYTES) return new Uint8Array(bytes);
    return this.#pool.pop() ?? new Uint8Array(POOLED_BYTES);
  }

  send(buffer: Uint8Array<ArrayBuffer>, length: number, to: Endpoint): void {
    if (this.#closing !== undefined || this.#queue.length >= MAX_QUEUED_SENDS) {
      this.#release(buffer);
      return;
    }
    this.#queue.push({ buffer, length, to });
    this.#sending ??= this.#sendQueued();
  }

  start(onDatagram: (data: Uint8Array, from: Endpoint) => void): void {
    this.#receiving ??= this.#receiveAll(onDatagram);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#sending;
    this.#endPause?.();
    this.#conn.close();
    await this.#receiving;
  }

  /** One at a time: sends that are under way together leave in any order. */
  async #sendQueued(): Promise<void> {
    // Begins after the task that called, so that it cannot end before its promise is kept.
    await Promise.resolve();
    for (let next = this.#queue; next.length > 0; next = this.#queue) {
      this.#queue = [];
      for (const { buffer, length, to } of next) {
        const hostname = this.#isV6 && !to.host.includes(":") ? MAPPED_PREFIX + to.host : to.host;
        try {
          const addr: Deno.NetAddr = { transport: "udp", hostname, port: to.port };
          await this.#conn.send(buffer.subarray(0, length), addr);
        } catch {
          // The way there is closed just now (no route, filtered): datagrams may be lost.
        }
        this.#release(buffer);
      }
    }
    this.#sending = undefined;
  }

  async #receiveAll(onDatagram: (data: Uint8Array, from: Endpoint) => void): Promise<void> {
    const buffer = new Uint8Array(MAX_DATAGRAM);
    while (this.#closing === undefined) {
      let received: [Uint8Array, Deno.Addr];
      try {
        received = await this.#conn.receive(buffer);
      } catch (error) {
        if (this.#closing !== undefined) return;
        this.#onError(error);
        await this.#pause(RECEIVE_RETRY_MS);
        continue;
      }
      const { hostname, port } = received[1] as Deno.NetAddr;
      onDatagram(received[0], { host: unmapped(hostname), port });
      // What has come is answered before more is taken: what is too much stays, bounded, in the kernel.
      await this.#sending;
    }
  }

  #release(buffer: Uint8Array<ArrayBuffer>): void {
    const isPooled = buffer.length === POOLED_BYTES && this.#pool.length < POOL_BUFFERS;
    if (isPooled) this.#pool.push(buffer);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endPause = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#endPause = end;
    });
  }
}

function unmapped(host: string): string {
  return host.startsWith(MAPPED_PREFIX) && host.includes(".")
    ? host.slice(MAPPED_PREFIX.length)
    : host;
}
