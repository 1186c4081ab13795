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
import { plainClock } from "../clock.ts";
import { pause } from "../waiting.ts";

/** Datagrams that wait for their turn; above it new ones are dropped, as a full interface queue would. */
export const MAX_QUEUED_SENDS = 1024;
/** Buffers of each class kept for the next send; more are left to the garbage collector. */
const POOL_BUFFERS = 64;
/** Pause after a receive error that is not the end of the socket, so that a persistent one cannot spin. */
const RECEIVE_ERROR_PAUSE_MS = 10;

/** Time for each datagram within which they come fast, milliseconds: half of the shortest round trip on loopback. */
const FAST_DATAGRAM_MS = 0.1;
/** Turns of the event loop without a datagram (some 10 us each) that end a batch while they come fast. */
const QUIET_TURNS = 3;

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
        // An ICMP error of an earlier send surfaces here; the socket is still good.
        countError(this.stats, errorName(error));
        await pause(plainClock, RECEIVE_ERROR_PAUSE_MS);
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
 * Finds out which datagrams belong together. The runtime hands them over one by one, those that wait in the kernel all
 * within one turn of the event loop. A receiver faster than its sender finds one each turn; while they come fast it
 * waits a moment for more, because answering each and waking a client for each costs more than the datagram.
 */
class Turns {
  readonly #onBatchEnd: BatchEndHandler;
  /** Datagrams since the last end of a batch. */
  #open = 0;
  /** Datagrams since the last look. */
  #new = 0;
  /** Looks in a row that found nothing new. */
  #quiet = 0;
  #isLooking = false;
  #isFast = false;
  #lastEndMs = 0;
  readonly #look = (): void => {
    this.#quiet = this.#new === 0 ? this.#quiet + 1 : 0;
    this.#new = 0;
    if (this.#open > 0 && this.#isFast && this.#quiet < QUIET_TURNS) {
      setImmediate(this.#look);
      return;
    }
    this.#isLooking = false;
    if (this.#open > 0) this.#end();
  };

  constructor(onBatchEnd: BatchEndHandler) {
    this.#onBatchEnd = onBatchEnd;
  }

  /** A datagram has been handled. */
  handled(): void {
    this.#open++;
    const isFirst = this.#new++ === 0;
    if (!this.#isLooking) {
      this.#isLooking = true;
      this.#quiet = 0;
      setImmediate(this.#look);
    }
    // Those that come one by one are questions and answers, which must not wait.
    if ((isFirst && !this.#isFast) || this.#open >= BATCH_END_DATAGRAMS) this.#end();
  }

  #end(): void {
    const now = performance.now();
    this.#isFast = now - this.#lastEndMs < this.#open * FAST_DATAGRAM_MS;
    this.#lastEndMs = now;
    this.#open = 0;
    this.#onBatchEnd();
  }
}

/** `EMSGSIZE` where the runtime reports it, otherwise the class of the error. */
function errorName(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
