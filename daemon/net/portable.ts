/**
 * The UDP socket of every platform: `Deno.listenDatagram`, one promise per datagram.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Endpoint } from "../../protocol/ip.ts";
import {
  BATCH_END_DATAGRAMS,
  type BatchEndHandler,
  bindError,
  BUFFER_CLASSES,
  bufferClass,
  countError,
  type DatagramHandler,
  newUdpStats,
  normalizeHost,
  SEND_BUFFER_BYTES,
  type UdpSocket,
  type UdpStats,
} from "./udp.ts";

/** Datagrams that wait for their turn; above it new ones are dropped, as a full interface queue would. */
export const MAX_QUEUED_SENDS = 1024;
/** Buffers of each class kept for the next send; more are left to the garbage collector. */
const POOL_BUFFERS = 64;
/** Pause after a receive error that is not the end of the socket, so that a persistent one cannot spin. */
const RECEIVE_ERROR_PAUSE_MS = 10;

const MAPPED_PREFIX = "::ffff:";

interface QueuedSend {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly length: number;
  readonly to: Endpoint;
}

/** {@linkcode UdpSocket} over `Deno.listenDatagram`. */
export class PortableUdpSocket implements UdpSocket {
  readonly kind = "portable";
  readonly forbidsFragments = false;
  readonly local: Endpoint;
  readonly stats: UdpStats = newUdpStats();
  readonly #conn: Deno.DatagramConn;
  readonly #isV6: boolean;
  readonly #pools: Uint8Array<ArrayBuffer>[][] = BUFFER_CLASSES.map(() => []);
  #queue: QueuedSend[] = [];
  #sending: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #receiving: Promise<void> | undefined;

  /** @ignore Use {@linkcode PortableUdpSocket.bind}. */
  constructor(conn: Deno.DatagramConn) {
    this.#conn = conn;
    const { hostname, port } = conn.addr as Deno.NetAddr;
    this.#isV6 = hostname.includes(":");
    this.local = { host: normalizeHost(hostname), port };
  }

  /**
   * Binds a socket.
   *
   * @param host IP literal to bind; `0.0.0.0` for all IPv4 interfaces, `::` for all of both kinds.
   * @param port UDP port, 0 for a free one.
   * @returns The socket.
   * @throws {PilotError} `already_exists` when the port is taken, `io_error` otherwise.
   */
  static bind(host: string, port: number): PortableUdpSocket {
    try {
      return new PortableUdpSocket(
        Deno.listenDatagram({ transport: "udp", hostname: host, port }),
      );
    } catch (error) {
      throw bindError(host, port, {
        taken: error instanceof Deno.errors.AddrInUse,
        reason: error instanceof Error ? error.message : String(error),
        cause: error,
      });
    }
  }

  acquire(bytes: number = SEND_BUFFER_BYTES): Uint8Array<ArrayBuffer> {
    const size = bufferClass(bytes);
    return this.#pools[size]!.pop() ?? new Uint8Array(BUFFER_CLASSES[size]!);
  }

  send(buffer: Uint8Array<ArrayBuffer>, length: number, to: Endpoint): void {
    if (this.#closing !== undefined || this.#queue.length >= MAX_QUEUED_SENDS) {
      this.stats.dropped++;
      this.#release(buffer);
      return;
    }
    this.#queue.push({ buffer, length, to });
    this.#sending ??= this.#sendQueued();
  }

  start(onDatagram: DatagramHandler, onBatchEnd: BatchEndHandler = () => {}): void {
    this.#receiving ??= this.#receive(onDatagram, new Turns(onBatchEnd));
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#sending;
    this.#conn.close();
    await this.#receiving;
  }

  /** One at a time: sends that are under way together leave in any order, the last often first. */
  async #sendQueued(): Promise<void> {
    const { stats } = this;
    // Begins after the task that called, so that it cannot end before its promise is kept.
    await Promise.resolve();
    for (let next = this.#queue; next.length > 0; next = this.#queue) {
      this.#queue = [];
      for (const { buffer, length, to } of next) {
        stats.sendCalls++;
        // A dual-stack socket takes IPv4 destinations in their mapped form on every system.
        const hostname = this.#isV6 && !to.host.includes(":") ? MAPPED_PREFIX + to.host : to.host;
        try {
          await this.#conn.send(buffer.subarray(0, length), {
            transport: "udp",
            hostname,
            port: to.port,
          });
          stats.sent++;
          stats.sentBytes += length;
        } catch (error) {
          // Unreachable, filtered, too big: to a datagram protocol all of these are loss.
          stats.dropped++;
          countError(stats, errorName(error));
        }
        // The kernel may read the buffer until now.
        this.#release(buffer);
      }
    }
    this.#sending = undefined;
  }

  async #receive(onDatagram: DatagramHandler, turns: Turns): Promise<void> {
    const buffer = new Uint8Array(SEND_BUFFER_BYTES);
    while (this.#closing === undefined) {
      let received: [Uint8Array, Deno.Addr];
      try {
        received = await this.#conn.receive(buffer);
      } catch (error) {
        if (this.#closing !== undefined) return;
        // An ICMP error of an earlier send surfaces here; the socket is still good (anchors.md C.3, P0-005).
        countError(this.stats, errorName(error));
        await new Promise((resolve) => setTimeout(resolve, RECEIVE_ERROR_PAUSE_MS));
        continue;
      }
      if (this.#closing !== undefined) return;
      const { hostname, port } = received[1] as Deno.NetAddr;
      this.stats.received++;
      this.stats.receiveCalls++;
      this.stats.receivedBytes += received[0].length;
      onDatagram(received[0], { host: normalizeHost(hostname), port });
      turns.handled();
    }
  }

  #release(buffer: Uint8Array<ArrayBuffer>): void {
    const pool = this.#pools[bufferClass(buffer.length)]!;
    if (pool.length < POOL_BUFFERS) pool.push(buffer);
  }
}

/**
 * Finds out which datagrams were there together. The runtime hands them over one by one, those that wait in the kernel
 * all within one turn of the event loop.
 */
class Turns {
  readonly #onBatchEnd: BatchEndHandler;
  /** Datagrams since the last end of a batch. */
  #open = 0;
  /** Datagrams of this turn. */
  #ofTurn = 0;
  #isBusy = false;
  readonly #endTurn = (): void => {
    // A single datagram is an exchange of one by one, whose answers must not wait.
    this.#isBusy = this.#ofTurn > 1;
    this.#ofTurn = 0;
    if (this.#open > 0) this.#end();
  };

  constructor(onBatchEnd: BatchEndHandler) {
    this.#onBatchEnd = onBatchEnd;
  }

  /** A datagram has been handled. */
  handled(): void {
    this.#open++;
    if (this.#ofTurn++ === 0) setImmediate(this.#endTurn);
    if (!this.#isBusy && this.#ofTurn === 1 || this.#open >= BATCH_END_DATAGRAMS) this.#end();
  }

  #end(): void {
    this.#open = 0;
    this.#onBatchEnd();
  }
}

/** `EMSGSIZE` where the runtime tells it, otherwise the class of the error. */
function errorName(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
