/**
 * The tunnel's UDP socket: one interface, here its portable form over `Deno.listenDatagram`.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Endpoint } from "../../protocol/ip.ts";

const MAPPED_PREFIX = "::ffff:";

/** Reduces the IPv4-mapped form that a dual-stack socket reports; every other literal is left as it is. */
function normalizeHost(host: string): string {
  return host.startsWith(MAPPED_PREFIX) && host.includes(".")
    ? host.slice(MAPPED_PREFIX.length)
    : host;
}

/** Whether two endpoints are the same place. */
export function sameEndpoint(
  a: Endpoint | undefined,
  b: Endpoint | undefined,
): boolean {
  return a !== undefined && b !== undefined && a.port === b.port &&
    a.host === b.host;
}

/** Counters of a socket since it was opened. */
export interface UdpStats {
  /** Datagrams handed to the kernel. */
  sent: number;
  /** Bytes handed to the kernel. */
  sentBytes: number;
  /** Datagrams received. */
  received: number;
  /** Bytes received. */
  receivedBytes: number;
  /** Datagrams the kernel refused, or that found {@linkcode MAX_SENDS_IN_FLIGHT} others in flight. */
  dropped: number;
}

/** A bound UDP socket. Sending never blocks and never throws: a datagram may be lost anyway. */
export interface UdpSocket {
  /** Name shown by `info`. */
  readonly kind: string;
  /** Where it is bound. */
  readonly local: Endpoint;
  /** Counters. */
  readonly stats: UdpStats;
  /** A buffer of {@linkcode SEND_BUFFER_BYTES} to build a datagram in; must be given to {@linkcode UdpSocket.send}. */
  acquire(): Uint8Array<ArrayBuffer>;
  /** Sends `length` bytes of a buffer from {@linkcode UdpSocket.acquire} and takes the buffer back. */
  send(buffer: Uint8Array<ArrayBuffer>, length: number, to: Endpoint): void;
  /** Starts receiving. `data` is valid only during the call. */
  start(onDatagram: (data: Uint8Array, from: Endpoint) => void): void;
  /** Closes the socket and ends receiving. */
  close(): Promise<void>;
}

/** Largest datagram that can be built or received: the largest UDP payload. */
export const SEND_BUFFER_BYTES = 65_536;
/** Sends the kernel has not finished; above it datagrams are dropped, as a full interface queue would. */
export const MAX_SENDS_IN_FLIGHT = 1024;
/** Buffers kept for the next send; more are left to the garbage collector. */
const POOL_BUFFERS = 64;
/** Pause after a receive error that is not the end of the socket, so that a persistent one cannot spin. */
const RECEIVE_ERROR_PAUSE_MS = 10;

/** {@linkcode UdpSocket} over `Deno.listenDatagram`. */
export class PortableUdpSocket implements UdpSocket {
  readonly kind = "portable";
  readonly local: Endpoint;
  readonly stats: UdpStats = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    dropped: 0,
  };
  readonly #conn: Deno.DatagramConn;
  readonly #pool: Uint8Array<ArrayBuffer>[] = [];
  #inFlight = 0;
  #closed = false;
  #receiving: Promise<void> | undefined;

  private constructor(conn: Deno.DatagramConn) {
    this.#conn = conn;
    const { hostname, port } = conn.addr as Deno.NetAddr;
    this.local = { host: normalizeHost(hostname), port };
  }

  /**
   * Binds a socket.
   *
   * @param host IP literal to bind; `0.0.0.0` for all IPv4 interfaces.
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
      const taken = error instanceof Deno.errors.AddrInUse;
      throw new PilotError(
        taken ? "already_exists" : "io_error",
        `Cannot bind UDP ${host}:${port}: ${error instanceof Error ? error.message : error}`,
        {
          cause: error,
          hint: taken
            ? "Another program uses this port; choose another with --listen."
            : "Check the address given with --listen.",
        },
      );
    }
  }

  acquire(): Uint8Array<ArrayBuffer> {
    return this.#pool.pop() ?? new Uint8Array(SEND_BUFFER_BYTES);
  }

  send(buffer: Uint8Array<ArrayBuffer>, length: number, to: Endpoint): void {
    if (this.#closed || this.#inFlight >= MAX_SENDS_IN_FLIGHT) {
      this.stats.dropped++;
      this.#release(buffer);
      return;
    }
    this.#inFlight++;
    this.stats.sent++;
    this.stats.sentBytes += length;
    // The kernel may read the buffer until the promise settles, so only then does it go back to the pool.
    this.#conn.send(buffer.subarray(0, length), {
      transport: "udp",
      hostname: to.host,
      port: to.port,
    }).then(
      () => this.#sent(buffer),
      () => {
        // Unreachable, filtered, too big: to a datagram protocol all of these are loss.
        this.stats.dropped++;
        this.#sent(buffer);
      },
    );
  }

  start(onDatagram: (data: Uint8Array, from: Endpoint) => void): void {
    this.#receiving ??= this.#receive(onDatagram);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
    await this.#receiving;
  }

  async #receive(
    onDatagram: (data: Uint8Array, from: Endpoint) => void,
  ): Promise<void> {
    const buffer = new Uint8Array(SEND_BUFFER_BYTES);
    while (!this.#closed) {
      const received = await this.#conn.receive(buffer).catch(() => undefined);
      if (this.#closed) return;
      if (received === undefined) {
        // An ICMP error of an earlier send surfaces here; the socket is still good (anchors.md C.3, P0-005).
        await new Promise((resolve) => setTimeout(resolve, RECEIVE_ERROR_PAUSE_MS));
        continue;
      }
      const { hostname, port } = received[1] as Deno.NetAddr;
      this.stats.received++;
      this.stats.receivedBytes += received[0].length;
      onDatagram(received[0], { host: normalizeHost(hostname), port });
    }
  }

  #sent(buffer: Uint8Array<ArrayBuffer>): void {
    this.#inFlight--;
    this.#release(buffer);
  }

  #release(buffer: Uint8Array<ArrayBuffer>): void {
    if (this.#pool.length < POOL_BUFFERS) this.#pool.push(buffer);
  }
}
