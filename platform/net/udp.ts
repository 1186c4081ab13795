/**
 * The tunnel's UDP socket: the interface that the portable and the Linux form share.
 *
 * @module
 */

import { PilotError } from "../../protocol/errors.ts";
import type { Endpoint } from "../../protocol/ip.ts";

const MAPPED_PREFIX = "::ffff:";

/** Reduces the IPv4-mapped form that a dual-stack socket reports; every other literal is left as it is. */
export function normalizeHost(host: string): string {
  return host.startsWith(MAPPED_PREFIX) && host.includes(".")
    ? host.slice(MAPPED_PREFIX.length)
    : host;
}

/** Counters of a socket since it was opened. */
export interface UdpStats {
  /** Datagrams the kernel took. */
  sent: number;
  /** Bytes the kernel took. */
  sentBytes: number;
  /** Datagrams received. */
  received: number;
  /** Bytes received. */
  receivedBytes: number;
  /** Datagrams that could not be sent: refused by the kernel, no room, no usable destination, socket closed. */
  dropped: number;
  /** Calls that sent something; `sent / sendCalls` is the size of a batch. */
  sendCalls: number;
  /** Calls that received something. */
  receiveCalls: number;
  /** Errors of the kernel by name, such as `{ENOBUFS: 3}`. */
  readonly errors: Record<string, number>;
}

/** Counters of a socket that has done nothing yet. */
export function newUdpStats(): UdpStats {
  return {
    sent: 0,
    sentBytes: 0,
    received: 0,
    receivedBytes: 0,
    dropped: 0,
    sendCalls: 0,
    receiveCalls: 0,
    errors: {},
  };
}

/** Counts an error of the kernel. */
export function countError(stats: UdpStats, name: string): void {
  stats.errors[name] = (stats.errors[name] ?? 0) + 1;
}

/** Called for each datagram received; `data` is valid, and may be changed, during the call only. */
export type DatagramHandler = (data: Uint8Array, from: Endpoint) => void;

/**
 * Called after the last of the datagrams that were there together, and within a long run of them every
 * {@linkcode BATCH_END_DATAGRAMS}: what need not be done for each (answers, wake-ups) is best done then.
 */
export type BatchEndHandler = () => void;

/** Datagrams handed over between two calls of a {@linkcode BatchEndHandler} at most: a GSO message of them. */
export const BATCH_END_DATAGRAMS = 32;

/** A bound UDP socket. Sending never blocks and never throws: a datagram may be lost anyway. */
export interface UdpSocket {
  /** Name shown by `info`. */
  readonly kind: string;
  /** Where it is bound. */
  readonly local: Endpoint;
  /** Counters. */
  readonly stats: UdpStats;
  /**
   * Datagrams arrive whole or not at all, unless {@linkcode UdpSocket.send} permits otherwise. Where this is false the
   * system decides, and that a datagram arrived does not mean that the path carries its size.
   */
  readonly forbidsFragments: boolean;
  /**
   * A buffer to build a datagram in; must be given to {@linkcode UdpSocket.send}.
   *
   * @param bytes Room needed, at most {@linkcode SEND_BUFFER_BYTES}, which is also the default.
   * @returns At least that much, content undefined.
   */
  acquire(bytes?: number): Uint8Array<ArrayBuffer>;
  /**
   * Sends `length` bytes of a buffer from {@linkcode UdpSocket.acquire} and takes the buffer back. Datagrams
   * leave in order, at the latest when the running task and its microtasks end.
   *
   * @param mayFragment The network may cut it into fragments when it is larger than the path carries. Default false;
   * only respected where {@linkcode UdpSocket.forbidsFragments}.
   */
  send(
    buffer: Uint8Array<ArrayBuffer>,
    length: number,
    to: Endpoint,
    mayFragment?: boolean,
  ): void;
  /** Starts receiving. */
  start(onDatagram: DatagramHandler, onBatchEnd?: BatchEndHandler): void;
  /** Sends what is queued, closes the socket and ends receiving. May be called more than once. */
  close(): Promise<void>;
}

/** Largest datagram that can be built or received: the largest UDP payload. */
export const SEND_BUFFER_BYTES = 65_536;

/**
 * Sizes of send buffers. The first holds any datagram of a 1500-byte path, the second one of a jumbo frame;
 * small datagrams close together stay in the processor's cache.
 */
export const BUFFER_CLASSES: readonly number[] = [2048, 9216, SEND_BUFFER_BYTES];

/** Index in {@linkcode BUFFER_CLASSES} of the smallest buffer that holds `bytes`. */
export function bufferClass(bytes: number): number {
  return bytes <= 2048 ? 0 : bytes <= 9216 ? 1 : 2;
}

/** The error of a socket that cannot be bound. */
export function bindError(
  host: string,
  port: number,
  options: { taken: boolean; reason: string; cause?: unknown },
): PilotError {
  return new PilotError(
    options.taken ? "already_exists" : "io_error",
    `Cannot bind UDP ${host}:${port}: ${options.reason}`,
    {
      cause: options.cause,
      advice: { id: options.taken ? "free_address" : "check_address", setting: "listen" },
    },
  );
}
